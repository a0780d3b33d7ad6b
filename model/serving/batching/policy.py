"""Turns many small requests into few transformation calls. No request waits for a timer. Nothing here knows HTTP,
pandas or gevent.

`plan` decides which jobs share a call, `answers` makes it and finds the guilty one when it fails, `Policy` remembers
how long calls take and says who must wait, who may not and where a call runs. Whoever uses it brings the clock.
Rows must be independent of each other; a model for which they are not sets the limit to 1: batching is off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, TypeVar


class Job(Protocol):
    """One request's rows."""

    @property
    def count(self) -> int:
        """How many rows."""

    @property
    def batch_key(self) -> Hashable:
        """Jobs with equal keys may share a call (same columns, dtypes, parameters). None: never share."""


J = TypeVar("J", bound=Job)


class Unsplittable(Exception):
    """What came back cannot be given to single requests: the message says what it is."""


def plan(jobs: Sequence[Job], limit: int) -> list[list[int]]:
    """Which jobs (by place) share a call of at most `limit` rows. A larger job goes alone; order is kept."""
    batches: list[list[int]] = []
    latest: dict[Hashable, tuple[list[int], int]] = {}
    for place, job in enumerate(jobs):
        batch, rows = latest.get(job.batch_key, ([], limit + 1))
        if job.batch_key is None or rows + job.count > limit:
            batch, rows = [], 0
            batches.append(batch)
        batch.append(place)
        latest[job.batch_key] = batch, rows + job.count
    return batches


def answers(
    jobs: Sequence[J],
    call: Callable[[Sequence[J]], list[Any]],
    switch_off: Callable[[str], None] = lambda reason: None,
) -> list[Any]:
    """One result or exception per job, in order. One call for all; if it fails, each half by itself.

    `call(jobs)` gives one result per job. When it raises Unsplittable each job is called alone, and `switch_off` is
    told why, for the answers of this model cannot be batched.
    """
    try:
        return call(jobs)
    except Unsplittable as reason:
        alone = [answers([job], call)[0] for job in jobs]
        if not all(isinstance(answer, Exception) for answer in alone):  # else it is not batching that is wrong
            switch_off(f"{reason}; each request is now called alone")
        return alone
    except Exception as exc:  # noqa: BLE001 - whatever the user's code raises is that request's answer
        if len(jobs) == 1:
            return [exc]
        middle = len(jobs) // 2  # halves, not singles: one bad request among 64 costs 12 calls
        return answers(jobs[:middle], call, switch_off) + answers(jobs[middle:], call, switch_off)


INLINE_SECONDS = 0.005
"""Calls expected to be shorter run on the hub. It is the interpreter's thread switch interval: a shorter call that
holds the GIL would stop the hub just as long from another thread, and the hop costs 0.1 ms besides."""

CALL_SHARE = 0.1
"""Share of the timeout that a call may be expected to take: whoever shares it waits for all of it."""

WEIGHT = 0.2
"""Share of the newest call in the expectation: it forgets a cold start within some ten calls."""


class Policy:
    """How long calls take, learnt per size, and what follows for those who come. Times in seconds, `now` monotonic."""

    def __init__(self, limit: int, max_rows: int, timeout: float, inline_seconds: float = INLINE_SECONDS) -> None:
        """At most `max_rows` wait, and nobody who would wait for more than half of `timeout`."""
        self.limit, self.max_rows, self.timeout = limit, max_rows, timeout
        self.inline_seconds = inline_seconds
        self.call_rows = limit
        """Most rows of a call, as far as is known."""
        self.waiting = 0
        """Rows admitted whose call has not begun."""
        self._seen: dict[int, float] = {}
        self._running: tuple[int, float] | None = None

    def expect(self, rows: int) -> float:
        """Seconds of a call: as calls of about this size (a power of two) took; 0 while nothing is known."""
        bucket = rows.bit_length()
        if bucket in self._seen or not self._seen:
            return self._seen.get(bucket, 0.0)
        below = max((b for b in self._seen if b < bucket), default=None)
        if below is None:
            return self._seen[min(self._seen)]
        above = min((b for b in self._seen if b > bucket), default=None)
        linear: float = self._seen[below] * 2 ** (bucket - below)  # twice the rows take twice as long at most
        return linear if above is None else min(linear, max(self._seen[above], self._seen[below]))

    def learn(self, rows: int, seconds: float) -> None:
        """A call of so many rows took so long."""
        bucket = rows.bit_length()
        old = self._seen.get(bucket, seconds)
        self._seen[bucket] = old + WEIGHT * (seconds - old)
        for larger in [b for b in self._seen if b > bucket]:  # forgets a slow large call that nobody dares to repeat
            self._seen[larger] = min(self._seen[larger], self._seen[bucket] * 2 ** (larger - bucket + 1))
        self.call_rows = self._call_rows()

    def _call_rows(self) -> int:
        """Fewer rows than `limit` where time grows with them, so that a flood is not one call that comes too late for
        all. Twice the time of a single row is always allowed: else a cheaper size would never be found."""
        rows, seconds = self.limit, max(CALL_SHARE * self.timeout, 2 * self.expect(1))
        while rows > 1 and self.expect(rows) > seconds:
            rows //= 2
        return rows

    def inline(self, rows: int) -> bool:
        """Whether the call may run on the hub. Unknown calls may not: they could take for ever."""
        return bool(self._seen) and self.expect(rows) <= self.inline_seconds

    def _seen_of(self, rows: int) -> float:
        """Seconds of a call, never more than the largest that was seen: a guess must not turn anybody away."""
        return self.expect(min(rows, 2 ** max(self._seen, default=0) - 1))

    def delay(self, now: float) -> float:
        """Seconds until rows that come now would begin: the rest of the running call and all that waits."""
        full, rest = divmod(self.waiting, self.call_rows)
        ahead = full * self._seen_of(self.call_rows) + (self._seen_of(rest) if rest else 0.0)
        if self._running is None:
            return ahead
        rows, since = self._running
        expected, elapsed = self._seen_of(rows), now - since
        if elapsed <= expected:
            return ahead + expected - elapsed
        # a call that is overdue is taken to last half as long again, and is given up when it has taken the timeout
        return ahead + min(elapsed / 2, max(0.0, self.timeout - elapsed))

    def admit(self, rows: int, now: float) -> int | None:
        """None: the rows are in. Else whole seconds after which it is worth to come again (Retry-After)."""
        delay = self.delay(now)
        # whoever finds the room empty gets in, however large or slow: else nothing could ever be learnt of it
        if (self.waiting and self.waiting + rows > self.max_rows) or delay > self.timeout / 2:
            return max(1, math.ceil(delay))
        self.waiting += rows
        return None

    def leave(self, rows: int) -> None:
        """Admitted rows whose caller has gone before their call began."""
        self.waiting = max(0, self.waiting - rows)

    def begin(self, rows: int, now: float) -> None:
        """A call with so many of the waiting rows begins."""
        self.leave(rows)
        self._running = rows, now

    def end(self, now: float | None) -> None:
        """The running call is over; None: it was given up, which says nothing of other calls."""
        if self._running is not None and now is not None:
            rows, since = self._running
            self.learn(rows, now - since)
        self._running = None
