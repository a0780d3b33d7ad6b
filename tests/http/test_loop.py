"""http/gevent_loop.py: what the core asks of a loop, on gevent's."""

from __future__ import annotations

import os
from typing import Any

import gevent
import pytest
from gevent.monkey import get_original

from serving.batching.loop import GivenUp
from serving.http.gevent_loop import GeventLoop

get_ident = get_original("_thread", "get_ident")


def test_soon_comes_after_what_is_readable_and_may_wait() -> None:
    """All that can be read in a turn is read before the call; the call may sleep, and others go on."""
    loop, seen = GeventLoop(), []
    reading, writing = os.pipe()
    os.write(writing, b"x")
    watcher = gevent.get_hub().loop.io(reading, 1)

    def readable() -> None:
        seen.append("read")
        watcher.stop()

    def call() -> None:
        seen.append("begun")
        gevent.sleep(0.01)
        seen.append("ended")

    watcher.start(readable)
    loop.next_turn(call)
    gevent.sleep(0.05)
    loop.soon(lambda: seen.append("soon"))
    gevent.sleep(0.01)
    assert seen == ["read", "begun", "ended", "soon"]
    os.close(reading)
    os.close(writing)


def test_a_call_that_waits_for_too_long_is_ended() -> None:
    """The user's own `except Exception` does not keep it."""

    def call() -> None:
        try:
            gevent.sleep(60)
        except Exception:
            gevent.sleep(60)

    with pytest.raises(GivenUp):
        GeventLoop().here(call, 0.02)
    assert GeventLoop().here(lambda: 7, 5) == 7


def test_wait_gives_what_it_is_told() -> None:
    loop = GeventLoop()
    assert loop.wait(lambda done: done(3)) == 3
    assert loop.wait(lambda done: loop.soon(lambda: done(4))) == 4


def test_a_thread_is_one_of_the_systems_and_the_same_each_time() -> None:
    """Results and exceptions of any kind come back; the loop goes on meanwhile."""
    thread = GeventLoop().thread()
    first, second = (thread.run(get_ident, 5) for _ in range(2))
    assert first == second != get_ident()
    for error in (ValueError, KeyboardInterrupt, SystemExit, GeneratorExit):
        with pytest.raises(error):
            thread.run(lambda error=error: raised(error), 5)
    went_on: list[int] = []
    gevent.spawn(went_on.append, 1)
    thread.run(lambda: get_original("time", "sleep")(0.02), 5)
    assert went_on == [1]
    thread.end()


def raised(error: type[BaseException]) -> Any:
    raise error


def test_who_waited_behind_a_call_that_is_given_up_is_served_by_a_new_thread() -> None:
    """The hopeless one keeps its thread."""
    thread, gate = GeventLoop().thread(), get_original("threading", "Lock")()
    gate.acquire()
    behind: list[Any] = []
    gevent.spawn_later(0.01, lambda: behind.append(thread.run(lambda: 5, 5)))
    with pytest.raises(GivenUp):
        thread.run(gate.acquire, 0.05)
    gevent.sleep(0.05)
    assert behind == [5]
    gate.release()
    thread.end()
