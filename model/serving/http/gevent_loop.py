"""gevent's loop, as batching/loop.py wants it.

Nothing of ours runs in the hub itself: what runs there may not wait, not even for a lock. A call runs in a greenlet of
its own, which costs a microsecond for a whole batch.
"""

from __future__ import annotations

import logging
import queue
from _queue import SimpleQueue
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import gevent
from gevent.event import AsyncResult
from gevent.monkey import get_original
from greenlet import greenlet

from ..batching.loop import GivenUp
from ..batching.messages import Request
from ..monitoring.clocks import AwakeClock
from .handover import Handover

T = TypeVar("T")
start_new_thread = get_original("_thread", "start_new_thread")


def log_with_real_locks() -> None:
    """A handler's lock becomes one of the system's. Real threads log too, and gevent's lock, when two threads want it,
    may never wake the loop: whatever then logs waits for ever. A line is written without a switch, so no greenlet can
    meet another in it."""
    make = get_original("_thread", "RLock")

    def create_lock(handler: logging.Handler) -> None:
        handler.lock = make()
        logging._register_at_fork_reinit_lock(handler)  # type: ignore[attr-defined]

    logging.Handler.createLock = create_lock  # type: ignore[method-assign,assignment]
    logging._lock = make()  # type: ignore[attr-defined]
    for reference in logging._handlerList:  # type: ignore[attr-defined]
        if (handler := reference()) is not None:
            handler.createLock()


class GeventLoop:
    """Made in the process, and in the thread, that it is used in."""

    def __init__(self) -> None:
        self._clock = AwakeClock()  # looked at twice a second, by the beat (readiness.py)
        self._hub = gevent.get_hub()
        self._loop = self._hub.loop
        self.handover = Handover()

    def now(self) -> float:
        return self._clock.time()

    def soon(self, call: Callable[[], object]) -> None:
        self._loop.run_callback(greenlet(call, self._hub).switch)

    def next_turn(self, call: Callable[[], object]) -> None:
        timer = self._loop.timer(0)  # one that is due runs when what is readable has been looked for
        timer.start(self._timer_is_due, timer, call)

    def _timer_is_due(self, timer: Any, call: Callable[[], object]) -> None:
        timer.stop()
        timer.close()
        self.soon(call)

    def here(self, call: Callable[[], T], seconds: float) -> T:
        with gevent.Timeout(seconds, GivenUp()):
            return call()

    def wait(self, begin: Callable[[Callable[[T], None]], object]) -> T:
        result = AsyncResult()
        begin(result.set)
        return result.get()  # type: ignore[no-any-return]

    def thread(self) -> RealThread:
        return RealThread()

    def keep(self, requests: Iterable[Request]) -> None:
        self.handover.keep(requests)

    def has_gone(self, request: Request) -> bool:
        return self.handover.has(request)


class RealThread:
    """A thread of the system's, not one of gevent's greenlets in it: some libraries walk its stack to the end."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()
        self._outcomes: deque[tuple[AsyncResult, Any, BaseException | None]] = deque()
        self._told = gevent.get_hub().loop.async_()
        self._told.start(self._deliver, self._outcomes)
        start_new_thread(_work, (self._calls, self._outcomes, self._told.send))

    def run(self, call: Callable[[], T], seconds: float) -> T:
        outcome = AsyncResult()
        self._calls.put((call, outcome))
        if self._comes(outcome, seconds):
            result, failure = outcome.get()
            if failure is not None:
                raise failure
            return result  # type: ignore[no-any-return]
        hopeless = self._calls
        with suppress(RuntimeError):  # no more threads can be started; the worker is about to be replaced
            self._begin()
            with suppress(queue.Empty):
                while True:  # who waited behind it
                    self._calls.put(hopeless.get_nowait())
        hopeless.put(None)
        raise GivenUp

    def _comes(self, outcome: AsyncResult, seconds: float) -> bool:
        """Whether it comes in time. Waits a second at a time: one in which the process was frozen counts as one. What
        the thread has left without having been heard is taken then, too."""
        while seconds > 0:
            if outcome.wait(min(1.0, seconds)) is not None:
                return True
            self._deliver(self._outcomes)
            seconds -= 1.0
        return outcome.ready()  # type: ignore[no-any-return]

    def end(self) -> None:
        self._calls.put(None)
        self._told.stop()
        self._told.close()

    @staticmethod
    def _deliver(outcomes: deque[tuple[AsyncResult, Any, BaseException | None]]) -> None:
        while outcomes:
            outcome, result, failure = outcomes.popleft()
            outcome.set((result, failure))


def in_threads(count: int) -> Callable[[Callable[[Any], object], Iterable[Any]], Iterable[Any]]:
    """A `map` for parts that need no lock, in `count` threads of the system; the caller's own thread is one of them.

    It waits without looking at the loop, as the function itself would. The first failure is raised.
    """

    def spread(function: Callable[[Any], object], parts: Iterable[Any]) -> Iterable[Any]:
        parts = list(parts)
        ends: SimpleQueue[BaseException | None] = SimpleQueue()

        def work(share: list[Any]) -> None:
            failure = None
            try:
                for part in share:
                    function(part)
            except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for
                failure = exc
            ends.put(failure)

        shares = [parts[first::count] for first in range(min(count, len(parts)))]
        for share in shares[1:]:
            try:
                start_new_thread(work, (share,))
            except RuntimeError:  # no more threads can be started
                work(share)
        for share in shares[:1]:
            work(share)
        failures = [failure for _ in shares if (failure := ends.get()) is not None]
        if failures:
            raise failures[0]
        return ()

    return spread


def _work(calls: Any, outcomes: deque[tuple[AsyncResult, Any, BaseException | None]], tell: Callable[[], None]) -> None:
    """The life of a RealThread."""
    while (job := calls.get()) is not None:
        call, outcome = job
        try:
            outcomes.append((outcome, call(), None))
        except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for
            outcomes.append((outcome, None, exc))
        del job, call, outcome
        tell()
