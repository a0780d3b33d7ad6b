"""How the supervisor, and through it nginx, knows that predictions work: one small file per worker.

A worker writes why it is not ready (nothing when it is) and touches its file twice a second. The supervisor looks at
all of them and keeps a file `ready`, which the first worker makes, as long as one worker is ready and alive. nginx
answers /ping by that file, so /ping is fast and true while every worker computes: a worker that is busy is late, one
that is stuck is too late. If the disk is full the news is lost, and the worker goes on.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from . import shared_files
from .clocks import AwakeClock, Silence
from .shared_files import is_alive

BEAT_SECONDS = 0.5
READY = "ready"
LATE = "late"
"""A file that exists while a worker that does not answer is ended: nginx tells its callers that it took too long."""
WORKERS = "workers"


def report(runtime_dir: Path, pid: int, reason: str | None) -> None:
    """Says that the worker is ready (None), or why it is not. The file appears whole."""
    with suppress(OSError):
        directory = runtime_dir / WORKERS
        directory.mkdir(exist_ok=True)
        shared_files.write_whole(directory / str(pid), reason or "")
        if reason is None:
            (runtime_dir / READY).touch()  # at once; the supervisor looks twice a second


def beat(runtime_dir: Path, pid: int) -> None:
    with suppress(OSError):
        os.utime(runtime_dir / WORKERS / str(pid))


def living(runtime_dir: Path) -> list[int]:
    """The workers that have begun to serve and have not ended."""
    return [pid for pid in shared_files.of_workers(runtime_dir / WORKERS) if is_alive(pid)]


def is_ready(runtime_dir: Path) -> bool:
    """Whether a worker can predict."""
    return (runtime_dir / READY).exists()


def has_been_ready(runtime_dir: Path, pid: int) -> bool:
    """Whether the worker last said that it was ready. It may have ended since."""
    try:
        return (runtime_dir / WORKERS / str(pid)).stat().st_size == 0
    except OSError:
        return False


def reasons(runtime_dir: Path) -> list[str]:
    """What the workers say that are not ready."""
    said = []
    for path in shared_files.of_workers(runtime_dir / WORKERS).values():
        with suppress(OSError):
            said.append(shared_files.read(path))
    return [reason for reason in said if reason]


class Watch:
    """The supervisor's look at all workers."""

    def __init__(self, runtime_dir: Path, max_silence: float, clock: AwakeClock) -> None:
        """A worker counts when it is ready and has beaten within `max_silence` seconds of the clock."""
        self._runtime_dir, self._max_silence, self._clock = runtime_dir, max_silence, clock
        self._silence = Silence()

    def publish(self) -> bool:
        """Makes or removes the file `ready`, and removes those of workers that have ended."""
        now = self._clock.time()
        files = shared_files.of_workers(self._runtime_dir / WORKERS)
        ready = sum(self._is_ready(pid, path, now) for pid, path in files.items()) > 0  # not any(): each look tidies up
        self._silence.keep(files)
        with suppress(OSError):
            if ready:
                (self._runtime_dir / READY).touch()
            else:
                (self._runtime_dir / READY).unlink(missing_ok=True)
        return ready

    def _is_ready(self, pid: int, path: Path, now: float) -> bool:
        try:
            if not is_alive(pid):
                path.unlink(missing_ok=True)
                return False
            state = path.stat()
        except OSError:
            return False
        silent = self._silence.of(pid, state.st_mtime_ns, now)
        return state.st_size == 0 and silent < self._max_silence
