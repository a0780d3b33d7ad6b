"""Computes a program with NumPy alone, in the estimator's own order of operations: the same bits.

`evaluator` turns a node into a function of rows: a matrix, or a list of columns (object arrays for texts). A ValueError
is the estimator's own complaint about rows; Unproven hands rows back that only the estimator itself may judge.
Answers are new arrays; rows are never changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import answers, native, trees, walks
from . import operations as op
from .links import NAMED
from .operations import Array
from .program import Node, Program, in_order, width_of


class Unproven(Exception):
    """Rows of a kind that the program was not proven on."""


class Unknown(Unproven):
    """A category that an encoder refuses: the estimator itself says it in its own words."""


Function = Callable[..., Any]


def evaluators(
    program: Program, natively: bool, estimator: Callable[[], Any] | None = None
) -> dict[str, Callable[[Any], Any]]:
    """For each method of the program; what they have in common is made once. `estimator`: gives the live one, which
    only a partial program asks for."""
    made: dict[int, Function] = {}
    return {name: evaluator(node, natively, made, estimator) for name, node in program.methods.items()}


def evaluator(
    node: Node,
    natively: bool = True,
    made: dict[int, Function] | None = None,
    estimator: Callable[[], Any] | None = None,
) -> Callable[[Any], Any]:
    """Rows -> the node's value. `natively`: with native.c where it is built. `made`: functions of nodes so far."""
    nodes, made = in_order([node]), {} if made is None else made
    places = {id(one): place for place, one in enumerate(nodes)}
    for one in nodes[1:]:
        if id(one) not in made:
            made[id(one)] = _function(one, natively and native.available, estimator)
    calls = [(made[id(one)], [places[id(before)] for before in one.inputs]) for one in nodes[1:]]
    if all(inputs == [place] for place, (_, inputs) in enumerate(calls)):
        return _chain([call for call, _ in calls])

    def evaluate(rows: Any) -> Any:
        values = [rows]
        for call, inputs in calls:
            values.append(call(*[values[place] for place in inputs]))
        return values[-1]

    return evaluate


def _function(node: Node, natively: bool, estimator: Callable[[], Any] | None) -> Function:
    operation = node.operation
    if isinstance(operation, op.Live):
        return live(operation, estimator)
    if natively and isinstance(operation, trees.Trees):
        return walks.native_trees(operation, width_of(node.inputs[0]))
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


def live(o: op.Live, estimator: Callable[[], Any] | None) -> Function:
    def function(rows: Array) -> Any:
        assert estimator is not None
        *steps, final = [step for _, step in estimator().steps[o.first :] if step not in (None, "passthrough")]
        for step in steps:
            rows = step.transform(rows)
        return getattr(final, o.method)(rows)

    return function


# ---- from scores to answers ------------------------------------------------------------------------------------------


def columns(o: answers.Columns) -> Function:
    if o.end == -1:
        return lambda rows: rows[:, o.first]
    return lambda rows: rows[:, o.first : o.end]


def average(o: answers.Average) -> Function:
    weights = o.weights if len(o.weights) else None

    def function(*parts: Array) -> Array:
        if parts[0].ndim == 1:
            return np.asarray(np.average(np.asarray(parts).T, axis=1, weights=weights))
        return np.asarray(np.average(np.asarray(parts), axis=0, weights=weights))

    return function


def votes(o: answers.Votes) -> Function:
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


def labels(o: answers.Labels) -> Function:
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
    trees.Trees: walks.trees,
    op.Linear: linear,
    answers.Function: lambda o: NAMED[o.name],
    answers.Columns: columns,
    answers.Average: average,
    answers.Votes: votes,
    answers.Interpolation: lambda o: lambda values: np.interp(np.clip(values, o.x[0], o.x[-1]), o.x, o.y),
    answers.Labels: labels,
}
