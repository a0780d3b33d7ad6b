"""http/server.py and connection.py on gevent's loop, over socket pairs, with the test's own clock: nothing waits."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import gevent
import pytest

from serving.batching.messages import Reply, Request
from serving.http.connection import MOST_UNSENT, Connection
from serving.http.gevent_loop import GeventLoop
from serving.http.patience import LINGER_SECONDS, SLOW_SECONDS
from serving.http.routes import Routes
from serving.http.server import Server

POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1"
IDLE_SECONDS = 90


class Clock(GeventLoop):
    """The time is what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0

    def now(self) -> float:  # type: ignore[override]
        return self.time


def settle() -> None:
    """Lets the loop turn until nothing is left to do in it; what a turn has asked for comes in the next."""
    for _ in range(4):
        gevent.idle()


class Caller:
    """A connection to the server, from its caller's side."""

    def __init__(self, served: Served) -> None:
        self.socket, other = socket.socketpair()
        other.setblocking(False)
        self.socket.setblocking(False)
        self.connection = Connection(served.server, other, "")
        served.server.connections.add(self.connection)

    def send(self, data: bytes) -> Caller:
        self.socket.send(data)
        settle()
        return self

    def read(self) -> bytes:
        """All that has come by now."""
        settle()
        data = b""
        while True:
            try:
                piece = self.socket.recv(65536)
            except (BlockingIOError, ConnectionError):
                return data
            if not piece:
                return data
            data += piece

    def is_closed(self) -> bool:
        settle()
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True


class Served:
    """A server whose predictions the test makes: `asked` has the requests, with what is to be called with a reply."""

    def __init__(self, app: Any = None) -> None:
        self.loop, self.asked = Clock(), []
        self.server = Server(self.loop, Routes(self.submit), app, 2**20, IDLE_SECONDS, behind_nginx=False)

    def submit(self, request: Request, done: Callable[[Reply], None]) -> None:
        self.asked.append((request, done))

    def reply(self, reply: Reply | None = None) -> None:
        """To the oldest request."""
        self.asked.pop(0)[1](reply or Reply(200, b"[1]"))

    def later(self, seconds: float) -> None:
        self.loop.time += seconds
        self.server.sweep()
        settle()


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    for connection in list(made.server.connections):
        connection.drop()


def error(data: bytes) -> tuple[int, str]:
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower(), data
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def test_what_is_readable_in_one_turn_is_handed_on_together(served: Served) -> None:
    """Ten callers send; all their requests are there before the first is answered."""
    callers = [Caller(served) for _ in range(10)]
    for caller in callers:
        caller.socket.send(POST)
    settle()
    assert len(served.asked) == 10
    while served.asked:
        served.reply()
    assert all(caller.read().endswith(b"\r\n\r\n[1]") for caller in callers)


def test_one_request_of_a_connection_is_answered_at_a_time(served: Served) -> None:
    """Requests that follow without waiting are answered in order; none of them takes another caller's place."""
    caller = Caller(served).send(POST * 5)
    for number in range(5):
        assert len(served.asked) == 1
        served.reply(Reply(200, b"%d" % number))
        settle()
    assert [piece[-1:] for piece in caller.read().split(b"HTTP/1.1 ")[1:]] == [b"0", b"1", b"2", b"3", b"4"]


def test_what_follows_is_not_read_without_end(served: Served) -> None:
    """Beyond some kilobytes it waits in the caller's own socket."""
    caller = Caller(served).send(POST)
    sent = 0
    while sent < 2**22:
        try:
            sent += caller.socket.send(b"x" * 65536)
        except BlockingIOError:
            break
        settle()
    assert sent < 2**21


@pytest.mark.parametrize("sent", [b"P", b"POST /invocations HTTP/1.1\r\nHost: a\r\n", POST[:-1]])
def test_half_a_request_has_a_minute(served: Served, sent: bytes) -> None:
    """Then its caller is told, in JSON, and the connection is closed."""
    caller = Caller(served).send(sent)
    served.later(SLOW_SECONDS - 1)
    assert caller.read() == b""
    served.later(2)
    assert error(caller.read()) == (408, "request_timeout")
    served.later(LINGER_SECONDS + 1)
    assert not served.server.connections


def test_a_request_that_drips_is_not_waited_for(served: Served) -> None:
    """A byte now and then keeps no connection: the minute counts from the first."""
    caller = Caller(served)
    for byte in POST:
        caller.send(bytes([byte]))
        served.later(3)
        if caller.connection.closing:
            break
    assert error(caller.read()) == (408, "request_timeout")


def test_a_large_body_has_longer(served: Served) -> None:
    """A second more for each thousand bytes that have come."""
    caller = Caller(served).send(b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(10):
        caller.send(b"1" * 10_000)
        served.later(15)
    assert len(served.asked) == 1


def test_an_idle_connection_is_closed_without_a_word(served: Served) -> None:
    """When nginx has long forgotten it."""
    caller = Caller(served).send(POST)
    served.reply()
    served.later(IDLE_SECONDS - 1)
    assert caller.send(POST).read()
    served.reply()
    served.later(IDLE_SECONDS + 1)
    assert caller.read().endswith(b"[1]")
    assert caller.is_closed()


def test_a_long_prediction_is_waited_for(served: Served) -> None:
    """The engine knows its timeout; the connection has none of its own."""
    caller = Caller(served).send(POST)
    served.later(3000)
    served.reply()
    assert caller.read().endswith(b"[1]")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n" + b"x" * 50_000, 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: cow\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: cow\r\n\r\n", 417),
    ],
)
def test_what_is_not_taken_is_told_in_json_and_the_connection_ends(served: Served, sent: bytes, status: int) -> None:
    """What its caller goes on sending is read for a moment, so that the answer is not lost; it is not a request."""
    caller = Caller(served).send(sent)
    data = caller.read()
    assert error(data)[0] == status
    assert b"Connection: close" in data
    caller.send(POST)
    assert served.asked == []
    served.later(LINGER_SECONDS + 1)
    assert not served.server.connections


def test_who_has_ended_its_side_is_still_answered(served: Served) -> None:
    """`nc` and some clients close for writing when they have sent all."""
    caller = Caller(served).send(POST)
    caller.socket.shutdown(socket.SHUT_WR)
    settle()
    served.reply()
    assert caller.read().endswith(b"[1]")
    assert caller.is_closed()


def test_a_caller_that_has_gone_costs_nothing(served: Served) -> None:
    """Its reply is dropped, and the connection is forgotten."""
    caller = Caller(served).send(POST)
    caller.socket.close()
    settle()
    served.reply()
    settle()
    served.later(LINGER_SECONDS + 1)
    assert not served.server.connections


def test_who_waits_for_100_continue_gets_it(served: Served) -> None:
    """Before the body, and once."""
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    caller = Caller(served).send(head)
    assert caller.read() == b"HTTP/1.1 100 Continue\r\n\r\n"
    caller.send(b"1")
    served.reply()
    assert caller.read().startswith(b"HTTP/1.1 200 OK\r\n")


def pieces(count: int, size: int, made: list[int]) -> Iterator[bytes]:
    for number in range(count):
        made.append(number)
        yield b"x" * size


def test_a_stream_waits_for_a_slow_caller(served: Served) -> None:
    """What is made and not taken is bounded; when nothing moves for a minute, the stream ends."""
    caller, made = Caller(served).send(POST), []
    served.reply(Reply(200, pieces(10_000, 10_000, made)))
    gevent.sleep(0.05)
    first = len(made)
    assert first * 10_000 < MOST_UNSENT + 2**20
    caller.read()
    gevent.sleep(0.02)
    assert len(made) > first
    served.later(SLOW_SECONDS + 1)
    assert not served.server.connections


def test_who_does_not_read_gets_no_second_answer(served: Served) -> None:
    """Requests that follow wait until the reply is taken, so that what is kept for a caller is one reply."""
    caller = Caller(served).send(POST * 20)
    served.reply(Reply(200, b"x" * 2**22))
    settle()
    caller.send(POST)
    assert served.asked == []
    while not served.asked:
        assert caller.read()
    served.reply()
    assert b"[1]" in caller.read()


def test_a_reply_that_is_taken_drop_by_drop_is_not_kept_for_ever(served: Served) -> None:
    """A minute, and a second for each thousand bytes."""
    caller = Caller(served).send(POST)
    served.reply(Reply(200, b"x" * 2**22))
    for _ in range(100):
        caller.socket.recv(4096)
        served.later(30)
    assert not served.server.connections


def test_what_is_meant_for_nginx_does_not_reach_a_caller(served: Served) -> None:
    """The numbers of the request log, whether it is written or not."""
    caller = Caller(served).send(POST)
    served.reply(Reply(200, iter([b"1"]), measured="rows=1"))
    head = caller.read().partition(b"\r\n\r\n")[0]
    assert b"rows=" not in head
    assert b"X-Accel" not in head


def test_a_stream_is_chunked_and_its_connection_kept(served: Served) -> None:
    """Piece by piece; an empty piece is not the end."""
    caller = Caller(served).send(POST)
    served.reply(Reply(200, iter([b"1\n", b"", b"2\n"]), "text/csv"))
    assert caller.read().endswith(b"\r\n\r\n2\r\n1\n\r\n2\r\n2\n\r\n0\r\n\r\n")
    caller.send(POST)
    assert len(served.asked) == 1


def test_a_stream_to_http_1_0_ends_with_the_connection(served: Served) -> None:
    """There are no chunks there."""
    caller = Caller(served).send(POST.replace(b"1.1", b"1.0").replace(b"Host: a", b"Connection: keep-alive"))
    served.reply(Reply(200, iter([b"1\n", b"2\n"]), "text/csv"))
    data = caller.read()
    assert data.endswith(b"\r\n\r\n1\n2\n")
    assert b"Connection: close" in data
    assert caller.is_closed()


def test_a_stream_that_breaks_is_seen_to_be_broken(served: Served) -> None:
    """It has no last chunk."""

    def broken() -> Iterator[bytes]:
        yield b"1\n"
        raise ValueError("no")

    caller = Caller(served).send(POST)
    served.reply(Reply(200, broken()))
    data = caller.read()
    assert b"1\n" in data
    assert not data.endswith(b"0\r\n\r\n")
    assert caller.is_closed()


def app(environ: dict, start_response: Callable) -> list[bytes]:
    if environ["PATH_INFO"] == "/fails":
        raise KeyError("no")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def test_everything_else_is_the_apps() -> None:
    """In a greenlet; HEAD has the head alone; what it raises is a 500 in JSON."""
    served = Served(app)
    caller = Caller(served).send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert caller.read().endswith(b"Content-Length: 5\r\n\r\nhello")
    caller.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert caller.read().endswith(b"Content-Length: 5\r\n\r\n")
    assert error(caller.send(b"GET /fails HTTP/1.1\r\nHost: a\r\n\r\n").read()) == (500, "internal_error")


def test_a_header_that_would_break_its_line_is_a_500(served: Served) -> None:
    """Never two replies for one."""
    caller = Caller(served).send(POST)
    served.reply(Reply(200, b"", "text/csv\r\nX: y"))
    assert error(caller.read()) == (500, "internal_error")


def test_too_many_connections_cost_the_idle_ones(served: Served) -> None:
    """Those that have been idle, or half a request, for longest; who waits for a prediction keeps its own."""
    waiting = Caller(served).send(POST)
    served.loop.time += 1
    idle = [Caller(served) for _ in range(20)]
    served.loop.time += 1
    recent = [Caller(served) for _ in range(20)]
    served.server._make_room()
    settle()
    assert sum(caller.is_closed() for caller in idle) == 5
    assert not any(caller.is_closed() for caller in [waiting, *recent])


def test_the_end_is_graceful(served: Served) -> None:
    """What is in flight is answered, then its connection is closed; what still waits at the end gets a 503."""
    idle, flying, late = Caller(served), Caller(served).send(POST), Caller(served).send(POST)
    draining = gevent.spawn(served.server.drain, 30)
    gevent.sleep(0.01)
    served.reply()
    data = flying.read()
    assert data.endswith(b"[1]")
    assert b"Connection: close" in data
    served.later(LINGER_SECONDS + 1)
    assert idle.is_closed()
    served.loop.time += 60
    draining.join()
    served.server.close()
    assert error(late.read()) == (503, "not_ready")
    assert not served.server.connections


PIECES = [
    b"GET / HTTP/1.1\r\n", b"POST /invocations HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"\n", b"\0", b"abcde",
    b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"x" * 3000,
    b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"HEAD /x HTTP/1.0\r\n\r\n", POST, POST,
]  # fmt: skip


def test_whatever_callers_do_nothing_is_left_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage, halves, leaving at any moment, replies of any kind: no error in the loop, no connection is left."""
    served, draw, errors = Served(app), random.Random(5), []
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *error: errors.append(error))
    replies = (
        lambda: Reply(200, b"1"),
        lambda: Reply(200, iter([b"a" * draw.randint(0, 50_000) for _ in range(5)])),
        lambda: Reply(200, b"x" * 500_000),
    )
    for number in range(300):
        caller = Caller(served)
        for _ in range(draw.randint(1, 5)):
            with suppress(OSError):
                caller.socket.send(b"".join(draw.choices(PIECES, k=draw.randint(1, 6))))
            gevent.sleep(0)
            while served.asked and draw.random() < 0.7:
                served.reply(draw.choice(replies)())
            with suppress(OSError):
                caller.socket.recv(draw.choice([1, 10_000]))
        if draw.random() < 0.6:
            draw.choice([caller.socket.close, partial(caller.socket.shutdown, socket.SHUT_WR)])()
        if number % 20 == 0:
            served.later(draw.choice([1, 3, 30, 61]))
    for _ in range(6):
        while served.asked:
            served.reply()
        served.later(200)
    assert errors == []
    assert not served.server.connections
