"""A socket for each worker, so that nginx can give the next request to the one with the fewest.

Over one socket for all, nginx's kept connections pin its requests to whichever worker has accepted them: one that
becomes ready later gets none, one that hangs gets its share for ever. Each worker takes the first free place; who holds
it is known by a lock on its file, which the kernel frees when the worker ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

BACKLOG = 2048


def path(runtime_dir: Path, place: int) -> Path:
    """The socket of the worker in this place. Places count from 0."""
    return runtime_dir / f"worker-{place}.sock"


class OwnSocket:
    """A listening socket in the first free place of `places`. Raises OSError when there is none."""

    def __init__(self, runtime_dir: Path, places: int) -> None:
        self._lock = self.path = None
        for place in range(places):
            lock = (runtime_dir / f"worker-{place}.lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            self._lock, self.path, self.place = lock, path(runtime_dir, place), place
            break
        if self._lock is None or self.path is None:
            raise BlockingIOError(f"all {places} places of workers are taken")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        partial = self.path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        self.socket.bind(str(partial))
        partial.chmod(0o600)  # nginx's workers are the same user
        self.socket.listen(BACKLOG)
        os.replace(partial, self.path)

    def close(self) -> None:
        """The place is free: whoever connects is refused, and nginx takes another worker."""
        assert self.path is not None
        assert self._lock is not None
        self.path.unlink(missing_ok=True)
        self.socket.close()
        self._lock.close()
