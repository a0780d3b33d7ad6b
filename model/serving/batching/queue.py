"""What waits, and which of it shares the next call. Rows must be independent of each other; a model for which they are
not sets the limit to 1: batching is off. A call that fails is split until the guilty request stands alone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, TypeVar

from .jobs import Batch, Job
from .loop import GivenUp


class Counted(Protocol):
    """Rows that may share a call with others of the same key. None: they never do."""

    count: int
    batch_key: Hashable


C = TypeVar("C", bound=Counted)


class Unsplittable(Exception):
    """What came back cannot be given to single requests: the message says what it is."""


class Queue:
    """Jobs in the order of their coming."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def __len__(self) -> int:
        return len(self.jobs)

    def next(self, limit: int) -> Batch:
        """The oldest job and those that may share its call."""
        places = set(first_call(self.jobs, limit))
        batch = Batch([self.jobs[place] for place in sorted(places)])
        self.jobs = [job for place, job in enumerate(self.jobs) if place not in places]
        for job in batch.jobs:
            job.batch = batch
        return batch

    def leave(self, which: Callable[[Job], bool]) -> list[Job]:
        """Takes these out."""
        gone = [job for job in self.jobs if which(job)]
        if gone:
            self.jobs = [job for job in self.jobs if not which(job)]
        return gone


def first_call(jobs: Sequence[Counted], limit: int) -> list[int]:
    """The places of the first job and of those that share a call of at most `limit` rows with it. A larger one is
    alone; none overtakes another of its kind."""
    first = jobs[0]
    places, rows = [0], first.count
    if first.batch_key is not None:
        for place in range(1, len(jobs)):
            if rows >= limit:
                break
            if jobs[place].batch_key == first.batch_key:
                rows += jobs[place].count
                if rows > limit:
                    break
                places.append(place)
    return places


def plan(jobs: Sequence[Counted], limit: int) -> list[list[int]]:
    """All calls for these jobs, by place."""
    left, calls = list(range(len(jobs))), []
    while left:
        chosen = [left[place] for place in first_call([jobs[place] for place in left], limit)]
        calls.append(chosen)
        left = [place for place in left if place not in set(chosen)]
    return calls


def outcomes(
    jobs: Sequence[C],
    call: Callable[[Sequence[C]], list[Any]],
    switch_off: Callable[[str], None] = lambda reason: None,
) -> list[Any]:
    """One result or exception per job, in order. One call for all; if it fails, each half by itself.

    `call(jobs)` gives one result per job. When it raises Unsplittable each job is called alone, and `switch_off` is
    told why: calls of this model cannot be shared. Raises nothing but GivenUp.
    """
    try:
        return call(jobs)
    except GivenUp:
        raise
    except Unsplittable as reason:
        alone = [outcomes([job], call)[0] for job in jobs]
        if not all(isinstance(outcome, BaseException) for outcome in alone):  # else it is not batching that is wrong
            switch_off(f"{reason}; each request is now called alone")
        return alone
    except BaseException as exc:  # noqa: BLE001 - a panic of Rust, a cancelled task, sys.exit(): all cost one request
        if len(jobs) == 1:
            return [exc]
        middle = len(jobs) // 2  # halves, not singles: one bad request among 64 costs 12 calls
        return outcomes(jobs[:middle], call, switch_off) + outcomes(jobs[middle:], call, switch_off)
