"""The short list of operations that a compiled model is made of: plain arrays and plain values, nothing else.

Each takes the values of earlier operations, matrices (rows, columns) or one value a row, and says how wide its answer
is. `width` also checks every index and every shape: what it lets through cannot read beside an array, however the
arrays came about. How an operation is computed is told in evaluate.py.
"""

from __future__ import annotations

from dataclasses import dataclass
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
