"""What a gunicorn worker is besides its engines: it says whether it is ready, beats, and asks to be replaced.

A worker is ready when each of its engines is. One with a prediction that does not return goes on answering, but is
no longer ready: gunicorn stops it when its requests are answered, and starts another.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from ..batching.engine import Engine
from ..batching.loop import Thread
from ..monitoring import exposition, health
from ..monitoring.cloudwatch import PERIOD_SECONDS
from . import ready_line
from .gevent_loop import GeventLoop

TOLD = "told"
"""A file in the runtime directory. The worker that makes it says for all what is served."""
log = logging.getLogger("serving")


class Readiness:
    """`start` after the fork."""

    def __init__(self, engines: Collection[Engine], address: str) -> None:
        """`address`: where callers ask, for the log."""
        self.engines, self._address = engines, address
        self._embedded_due = time.monotonic() + PERIOD_SECONDS
        self.not_ready: str | None = "the worker is starting"
        self.stuck = False

    def start(self, runtime_dir: Path, loop: GeventLoop, reader: Thread, retire: Callable[[], None]) -> None:
        """Starts the engines and reports how that went. `retire` asks for a new worker."""
        self._runtime_dir, self._retire, self._handover = runtime_dir, retire, loop.handover
        for engine in self.engines:
            engine.warm_up()
            engine.start(loop, reader, self.be_stuck)
        self._report(next((engine.not_ready for engine in self.engines if engine.not_ready), None))
        if self.not_ready is None:
            loop.soon(self._prove_and_tell)
        loop.soon(self._beat_for_ever)

    def _prove_and_tell(self) -> None:
        """The first worker that has come so far says for all what is served: the last line of a start."""
        lines = [ready_line.of_one(e.model, e.prove_fast_paths(), self._address) for e in self.engines]
        with suppress(OSError):
            (self._runtime_dir / TOLD).touch(exist_ok=False)
            log.info(lines[0] if lines else ready_line.SEVERAL.format(address=self._address))

    def metrics_text(self) -> tuple[str, str]:
        """What the supervisor has counted of all workers, and its Content-Type."""
        return (self._runtime_dir / exposition.TEXT).read_text(), exposition.CONTENT_TYPE

    def be_stuck(self, reason: str) -> None:
        """A call of one of the engines does not return."""
        if not self.stuck:
            self.stuck = True
            self._report(f"{reason}: the worker is replaced")
            self._retire()

    def _report(self, not_ready: str | None) -> None:
        self.not_ready = not_ready
        health.report(self._runtime_dir, os.getpid(), not_ready)
        if not_ready:
            log.error("not ready: %s", not_ready)

    def _beat_for_ever(self) -> None:
        counts = exposition.WorkerFile(self._runtime_dir, os.getpid())
        while True:
            health.beat(self._runtime_dir, os.getpid())
            self._tick(counts)
            time.sleep(health.BEAT_SECONDS)

    def _tick(self, counts: exposition.WorkerFile) -> None:
        """A function of its own: a loop that sleeps would hold on to the last engine."""
        self._handover.beat(is_free=not any(engine.is_overdue() for engine in self.engines))
        for engine in self.engines:
            engine.tick()
        counts.write({engine.metrics.name: engine.metrics.samples() for engine in self.engines})
        if time.monotonic() >= self._embedded_due:
            self.print_embedded_metrics()

    def print_embedded_metrics(self) -> None:
        """Once a minute, and when the worker ends."""
        self._embedded_due = time.monotonic() + PERIOD_SECONDS
        for engine in self.engines:
            engine.print_embedded_metrics()
