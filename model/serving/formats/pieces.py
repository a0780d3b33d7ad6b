"""A large body is read a piece at a time, so that what parsers hold is small, whatever the body holds.

Lines are cut here, JSON in json_pieces. Cells of all pieces are gathered by column; of equal short texts one object is
kept.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

PIECE = 2**19
"""Bytes. Some pieces take sixty times as much once they are parsed; smaller pieces cost time."""


def windows(body: bytes, *, at_returns: bool = True) -> Iterator[bytes]:
    """The body, cut after line feeds; where there are none for long, after carriage returns as well."""
    start = 0
    while start < len(body):
        end, found = start + PIECE, -1
        while end < len(body) and found < 0:
            found = body.find(b"\n", end, end + PIECE)
            if found < 0 and at_returns:
                found = body.find(b"\r", end, end + PIECE - 1)  # the next byte is not a line feed
            end += PIECE
        end = found + 1 if found >= 0 else len(body)
        yield body[start:end]
        start = end


def lines(body: bytes, errors: str = "strict") -> Iterator[str]:
    """The lines of a text in UTF-8, with their ends."""
    for window in windows(body):
        yield from io.StringIO(window.decode("utf-8", errors), newline="")


SHORT = 8
MOST_WORDS = 2**15
BATCH_CELLS = 2**14


class Gathered:
    """Columns that are filled by rows of one width."""

    def __init__(self, width: int) -> None:
        self.width, self.count = width, 0
        self._columns: list[list[Any]] = [[] for _ in range(width)]
        self._rows: list[Sequence[Any]] = []
        self._batch = max(1, BATCH_CELLS // max(1, width))
        self._words = Words()

    def add(self, row: Sequence[Any]) -> None:
        self._rows.append(row)
        self.count += 1
        if len(self._rows) == self._batch:
            self._flush(self._words.shared)

    def columns(self) -> list[list[Any]]:
        """What was gathered; nothing may be added after."""
        self._flush(list if self.count < self._batch else self._words.shared)
        return self._columns

    def _flush(self, kept: Callable[[Iterable[Any]], list[Any]]) -> None:
        if self._rows:
            for column, cells in zip(self._columns, zip(*self._rows, strict=True), strict=True):
                column += kept(cells)
            self._rows = []


class Words:
    """One object for equal short texts. Only so many are known: texts that all differ gain nothing."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def shared(self, cells: Iterable[Any]) -> list[Any]:
        known = self._known
        if len(known) >= MOST_WORDS:
            return [known.get(c, c) if type(c) is str else c for c in cells]
        return [known.setdefault(c, c) if type(c) is str and len(c) <= SHORT else c for c in cells]
