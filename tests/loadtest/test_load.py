"""loadtest/measuring.py and its senders, against small servers of this process. Nothing here must be fast."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from loadtest.figures import Goal, Run
from loadtest.measuring import CLIENTS, Failed, Load, Senders, Target

REQUEST = b"POST /invocations HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\n1,2\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1\n"


class Server:
    """`answers(number)` is what is written for the request of that number, or b"" to end the connection; `when` has
    the moment of each request."""

    def __init__(self, answers: Callable[[int], bytes]) -> None:
        self.answers, self.lock = answers, threading.Lock()
        self.when: list[float] = []
        self.connections = 0
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.target = Target("127.0.0.1", self.socket.getsockname()[1], REQUEST)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(4096):
                assert data == REQUEST, data
                with self.lock:
                    self.when.append(time.monotonic())
                    number = len(self.when)
                answer = self.answers(number)
                if not answer:
                    return
                connection.sendall(answer)
                if b"close" in answer or (b"Length" not in answer and b"chunked" not in answer):
                    return


@contextmanager
def serving(answers: Callable[[int], bytes]) -> Iterator[Server]:
    server = Server(answers)
    try:
        yield server
    finally:
        with suppress(OSError):
            server.socket.shutdown(socket.SHUT_RDWR)  # who waits in accept() holds a closed socket open
        server.socket.close()


def loaded(answers: Callable[[int], bytes], seconds: float = 0.3, **options: float) -> tuple[Run, Server]:
    with serving(answers) as server, Senders(2) as senders:
        return senders.run([server.target], seconds, 2, **{"clients": 4, **options}), server


def slow_after(number: int, seconds: float) -> Callable[[int], bytes]:
    """Stalls once, for all: whoever holds the lock lets the others wait."""
    lock = threading.Lock()

    def answers(n: int) -> bytes:
        with lock:
            time.sleep(seconds if n == number else 0)
        return OK

    return answers


def test_the_open_loop_sends_at_its_rate_whatever_the_server_does() -> None:
    """All requests of the schedule are sent, none before its moment."""
    run, server = loaded(lambda n: OK, 0.5, rate=100)
    assert (run.requests, run.errors.total(), len(server.when)) == (50, 0, 50)
    moments = sorted(server.when)
    assert moments[-1] - moments[0] >= 0.48  # 49 hundredths, less what the first was late


@pytest.mark.slow
def test_a_stall_counts_for_all_that_were_due_meanwhile() -> None:
    """No coordinated omission: one stall of 0.8 s makes the 80 requests late that were due in it, half of them by more
    than 0.4 s. Clients that wait for their answer before they ask again see two slow requests."""
    stalled, _ = loaded(slow_after(20, 0.8), 1.0, rate=100, clients=2)
    assert stalled.requests == 100
    assert stalled.latencies[50] > 200, "what waited for the stalled one does not count from when it was due"
    closed, _ = loaded(slow_after(20, 0.8), 1.0, clients=2)
    assert closed.latencies[50] < stalled.latencies[50]


def test_the_closed_loop_has_one_request_under_way_for_each_client() -> None:
    run, server = loaded(lambda n: time.sleep(0.02) or OK, 0.4, clients=3)
    assert server.connections == 3
    assert 0 < run.requests <= 3 * (0.4 / 0.02 + 1)
    assert run.latencies[50] >= 20


@pytest.mark.slow
def test_errors_are_counted_by_their_kind_and_late_ones_too() -> None:
    """A status, a lost connection, an answer that never comes: each is one request that did not hold the goal."""
    refused = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    run, _ = loaded(lambda n: refused if n % 4 == 1 else b"" if n % 4 == 2 else OK, 0.5, rate=100, clients=8)
    assert run.requests == 50 + run.errors["no connection"]
    assert run.errors["status 503"] >= 10
    assert run.errors["connection lost"] >= 10
    assert run.latencies[99] == float("inf")
    run, _ = loaded(lambda n: OK if n < 5 else time.sleep(30) or b"", 0.2, rate=100, clients=4)
    assert run.requests == 20
    assert run.errors == {"no answer in time": 16}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n1\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n1\n",
        b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\n1\n",
    ],
    ids=["closes", "chunked", "until the end", "small letters"],
)
def test_answers_of_any_form_are_read(answer: bytes) -> None:
    run, _ = loaded(lambda n: answer, 0.4, rate=50)
    assert (run.requests, run.errors.total()) == (20, 0)


def test_nobody_there_is_an_error_and_not_an_exception() -> None:
    with serving(lambda n: OK) as server:
        target = server.target
    with Senders(2) as senders:
        run = senders.run([target], 0.2, 1, 4)
    assert run.per_second == 0
    assert run.errors["no connection"] == 4


def test_the_senders_end_with_the_block() -> None:
    with Senders(2) as senders:
        processes = senders.processes
        assert senders.ceiling(REQUEST, 0.2) > 0
    assert all(process.poll() is not None for process in processes)


@pytest.mark.slow
def test_a_whole_measurement() -> None:
    """Closed loop until it does not grow, fixed rates in rounds, rates between; the request is asked for each step."""
    asked: list[int] = []
    said: list[str] = []
    with serving(lambda n: time.sleep(0.005) or OK) as server:
        load = Load(lambda: asked.append(1) or server.target, Goal(60_000), 0.1, repeats=2, say=said.append)
        measured = load.measure(cpus=2, machine=2)
    assert [step.clients for step in measured.closed] == list(CLIENTS)[: len(measured.closed)]
    assert all(len(step.runs) == 2 for step in [*measured.closed, *measured.open])
    assert measured.carried.rate == max(step.rate for step in measured.open if step.holds(measured.goal))
    assert measured.ceiling > 0
    assert 0 < measured.of_the_server() <= 2
    assert len(asked) >= 2 * (len(measured.closed) + len(measured.open))
    assert len(said) >= len(measured.closed) + 2


def test_a_server_of_which_every_answer_is_an_error_is_not_measured() -> None:
    with serving(lambda n: b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") as server:
        load = Load(lambda: server.target, Goal(50), 0.1, 1, say=lambda line: None)
        with pytest.raises(Failed, match=r"answered no request of the load: \d+ × status 500"):
            load.measure()
