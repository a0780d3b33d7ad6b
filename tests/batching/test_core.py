"""The engine as plain calls: a loop of the test's own, a clock of the test's own, no gevent, no HTTP, no waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import settings
from serving.batching.engine import Engine
from serving.batching.loop import GivenUp
from serving.batching.messages import Reply, Request
from serving.batching.reading import SHORT
from serving.models import native_code
from serving.models.loaded import LoadedModel
from serving.rows.signature import Column, Signature

ARRAY = Signature("array", (Column(kind="number"), Column(kind="number")))


class FakeThread:
    """Runs a call at once, and notes it; gives up the calls of `hopeless`."""

    def __init__(self, loop: FakeLoop) -> None:
        self.loop, self.runs = loop, 0

    def run(self, call: Callable[[], Any], seconds: float) -> Any:
        self.runs += 1
        if self.loop.hopeless:
            self.loop.time += seconds
            raise GivenUp
        return call()

    def end(self) -> None:
        pass


class FakeLoop:
    """`turn` does what was asked for; the time is what the test says."""

    def __init__(self) -> None:
        self.time, self.calls, self.threads, self.hopeless = 0.0, [], [], False
        self.here_runs = 0
        self.kept: list[Request] = []
        self.gone: set[int] = set()

    def now(self) -> float:
        return self.time

    def soon(self, call: Callable[[], object]) -> None:
        self.calls.append(call)

    next_turn = soon

    def here(self, call: Callable[[], Any], seconds: float) -> Any:
        self.here_runs += 1
        return call()

    def wait(self, begin: Callable[[Callable[[Any], None]], object]) -> Any:
        told: list[Any] = []
        begin(told.append)
        while not told:
            self.turn()
        return told[0]

    def thread(self) -> FakeThread:
        self.threads.append(FakeThread(self))
        return self.threads[-1]

    def keep(self, requests: Iterable[Request]) -> None:
        self.kept += requests

    def has_gone(self, request: Request) -> bool:
        return request.connection in self.gone

    def turn(self) -> None:
        self.calls.pop(0)()


class Served:
    """An engine whose transformation is the test's. `ask` submits; replies are in `replies`, in the order of asking."""

    def __init__(self, transformation: Callable[[Any], Any], **environ: str) -> None:
        self.sizes: list[int] = []

        def noted(model: Any, rows: Any) -> Any:
            self.sizes.append(len(rows))
            return transformation(rows) if self.warm else first(rows)

        self.warm = False
        self.loop, self.replies, self.stuck = FakeLoop(), [], []
        self.engine = Engine(LoadedModel(None, noted, ARRAY, Path("model.pkl")), settings.load(environ))
        self.engine.warm_up()
        self.sizes.clear()
        self.warm = True
        self.engine.start(self.loop, self.loop.thread(), self.stuck.append)
        self.reader, self.predictor = self.loop.threads

    def ask(self, *bodies: bytes, content_type: str = "text/csv", connection: int = 0) -> None:
        for body in bodies:
            place = len(self.replies)
            self.replies.append(None)
            request = Request(body, content_type, connection=connection)
            self.engine.submit(request, lambda reply, place=place: self.told(place, reply))

    def told(self, place: int, reply: Reply) -> None:
        assert self.replies[place] is None, "told twice"
        self.replies[place] = reply

    def run(self) -> list[Reply]:
        while self.loop.calls:
            self.loop.turn()
        return self.replies


def first(rows: Any) -> Any:
    return np.asarray(rows)[:, 0]


def test_what_arrives_in_one_turn_is_one_call() -> None:
    """Twenty requests, one call; each gets its own prediction."""
    served = Served(first)
    served.ask(*(b"%d,0\n" % n for n in range(20)))
    assert served.sizes == []
    assert [reply.body for reply in served.run()] == [b"%.1f\n" % n for n in range(20)]
    assert served.sizes == [20]


def test_what_arrives_meanwhile_joins_the_next_call() -> None:
    """A request that comes while a call runs waits for it, and shares the next."""
    served = Served(lambda rows: (served.ask(b"7,0\n") if rows[0, 0] == 1 else None, first(rows))[1])
    served.ask(b"1,0\n")
    assert [reply.body for reply in served.run()] == [b"1.0\n", b"7.0\n"]
    assert served.sizes == [1, 1]


def test_a_large_body_is_read_in_the_reader_thread() -> None:
    """What is long, or may grow when it is inflated, does not hold the loop up."""
    served = Served(first)
    served.ask(b"1,2\n", b"1,2\n" * (SHORT // 4 + 1))
    served.engine.submit(Request(b"x" * 2000, "text/csv", "gzip"), lambda reply: None)
    served.engine.submit(Request(b"PK\x03\x04" + b"x" * 2000), lambda reply: None)
    served.run()
    assert served.reader.runs == 3
    assert [reply.status for reply in served.replies] == [200, 200]


def test_a_body_that_is_read_for_ever_costs_its_caller_a_504_and_the_worker() -> None:
    """The deadline of a request holds while its rows are read."""
    served = Served(first)
    served.loop.hopeless = True
    served.ask(b"1,2\n" * SHORT)
    assert served.run()[0].status == 504
    assert "has not been read within 60 s" in served.stuck[0]


def test_large_bodies_that_wait_to_be_read_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as rows may take of the memory; a single one is always read."""
    served = Served(first)
    body = b"1,2\n" * SHORT
    monkeypatch.setattr(settings.Settings, "row_bytes", property(lambda _: 2 * len(body)))
    served.ask(*[body] * 4)
    assert [reply and reply.status for reply in served.replies] == [None, None, 503, 503]
    assert {reply.status for reply in served.run()[:2]} == {200}


def test_a_call_that_never_returns_costs_its_callers_a_504_and_the_worker() -> None:
    """The next call has a new thread."""
    served = Served(first)
    served.engine.policy.inline_seconds = -1
    served.loop.hopeless = True
    served.ask(b"1,2\n", b"3,4\n")
    assert [reply.status for reply in served.run()] == [504, 504]
    assert served.stuck == ["a prediction has not returned for 60 s"]
    served.loop.hopeless = False
    served.ask(b"5,6\n")
    assert served.run()[2].body == b"5.0\n"


def test_whoever_waits_too_long_is_told_once() -> None:
    """`tick` answers those whose time is over, in the queue and in a call, and what comes later is not told."""

    def slow(rows: Any) -> Any:
        if rows[0, 0] == 1:
            served.loop.time += 31
            served.ask(b"2,0\n")
            served.loop.time += 30
            served.engine.tick()
        return first(rows)

    served = Served(slow)
    served.ask(b"1,0\n")
    assert [reply.status for reply in served.run()] == [504, 200]
    served.ask(b"3,0\n")
    served.loop.time += 61
    served.engine.tick()
    assert [reply.status for reply in served.run()] == [504, 200, 504]


def test_what_another_process_has_is_forgotten() -> None:
    """Who is in a call stays: the loop is told so before the call. What has gone counts as no answer."""

    def slow(rows: Any) -> Any:
        if rows[0, 0] == 1:
            kept.extend(served.loop.kept)
            for connection in (7, 8, 9):
                served.ask(b"%d,0\n" % connection, connection=connection)
            served.loop.gone = {7, 9}
            for seconds in (0.9, 0.2):
                served.loop.time += seconds
                overdue.append(served.engine.is_overdue())
            served.engine.tick()
        return first(rows)

    kept: list[Request] = []
    overdue: list[bool] = []
    served = Served(slow)
    served.ask(b"1,0\n", connection=5)
    replies = served.run()
    assert [request.connection for request in kept] == [5]
    assert overdue == [False, True]
    assert [(reply.status, reply.code) for reply in replies] == [(200, ""), (503, "gone"), (200, ""), (503, "gone")]
    assert sum(served.engine.metrics.statuses.values()) == 2
    assert served.engine.policy.requests == 0
    assert not served.engine.is_overdue()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException, MemoryError])
@pytest.mark.parametrize("slow", [True, False])
def test_whatever_transformation_raises_costs_its_request_alone(error: type[BaseException], slow: bool) -> None:
    """And the engine goes on."""

    def picky(rows: Any) -> Any:
        if -1 in first(rows):
            raise error("no")
        return first(rows)

    served = Served(picky)
    if slow:
        served.engine.policy.inline_seconds = -1
    served.ask(b"1,0\n", b"-1,0\n", b"3,0\n")
    assert [reply.status for reply in served.run()] == [200, 500, 200]
    assert json.loads(served.replies[1].body)["error"]["code"] == "model_failed"
    served.ask(b"4,0\n")
    assert served.run()[3].body == b"4.0\n"
    assert bool(served.predictor.runs) == slow


def test_a_library_that_walks_the_stack_is_called_in_a_real_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the moment it is imported on, be a call as short as it may; so is the conversion of what it returns."""
    served = Served(first)
    served.ask(b"1,0\n")
    served.run()
    monkeypatch.setattr(native_code, "UNWINDING", ("json",))
    served.ask(b"1,0\n")
    served.run()
    assert (served.loop.here_runs, served.predictor.runs) == (1, 1)


def test_a_stream_of_such_a_library_is_made_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Item by item."""
    monkeypatch.setattr(native_code, "UNWINDING", ("json",))
    served = Served(lambda rows: (value for value in first(rows)))
    served.ask(b"1,0\n3,0\n")
    before = served.predictor.runs
    assert b"".join(served.run()[0].body) == b"1.0\n3.0\n"
    assert served.predictor.runs > before + 2


def test_more_than_can_wait_is_refused_with_the_seconds() -> None:
    """503 with Retry-After, at once."""
    served = Served(first)
    served.ask(*[b"1,0\n"] * 1030)
    assert [reply.status for reply in served.replies[1024:]] == [503] * 6
    assert dict(served.replies[-1].headers)["Retry-After"] == "1"
    assert {reply.status for reply in served.run()[:1024]} == {200}


def test_a_bad_record_is_marked_through_the_same_door() -> None:
    """MODEL_SERVER_BAD_RECORDS=mark: the records of the refused chunk share calls with everybody's."""
    served = Served(first, MODEL_SERVER_BAD_RECORDS="mark")
    served.ask(b"1,0\nx,0\n" + b"3,0\n" * 200, b"9,9\n")
    assert [reply.body for reply in served.run()] == [b"1.0\nERROR\n" + b"3.0\n" * 200, b"9.0\n"]
    assert len(served.sizes) <= 5


def test_a_caller_that_cannot_be_told_costs_nobody_elses_reply() -> None:
    """What `done` raises is logged; the engine goes on."""
    served = Served(first)

    def gone(reply: Reply) -> None:
        raise OSError("gone")

    served.engine.submit(Request(b"1,0\n", "text/csv"), gone)
    served.ask(b"2,0\n")
    assert served.run()[0].body == b"2.0\n"
    served.ask(b"3,0\n")
    assert served.run()[1].body == b"3.0\n"
