"""Turns many small requests into few transformation calls. No request waits for a timer. Nothing here knows HTTP,
pandas or gevent.

`plan` decides which jobs share a call, `run` makes the calls and hands each job its own predictions or its own
exception, `Policy` remembers how long calls take and says who must wait, who may not and where a call runs.
Whoever uses it brings the clock. Rows must be independent of each other; a model for which they are not sets the
limit to 1, which switches batching off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Protocol

import numpy as np

from .errors import ModelFailed


class Job(Protocol):
    """One request's rows."""

    rows: Any
    count: int
    """How many rows."""
    batch_key: Hashable
    """Jobs with equal keys may share a call (same columns, dtypes, parameters). None: never share."""


class Unsplittable(Exception):
    """Predictions that cannot be given back to single requests: the message says what they are."""


def join(rows_list: Sequence[Any]) -> Any:
    """One object of rows out of several of the same kind: ndarrays, DataFrames, lists, dicts of columns."""
    first = rows_list[0]
    if len(rows_list) == 1:
        return first
    if isinstance(first, np.ndarray):
        return np.concatenate(rows_list)
    if isinstance(first, list):
        return list(chain.from_iterable(rows_list))
    if isinstance(first, dict):
        return {name: join([rows[name] for rows in rows_list]) for name in first}
    if hasattr(first, "iloc"):
        import pandas  # the rows are pandas', so it is loaded already

        return pandas.concat(rows_list, ignore_index=True)
    raise TypeError(f"rows of type {type(first).__name__} cannot be joined")


def length(predictions: Any) -> int | None:
    """How many rows are answered; None for what has no rows: a scalar, text, a generator, a response."""
    if isinstance(predictions, dict):
        lengths = {length(column) for column in predictions.values()}
        return lengths.pop() if len(lengths) == 1 else None
    if isinstance(predictions, (list, tuple)):
        return len(predictions)
    shape = getattr(predictions, "shape", None)  # ndarray, DataFrame, Series, sparse matrix, tensor
    return int(shape[0]) if isinstance(shape, tuple) and shape else None


def split(predictions: Any, counts: Sequence[int]) -> list[Any]:
    """The predictions of a batch, cut into pieces of `counts` rows. Raises Unsplittable."""
    total = sum(counts)
    per_output = _per_output(predictions, total)
    if length(predictions) != total and not per_output:
        raise Unsplittable(f"{_described(predictions)} for {total} rows")
    if per_output and len(predictions) == total:
        raise Unsplittable(f"a list of {total} arrays of {total} rows, which may be rows or outputs")
    if per_output:  # predict_proba of a multi-output classifier: one array per output
        return [type(predictions)(pieces) for pieces in zip(*(split(p, counts) for p in predictions), strict=True)]
    if isinstance(predictions, dict):
        columns = [split(column, counts) for column in predictions.values()]
        return [dict(zip(predictions, pieces, strict=True)) for pieces in zip(*columns, strict=True)]
    if hasattr(predictions, "tocsr"):
        predictions = predictions.tocsr()
    ends = [0, *accumulate(counts)]
    if hasattr(predictions, "iloc"):
        numbered = type(predictions.index).__name__ == "RangeIndex"  # an index that means something is kept
        pieces = [predictions.iloc[start:end] for start, end in pairwise(ends)]
        return [piece.reset_index(drop=True) for piece in pieces] if numbered else pieces
    return [predictions[start:end] for start, end in pairwise(ends)]


def _per_output(predictions: Any, total: int) -> bool:
    return (
        isinstance(predictions, (list, tuple))
        and len(predictions) > 0
        and all(isinstance(p, np.ndarray) and p.ndim > 0 and len(p) == total for p in predictions)
    )


def _described(predictions: Any) -> str:
    count = length(predictions)
    return f"{type(predictions).__name__}" if count is None else f"{count} predictions"


def checked(predictions: Any, count: int) -> Any:
    """The answer to a single request, as it is. Raises ModelFailed if it has rows, but not one per row."""
    answered = length(predictions)
    if answered is None or answered == count or _per_output(predictions, count):
        return predictions
    raise ModelFailed(
        f"transformation returned {answered} predictions for {count} rows: it must return one for each, in order",
        expected=count,
        got=answered,
    )


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


def run(
    jobs: Sequence[Job],
    call: Callable[[Any], Any],
    limit: int,
    switch_off: Callable[[str], None] = lambda reason: None,
) -> list[Any]:
    """One result or exception per job, in order. `switch_off` is told why if the model's answers cannot be batched."""
    results: list[Any] = [None] * len(jobs)
    for batch in plan(jobs, limit):
        answers = _answers([jobs[place] for place in batch], call, switch_off)
        for place, answer in zip(batch, answers, strict=True):
            results[place] = answer
    return results


def _answers(jobs: list[Job], call: Callable[[Any], Any], switch_off: Callable[[str], None]) -> list[Any]:
    """One call for all; if it fails, each half by itself, until only the guilty fail."""
    counts = [job.count for job in jobs]
    try:
        predictions = call(join([job.rows for job in jobs]))
        if len(jobs) == 1:
            return [checked(predictions, counts[0])]
    except Exception as exc:  # noqa: BLE001 - whatever the user's code raises is that request's answer
        if len(jobs) == 1:
            return [exc]
        middle = len(jobs) // 2  # halves, not singles: one bad request among 64 costs 12 calls
        return _answers(jobs[:middle], call, switch_off) + _answers(jobs[middle:], call, switch_off)
    try:
        return split(predictions, counts)
    except Exception as reason:  # noqa: BLE001 - any failure to cut them means that they cannot be cut
        alone = [_answers([job], call, switch_off)[0] for job in jobs]
        if not all(isinstance(answer, Exception) for answer in alone):  # else it is not batching that is wrong
            switch_off(f"transformation returned {reason} of {len(jobs)} requests; each request is now called alone")
        return alone


INLINE_SECONDS = 0.005
"""Calls expected to be shorter run on the hub. It is the interpreter's thread switch interval: a shorter call that
holds the GIL would stop the hub just as long from another thread, and the hop costs 0.1 ms besides."""

WEIGHT = 0.2
"""Share of the newest call in the expectation: it forgets a cold start within some ten calls."""


class Policy:
    """How long calls take, learnt per size, and what follows for those who come. Times in seconds, `now` monotonic."""

    def __init__(self, limit: int, max_rows: int, max_seconds: float, inline_seconds: float = INLINE_SECONDS) -> None:
        self.limit, self.max_rows, self.max_seconds = limit, max_rows, max_seconds
        self.inline_seconds = inline_seconds
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

    def inline(self, rows: int) -> bool:
        """Whether the call may run on the hub. Unknown calls may not: they could take for ever."""
        return bool(self._seen) and self.expect(rows) <= self.inline_seconds

    def delay(self, now: float) -> float:
        """Seconds until rows that come now would begin: the rest of the running call and all that waits."""
        full, rest = divmod(self.waiting, self.limit)
        ahead = full * self.expect(self.limit) + (self.expect(rest) if rest else 0.0)
        if self._running is None:
            return ahead
        rows, since = self._running
        expected, elapsed = self.expect(rows), now - since
        # a call that is overdue is taken to last as long again: a stuck one closes the door by itself
        return ahead + (expected - elapsed if elapsed <= expected else elapsed)

    def admit(self, rows: int, now: float) -> int | None:
        """None: the rows are in. Else whole seconds after which it is worth to come again (Retry-After)."""
        delay = self.delay(now)
        # whoever finds the room empty gets in, however large or slow: else nothing could ever be learnt of it
        if (self.waiting and self.waiting + rows > self.max_rows) or delay > self.max_seconds:
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

    def end(self, now: float) -> None:
        """The running call is over."""
        if self._running is not None:
            rows, since = self._running
            self._running = None
            self.learn(rows, now - since)
