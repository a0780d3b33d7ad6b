"""Where the time goes inside the server, from the difference of two looks at its /metrics. Means, in milliseconds.

The server counts how long a request waits for its call, how long a call takes and how long the whole takes, from the
last byte of the request to its answer. What the senders saw beyond that is spent outside: the network, nginx, the
kernel, the senders themselves.
"""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections import defaultdict

from .figures import Run

SAMPLE = re.compile(r"^(\w+)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)
WHOLE, QUEUE, CALL = (f"model_server_{name}_duration_seconds" for name in ("request", "queue", "prediction"))
OUTSIDE, WAITING, MODEL, CODING = "outside the server", "waiting for the model", "the model", "reading and writing"
PARTS = (OUTSIDE, WAITING, MODEL, CODING)
SETTLES, PAUSE = 3.0, 0.7
"""Seconds until the server's counters have surely been added up; and how long they stay as they are if they have."""


class Looks:
    """`look(None)` before a load, `look(run)` after it: the parts of a request's time, or None where it is unknown."""

    def __init__(self, url: str) -> None:
        """`url` of the server, without a path."""
        self.url = f"{url}/metrics"
        self.before: dict[str, float] = {}
        self.last: dict[str, float] = {}

    def __call__(self, run: Run | None) -> dict[str, float] | None:
        if run is None:
            self.before = self._settled()
            return None
        wanted = self.before.get(f"{WHOLE}_count", 0.0) + run.requests
        end, after = time.monotonic() + SETTLES, self._sums()
        while after and after.get(f"{WHOLE}_count", 0.0) < wanted and time.monotonic() < end:
            time.sleep(0.1)
            after = self._sums()
        self.last = after if after.get(f"{WHOLE}_count") == wanted else {}
        return parts(self.before, after, run.mean_ms)

    def _settled(self) -> dict[str, float]:
        """The counters, when they do not change any more: nothing is under way between two loads."""
        end, seen = time.monotonic() + SETTLES, self._sums()
        while seen and seen != self.last and time.monotonic() < end:
            time.sleep(PAUSE)
            if (now := self._sums()) == seen:
                break
            seen = now
        return seen

    def _sums(self) -> dict[str, float]:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.url, timeout=5) as answer:
                return sums(answer.read().decode("utf-8", "replace"))
        except (OSError, urllib.error.URLError, ValueError):
            return {}


def sums(text: str) -> dict[str, float]:
    """Prometheus text: by metric, the sum over all labels."""
    found: dict[str, float] = defaultdict(float)
    for name, value in SAMPLE.findall(text):
        found[name] += float(value)
    return dict(found)


def parts(before: dict[str, float], after: dict[str, float], seen_ms: float) -> dict[str, float] | None:
    """None where the server has counted nothing meanwhile, or does not count."""

    def mean(metric: str) -> float:
        count = after.get(f"{metric}_count", 0.0) - before.get(f"{metric}_count", 0.0)
        return 1000 * (after[f"{metric}_sum"] - before.get(f"{metric}_sum", 0.0)) / count if count > 0 else 0.0

    whole, queue = mean(WHOLE), mean(QUEUE)
    if not whole or not seen_ms > 0:
        return None
    queue = min(queue, whole)
    call = min(mean(CALL), whole - queue)
    return dict(zip(PARTS, (max(seen_ms - whole, 0.0), queue, call, whole - queue - call), strict=True))
