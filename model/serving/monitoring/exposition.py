"""What is counted, and how it becomes /metrics: Prometheus text that the platform's collector reads.

An engine counts in plain numbers (2 µs a request), a worker writes them to a file of its own when they have
changed, and the supervisor, twice a second, adds the files up into one text. nginx serves that file, so /metrics is
answered while the model is loaded and while every worker computes, and no counter falls when a worker is replaced.
Standard library only: the supervisor imports this.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard

from . import shared_files
from .counters import METRICS, OF_ALL_WORKERS_ALIKE, Samples, sample_name

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TEXT = "metrics"
"""The file in the runtime directory that holds the text."""
WORKERS = "counts"
"""The directory beside it that holds the workers' files."""


# ---- a worker's file -------------------------------------------------------------------------------------------------


class WorkerFile:
    """Where a worker writes its numbers."""

    def __init__(self, runtime_dir: Path, pid: int) -> None:
        self._path = runtime_dir / WORKERS / str(pid)
        self._path.parent.mkdir(exist_ok=True)
        self._written = ""

    def write(self, models: dict[str, Samples]) -> None:
        """The samples of all models, by name, when one has changed. A full disk only loses numbers."""
        text = json.dumps(models)
        if text != self._written:
            with suppress(OSError):
                shared_files.write_whole(self._path, text)
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
    """Adds the workers' files up. The counters of workers that have ended stay in the sum until their model is
    unloaded."""

    def __init__(self, runtime_dir: Path) -> None:
        self._runtime_dir = runtime_dir
        self._ended: dict[str, Samples] = {}
        self._seen: object = None

    def publish(self, healthy: bool) -> None:
        """Writes the text, when anything has changed. A full disk only loses numbers."""
        with suppress(OSError):
            self._publish(healthy)

    def _publish(self, healthy: bool) -> None:
        files = shared_files.of_workers(self._runtime_dir / WORKERS)
        alive = {pid for pid in files if shared_files.is_alive(pid)}
        seen = (healthy, [(pid, files[pid].stat(follow_symlinks=False).st_mtime_ns) for pid in sorted(alive)])
        if seen == self._seen and len(alive) == len(files):
            return
        living: dict[str, list[Samples]] = defaultdict(list)
        for pid, path in files.items():
            for name, samples in _read(path).items():
                if pid in alive:
                    living[name].append(samples)
                else:
                    counters = {k: v for k, v in samples.items() if METRICS[k][0] != "gauge"}
                    self._ended[name] = _added([self._ended.get(name, {}), counters])
            if pid not in alive:
                path.unlink()
        self._ended = {name: samples for name, samples in self._ended.items() if name in living or not name}
        everything = [*self._ended.values(), *(samples for several in living.values() for samples in several)]
        shared_files.write_whole(self._runtime_dir / TEXT, exposed(_added(everything), healthy))
        self._seen = seen


def _read(path: Path) -> dict[str, Samples]:
    """What a worker has written; nothing, when it is not what a worker writes."""
    try:
        models = json.loads(shared_files.read(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: samples for name, samples in models.items() if _are_samples(samples)} if _is_table(models) else {}


def _are_samples(value: object) -> bool:
    return _is_table(value) and all(
        metric in METRICS and _is_table(numbers) and all(_is_number(n) for n in numbers.values())
        for metric, numbers in value.items()
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 2**63


def _is_table(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def exposed(samples: Samples, healthy: bool) -> str:
    name = "sagemaker_endpoint_health"
    states = {"healthy": healthy, "unhealthy": not healthy}
    samples = {**samples, name: {sample_name(name, {"state": state}): int(on) for state, on in states.items()}}
    lines = []
    for metric, (kind, meaning) in METRICS.items():
        if samples.get(metric):
            lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} {kind}"]
            lines += [f"{name} {value}" for name, value in samples[metric].items()]
    return "\n".join(lines) + "\n"
