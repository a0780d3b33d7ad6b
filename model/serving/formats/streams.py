"""A body that is read as it is needed, and the blocks that it is cut into. Nothing here knows a format."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ..errors import PayloadTooLarge
from .budget import MEGABYTE

BLOCK = 4 * MEGABYTE
MOST = 16 * BLOCK
"""Bytes of one record, at most."""


ROWS = 64
"""A block has a multiple of so many rows: BLAS computes rows in groups, and rounds otherwise in what is left over."""


class File(Protocol):
    """What is read."""

    def read(self, size: int, /) -> bytes: ...
    def seekable(self) -> bool: ...
    def seek(self, place: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


def together(count: int, without: int = 0) -> int:
    """How many of the first `count` records make a block: a multiple of ROWS, and those that are not rows."""
    rows = count - without
    return count if rows < ROWS else without + rows // ROWS * ROWS


@dataclass(frozen=True)
class Block:
    """A body that is complete by itself. `bytes` and `lines` are added to places in it to have them in the whole."""

    body: bytes
    content_type: str | None
    bytes: int = 0
    lines: int = 0


class Whole(Exception):
    """Why a body cannot be cut, as the end of a sentence."""


class Stream:
    """The bytes of a file, of which some are looked at before they are taken."""

    def __init__(self, file: File) -> None:
        self.file, self.ahead = file, b""
        self.taken = self.lines = 0
        self._ended = False

    def fill(self, size: int) -> bytes:
        """What comes next: `size` bytes or more, or all that there are."""
        parts, missing = [self.ahead], size - len(self.ahead)
        while missing > 0 and not self._ended:
            parts.append(self.file.read(missing))
            missing -= len(parts[-1])
            self._ended = not parts[-1]
        self.ahead = b"".join(parts)
        return self.ahead

    def take(self, size: int) -> bytes:
        taken, self.ahead = self.ahead[:size], self.ahead[size:]
        self.taken += len(taken)
        self.lines += taken.count(b"\n")
        return taken

    def seekable(self) -> File:
        """All of it as a file, from its beginning; nothing may have been taken."""
        if self.file.seekable():
            self.file.seek(self.file.tell() - len(self.ahead))
            return self.file
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - it goes with the stream
        copy.write(self.ahead)
        while piece := self.file.read(MEGABYTE):
            copy.write(piece)
        copy.seek(0)
        return copy

    def pieces(self, whole: Callable[[bytes], int]) -> Iterator[bytes]:
        """All of it in pieces of about BLOCK bytes. `whole(bytes)` says how many of the first of them are whole
        records; where there is none among MOST bytes, it is a 413."""
        size = BLOCK
        while ahead := self.fill(size + 1):
            if len(ahead) <= size:
                yield self.take(len(ahead))
            elif end := whole(ahead[:size]):
                yield self.take(end)
                size = BLOCK
            else:
                size = grown(size)


def grown(size: int) -> int:
    """Twice as much, for a record that does not end within `size` bytes. Raises PayloadTooLarge."""
    if size >= MOST:
        raise PayloadTooLarge(f"A record does not end within {MOST // MEGABYTE} MB.", expected=f"at most {MOST} bytes")
    return 2 * size
