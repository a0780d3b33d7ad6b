"""Behind nginx, who waits in a worker whose interpreter is held, or whose call takes far too long, goes to another one.

The requests of the running call stay, and so does one that has been handed on before: what hangs one worker must not
hang the next. handover.c does it, also while no Python runs; where it is not built, who is in such a worker waits.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..batching.messages import Request
from ..compiler.build import HANDOVER, library_of, source_hash

MOST = 1 << 17
"""File descriptors that are watched: those below."""
NOBODY, OPEN, KEPT, HANDED_ON = range(4)
"""What a connection is: nobody's; one whose request another worker may have; one that stays; one that has been told to
go elsewhere."""
HEADER = "x-model-server-handed-on"
"""Of nginx, with a request that it asks a second worker (nginx.conf)."""
log = logging.getLogger("serving")


def load(path: Path) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(path))
        if ctypes.c_char_p.in_dll(library, "source_hash").value != source_hash(HANDOVER).encode():
            return None
    except (OSError, ValueError, AttributeError):
        return None
    library.share.restype = ctypes.c_void_p
    library.begin.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p]
    return library


_library = load(library_of(HANDOVER))


def share(workers: int) -> None:
    """What the workers tell each other by; before they fork."""
    if _library is not None:
        _library.share(workers)


class Handover:
    """Of one worker. All is quiet until `begin`."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self.marks = (ctypes.c_ubyte * MOST)()

    def begin(self, place: int, listening: int, path: Path) -> None:
        """The worker in this place listens on this socket, at this path; no connection has come yet."""
        if _library is None or (failed := _library.begin(place, listening, bytes(path))):
            log.debug("who is in a worker whose interpreter is held waits: %s", "not built" if not _library else failed)
            return
        self._path = path
        self.marks = (ctypes.c_ubyte * MOST).in_dll(_library, "connections")

    def end(self) -> None:
        """The worker stops."""
        if self._path is not None:
            self._library.end()
            self._path = None

    def beat(self, is_free: bool) -> None:
        """Twice a second: the loop turns. `is_free`: no call takes too long, so requests of others may come too."""
        if self._path is None:
            return
        self._library.turned(is_free)
        is_away = ctypes.c_int.in_dll(self._library, "is_away")
        if is_away.value and is_free:
            with suppress(OSError):
                self._path.with_name(f"{self._path.name}.away").rename(self._path)
            is_away.value = 0

    def has(self, request: Request) -> bool:
        """Whether it has been handed on."""
        return self.marks[request.connection] == HANDED_ON

    def keep(self, requests: Iterable[Request]) -> None:
        """They are in a call from now on."""
        for request in requests:
            self.marks[request.connection] = KEPT

    def forget(self, connection: int) -> None:
        """It is about to be closed."""
        if self._path is not None:
            self._library.forget(connection)

    @property
    def _library(self) -> ctypes.CDLL:
        assert _library is not None
        return _library
