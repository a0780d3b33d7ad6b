"""The short list of operations that a compiled model is made of: plain arrays and plain values, nothing else.

Each takes the values of earlier operations, matrices (rows, columns) or one value a row, and says how wide its answer
is. `width` also checks every index and every shape: what it lets through cannot read beside an array, however the
arrays came about. How an operation is computed is told in evaluate.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")
"""Those of an estimator that a program may answer."""
VECTOR = -1
"""The width of one value a row, as opposed to a matrix of one column."""


class Unsound(ValueError):
    """Arrays that do not fit each other: no program of ours."""


def must(condition: object, what: str) -> None:
    if not condition:
        raise Unsound(what)


def plain(array: Array, kinds: str, dimensions: int) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in kinds and array.ndim == dimensions


class Operation:
    """`width` of the inputs' widths; raises Unsound."""

    def width(self, *inputs: int) -> int:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Rows(Operation):
    """What comes in: a matrix of numbers, or a list of columns."""

    count: int

    def width(self, *inputs: int) -> int:
        must(not inputs and 0 < self.count <= 10_000_000, "rows of no width")
        return self.count


@dataclass(frozen=True, eq=False)
class Numbers(Operation):
    """Some of the columns, as float64."""

    places: Array

    def width(self, *inputs: int) -> int:
        (count,) = inputs
        must(plain(self.places, "i", 1) and len(self.places) > 0, "columns")
        must(self.places.min() >= 0 and self.places.max() < count, "a column that is not there")
        return len(self.places)


@dataclass(frozen=True, eq=False)
class Lookup(Operation):
    """What an encoder makes of one column: row k of the table for key k, then rows for the odd values.

    `unknown`, `missing` (NaN) and `none` are rows of the table; -1: rows with such a value are handed back.
    """

    place: int
    keys: Array
    table: Array
    unknown: int
    missing: int
    none: int

    def width(self, *inputs: int) -> int:
        (count,) = inputs
        must(0 <= self.place < count, "a column that is not there")
        must(plain(self.keys, "Uifb", 1) and plain(self.table, "f", 2), "a table")
        must(0 < len(self.keys) <= len(self.table), "a table that is too short")
        must(all(-1 <= code < len(self.table) for code in (self.unknown, self.missing, self.none)), "a code")
        return int(self.table.shape[1])


@dataclass(frozen=True, eq=False)
class Join(Operation):
    """Matrices side by side. `order` is the layout in memory, for sums round by it: "C", "F", or "stacked", as
    np.hstack leaves them; "sparse" where the estimators have a sparse matrix: it is a dense one here, and a linear map
    adds as a sparse one does."""

    order: str

    def width(self, *inputs: int) -> int:
        must(inputs and min(inputs) >= 0 and self.order in ("C", "F", "stacked", "sparse"), "what is joined")
        return sum(inputs)


@dataclass(frozen=True, eq=False)
class Checked(Operation):
    """The rows as numbers of one type; the messages with which NaN and infinity are refused (empty: they are not)."""

    dtype: str
    nan: str
    inf: str

    def width(self, *inputs: int) -> int:
        must(self.dtype in ("", "float32", "float64"), "a type of numbers")
        return inputs[0]


ARITHMETIC = ("subtract", "divide", "multiply", "add", "minimum", "maximum")


@dataclass(frozen=True, eq=False)
class Arithmetic(Operation):
    """One of NumPy's functions of two arguments; the second is a value for each column, or one for all."""

    function: str
    operand: Array

    def width(self, *inputs: int) -> int:
        (count,) = inputs
        must(self.function in ARITHMETIC and isinstance(self.operand, np.ndarray), "a function")
        must(self.operand.dtype.kind in "fi" and self.operand.shape in ((), (count,)), "an operand")
        return count


@dataclass(frozen=True, eq=False)
class Fill(Operation):
    """A value for each column in place of NaN."""

    values: Array

    def width(self, *inputs: int) -> int:
        must(plain(self.values, "f", 1) and (len(self.values),) == inputs, "values to fill in")
        return inputs[0]


@dataclass(frozen=True, eq=False)
class Missing(Operation):
    """1 where a column is NaN, else 0: an imputer's indicator."""

    places: Array

    def width(self, *inputs: int) -> int:
        return Numbers(self.places).width(*inputs)


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


@dataclass(frozen=True, eq=False)
class Linear(Operation):
    """`rows @ weights + intercept`; `sparse`: added one product after the other, as a sparse matrix does it."""

    weights: Array
    intercept: Array
    transposed: bool
    """Whether the weights are used transposed: their layout in memory decides how sums round."""
    sparse: bool

    def width(self, *inputs: int) -> int:
        weights = self.weights.T if self.transposed else self.weights
        must(weights.dtype.kind == "f" and weights.ndim in (1, 2) and weights.shape[:1] == inputs, "weights")
        wide = VECTOR if weights.ndim == 1 else weights.shape[1]
        must(self.intercept.dtype.kind in "fi" and self.intercept.shape in ((), (1,), (wide,)), "an intercept")
        return int(wide)


@dataclass(frozen=True, eq=False)
class Live(Operation):
    """What the estimator itself, a pipeline, makes of it by its steps from `first` on; the last is asked for `method`.
    It ends a program: nobody knows how wide it is."""

    first: int
    method: str

    def width(self, *inputs: int) -> int:
        must(len(inputs) == 1 and inputs[0] > 0 and self.first > 0 and self.method in METHODS, "a step")
        return VECTOR
