"""Metrics for CloudWatch without network or permissions: lines in Embedded Metric Format on standard output.

Each worker prints one line per model and minute, if there was traffic. A duration is an array of at most 100 numbers,
as the format has no histogram: they stand for the minute's distribution, as finely as its buckets tell, and `Requests`
says of how many.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from .counters import Histogram, ModelMetrics

PERIOD_SECONDS = 60
MOST_VALUES = 100
COUNTS = ("Requests", "ClientErrors", "ServerErrors", "Rows")
DURATIONS = ("RequestDuration", "QueueDuration", "PredictionDuration")


class EmbeddedMetrics:
    """The lines of one model in one worker."""

    def __init__(self, namespace: str, model: str) -> None:
        """`model` is its name where there are others, else empty."""
        self._namespace, self._dimensions = namespace, {"Model": model} if model else {}
        self._told_counts: dict[str, int] = dict.fromkeys(COUNTS, 0)
        self._told_buckets: dict[str, list[int]] = {}

    def line(self, metrics: ModelMetrics, unix_seconds: float) -> str | None:
        """What has happened since the last line; None when there was no request."""
        counts = {
            "Requests": sum(metrics.statuses.values()),
            "ClientErrors": sum(n for status, n in metrics.statuses.items() if 400 <= status < 500),
            "ServerErrors": sum(n for status, n in metrics.statuses.items() if status >= 500),
            "Rows": metrics.rows,
        }
        if counts["Requests"] == self._told_counts["Requests"]:
            return None
        targets: dict[str, int | list[float]] = {name: n - self._told_counts[name] for name, n in counts.items()}
        self._told_counts = counts
        for name, histogram in zip(DURATIONS, (metrics.duration, metrics.queued, metrics.predicted), strict=True):
            told = self._told_buckets.get(name, [0] * len(histogram.counts))
            if values := spread(histogram, [n - old for n, old in zip(histogram.counts, told, strict=True)]):
                targets[name] = values
            self._told_buckets[name] = list(histogram.counts)
        units = [{"Name": name, "Unit": "Seconds" if name in DURATIONS else "Count"} for name in targets]
        directive = {"Namespace": self._namespace, "Dimensions": [list(self._dimensions)], "Metrics": units}
        described = {"Timestamp": int(unix_seconds * 1000), "CloudWatchMetrics": [directive]}
        return json.dumps({"_aws": described, **self._dimensions, **targets}, separators=(",", ":"))


def spread(histogram: Histogram, counts: Sequence[int]) -> list[float]:
    """At most 100 values, evenly over the ranks of all that fell into the buckets; within a bucket they lie evenly."""
    total = sum(counts)
    size = min(total, MOST_VALUES)
    ranks = [(place + 0.5) * total / size for place in range(size)]
    bounds = [0.0, *histogram.bounds, histogram.bounds[-1]]
    values, below, bucket = [], 0, 0
    for rank in ranks:
        while rank >= below + counts[bucket]:
            below += counts[bucket]
            bucket += 1
        low, high = bounds[bucket], bounds[bucket + 1]
        values.append(float(f"{low + (high - low) * (rank - below) / counts[bucket]:.3g}"))
    return values
