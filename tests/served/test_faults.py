"""Faults under load: no answer is wrong, none is a page, none is lost, and /ping is answered within a second."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import Load, record
from test_supervisor import children_of

from running import Native, make_program, wait_until

Serve = Callable[..., Native]
DEADLY = {"exit code 3": -1, "exit code 4": -2, "an abort": -3, "exit code 78": -10}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_program(tmp_path_factory.mktemp("faulty"), "faulty")


@pytest.fixture(scope="module")
def shared(nginx: None, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    """A server that survives all that is done to it here."""
    settings = {"MODEL_SERVER_WORKERS": "2", "MODEL_SERVER_TIMEOUT": "4"}
    with Native(tmp_path_factory.mktemp("server"), program=program, **settings) as running:
        yield running.until_ready()


def port_of(running: Native) -> int:
    return int(running.url.rsplit(":", 1)[1])


def of_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers(running: Native) -> list[int]:
    return of_children(children_of(running.process.pid)["gunicorn"])


def all_of(running: Native) -> list[int]:
    """The supervisor, its children and theirs."""
    children = children_of(running.process.pid).values()
    return [running.process.pid, *children, *(one for child in children for one in of_children(child))]


def living(pids: list[int]) -> list[int]:
    """Those that have not ended; one that nobody has collected yet has."""

    def state(pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "Z"

    return [pid for pid in pids if state(pid) != "Z"]


def is_sound(load: Load, name: str) -> None:
    tally = load.tally
    record(name, tally)
    assert not tally.wrong, tally.wrong
    assert not tally.pages, tally.pages
    assert not tally.lost, tally.lost
    assert tally.right > 0
    assert all(isinstance(seen, int) for seen in tally.pings), tally.pings
    assert tally.slowest_ping < 1.0, tally


@pytest.mark.parametrize("fault", DEADLY)
def test_a_model_that_ends_its_worker_costs_what_was_in_it(shared: Native, fault: str) -> None:
    """Whatever the exit code: who was in the worker gets a 502 in JSON, the others their answers, /ping stays 200."""
    with Load(port_of(shared)) as load:
        load.until_right(20)
        before = set(workers(shared))
        status, body = load.send(DEADLY[fault])
        assert (status, b"worker_lost" in body) == (502, True), body
        wait_until(lambda: len(set(workers(shared)) - before) == 1)
        load.until_right(20)
    is_sound(load, f"a model that ends its worker: {fault}")
    assert set(load.tally.clean) <= {"502 worker_lost"}, load.tally
    assert set(load.tally.pings) == {200}


def test_a_worker_that_is_killed_is_replaced(shared: Native) -> None:
    """kill -9, three times in a row."""
    with Load(port_of(shared)) as load:
        for _ in range(3):
            load.until_right(20)
            victim = workers(shared)[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: victim not in workers(shared) and len(workers(shared)) == 2)  # noqa: B023
    is_sound(load, "kill -9 of a worker, three times")
    assert set(load.tally.clean) <= {"502 worker_lost"}, load.tally


def test_a_frozen_container_goes_on_where_it_was(shared: Native) -> None:
    """All processes stopped for longer than any timeout, then continued: no worker is ended, nothing is lost, and
    nobody is told that it took too long."""
    with Load(port_of(shared), pings=False) as load:
        load.until_right(20)
        before = workers(shared)
        everyone = all_of(shared)
        for pid in everyone:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(8)
        for pid in everyone:
            os.kill(pid, signal.SIGCONT)
        load.until_right(50)
        assert shared.ping().status_code == 200
    is_sound(load, "all processes frozen for 8 s, timeout 4 s")
    assert not load.tally.clean, load.tally
    assert workers(shared) == before


@pytest.fixture(scope="module", params=["on the loop", "in a thread"])
def one_by_one(
    nginx: None, program: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Native, str]]:
    """Each request is a call of its own: nobody shares one with what hangs. A slow model is called in a thread."""
    settings = {"MODEL_SERVER_WORKERS": "2", "MODEL_SERVER_TIMEOUT": "4", "MODEL_SERVER_BATCH_ROWS": "1"}
    pace = "0.03" if request.param == "in a thread" else "0"
    with Native(tmp_path_factory.mktemp("single"), program=program, PACE=pace, **settings) as running:
        yield running.until_ready(), request.param


HANGS = {"a loop": -4, "C code that holds the interpreter": -5}


@pytest.mark.parametrize("hang", HANGS)
def test_a_call_that_never_returns_holds_up_nobody_else(one_by_one: tuple[Native, str], hang: str) -> None:
    """A 504 for who called it. Who was in its worker is answered by the other one, and need not wait for the timeout;
    /ping is answered all the time; the worker is replaced."""
    running, where = one_by_one
    with Load(port_of(running)) as load:
        load.until_right(40)
        before = set(workers(running))
        load.tally.slowest_right = 0.0
        status, body = load.send(HANGS[hang])
        assert (status, b'"timeout"' in body) == (504, True), body
        wait_until(lambda: set(workers(running)) - before)
        load.until_right(20)
    is_sound(load, f"a call that never returns: {hang}, {where}")
    assert not load.tally.clean, load.tally
    assert load.tally.slowest_right < 4, load.tally


def test_a_wait_that_never_ends_is_given_up(shared: Native) -> None:
    """A 504 for who called it; the worker lives on."""
    with Load(port_of(shared)) as load:
        load.until_right(20)
        before = workers(shared)
        status, body = load.send(-9)
        assert (status, b'"timeout"' in body) == (504, True), body
        load.until_right(20)
    is_sound(load, "a call that never returns: a sleep")
    assert workers(shared) == before


@pytest.mark.parametrize("victim", ["nginx", "gunicorn"])
def test_a_master_that_dies_ends_everything_at_once(nginx: None, serve: Serve, program: Path, victim: str) -> None:
    """No worker of it is left to answer with 502 for ever: all processes are gone within seconds, the code is not 0."""
    running = serve(program=program, MODEL_SERVER_WORKERS="1").until_ready()
    everyone = all_of(running)
    with Load(port_of(running), pings=False) as load:
        load.until_right(20)
        os.kill(children_of(running.process.pid)[victim], signal.SIGKILL)
        assert running.process.wait(10) == 128 + signal.SIGKILL
        wait_until(lambda: not living(everyone), 2)
    assert not load.tally.wrong + load.tally.pages
    if victim == "gunicorn":
        assert not load.tally.lost, "nginx was there to answer"


def test_the_supervisor_that_dies_takes_all_along(nginx: None, serve: Serve, program: Path) -> None:
    """Natively it may be killed: its children end too."""
    running = serve(program=program, MODEL_SERVER_WORKERS="1").until_ready()
    everyone = all_of(running)
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait(10)
    wait_until(lambda: not living(everyone))


def test_sigterm_under_load_loses_nothing(nginx: None, serve: Serve, program: Path) -> None:
    """Every request that was taken is answered; a call that does not end in time is answered 503 before the end."""
    running = serve(program=program, MODEL_SERVER_WORKERS="2").until_ready()
    answers: list[tuple[int, bytes]] = []
    with Load(port_of(running), pings=False) as load:
        load.until_right(20)
        hung = threading.Thread(target=lambda: answers.append(load.send(-9)))
        hung.start()
        load.run(0.5)
        running.terminate()
        assert running.process.wait(28) == 0
        hung.join(5)
    is_sound(load, "SIGTERM under load, with a call that hangs")
    assert [(status, b'"stopping"' in body) for status, body in answers] == [(503, True)], answers


@pytest.mark.parametrize("milliseconds", [0, 20, 50, 100, 200, 400, 800])
def test_sigterm_while_it_starts_ends_it(serve: Serve, program: Path, milliseconds: int) -> None:
    """From the first moment on: it ends soon, and leaves no process behind."""
    running = serve(program=program, MODEL_SERVER_WORKERS="1")
    time.sleep(milliseconds / 1000)
    running.terminate()
    running.process.wait(15)
    mark = str(port_of(running))
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            assert f"SAGEMAKER_BIND_TO_PORT={mark}\0" not in path.read_text()
        except OSError:
            continue


def test_a_model_that_cannot_be_loaded_ends_the_server_also_without_preload(serve: Serve, tmp_path: Path) -> None:
    """At once, with the reason, and a code that is not 0."""
    running = serve(
        program=make_program(tmp_path, "missing_function"), MODEL_SERVER_PRELOAD="off", MODEL_SERVER_WORKERS="2"
    )
    assert running.process.wait(30) != 0
    assert "predictor.py has no function `transformation`" in running.log
    assert "the model cannot be loaded" in running.log


def test_a_server_that_cannot_predict_ends_after_the_stated_time(serve: Serve, tmp_path: Path) -> None:
    """/ping tells the reason until then."""
    running = serve(program=make_program(tmp_path, "always_fails"), MODEL_SERVER_PATIENCE="3")
    wait_until(lambda: running.ping() is not None and "warm-up" in running.ping().text)
    assert running.process.wait(30) == 1
    assert "no worker could predict for 3 s: the warm-up prediction failed" in running.log
