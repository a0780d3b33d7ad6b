"""A large JSON document, with its long arrays left unread: whoever takes their rows reads them a piece at a time.

A document that is valid in its skeleton (where a long array is a mark) and in each piece is valid as a whole, since
pieces are cut at commas between items. NumPy finds those: brackets and commas that are not in texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .pieces import PIECE, Words

LONG = 2**16
"""Bytes; a shorter array is parsed with its document."""

DEEPEST = 3
"""How many brackets may be open where rows begin: {"dataframe_split": {"data": [ ."""

Parse = Callable[[bytes], Any]


class Broken(ValueError):
    """A piece that is not JSON. The place in its message is one in the piece, not in the body."""


class Long(list[Any]):
    """A list that is not in memory: each iteration reads its items anew, a piece at a time."""

    def __init__(self, pieces: Callable[[], Iterator[list[Any]]]) -> None:
        self._pieces = pieces
        self._count: int | None = None
        super().__init__(next(pieces(), [])[:1])

    def __iter__(self) -> Iterator[Any]:
        for piece in self._pieces():
            yield from piece

    def __len__(self) -> int:
        if self._count is None:
            self._count = sum(map(len, self._pieces()))
        return self._count

    def __bool__(self) -> bool:
        return super().__len__() > 0

    def mapped(self, change: Callable[[Any], Any]) -> Long:
        return Long(lambda: ([change(item) for item in piece] for piece in self._pieces()))

    def __repr__(self) -> str:
        return f"[{self[0]!r}, …]"

    def in_memory(self) -> list[Any]:
        words = Words()
        return [item for piece in self._pieces() for item in words.shared(piece)]


def mapped(rows: list[Any], change: Callable[[Any], Any]) -> list[Any]:
    return rows.mapped(change) if isinstance(rows, Long) else [change(row) for row in rows]


def in_memory(value: Any) -> Any:
    """The value with plain lists in place of `Long`: transformation gets no class of ours."""
    if isinstance(value, Long):
        return value.in_memory()
    return {key: in_memory(item) for key, item in value.items()} if isinstance(value, dict) else value


def document(body: bytes, parse: Parse) -> Any:
    """What `parse` (bytes → value) makes of the body, but with a `Long` for each long array that may hold rows."""
    if len(body) < 2 * PIECE:
        return parse(body)
    plain = body.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in body else body
    arrays = {f"\0{start}": (start, end) for start, end in _long_arrays(plain)}
    skeleton, place = [], 0
    for mark, (start, end) in arrays.items():
        skeleton += [body[place:start], b'"\\u0000%s"' % mark[1:].encode()]
        place = end
    value = parse(b"".join([*skeleton, body[place:]]) if arrays else body)
    return _filled(value, {mark: Long(partial(_items, body, plain, *span, parse)) for mark, span in arrays.items()})


def _filled(value: Any, arrays: dict[str, Long]) -> Any:
    if isinstance(value, list):
        mark = value[0] if len(value) == 1 and isinstance(value[0], str) else ""
        return arrays.get(mark, value)
    if isinstance(value, dict) and arrays:
        return {key: _filled(inner, arrays) for key, inner in value.items()}
    return value


def _items(body: bytes, plain: bytes, start: int, end: int, parse: Parse) -> Iterator[list[Any]]:
    """The items between body[start] and body[end], about a piece at a time."""
    for cut in (*_cuts(plain, start, end), end):
        items = parse(b"[" + body[start:cut] + b"]")
        if not items:
            raise Broken("a comma without a value")
        yield items
        start = cut + 1


def _cuts(plain: bytes, start: int, end: int) -> Iterator[int]:
    """Places of commas between items, one in each window that has any."""
    for place, window in windows_with_depth(plain, start, end):
        commas = np.flatnonzero((window.depth == 0) & window.at(b","))
        if len(commas):
            yield place + int(commas[-1])


def _long_arrays(plain: bytes) -> list[tuple[int, int]]:
    """Where the items of long arrays begin and end: of the document itself, else of those nearest to its top."""
    for depth in (1,) if plain[:64].lstrip()[:1] == b"[" else range(2, DEEPEST + 1):
        starts, ends = [], []
        for place, window in windows_with_depth(plain, 0, len(plain)):
            starts.append(np.flatnonzero((window.depth == depth) & window.at(b"[")) + place + 1)
            ends.append(np.flatnonzero((window.depth == depth - 1) & window.at(b"]")) + place)
        first, last = np.concatenate(starts), np.concatenate(ends)
        if len(first) != len(last):  # no JSON
            return []
        if (long := np.flatnonzero(last - first >= LONG)).size:
            return [span for i in long if any(_cuts(plain, *(span := (int(first[i]), int(last[i])))))]
    return []


class _Window:
    """What the bytes of a window are: the depth of brackets after each, and whether it is outside of texts."""

    def __init__(self, marks: np.ndarray, depth: int, inside: int) -> None:
        self._marks = marks
        quoted = np.bitwise_xor.accumulate((marks == ord('"')).view(np.uint8)) ^ np.uint8(inside)
        self._outside = quoted == 0
        folded = marks | 0x20  # [ and { differ in one bit, so do ] and }
        steps = (folded == ord("{")).view(np.int8) - (folded == ord("}")).view(np.int8)
        self.depth = np.cumsum(steps * self._outside, dtype=np.int32) + np.int32(depth)
        self.ends = int(self.depth[-1]), int(quoted[-1])

    def at(self, mark: bytes) -> np.ndarray:
        return np.asarray((self._marks == ord(mark)) & self._outside)


def windows_with_depth(plain: bytes, start: int, end: int) -> Iterator[tuple[int, _Window]]:
    depth, inside = 0, 0
    for place in range(start, end, PIECE):
        window = _Window(np.frombuffer(plain, np.uint8, min(PIECE, end - place), place), depth, inside)
        depth, inside = window.ends
        yield place, window
