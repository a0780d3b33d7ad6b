"""Computes a program with NumPy alone, in the estimator's own order of operations: the same bits.

`evaluator` turns a node into a function of rows: a matrix, or a list of columns (object arrays for texts). A ValueError
is the estimator's own complaint about rows; Unproven hands rows back that only the estimator itself may judge.
Answers are new arrays; rows are never changed.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import native
from . import operations as op
from .operations import Array
from .program import Node, Program, in_order, width_of


class Unproven(Exception):
    """Rows of a kind that the program was not proven on."""


class Unknown(Unproven):
    """A category that an encoder refuses: the estimator itself says it in its own words."""


Function = Callable[..., Any]


def evaluators(program: Program, natively: bool) -> dict[str, Callable[[Any], Any]]:
    """For each method of the program; what they have in common is made once."""
    made: dict[int, Function] = {}
    return {name: evaluator(node, natively, made) for name, node in program.methods.items()}


def evaluator(node: Node, natively: bool = True, made: dict[int, Function] | None = None) -> Callable[[Any], Any]:
    """Rows -> the node's value. `natively`: with native.c where it is built. `made`: functions of nodes so far."""
    nodes, made = in_order([node]), {} if made is None else made
    places = {id(one): place for place, one in enumerate(nodes)}
    for one in nodes[1:]:
        if id(one) not in made:
            made[id(one)] = _function(one, natively and native.available)
    calls = [(made[id(one)], [places[id(before)] for before in one.inputs]) for one in nodes[1:]]
    if all(inputs == [place] for place, (_, inputs) in enumerate(calls)):
        return _chain([call for call, _ in calls])

    def evaluate(rows: Any) -> Any:
        values = [rows]
        for call, inputs in calls:
            values.append(call(*[values[place] for place in inputs]))
        return values[-1]

    return evaluate


def _function(node: Node, natively: bool) -> Function:
    operation = node.operation
    if natively and isinstance(operation, op.Trees):
        return native_trees(operation, width_of(node.inputs[0]))
    return FUNCTIONS[type(operation)](operation)


def _chain(calls: list[Function]) -> Callable[[Any], Any]:
    def evaluate(rows: Any) -> Any:
        for call in calls:
            rows = call(rows)
        return rows

    return evaluate


# ---- columns ---------------------------------------------------------------------------------------------------------


def numbers(o: op.Numbers) -> Function:
    places = o.places.tolist()

    def function(rows: Any) -> Array:
        if isinstance(rows, list):
            return np.stack([rows[place] for place in places], axis=1).astype(np.float64, copy=False)
        return rows[:, places].astype(np.float64, copy=False)  # type: ignore[no-any-return]

    return function


def lookup(o: op.Lookup) -> Function:
    codes: dict[Any, int] = {key: code for code, key in enumerate(o.keys.tolist())}
    find, place, kind = codes.get, o.place, type(o.keys.tolist()[0])

    def odd(value: Any) -> int:
        code = -1
        if value is None:
            code = o.none
        elif isinstance(value, float) and value != value:
            code = o.missing
        elif type(value) is kind:
            code = o.unknown
            if code < 0:
                raise Unknown(f"unknown category {value!r:.80}")
        if code < 0:
            raise Unproven
        return code

    def function(rows: Any) -> Array:
        cells = (rows[place] if isinstance(rows, list) else rows[:, place]).tolist()
        found = [find(cell, -1) for cell in cells]
        if -1 in found:
            found = [odd(cells[i]) if code == -1 else code for i, code in enumerate(found)]
        return o.table.take(found, axis=0)

    return function


def join(o: op.Join) -> Function:
    order: Any = "F" if o.order == "F" else "C"
    if o.order == "stacked":
        return lambda *parts: np.hstack(parts)

    def function(*parts: Array) -> Array:
        out = np.empty((len(parts[0]), sum(part.shape[1] for part in parts)), order=order)
        at = 0
        for part in parts:
            out[:, at : at + part.shape[1]] = part
            at += part.shape[1]
        return out

    return function


def checked(o: op.Checked) -> Function:
    dtype = np.dtype(o.dtype) if o.dtype else None
    refuses = bool(o.nan or o.inf)

    def function(rows: Array) -> Array:
        if dtype is not None and rows.dtype != dtype:
            with np.errstate(over="ignore"):
                rows = rows.astype(dtype)
        if refuses and rows.dtype.kind == "f" and not math.isfinite(np.add.reduce(rows, axis=None)):
            if o.nan and np.isnan(rows).any():
                raise ValueError(o.nan)
            if o.inf and np.isinf(rows).any():
                raise ValueError(o.inf if dtype is not None else o.inf.replace("float64", rows.dtype.name))
        return rows

    return function


def fill(o: op.Fill) -> Function:
    def function(rows: Array) -> Array:
        missing = np.isnan(rows)
        if missing.any():
            rows = rows.copy(order="K")
            rows[missing] = o.values.take(np.nonzero(missing)[1])
        return rows

    return function


def missing(o: op.Missing) -> Function:
    return lambda rows: np.isnan(rows[:, o.places]).astype(np.float64)


def arithmetic(o: op.Arithmetic) -> Function:
    function, operand = getattr(np, o.function), o.operand
    return lambda rows: function(rows, operand)


def linear(o: op.Linear) -> Function:
    weights, intercept = o.weights.T if o.transposed else o.weights, o.intercept
    if o.sparse:
        return lambda rows: _one_by_one(rows, weights) + intercept
    return lambda rows: rows @ weights + intercept


def _one_by_one(rows: Array, weights: Array) -> Array:
    """The product of a sparse matrix: from zero on, one column after the other."""
    wide = weights if weights.ndim == 2 else weights[:, None]
    total = np.zeros((len(rows), wide.shape[1]))
    for column, weight in zip(rows.T, wide, strict=True):
        total += column[:, None] * weight
    return total if weights.ndim == 2 else total[:, 0]


# ---- trees -----------------------------------------------------------------------------------------------------------

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


def native_trees(o: op.Trees, width: int) -> Function:
    trees: Any = o
    forest: Any = native.forest(trees, width)

    def function(rows: Array) -> Array:
        out = np.tile(o.start, (len(rows), 1))
        forest.add(np.ascontiguousarray(rows, o.precision), out)
        return np.asfortranarray(out) if o.order == "F" else out

    return function


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


# ---- from scores to answers ------------------------------------------------------------------------------------------


EXPF: Any = ctypes.CDLL(None).expf
EXPF.argtypes, EXPF.restype = [ctypes.c_float], ctypes.c_float


def exp(values: Array) -> Array:
    """C's exp, as SciPy, xgboost and lightgbm have it, of float64 or float32: NumPy's own rounds differently."""
    found = native.exp(values)
    if found is None:
        one = EXPF if values.dtype == np.float32 else _exp
        found = np.array(list(map(one, values.ravel().tolist())), values.dtype).reshape(values.shape)
    return found


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def expit(scores: Array) -> Array:
    return 1.0 / (1.0 + exp(-scores))


def softmax(scores: Array) -> Array:
    scores = scores - np.max(scores, axis=1).reshape((-1, 1))
    np.exp(scores, out=scores)
    scores /= np.sum(scores, axis=1).reshape((-1, 1))
    return np.asarray(scores)


def two_columns(positive: Array) -> Array:
    out = np.empty((len(positive), 2), positive.dtype)
    out[:, 1] = positive.ravel()
    out[:, 0] = 1 - out[:, 1]
    return out


def normalized(values: Array) -> Array:
    total = np.sum(values, axis=1)[:, None]
    return np.asarray(np.divide(values, total, out=np.full_like(values, 1 / values.shape[1]), where=total != 0))


def at_most_one(proba: Array) -> Array:
    proba[(proba > 1.0) & (proba <= 1.0 + 1e-5)] = 1.0
    return proba


def softmax_double(scores: Array) -> Array:
    """As lightgbm's C++ has it: one after the other."""
    powers = exp(scores - scores.max(axis=1, keepdims=True))
    return powers / np.add.accumulate(powers, axis=1)[:, -1:]


def expit_single(scores: Array) -> Array:
    """As xgboost has it."""
    return np.float32(1) / (exp(np.minimum(-scores, np.float32(88.7))) + np.float32(1))


def softmax_single(scores: Array) -> Array:
    """As xgboost has it: the sum is one of double precision."""
    powers = exp(scores - scores.max(axis=1, keepdims=True))
    total = np.add.accumulate(powers, axis=1, dtype=np.float64)[:, -1:]
    return powers / total.astype(np.float32)


NAMED: dict[str, Function] = {
    "expit": expit,
    "half_logit": lambda scores: expit(2 * scores),
    "exp": np.exp,
    "exp1": np.expm1,
    "square": np.square,
    "softmax": softmax,
    "two_columns": two_columns,
    "normalized": normalized,
    "at_most_one": at_most_one,
    "outlier_score": lambda depths: -(2 ** (-depths)),
    "ravel": lambda scores: scores.ravel(),
    "expit_single": expit_single,
    "exp_single": exp,
    "softmax_single": softmax_single,
    "exp_double": exp,
    "softmax_double": softmax_double,
    "as_column": lambda scores: scores.reshape(-1, 1),
}


def columns(o: op.Columns) -> Function:
    if o.end == -1:
        return lambda rows: rows[:, o.first]
    return lambda rows: rows[:, o.first : o.end]


def average(o: op.Average) -> Function:
    weights = o.weights if len(o.weights) else None

    def function(*parts: Array) -> Array:
        if parts[0].ndim == 1:
            return np.asarray(np.average(np.asarray(parts).T, axis=1, weights=weights))
        return np.asarray(np.average(np.asarray(parts), axis=0, weights=weights))

    return function


def votes(o: op.Votes) -> Function:
    weights = o.weights.tolist() if len(o.weights) else None

    def function(*codes: Array) -> Array:
        out = np.zeros((len(codes[0]), o.classes))
        for one, weight in zip(codes, weights or [1.0] * len(codes), strict=True):
            out[np.arange(len(one)), one] += weight
        return out

    return function


CHOICES: dict[str, Function] = {
    "argmax": lambda scores: np.argmax(scores, axis=1),
    "positive": lambda scores: (scores.ravel() > 0).astype(np.intp),
    "not_negative": lambda scores: (scores.ravel() >= 0).astype(np.intp),
    "half": lambda scores: (scores.ravel() > 0.5).astype(np.intp),
}


def labels(o: op.Labels) -> Function:
    classes = o.classes
    if o.objects:
        classes = np.empty(len(o.classes), dtype=object)
        classes[:] = o.classes.tolist() if o.objects == "str" else list(o.classes)
    choose = CHOICES[o.rule]
    return lambda scores: classes.take(choose(scores))


FUNCTIONS: dict[type[op.Operation], Callable[[Any], Function]] = {
    op.Numbers: numbers,
    op.Lookup: lookup,
    op.Join: join,
    op.Checked: checked,
    op.Fill: fill,
    op.Missing: missing,
    op.Arithmetic: arithmetic,
    op.Trees: trees,
    op.Linear: linear,
    op.Function: lambda o: NAMED[o.name],
    op.Columns: columns,
    op.Average: average,
    op.Votes: votes,
    op.Interpolation: lambda o: lambda values: np.interp(np.clip(values, o.x[0], o.x[-1]), o.x, o.y),
    op.Labels: labels,
}
