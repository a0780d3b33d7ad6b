"""Percentiles, what holds a goal, and which rate is tried next. Pure: no clock, no socket.

A request that was not answered well is one whose answer never came: it counts as infinitely late, so a goal of
p99 allows one failure in a hundred, and no server looks fast because it refuses.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

PERCENTILES = (50, 95, 99)
SHARES = (0.1, 0.25, 0.5, 0.7, 0.85, 1.0)
"""Of what the closed loop reached: the rates that are tried first."""
MORE = 5
"""Rates that are tried after those, to come nearer."""
NEAR = 1.1
"""Between a rate that holds and one that does not: near enough."""


@dataclass(frozen=True)
class Goal:
    """`percentile` of 100 requests are answered well within `ms` milliseconds."""

    ms: float
    percentile: int = 99

    @property
    def seconds(self) -> float:
        """How long a rate must be tried: by a tenth more than the server can do its queue grows past the goal then."""
        return self.ms / 100

    def __str__(self) -> str:
        return f"p{self.percentile} ≤ {self.ms:g} ms"


def percentile(ordered: Sequence[float], of: float, failed: int = 0) -> float:
    """By the nearest rank, of the ordered values and `failed` infinite ones; infinite too where there is none."""
    rank = math.ceil(of / 100 * (len(ordered) + failed))
    return ordered[max(rank, 1) - 1] if max(rank, 1) <= len(ordered) else math.inf


@dataclass(frozen=True)
class Run:
    """What the senders saw once: good answers a second, latencies in ms by their percentile, errors by their kind."""

    per_second: float
    latencies: dict[int, float]
    mean_ms: float = math.nan
    """Of the good answers."""
    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    cpus: float = 0.0
    """How many CPUs the senders used."""


def run_of(micros: list[int], errors: Counter[str], seconds: float, cpu_seconds: float) -> Run:
    """From latencies in microseconds."""
    ordered, failed = sorted(micros), errors.total()
    latencies = {of: percentile(ordered, of, failed) / 1000 for of in PERCENTILES}
    mean = statistics.fmean(ordered) / 1000 if ordered else math.nan
    return Run(len(ordered) / seconds, latencies, mean, len(ordered) + failed, errors, cpu_seconds / seconds)


@dataclass(frozen=True)
class Step:
    """The same load, repeated: `clients` that each ask when they have an answer, or `rate` requests a second that come
    whether the server keeps up or not (then `clients` bounds how many are under way)."""

    runs: list[Run]
    clients: int
    rate: float = 0.0

    @property
    def per_second(self) -> float:
        return statistics.median(run.per_second for run in self.runs)

    @property
    def spread(self) -> float:
        """(highest - lowest) / median of the answers a second."""
        rates = [run.per_second for run in self.runs]
        return (max(rates) - min(rates)) / self.per_second if self.per_second else 0.0

    def ms(self, of: int) -> float:
        return statistics.median(run.latencies[of] for run in self.runs)

    @property
    def mean_ms(self) -> float:
        return statistics.median(run.mean_ms for run in self.runs)

    @property
    def cpus(self) -> float:
        return statistics.median(run.cpus for run in self.runs)

    @property
    def errors(self) -> Counter[str]:
        return sum((run.errors for run in self.runs), Counter())

    @property
    def requests(self) -> int:
        return sum(run.requests for run in self.runs)

    def holds(self, goal: Goal) -> bool:
        return self.ms(goal.percentile) <= goal.ms


def two_digits(rate: float) -> float:
    """A rate that people can say."""
    return float(f"{rate:.2g}")


def ladder(most: float, least: float = 0.2) -> list[float]:
    """The rates that are tried first, upwards, for a server that answers `most` a second when all push."""
    return sorted({max(least, two_digits(most * share)) for share in SHARES})


def next_rate(steps: Sequence[Step], goal: Goal, least: float = 0.2) -> float | None:
    """The rate to try next: between the highest that holds and the next that does not, or beyond what was tried; None
    when it is known well enough."""
    held = [step.rate for step in steps if step.holds(goal)]
    highest = max(held, default=0.0)
    failing = [step.rate for step in steps if step.rate > highest and not step.holds(goal)]
    if not failing:
        wanted = highest * 1.5
    elif not held and min(failing) > least:
        wanted = max(min(failing) / 3, least)
    elif min(failing) <= max(highest * NEAR, least):
        return None
    else:
        wanted = (highest + min(failing)) / 2
    rate = two_digits(wanted)
    return None if any(step.rate == rate for step in steps) else rate


@dataclass(frozen=True)
class Carried:
    """The highest rate that holds the goal: in the median of the repeats, and in the worst and the best of them."""

    rate: float
    low: float
    high: float


def carried(steps: Sequence[Step], goal: Goal) -> Carried:
    """Zeros where no rate holds."""
    repeats = min((len(step.runs) for step in steps), default=0)
    each = [
        max((s.rate for s in steps if s.runs[n].latencies[goal.percentile] <= goal.ms), default=0.0)
        for n in range(repeats)
    ]
    best = max((step.rate for step in steps if step.holds(goal)), default=0.0)
    return Carried(best, min([best, *each]), max([best, *each]))
