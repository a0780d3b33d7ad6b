"""Ensembles of trees as plain arrays: one operation, walked by walks.py.

`least_width` checks every index: what it lets through leads no row outside the arrays or round in circles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .operations import Array, Operation, must

FEATURE = 0xFFFFFF
"""The bits of Trees.feature that are a column's number; the others are flags, as native.c names them."""
MISSING_RIGHT, ZERO_MISSING, CATEGORICAL, OTHER_RIGHT, TOWARDS_ZERO = (1 << bit for bit in range(24, 29))
MOST_NODES = 2**31 - 2


@dataclass(frozen=True, eq=False)
class Trees(Operation):
    """Sums of leaves, tree by tree from `start` on and in its precision: the estimator's to the last bit.

    `nodes` (n, 4) are what `packed` makes. A row goes to `left` of a node, or to left + 1 where its value is
    above `threshold`. A leaf leads to itself: its threshold is infinite. NaN goes left unless the node has the flag
    MISSING_RIGHT. The threshold of a CATEGORICAL node is the number of a set: words `boundaries[s]` to
    `boundaries[s + 1]` of `sets`, whose categories go left. Tree t adds the `values` (nodes, width) of its leaf to the
    outputs from `columns[t]` on.
    """

    roots: Array
    columns: Array
    nodes: Array
    values: Array
    sets: Array
    boundaries: Array
    start: Array
    precision: str
    """Of the rows: "float32" or "float64"."""
    order: str
    """Layout of the answer in memory."""

    @property
    def threshold(self) -> Array:
        return self.nodes.view("<f8")[:, 0]

    @property
    def feature(self) -> Array:
        return self.nodes[:, 2]

    @property
    def left(self) -> Array:
        return self.nodes.view("<i4")[:, 3]

    def width(self, *inputs: int) -> int:
        must(inputs[0] >= self.least_width, "a feature that is not there")
        return len(self.start)

    @cached_property
    def least_width(self) -> int:
        """Of the rows. Found together with the soundness of all else, once."""
        must(self.nodes.dtype == "<u4" and self.nodes.ndim == 2 and self.nodes.flags.c_contiguous, "nodes")
        must(self.nodes.shape[1] == 4 and self.nodes.flags.aligned, "nodes")
        nodes, (words, sets) = len(self.nodes), (len(self.sets), len(self.boundaries) - 1)
        must(all(a.dtype == kind and a.ndim == 1 for a, kind in ((self.roots, "<i8"), (self.columns, "<i4"))), "trees")
        must(self.values.dtype == "<f8" and self.values.ndim == 2, "values")
        must(self.start.dtype in ("<f8", "<f4") and self.start.ndim == 1 and len(self.start), "where sums start")
        must(len(self.values) == nodes <= MOST_NODES, "nodes")
        must(self.precision in ("float32", "float64") and self.order in ("C", "F"), "a type of numbers")
        must(self.sets.dtype == "<u4" and self.boundaries.dtype == "<i8" and self.boundaries.ndim == 1, "sets")
        must(sets >= 0 and self.boundaries.min() >= 0 and self.boundaries.max() <= words, "sets")
        must(self.sets.ndim == 1 and bool(np.all(np.diff(self.boundaries) >= 0)), "sets")
        must(len(self.roots) == len(self.columns) > 0 and self.roots.min() >= 0, "roots")
        must(self.roots.max() < nodes, "a root that is not there")
        must(self.columns.min() >= 0 and self.columns.max() <= len(self.start) - self.values.shape[1], "outputs")
        must(self.values.shape[1] in (1, len(self.start)), "leaves of other than one value or all")
        own = np.arange(nodes, dtype=np.int32)
        leaf = self.left == own
        must(bool(np.all(self.threshold[leaf] == np.inf) and np.all(self.feature[leaf] <= FEATURE)), "a leaf")
        # children come after their parent: every walk ends
        inner = self.left[~leaf]
        must(bool(np.all(inner > own[~leaf]) and np.all(inner < nodes - 1)), "a walk without end")
        numbers = self.threshold[(self.feature & CATEGORICAL) != 0]
        must(bool(np.all((numbers >= 0) & (numbers < sets))), "a set that is not there")
        return int((self.feature & FEATURE).max()) + 1


def packed(threshold: Array, feature: Array, left: Array) -> Array:
    """Nodes of trees: eight bytes of threshold, four of feature and flags, four of left."""
    nodes = np.empty((len(left), 4), "<u4")
    nodes.view("<f8")[:, 0], nodes[:, 2], nodes.view("<i4")[:, 3] = threshold, feature, left
    return nodes
