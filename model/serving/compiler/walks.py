"""Sums over trees: with NumPy, all trees of a block of rows level by level, or with native.c, many rows on all CPUs.

The same bits either way: a leaf is found by comparisons alone, and leaves are added tree by tree. Nothing is looked at
before trees.Trees has found every index sound.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from . import native
from . import trees as op
from .operations import Array

Function = Callable[..., Any]

BLOCK = 2**18
"""Walks (rows x trees) at a time: what they need stays in the cache."""


def trees(o: op.Trees) -> Function:
    walk = _special_walk(o) if np.any(o.feature & ~np.uint32(op.FEATURE)) else _plain_walk(o)
    height = max(1, BLOCK // len(o.roots))
    table, straight = np.ascontiguousarray(o.values.T, o.start.dtype), o.values.shape[1] == len(o.start)
    mine = [np.flatnonzero(o.columns == output) for output in range(len(o.start))]

    def sums(rows: Array) -> Array:
        leaves = walk(np.ascontiguousarray(rows, o.precision))
        out = np.empty((len(rows), len(o.start)), o.start.dtype, order="F" if o.order == "F" else "C")
        for output, start in enumerate(o.start):
            values = table[output].take(leaves) if straight else table[0].take(leaves[:, mine[output]])
            out[:, output] = _running(values, start)
        return out

    def function(rows: Array) -> Array:
        if len(rows) <= height:
            return sums(rows)
        out = np.empty((len(rows), len(o.start)), o.start.dtype, order="F" if o.order == "F" else "C")
        for first in range(0, len(rows), height):
            out[first : first + height] = sums(rows[first : first + height])
        return out

    return function


FEW_ROWS = 2048
"""So many walk in one thread."""
LANES = 16
"""Rows that walk side by side, as native.c has it."""
LEAST_ROOM, MOST_ROOM = 2**14, 2**19
"""Bytes of rows that pass a tree while both are in a cache; more for large trees, which take long to come into it."""


def native_trees(o: op.Trees, width: int) -> Function:
    """Rows (n, width) → sums. Raises Unsound for arrays that native code could not be trusted with."""
    o.width(width)
    library, forest = native.library, _forest(o, width)
    assert library is not None
    room = min(max(LEAST_ROOM, 6 * o.nodes.nbytes // len(o.roots)), MOST_ROOM)
    block = max(4, room // (width * np.dtype(o.precision).itemsize) // LANES) * LANES
    single, floats = o.precision == "float32", o.start.dtype == np.float32

    def walk(rows: Array, out: Array) -> None:
        room = np.empty((min(block, -(-len(rows) // LANES) * LANES), width), rows.dtype)  # one for each thread
        walked = (rows.ctypes.data, single, len(rows), out.ctypes.data, floats, room.ctypes.data, block)
        library.trees_walk(ctypes.byref(forest), *walked)

    def function(rows: Array) -> Array:
        if rows.shape[1:] != (width,):
            raise ValueError(f"rows {rows.shape}; {width} columns")
        rows, out = np.ascontiguousarray(rows, o.precision), np.tile(o.start, (len(rows), 1))
        if native.threads == 1 or len(rows) <= FEW_ROWS:
            walk(rows, out)
        else:
            share = -(-len(rows) // native.threads // LANES) * LANES
            parts = [slice(first, first + share) for first in range(0, len(rows), share)]
            for _ in native.spread(lambda part: walk(rows[part], out[part]), parts):
                pass
        return np.asfortranarray(out) if o.order == "F" else out

    return function


def _forest(o: op.Trees, width: int) -> native.Forest:
    """The operation's own arrays: those that are mapped from a file are in memory once for all processes."""
    kept = [np.ascontiguousarray(a) for a in (o.nodes, o.roots, o.columns, o.values, o.sets, o.boundaries)]
    flags = int(np.bitwise_or.reduce(o.feature, initial=0)) >> 24
    kind = 2 if flags & 0b110 else int(flags > 0)  # the least that a walk has to know of the nodes
    sizes = (len(o.roots), o.values.shape[1], len(o.start), width, kind)
    forest = native.Forest(*(array.ctypes.data for array in kept), *sizes)
    forest.kept = kept
    return forest


def _running(values: Array, start: float) -> Array:
    """The sum of each row from `start` on, from left to right, as `total += value` makes it."""
    if not values.shape[1]:
        return np.full(len(values), start)
    values[:, 0] += start
    return np.add.accumulate(values, axis=1)[:, -1]


def _plain_walk(o: op.Trees) -> Callable[[Array], Array]:
    """No flags: left unless the value is above the threshold."""
    feature, left = o.feature.astype(np.intp), o.left.astype(np.intp)
    threshold = _single(o.threshold) if o.precision == "float32" else o.threshold
    roots = o.roots.astype(np.intp)
    levels = _levels(o)

    def walk(rows: Array) -> Array:
        at = np.broadcast_to(roots, (len(rows), len(roots)))
        flat, base = rows.ravel(), (np.arange(len(rows)) * rows.shape[1])[:, None]
        for _ in range(levels):
            cells = flat.take(feature.take(at) + base)
            at = left.take(at) + (cells > threshold.take(at))
        return at

    return walk


def _special_walk(o: op.Trees) -> Callable[[Array], Array]:
    feature, left = (o.feature & op.FEATURE).astype(np.intp), o.left.astype(np.intp)
    missing_right = (o.feature & op.MISSING_RIGHT) != 0
    other_right, zero_missing = (o.feature & op.OTHER_RIGHT) != 0, (o.feature & op.ZERO_MISSING) != 0
    categorical, towards_zero = (o.feature & op.CATEGORICAL) != 0, (o.feature & op.TOWARDS_ZERO) != 0
    number = np.where(categorical, o.threshold, 0).astype(np.intp)
    sets = o.sets if len(o.sets) else np.zeros(1, np.uint32)
    any_zero, any_category = zero_missing.any(), categorical.any()
    levels = _levels(o)

    def in_no_set(cells: Array, at: Array) -> Array:
        """Whether categories go right."""
        first = o.boundaries.take(number.take(at))
        size = 32 * (o.boundaries.take(number.take(at) + 1) - first)
        cells = np.where((cells > -1) & (cells < 0) & towards_zero.take(at), 0, cells)
        beyond = ~((cells >= 0) & (cells < size))
        codes = np.where(beyond, 0, cells).astype(np.intp)
        words = sets.take(np.where(beyond, 0, first + (codes >> 5)))
        outside = (words >> (codes & 31).astype(np.uint32)) & np.uint32(1) == 0
        return np.asarray(np.where(beyond, other_right.take(at), outside))

    def walk(rows: Array) -> Array:
        at = np.broadcast_to(o.roots.astype(np.intp), (len(rows), len(o.roots)))
        flat, base = rows.ravel(), (np.arange(len(rows)) * rows.shape[1])[:, None]
        for _ in range(levels):
            cells = flat.take(feature.take(at) + base)
            absent = np.isnan(cells)
            right = cells > o.threshold.take(at)
            if any_category:
                chosen = categorical.take(at)
                right[chosen] = in_no_set(cells[chosen], at[chosen])
            if any_zero:
                absent |= zero_missing.take(at) & (np.abs(cells) <= np.float32(1e-35))
            at = left.take(at) + np.where(absent, missing_right.take(at), right)
        return at

    return walk


def _single(threshold: Array) -> Array:
    """The largest float32 that is not above each threshold: comparisons of float32 values come out the same."""
    with np.errstate(over="ignore"):
        single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)


def _levels(o: op.Trees) -> int:
    """Steps of the longest walk."""
    at, level = np.unique(o.roots), 0
    while len(at := at[o.left[at] != at]):
        at = np.concatenate([o.left[at], o.left[at] + 1])
        level += 1
    return level
