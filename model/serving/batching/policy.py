"""How long calls take, learnt per size, and what follows for those who come: who must wait, who may not, how many rows
share a call, and where it runs. Whoever uses it brings the clock."""

from __future__ import annotations

import math

INLINE_SECONDS = 0.005
"""Calls expected to be shorter run in the loop's thread. It is the interpreter's thread switch interval: a shorter call
that holds the GIL would stop the loop just as long from another thread, and the hop costs 0.1 ms besides."""

MOST_WAITING = 1024
"""Requests that wait for the model, in one worker. Each keeps a connection of nginx, which has some thousands."""

TRIED_AGAIN, TRIED_AFTER = 4, 32
"""A call in a thread waits for the interpreter's lock, some milliseconds each time, so that it never looks short again.
One that takes at most so many times INLINE_SECONDS is tried on the loop, once in so many calls."""

OVERDUE_SECONDS, OVERDUE_TIMES = 1.0, 4
"""A call that takes longer than this, and so many times what is expected, may be one that does not return."""

CALL_SHARE = 0.1
"""Share of the timeout that a call may be expected to take: whoever shares it waits for all of it."""

WEIGHT = 0.2
"""Share of the newest call in the expectation: it forgets a cold start within some ten calls."""


class Policy:
    """How long calls take, learnt per size, and what follows for those who come. Times in seconds, `now` monotonic."""

    def __init__(self, limit: int, max_rows: int, timeout: float, inline_seconds: float = INLINE_SECONDS) -> None:
        """At most `max_rows` in at most MOST_WAITING requests wait, and none for more than half of `timeout`."""
        self.limit, self.max_rows, self.timeout = limit, max_rows, timeout
        self.inline_seconds = inline_seconds
        self.call_rows = limit
        """Most rows of a call, as far as is known."""
        self.waiting = self.requests = 0
        """Rows, and the requests they came in, that are admitted and whose call has not begun."""
        self._large: list[int] = []
        """The rows of those among them that fill a call alone."""
        self._seen: dict[int, float] = {}
        self._running: tuple[int, float] | None = None
        self._calls = 0
        self._quick = False
        """Whether a full call is so short that nobody who shares the next one could wait for too long."""

    def expect(self, rows: int, hoping: bool = False) -> float:
        """Seconds of a call: as calls of about this size (a power of two) took; 0 while nothing is known.

        Beyond the largest size that was seen, time is taken to grow with the rows; `hoping`, only as it has grown so
        far: a model whose calls cost the same for one row and for three is tried with a thousand.
        """
        bucket = rows.bit_length()
        if bucket in self._seen or not self._seen:
            return float(self._seen.get(bucket, 0.0))
        below = max((b for b in self._seen if b < bucket), default=None)
        if below is None:
            return self._seen[min(self._seen)]
        above = min((b for b in self._seen if b > bucket), default=None)
        linear: float = self._seen[below] * 2 ** (bucket - below)  # twice the rows take twice as long at most
        if hoping and above is None and (smaller := [b for b in self._seen if b < below]):
            growth: float = (self._seen[below] - self._seen[max(smaller)]) / (2**below - 2 ** max(smaller))
            grown: float = self._seen[below] + max(0.0, growth) * (2**bucket - 2**below)
            return min(linear, grown)
        return linear if above is None else min(linear, max(self._seen[above], self._seen[below]))

    def learn(self, rows: int, seconds: float, tried: bool = False) -> None:
        """A call of so many rows took so long; `tried`: on the loop, where it waits for no lock."""
        bucket = rows.bit_length()
        old = self._seen.get(bucket, seconds)
        if tried and old > self.inline_seconds:
            old = min(old, seconds)
        self._seen[bucket] = old + WEIGHT * (seconds - old)
        for larger in [b for b in self._seen if b > bucket]:  # forgets a slow large call that nobody dares to repeat
            self._seen[larger] = min(self._seen[larger], self._seen[bucket] * 2 ** (larger - bucket + 1))
        self.call_rows = self._call_rows()
        self._quick = 16 * self._seen_of(self.call_rows) < self.timeout

    def _call_rows(self) -> int:
        """Fewer rows than `limit` where time grows with them, so that a flood is not one call that comes too late for
        all. Twice the time of a single row is always allowed: else a cheaper size would never be found."""
        rows, seconds = self.limit, max(CALL_SHARE * self.timeout, 2 * self.expect(1))
        while rows > 1 and self.expect(rows, hoping=True) > seconds:
            rows //= 2
        return rows

    def inline(self, rows: int) -> bool:
        """Whether the call may run in the loop's thread. Unknown calls may not: they could take for ever."""
        if not self._seen:
            return False
        self._calls += 1
        seconds = self.inline_seconds if self._calls % TRIED_AFTER else self.inline_seconds * TRIED_AGAIN
        return self.expect(rows) <= seconds

    def _seen_of(self, rows: int) -> float:
        """Seconds of a call, never more than the largest that was seen: a guess must not turn anybody away."""
        return self.expect(min(rows, 2 ** max(self._seen, default=0) - 1))

    def delay(self, now: float) -> float:
        """Seconds until rows that come now would begin: the rest of the running call and all that waits."""
        full, rest = divmod(self.waiting - sum(self._large), self.call_rows)
        ahead = full * self._seen_of(self.call_rows) + (self._seen_of(rest) if rest else 0.0)
        ahead += sum(self._seen_of(rows) for rows in self._large)
        if self._running is None:
            return ahead
        rows, since = self._running
        expected, elapsed = self._seen_of(rows), now - since
        if elapsed <= expected:
            return ahead + expected - elapsed
        # a call that is overdue is taken to last half as long again, and is given up when it has taken the timeout
        return ahead + min(elapsed / 2, max(0.0, self.timeout - elapsed))

    def is_overdue(self, now: float) -> bool:
        """Whether the running call takes so long that who waits had better go elsewhere."""
        if self._running is None:
            return False
        rows, since = self._running
        return now - since > max(OVERDUE_SECONDS, OVERDUE_TIMES * self.expect(rows))

    def admit(self, rows: int, now: float) -> int | None:
        """None: the rows are in. Else whole seconds after which it is worth to come again (Retry-After)."""
        # whoever finds the room empty gets in, however large or slow: else nothing could ever be learnt of it
        alone = not self.requests and self._running is None
        shares_the_next = self._quick and not self._large and self.waiting + rows <= min(self.call_rows, self.max_rows)
        if not alone and not (shares_the_next and self.requests < MOST_WAITING):
            delay = self.delay(now)
            full = self.requests >= MOST_WAITING or (self.waiting and self.waiting + rows > self.max_rows)
            if full or delay > self.timeout / 2:
                return max(1, math.ceil(delay))
        self.waiting += rows
        self.requests += 1
        if rows > self.limit:
            self._large.append(rows)
        return None

    def leave(self, rows: int, requests: int = 1) -> None:
        """Admitted rows, of so many requests, that wait no more."""
        self.waiting = max(0, self.waiting - rows)
        self.requests = max(0, self.requests - requests)
        if rows in self._large:
            self._large.remove(rows)

    def begin(self, rows: int, now: float, requests: int = 1) -> None:
        """A call with so many of the waiting rows begins."""
        self.leave(rows, requests)
        self._running = rows, now

    def end(self, seconds: float | None, here: bool = False) -> None:
        """The running call took so long; None: it was given up, which says nothing of other calls. `here`: it ran on
        the loop."""
        if self._running is not None and seconds is not None:
            self.learn(self._running[0], seconds, here)
        self._running = None
