"""Bodies of numbers → matrices, by native.c; large ones in slices, on all CPUs. Nothing here knows more of formats.

A number that native.c does not round with certainty is handed back with its place, and float() reads it.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from . import native
from .native import Array, Reading

DIGITS = re.compile(rb"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")
DEFERRED = 0xFFF8 << 48
"""A cell with these upper bits holds a place in the body: there stands a number for float() to read."""
LARGE = 2**18
"""Bytes of a body that is read in several threads."""
SHORT = 10_000
"""Bytes that Python counts as soon as the library does."""


@dataclass(frozen=True)
class Unusual:
    """Where a body is not plain numbers any more: bytes from its start; row and column, from 1."""

    offset: int
    row: int
    column: int


def count(body: bytes, what: bytes) -> int:
    """How often a byte is in the body; ten times as fast as bytes.count where they are many."""
    if what not in body:  # nothing finds that out sooner
        return 0
    if len(body) < SHORT or native.library is None:
        return body.count(what)
    return int(native.library.count_of(body, len(body), what[0]))


def matrix_csv(body: bytes, columns: int | None = None) -> Array | Unusual | None:
    """float64 (rows, columns) of a CSV body of numbers and missing values without a header; None without the library.

    A cell is what rows.cells.number takes for a number, or one of its words for a missing value; neither is quoted.
    Blank lines are not rows. A body without a row is Unusual.
    """
    if native.library is None:
        return None
    first = body.lstrip(b"\r\n")
    end = first.find(b"\n")
    width = columns or first.count(b",", 0, end if end >= 0 else len(first)) + 1
    if len(body) > LARGE and native.threads > 1 and (sliced := _in_slices(body, width)) is not None:
        return sliced
    matrix, _ = _read(native.library.csv_matrix, body, columns, width * (count(body, b"\n") + 1))
    return matrix


def _in_slices(body: bytes, width: int) -> Array | None:
    """None where they are not all plain, and as many rows as lines: then it is read from its start, to tell where."""
    library = native.library
    assert library is not None
    ends = {body.find(b"\n", len(body) * part // native.threads) + 1 for part in range(1, native.threads)}
    slices = list(pairwise(sorted({0, *ends, len(body)})))
    start = _address(body)
    lines = [library.count_of(start + begin, end - begin, ord("\n")) for begin, end in slices]
    lines[-1] += not body.endswith(b"\n")
    if sum(lines) * width > len(body):  # fewer bytes than cells
        return None
    cells = np.empty((sum(lines), width))
    readings = []
    for (begin, end), row, rows in zip(slices, np.cumsum([0, *lines]).tolist(), lines, strict=False):
        out = cells.ctypes.data + row * width * cells.itemsize
        readings.append(Reading(start, None, begin, end, width, rows * width, out))
    found: dict[int, int] = {}

    def read(place: int) -> None:
        found[place] = library.csv_matrix(ctypes.byref(readings[place]))

    for _ in native.spread(read, range(len(readings))):
        pass
    if [found[place] for place in range(len(readings))] != lines:
        return None
    if any(reading.deferred for reading in readings):
        _by_float(cells.ravel(), body)
    return cells


def matrix_json(body: bytes, columns: int | None = None) -> tuple[Array | Unusual | None, bool]:
    """Of [[…], …] or {"instances": [[…], …]} (or "inputs"), plain numbers and null: (matrix, were all integers?).

    What would be another value as an integer is Unusual: -0 and what is not below 2**53. So is what overflows a float.
    """
    if native.library is None:
        return None, False
    first = body.find(b"]")
    width = body.count(b",", 0, max(first, 0)) + 1
    return _read(native.library.json_matrix, body, columns, (columns or width) * count(body, b"["), finite=True)


def _read(
    function: Any, body: bytes, columns: int | None, most: int, finite: bool = False
) -> tuple[Array | Unusual, bool]:
    """At most `most` cells, and no more than bytes, whatever the first line promises."""
    cells = np.empty(max(1, min(most, len(body) + 1)))
    out = ctypes.addressof(ctypes.c_char.from_buffer(cells.data))
    place = Reading(_address(body), None, 0, len(body), columns or 0, len(cells), out)
    rows = function(ctypes.byref(place))
    if rows <= 0:
        return Unusual(place.offset, place.row, place.column), False
    cells = cells[: place.filled]
    if place.deferred:
        for cell, offset in _by_float(cells, body):
            if finite and np.isinf(cells[cell]):
                return Unusual(offset, cell // place.width + 1, cell % place.width + 1), False
    return cells.reshape(rows, place.width), bool(place.whole)


def _by_float(cells: Array, body: bytes) -> list[tuple[int, int]]:
    """Reads the numbers that were handed back: which cells they are, and where they stand."""
    bits, places = cells.view(np.uint64), []
    for cell in np.flatnonzero(bits >= DEFERRED).tolist():
        offset = int(bits[cell]) - DEFERRED
        digits = DIGITS.match(body, offset)
        assert digits is not None
        cells[cell] = float(digits[0])
        places.append((cell, offset))
    return places


def _address(body: bytes) -> int:
    """Valid as long as the body is held."""
    return ctypes.cast(ctypes.c_char_p(body), ctypes.c_void_p).value or 0
