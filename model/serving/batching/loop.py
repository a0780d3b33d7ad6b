"""What the core needs of an event loop, as plain calls. http/gevent_loop.py has it for gevent; a test brings its own.

All of the core runs in the loop's thread, but for what is given to a Thread. `GivenUp` is raised for a call that took
longer than it may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from .messages import Request

T = TypeVar("T")


class GivenUp(BaseException):
    """A call has not returned in time. Not an Exception, so that user code which catches those does not catch it."""


class Thread(Protocol):
    """One thread of the system, not a greenlet. It shares the interpreter's lock with the loop."""

    def run(self, call: Callable[[], T], seconds: float) -> T:
        """What the call returns or raises; others go on meanwhile. Raises GivenUp when it has not returned in time:
        the thread is left to it, and the next call has a new one."""

    def end(self) -> None:
        """Nothing more will be run."""


class Loop(Protocol):
    def now(self) -> float:
        """Seconds, of a clock that only goes forward."""

    def soon(self, call: Callable[[], object]) -> None:
        """Calls it when all that could be read in this turn has been read. The call may wait."""

    def next_turn(self, call: Callable[[], object]) -> None:
        """The same, when what has arrived by then has been read too."""

    def here(self, call: Callable[[], T], seconds: float) -> T:
        """What the call returns or raises. Raises GivenUp when it waits for something (sleeps, reads) for too long."""

    def wait(self, begin: Callable[[Callable[[T], None]], object]) -> T:
        """Calls `begin(done)`; returns what `done` is told. Only where a call may wait."""

    def thread(self) -> Thread:
        """A new one."""

    def keep(self, requests: Iterable[Request]) -> None:
        """They are in a call from now on: no other process may have them any more."""

    def has_gone(self, request: Request) -> bool:
        """Whether another process has been given the request, so that nobody waits for it here."""
