"""native.c by ctypes: bodies of numbers → matrices, and sums over trees. The interpreter's lock is free meanwhile.

Optional: where the library is not built, not for this machine or not of this source, `available` is False, matrices
are None and there is no forest; the callers then do the same in Python. Answers are equal to the last bit.
Nothing here knows estimators or formats beyond numbers between commas.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .build import LIBRARY, source_hash

Array = npt.NDArray[Any]
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""What runs a function on each of several parts."""
spread: Each = map
"""What runs the parts of many rows. A server sets one that uses the CPUs that it has; the parts need no lock."""

DIGITS = re.compile(rb"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")
DEFERRED = 0xFFF8 << 48
"""A cell with these upper bits holds a place in the body: there stands a number for float() to read."""

NODE = np.dtype([("threshold", np.float64), ("feature", np.uint32), ("left", np.int32)])
ROWS_AT_ONCE = 2048
"""Rows of one call where a forest runs in several threads."""


@dataclass(frozen=True)
class Unusual:
    """Where a body is not plain numbers any more: bytes from its start; row and column, from 1."""

    offset: int
    row: int
    column: int


class _Reading(ctypes.Structure):
    _fields_ = (
        ("body", ctypes.c_char_p),
        ("end", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("out", ctypes.c_void_p),
        ("filled", ctypes.c_int64),
        ("row", ctypes.c_int64),
        ("column", ctypes.c_int64),
        ("deferred", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("whole", ctypes.c_int64),
    )


class _Forest(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("nodes", "roots", "columns", "values", "sets", "boundaries")),
        *((name, ctypes.c_int64) for name in ("node_count", "tree_count", "width", "outputs", "features")),
        *((name, ctypes.c_int64) for name in ("word_count", "set_count", "kind")),
    )


def load(path: Path = LIBRARY) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(path))
        built_from = ctypes.c_char_p.in_dll(library, "source_hash").value
        if built_from != source_hash().encode():
            return None
    except (OSError, ValueError, AttributeError):
        return None
    for name in ("csv_matrix", "json_matrix"):
        getattr(library, name).argtypes = [ctypes.POINTER(_Reading)]
        getattr(library, name).restype = ctypes.c_int64
    library.count_of.argtypes = [ctypes.c_char_p, ctypes.c_int64, ctypes.c_int32]
    library.count_of.restype = ctypes.c_int64
    library.trees_are_sound.argtypes = [ctypes.POINTER(_Forest)]
    library.trees_walk.argtypes = [
        *(ctypes.POINTER(_Forest), ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
    ]
    library.trees_walk.restype = None
    for name in ("exp_doubles", "exp_floats"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_int64]
        getattr(library, name).restype = None
    return library


_library = load()
available = _library is not None


# ---- bodies ----------------------------------------------------------------------------------------------------------


def matrix_csv(body: bytes, columns: int | None = None) -> Array | Unusual | None:
    """float64 (rows, columns) of a CSV body of numbers and missing values without a header; None without the library.

    A cell is what rows.cells.number takes for a number, or one of its words for a missing value; neither is quoted.
    Blank lines are not rows. A body without a row is Unusual.
    """
    if _library is None:
        return None
    first = body.lstrip(b"\r\n")
    end = first.find(b"\n")
    width = first.count(b",", 0, end if end >= 0 else len(first)) + 1
    matrix, _ = _read(_library.csv_matrix, body, columns, (columns or width) * (count(body, b"\n") + 1))
    return matrix


def matrix_json(body: bytes, columns: int | None = None) -> tuple[Array | Unusual | None, bool]:
    """Of [[…], …] or {"instances": [[…], …]} (or "inputs"), plain numbers and null: (matrix, were all integers?).

    What would be another value as an integer is Unusual: -0 and what is not below 2**53. So is what overflows a float.
    """
    if _library is None:
        return None, False
    first = body.find(b"]")
    width = body.count(b",", 0, max(first, 0)) + 1
    return _read(_library.json_matrix, body, columns, (columns or width) * count(body, b"["), finite=True)


def count(body: bytes, what: bytes) -> int:
    """How often a byte is there. `bytes.count` stops at each."""
    if _library is None or len(body) < 10_000:
        return body.count(what)
    return int(_library.count_of(body, len(body), what[0]))


def _read(
    function: Any, body: bytes, columns: int | None, most: int, finite: bool = False
) -> tuple[Array | Unusual, bool]:
    """At most `most` cells, and no more than bytes, whatever the first line promises."""
    cells = np.empty(max(1, min(most, len(body) + 1)))
    out = ctypes.addressof(ctypes.c_char.from_buffer(cells.data))
    place = _Reading(body, None, len(body), columns or 0, len(cells), out)
    rows = function(ctypes.byref(place))
    if rows <= 0:
        return Unusual(place.offset, place.row, place.column), False
    cells = cells[: place.filled]
    if place.deferred:
        bits = cells.view(np.uint64)
        for cell in np.flatnonzero(bits >= DEFERRED).tolist():
            offset = int(bits[cell]) - DEFERRED
            digits = DIGITS.match(body, offset)
            assert digits is not None
            cells[cell] = float(digits[0])
            if finite and np.isinf(cells[cell]):
                return Unusual(offset, cell // place.width + 1, cell % place.width + 1), False
    return cells.reshape(rows, place.width), bool(place.whole)


# ---- trees -----------------------------------------------------------------------------------------------------------


class Trees(Protocol):
    """The arrays of operations.Trees."""

    roots: Array
    columns: Array
    threshold: Array
    feature: Array
    left: Array
    values: Array
    sets: Array
    boundaries: Array
    start: Array


class Forest:
    """Trees as native.c walks them. The arrays are kept, not copied, but for one of 16 bytes a node."""

    def __init__(self, library: ctypes.CDLL, trees: Trees, features: int) -> None:
        nodes = np.empty(len(trees.left), NODE)
        nodes["threshold"], nodes["feature"], nodes["left"] = trees.threshold, trees.feature, trees.left
        arrays = (nodes, trees.roots, trees.columns, trees.values, trees.sets, trees.boundaries)
        types: tuple[Any, ...] = (NODE, np.int64, np.int32, np.float64, np.uint32, np.int64)
        self._kept = [np.ascontiguousarray(array, kind) for array, kind in zip(arrays, types, strict=True)]
        if len(self._kept[0]) != len(self._kept[3]) or len(self._kept[1]) != len(self._kept[2]):
            raise ValueError("the arrays of the trees have different lengths")
        self._library, self.features, self.outputs = library, features, len(trees.start)
        self._forest = _Forest(
            *(array.ctypes.data for array in self._kept),
            *(len(nodes), len(trees.roots), self._kept[3].shape[1], self.outputs, features),
            *(len(trees.sets), len(trees.boundaries) - 1, _kind(nodes["feature"])),
        )
        if not library.trees_are_sound(ctypes.byref(self._forest)):
            raise ValueError("the arrays of the trees lead outside of them")

    def add(self, rows: Array, out: Array) -> None:
        """Adds the trees' values, tree by tree, to out (n, outputs) of float64 or float32; both arrays in C order.

        `rows` (n, features) are float64 or float32, as they are compared. Many rows are parted for `spread`.
        """
        if rows.shape[1:] != (self.features,) or out.shape != (len(rows), self.outputs):
            raise ValueError(f"rows {rows.shape}, sums {out.shape}; {self.features} features, {self.outputs} outputs")
        single, kind = _is_single(rows), _is_single(out)
        if spread is map or len(rows) <= ROWS_AT_ONCE:
            return self._walk(rows, single, out, kind)
        parts = [slice(first, first + ROWS_AT_ONCE) for first in range(0, len(rows), ROWS_AT_ONCE)]
        for _ in spread(lambda part: self._walk(rows[part], single, out[part], kind), parts):
            pass
        return None

    def leaves(self, rows: Array) -> Array:
        """int32 (n, trees): the node that each row (n, features), in C order, ends in."""
        if rows.shape[1:] != (self.features,):
            raise ValueError(f"rows {rows.shape}; {self.features} features")
        out = np.empty((len(rows), int(self._forest.tree_count)), np.int32)
        self._walk(rows, _is_single(rows), out, LEAVES)
        return out

    def _walk(self, rows: Array, single: int, out: Array, kind: int) -> None:
        address = ctypes.byref(self._forest)
        self._library.trees_walk(address, rows.ctypes.data, single, len(rows), out.ctypes.data, kind)


LEAVES = 2


def _kind(feature: Array) -> int:
    """The least that the walk has to know of the nodes: 0 none with a flag, 1 some with MISSING_RIGHT, 2 any."""
    flags = int(np.bitwise_or.reduce(feature, initial=0)) >> 24
    return 2 if flags & 0b110 else int(flags > 0)


def _is_single(array: Array) -> int:
    """1 for float32, 0 for float64; nothing else reaches native code."""
    if array.dtype not in (np.float32, np.float64) or not array.flags.c_contiguous or array.ndim != 2:
        raise TypeError(f"a matrix of {array.dtype} that is not float64 or float32 in C order")
    return int(array.dtype == np.float32)


def forest(trees: Trees, features: int) -> Forest | None:
    """None without the library. Raises ValueError for arrays that native code could not be trusted with."""
    return None if _library is None else Forest(_library, trees, features)


# ---- functions -------------------------------------------------------------------------------------------------------


def exp(values: Array) -> Array | None:
    """C's exp of each of an array of float64, its expf of each of an array of float32; None without the library."""
    if _library is None:
        return None
    out = np.array(values, order="C")
    {np.dtype(np.float64): _library.exp_doubles, np.dtype(np.float32): _library.exp_floats}[out.dtype](
        out.ctypes.data, out.size
    )
    return out
