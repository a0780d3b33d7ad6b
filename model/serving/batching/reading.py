"""A request's body becomes rows: a short one here and now, a long one in a thread, with a deadline.

What is long, or may grow when it is inflated, would hold the loop up, and with it everybody's requests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from ..errors import Overloaded
from ..formats import media_types
from ..formats.budget import Bounds
from ..formats.content_types import PACKED
from ..models.loaded import LoadedModel
from ..settings import Settings
from . import answering
from .jobs import Job
from .loop import GivenUp, Loop, Thread
from .messages import Request

MEGABYTE = 2**20
SHORT, SHORT_PACKED = 64 * 1024, 1024
"""Bytes of a body that is read in the loop's thread: some milliseconds at most. What is compressed may grow a
thousandfold."""
RETRY_SECONDS = 1
"""When to come again, who is refused because too many large bodies wait to be read."""
Got = Callable[[Job | BaseException], None]


class Reading:
    """`read` in the loop's thread."""

    def __init__(
        self, model: LoadedModel, config: Settings, loop: Loop, thread: Thread, stuck: Callable[[str], None]
    ) -> None:
        """`thread` reads what is long; `stuck` is told the reason when it has not returned in time."""
        self._model, self._config, self._loop, self._thread, self._stuck = model, config, loop, thread, stuck
        self.bounds = Bounds(config.max_body_mb * MEGABYTE, config.row_bytes)
        self._waiting = 0
        """Bytes of the bodies that wait for the thread."""

    def read(self, request: Request, got: Got) -> None:
        """`got` is given a job, or what is wrong with the request, now or later, where it may not wait."""
        if _is_short(request):
            got(self._outcome(request))
        elif self._waiting and self._waiting + len(request.body) > self._config.row_bytes:
            got(Overloaded(RETRY_SECONDS))
        else:
            self._waiting += len(request.body)
            self._loop.soon(functools.partial(self._read_in_thread, request, got))

    def _read_in_thread(self, request: Request, got: Got) -> None:
        try:
            outcome = self._thread.run(functools.partial(self._outcome, request), self._config.timeout)
        except GivenUp:
            self._stuck(f"the body of {request.name} has not been read within {self._config.timeout} s")
            outcome = answering.late(self._config.timeout)
        except RuntimeError as exc:  # no thread can be started
            outcome = exc
        self._waiting -= len(request.body)
        got(outcome)

    def _outcome(self, request: Request) -> Job | BaseException:
        try:
            return answering.prepare(self._model, request, self.bounds)
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            return exc


def _is_short(request: Request) -> bool:
    """Whether its body may be read in the loop's thread."""
    size = len(request.body)
    if size <= SHORT_PACKED:
        return True
    if size > SHORT or request.content_encoding:
        return False
    return media_types.type_of(request.content_type, request.body)[0] not in PACKED
