"""What is counted of one model in one worker."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 10_000, 100_000)
"""Upper bounds of the histograms' buckets."""


Samples = dict[str, dict[str, float]]
"""By metric: a sample's name with its labels, as it is printed, and its value."""


METRICS = {
    "model_server_requests_total": ("counter", "Requests for predictions that a worker has answered, by HTTP status."),
    "model_server_errors_total": ("counter", "Those that were answered with an error, by the error's code."),
    "model_server_rows_total": ("counter", "Rows that were given to the model."),
    "model_server_request_duration_seconds": ("histogram", "From a request's last byte to its answer."),
    "model_server_queue_duration_seconds": ("histogram", "How long a request waited for its call of the model."),
    "model_server_prediction_duration_seconds": ("histogram", "How long a call of the model took."),
    "model_server_batch_rows": ("histogram", "Rows of a call of the model."),
    "model_server_queue_requests": ("gauge", "Requests that wait now, in all workers."),
    "model_server_fast_path": ("gauge", "1 if predictions are answered by the model's program, else 0."),
    "model_server_model_load_seconds": ("gauge", "How long it took to load the model."),
    "sagemaker_endpoint_health": ("gauge", "1 for the state that the endpoint is in: what /ping says."),
}


OF_ALL_WORKERS_ALIKE = ("model_server_fast_path", "model_server_model_load_seconds")
"""Gauges that are the same in all workers: the largest is told. All others are added up."""


class Histogram:
    """How many values fell into each bucket. Bounds are upper bounds and belong to their bucket."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def samples(self, name: str, labels: dict[str, str]) -> dict[str, float]:
        bounds = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        buckets = zip(bounds, accumulate(self.counts), strict=True)
        return {
            **{sample_name(f"{name}_bucket", labels | {"le": bound}): count for bound, count in buckets},
            sample_name(f"{name}_sum", labels): self.sum,
            sample_name(f"{name}_count", labels): sum(self.counts),
        }


class ModelMetrics:
    """The numbers of one model in one worker."""

    def __init__(self, name: str, load_seconds: float) -> None:
        """`name` is the model's where there are others, else empty: then samples have no such label."""
        self.name = name
        self.statuses: dict[int, int] = defaultdict(int)
        self.errors: dict[str, int] = defaultdict(int)
        self.rows = self.waiting = 0
        self.duration, self.queued, self.predicted = Histogram(SECONDS), Histogram(SECONDS), Histogram(SECONDS)
        self.batch_rows = Histogram(ROWS)
        self.fast_path = False
        self.load_seconds = load_seconds
        self._last: tuple[object, Samples] | None = None

    def answered(self, status: int, error: str, seconds: float) -> None:
        """A request has its answer; `error` is the error's code, or empty."""
        self.statuses[status] += 1
        if error:
            self.errors[error] += 1
        self.duration.observe(seconds)

    def called(self, rows: int, seconds: float) -> None:
        """The model has been called with so many rows."""
        self.rows += rows
        self.batch_rows.observe(rows)
        self.predicted.observe(seconds)

    def samples(self) -> Samples:
        """All numbers by their names; made anew (0.3 ms) only when one has changed."""
        state = (sum(self.statuses.values()), sum(self.batch_rows.counts), self.waiting, self.fast_path)
        if self._last is None or self._last[0] != state:
            self._last = state, self._samples({"model": self.name} if self.name else {})
        return self._last[1]

    def _samples(self, labels: dict[str, str]) -> Samples:
        def one(name: str, value: float) -> Samples:
            return {name: {sample_name(name, labels): value}}

        def many(name: str, histogram: Histogram) -> Samples:
            return {name: histogram.samples(name, labels)}

        requests, errors = "model_server_requests_total", "model_server_errors_total"
        return {
            requests: {sample_name(requests, labels | {"status": str(k)}): n for k, n in self.statuses.items()},
            errors: {sample_name(errors, labels | {"code": k}): n for k, n in self.errors.items()},
            **one("model_server_rows_total", self.rows),
            **many("model_server_request_duration_seconds", self.duration),
            **many("model_server_queue_duration_seconds", self.queued),
            **many("model_server_prediction_duration_seconds", self.predicted),
            **many("model_server_batch_rows", self.batch_rows),
            **one("model_server_queue_requests", self.waiting),
            **one("model_server_fast_path", int(self.fast_path)),
            **one("model_server_model_load_seconds", self.load_seconds),
        }


def sample_name(name: str, labels: dict[str, str]) -> str:
    """`name{label="value"}`, with the three characters escaped that the format knows."""
    escaped = (f'{k}="{v}"' for k, v in ((k, _escaped(v)) for k, v in labels.items()))
    return f"{name}{{{','.join(escaped)}}}" if labels else name


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
