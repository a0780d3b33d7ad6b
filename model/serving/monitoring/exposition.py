"""What is counted, and how it becomes /metrics: Prometheus text that the platform's collector reads.

An engine counts in plain numbers (2 µs a request), a worker writes them to a file of its own when they have
changed, and the supervisor, twice a second, adds the files up into one text. nginx serves that file, so /metrics is
answered while the model is loaded and while every worker computes, and no counter falls when a worker is replaced.
Standard library only: the supervisor imports this.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

from . import health

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TEXT = "metrics"
"""The file in the runtime directory that holds the text."""
WORKERS = "counts"
"""The directory beside it that holds the workers' files."""

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
    "model_server_fast_path": ("gauge", "1 if predictions take an exact shortcut, else 0."),
    "model_server_model_load_seconds": ("gauge", "How long it took to load the model."),
    "sagemaker_endpoint_health": ("gauge", "1 for the state that the endpoint is in: what /ping says."),
}
OF_ALL_WORKERS_ALIKE = ("model_server_fast_path", "model_server_model_load_seconds")
"""Gauges of which the largest is told; all others are added up."""


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
            **{_sample(f"{name}_bucket", labels | {"le": bound}): count for bound, count in buckets},
            _sample(f"{name}_sum", labels): self.sum,
            _sample(f"{name}_count", labels): sum(self.counts),
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
            return {name: {_sample(name, labels): value}}

        def many(name: str, histogram: Histogram) -> Samples:
            return {name: histogram.samples(name, labels)}

        requests, errors = "model_server_requests_total", "model_server_errors_total"
        return {
            requests: {_sample(requests, labels | {"status": str(k)}): n for k, n in self.statuses.items()},
            errors: {_sample(errors, labels | {"code": k}): n for k, n in self.errors.items()},
            **one("model_server_rows_total", self.rows),
            **many("model_server_request_duration_seconds", self.duration),
            **many("model_server_queue_duration_seconds", self.queued),
            **many("model_server_prediction_duration_seconds", self.predicted),
            **many("model_server_batch_rows", self.batch_rows),
            **one("model_server_queue_requests", self.waiting),
            **one("model_server_fast_path", int(self.fast_path)),
            **one("model_server_model_load_seconds", self.load_seconds),
        }


def _sample(name: str, labels: dict[str, str]) -> str:
    """`name{label="value"}`, with the three characters escaped that the format knows."""
    escaped = (f'{k}="{v}"' for k, v in ((k, _escaped(v)) for k, v in labels.items()))
    return f"{name}{{{','.join(escaped)}}}" if labels else name


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


# ---- a worker's file -------------------------------------------------------------------------------------------------


class WorkerFile:
    """Where a worker writes its numbers."""

    def __init__(self, runtime_dir: Path, pid: int) -> None:
        self._path = runtime_dir / WORKERS / str(pid)
        self._path.parent.mkdir(exist_ok=True)
        self._written = ""

    def write(self, models: dict[str, Samples]) -> None:
        """The samples of all models, by name, when one has changed. A full disk costs the numbers, not the worker."""
        text = json.dumps(models)
        if text != self._written:
            with suppress(OSError):
                health.write_whole(self._path, text)
                self._written = text


def _added(several: list[Samples]) -> Samples:
    total: Samples = {}
    for samples in several:
        for metric, values in samples.items():
            into = total.setdefault(metric, {})
            for name, value in values.items():
                if metric in OF_ALL_WORKERS_ALIKE:
                    into[name] = max(into.get(name, 0), value)
                else:
                    into[name] = into.get(name, 0) + value
    return total


# ---- the supervisor's text -------------------------------------------------------------------------------------------


class Exposition:
    """Adds the workers' files up. The counters of workers that have ended stay in the sum, as long as there is the
    model: what was unloaded is told no more."""

    def __init__(self, runtime_dir: Path) -> None:
        self._runtime_dir = runtime_dir
        self._ended: dict[str, Samples] = {}
        self._seen: object = None

    def publish(self, healthy: bool) -> None:
        """Writes the text, when anything has changed. A full disk costs the numbers, not the server."""
        with suppress(OSError):
            self._publish(healthy)

    def _publish(self, healthy: bool) -> None:
        files = sorted((self._runtime_dir / WORKERS).glob("[0-9]*"))
        seen = (healthy, [(path, path.stat().st_mtime_ns) for path in files if health.is_alive(int(path.name))])
        if seen == self._seen and len(seen[1]) == len(files):
            return
        living: dict[str, list[Samples]] = defaultdict(list)
        for path in files:
            models = json.loads(path.read_text())
            alive = health.is_alive(int(path.name))
            for name, samples in models.items():
                if alive:
                    living[name].append(samples)
                else:
                    counters = {k: v for k, v in samples.items() if METRICS[k][0] != "gauge"}
                    self._ended[name] = _added([self._ended.get(name, {}), counters])
            if not alive:
                path.unlink()
        self._ended = {name: samples for name, samples in self._ended.items() if name in living or not name}
        everything = [*self._ended.values(), *(samples for several in living.values() for samples in several)]
        health.write_whole(self._runtime_dir / TEXT, _text(_added(everything), healthy))
        self._seen = seen


def _text(samples: Samples, healthy: bool) -> str:
    name = "sagemaker_endpoint_health"
    states = {"healthy": healthy, "unhealthy": not healthy}
    samples = {**samples, name: {_sample(name, {"state": state}): int(on) for state, on in states.items()}}
    lines = []
    for metric, (kind, meaning) in METRICS.items():
        if samples.get(metric):
            lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} {kind}"]
            lines += [f"{name} {value}" for name, value in samples[metric].items()]
    return "\n".join(lines) + "\n"
