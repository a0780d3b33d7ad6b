"""Time in which the processes of this container could run. While the container is frozen (it is paused, or the laptop
sleeps) no process can do anything, so that this time is not counted. Standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable

LONGEST_STEP = 2.0
"""Most seconds that count between two looks at the clock. Its owner looks once a second: in more, it was frozen."""


class AwakeClock:
    """Seconds that the process which looks at it has been running. Look at least once a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._seen, self._awake = clock, clock(), 0.0

    def time(self) -> float:
        now = self._clock()
        self._awake += min(max(0.0, now - self._seen), LONGEST_STEP)
        self._seen = now
        return self._awake


class Silence:
    """For how long each process has shown the same mark. A mark may be any value: only its changes count."""

    def __init__(self) -> None:
        self._since: dict[Hashable, tuple[object, float]] = {}

    def of(self, who: Hashable, mark: object, now: float) -> float:
        """Seconds since `mark` was first seen; `now` by an AwakeClock."""
        seen = self._since.get(who)
        if seen is None or seen[0] != mark:
            self._since[who] = seen = (mark, now)
        return now - seen[1]

    def keep(self, living: Iterable[Hashable]) -> None:
        """Forgets all others."""
        kept = set(living)
        self._since = {who: seen for who, seen in self._since.items() if who in kept}
