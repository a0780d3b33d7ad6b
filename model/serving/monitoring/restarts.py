"""When a worker that has ended is started again, and when the server gives up. Only the policy: no process, no clock.

One that could predict is replaced at once. One that ended before it could is tried again after growing pauses, and
costs the others nothing. The server ends when its model cannot be loaded at all, or when no worker has been able to
predict for a stated time.
"""

from __future__ import annotations

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
UNUSABLE = 78
"""A worker's exit code when the model cannot serve, as its own check says (EX_CONFIG of sysexits.h)."""


class Restarts:
    """`workers` that should run; `patience` in seconds. Times are those of one AwakeClock."""

    def __init__(self, workers: int, patience: float) -> None:
        self._workers, self._patience = workers, patience
        self._due: list[float] = []
        self._failed = self._unusable = 0
        self._ever_ready = False
        self._without: float | None = None
        """Since when no worker can predict."""

    def ended(self, now: float, code: int, was_ready: bool) -> float:
        """Seconds until a worker takes the place of this one, which ended with the code (negative: by a signal)."""
        if was_ready or code == 0:
            return 0.0
        self._failed += 1
        self._unusable += code == UNUSABLE
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failed - 1, 10))
        self._due.append(now + pause)
        return pause

    def held_back(self, now: float) -> int:
        """How many places stay empty for now."""
        self._due = [due for due in self._due if due > now]
        return len(self._due)

    def hopeless(self, now: float, ready: bool, reasons: list[str]) -> str | None:
        """Why the server should end, or None. `reasons` are those of workers that run and cannot predict."""
        if ready:
            self._ever_ready, self._without = True, None
            self._failed = self._unusable = 0
            return None
        if self._unusable >= self._workers and not self._ever_ready:
            return "the model cannot be loaded"
        if self._without is None and (self._failed or self._ever_ready or reasons):
            self._without = now
        if self._without is not None and now - self._without >= self._patience:
            return f"no worker could predict for {self._patience:.0f} s" + (f": {reasons[0]}" if reasons else "")
        return None
