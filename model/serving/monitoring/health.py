"""How the supervisor, and through it nginx, knows that predictions work: one small file per worker.

A worker writes why it is not ready (nothing when it is) and touches its file twice a second. The supervisor looks at
all of them and keeps a file `ready`, which the first worker makes, as long as one worker is ready and alive. nginx
answers /ping by that file, so /ping is fast and true while every worker computes: a worker that is busy is late, one
that is stuck is too late.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from .shared_files import is_alive, write_whole

BEAT_SECONDS = 0.5
READY = "ready"
WORKERS = "workers"


def report(runtime_dir: Path, pid: int, reason: str | None) -> None:
    """Says that the worker is ready (None), or why it is not. The file appears whole."""
    directory = runtime_dir / WORKERS
    directory.mkdir(exist_ok=True)
    write_whole(directory / str(pid), reason or "")
    if reason is None:
        (runtime_dir / READY).touch()  # at once; the supervisor looks twice a second


def beat(runtime_dir: Path, pid: int) -> None:
    os.utime(runtime_dir / WORKERS / str(pid))


def publish(runtime_dir: Path, max_age: float) -> bool:
    """Makes or removes the file `ready`. A worker counts when it is ready and has beaten within `max_age` seconds."""
    states = [_is_ready(path, max_age) for path in _files(runtime_dir)]  # all of them: each is tidied up
    ready = any(states)
    if ready:
        (runtime_dir / READY).touch()
    else:
        (runtime_dir / READY).unlink(missing_ok=True)
    return ready


def living(runtime_dir: Path) -> list[int]:
    """The workers that have begun to serve and have not ended."""
    return [pid for path in _files(runtime_dir) if is_alive(pid := int(path.name))]


def _files(runtime_dir: Path) -> list[Path]:
    return list((runtime_dir / WORKERS).glob("[0-9]*"))


def _is_ready(path: Path, max_age: float) -> bool:
    """Removes the file of a worker that has ended."""
    if not is_alive(int(path.name)):
        path.unlink(missing_ok=True)
        return False
    state = path.stat()
    return state.st_size == 0 and time.time() - state.st_mtime < max_age
