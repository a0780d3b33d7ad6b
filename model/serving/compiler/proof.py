"""Proves that a program answers as the estimator does: to the last bit, errors included, or it is not used.

Rows are made up from the program: at thresholds and one bit beside them, at extremes, with missing and unseen values,
in several sizes, types and layouts; the sample's rows come on top. Both evaluators are proven, NumPy's and native.c.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from . import native
from .admission import Admission
from .evaluate import Unproven, evaluators
from .operations import Arithmetic, Array, Checked, Fill, Join, Linear, Live, Lookup, Numbers, Rows
from .program import Node, Program
from .trees import Trees

SIZES = (1, 2, 3, 7, 64, 201)
"""Rows of the proof's batches."""
DTYPES = ("float64", "float32", "int64")


class Differs(Exception):
    """The program and the estimator do not give the same: the message says where."""


@dataclass(frozen=True)
class Proven:
    """`dtypes`: those of matrices for which it holds; `natively`: whether it holds for native.c."""

    dtypes: tuple[str, ...]
    natively: bool


def prove(model: Any, program: Program, samples: Iterable[Any] = ()) -> Proven:
    """Raises Differs at the first bit that differs in plain numbers."""
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(_one_job())
        stack.enter_context(_one_thread())
        batches = list(examples(program))
        given = list(samples)
        natively = native.available
        _compare(model, program, [*batches, *given], "float64", (False, True) if natively else (False,))
        dtypes = ["float64"]
        for dtype in DTYPES[1:] if not program.texts() else ():
            try:
                _compare(model, program, [_as(batch, dtype) for batch in batches], dtype, (natively,))
                dtypes.append(dtype)
            except Differs:
                continue
    return Proven(tuple(dtypes), natively)


def _one_job() -> Any:
    """A forest with n_jobs adds its trees in the order its threads finish; the proof needs the order of one job."""
    import joblib

    return joblib.parallel_config(backend="sequential")


def _one_thread() -> Any:
    """Teams of OpenMP's threads cost more than they give on small batches, and much more on a machine that is busy."""
    import threadpoolctl

    return threadpoolctl.threadpool_limits(1, user_api="openmp")


def _as(batch: Any, dtype: str) -> Any:
    if dtype != "int64":
        return batch.astype(dtype)
    whole = np.rint(np.clip(np.nan_to_num(np.asarray(batch)), -1e9, 1e9)).astype(dtype)
    return whole if isinstance(batch, np.ndarray) else type(batch)(whole, columns=batch.columns)


def _compare(model: Any, program: Program, batches: Sequence[Any], dtype: str, ways: Sequence[bool]) -> None:
    """`ways`: with native.c or without, or both. The estimator itself, which is slower, is asked once for all ways."""
    admission = Admission(program, (dtype,))
    made = [evaluators(program, natively, lambda: model) for natively in ways]
    for name in program.methods:
        answered = [0] * len(made)
        for rows in batches:
            admitted = admission.rows(rows)
            if admitted is None:
                continue
            own = cache(partial(outcome, getattr(model, name), rows))
            for way, evaluate in enumerate(each[name] for each in made):
                try:
                    answer = evaluate(admitted)
                except Unproven:
                    continue
                except ValueError as exc:
                    answer = ["ValueError", str(exc)]
                answered[way] += 1
                if not same_bits(answer, own()):
                    raise Differs(f"{type(model).__qualname__}.{name} differs on {len(rows)} rows of {dtype}")
        if not all(answered):
            raise Differs(f"{type(model).__qualname__}.{name} takes none of the rows that were made up")


def outcome(function: Callable[[Any], Any], rows: Any) -> Any:
    """What it returns, or the type and the words of what it raises."""
    try:
        return function(rows)
    except Exception as exc:  # noqa: BLE001 - a model may raise anything, and the program must raise the same
        return [type(exc).__qualname__, str(exc)]


def same_bits(one: Any, other: Any) -> bool:
    """True for arrays of one type, shape and content, signs of zero and NaN included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, str):
        return bool(one == other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if not isinstance(one, np.ndarray) or one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.hasobject:
        return bool(np.array_equal(one, other)) and [*map(type, one.flat)] == [*map(type, other.flat)]
    return bool(one.tobytes() == other.tobytes())


# ---- rows that are made up -------------------------------------------------------------------------------------------


def examples(program: Program, seed: int = 0) -> Iterator[Any]:
    """Batches in the form that the estimator was fitted on."""
    rng = np.random.default_rng(seed)
    near = hints(program)
    for size in SIZES:
        for missing in (0.0, 0.05):
            yield _dressed(program, _drawn(rng, size, program.count, near, missing), rng, odd=missing)
    matrix = _drawn(rng, 7, program.count, near, 0.0)
    yield _dressed(program, np.asfortranarray(matrix), rng)
    yield _dressed(program, _drawn(rng, 14, program.count, near, 0.0)[::2], rng)
    extremes = [0.0, -0.0, 1e-300, 1e30, -1e30, 1e300]
    for more in ([], [np.inf, -np.inf], [np.nan], [np.nan, np.inf]):
        for size in (1, 7):
            yield _dressed(program, rng.choice([*extremes, *more], size=(size, program.count)), rng)


def _dressed(program: Program, matrix: Array, rng: np.random.Generator, odd: float = 0.0) -> Any:
    lookups = {n.operation.place: n.operation for n in program.nodes() if isinstance(n.operation, Lookup)}
    for place, lookup in lookups.items():
        if lookup.keys.dtype.kind != "U":
            matrix[:, place] = rng.choice([*lookup.keys, *[lookup.keys.max() + 1, np.nan] * bool(odd)], len(matrix))
    if program.names is None and not program.texts():
        return matrix
    import pandas

    frame = pandas.DataFrame(matrix, columns=list(program.names or ()))
    for place in sorted(program.texts()):
        keys = lookups[place].keys.tolist()
        cells = [keys[i] for i in rng.integers(0, len(keys), len(matrix))]
        for row in np.flatnonzero(rng.random(len(matrix)) < 4 * odd):
            cells[row] = ["\x01unseen", np.nan, None][rng.integers(3)]
        if rng.integers(3) == 0:  # what is not a category cannot stand in such a column
            series = pandas.Series(pandas.Categorical([cell if cell in keys else np.nan for cell in cells], keys))
        else:
            series = pandas.Series(cells, dtype=[object, None][int(rng.integers(2))])
        frame[frame.columns[place]] = series
    return frame


def _drawn(rng: np.random.Generator, size: int, count: int, near: dict[int, Array], missing: float) -> Array:
    """Around the hints, on both sides of each to one unit in the last place, as float32 and as float64."""
    matrix = rng.standard_normal((size, count)) * 10.0 ** rng.integers(-2, 4, (size, 1))
    for column, values in near.items():
        chosen = rng.choice(values, size)
        spread = np.std(values) or float(abs(values[0])) or 1.0
        single = chosen.astype(np.float32)
        matrix[:, column] = np.select(
            [rng.random(size) < p for p in (0.4, 0.25, 0.33, 0.5)],
            [
                chosen + spread * rng.standard_normal(size),
                chosen,
                np.nextafter(single, np.float32(np.inf)).astype(np.float64),
                np.nextafter(chosen, [-np.inf, np.inf][int(rng.integers(2))]),
            ],
            np.nextafter(single, np.float32(-np.inf)).astype(np.float64),
        )
    matrix[rng.random(matrix.shape) < missing] = np.nan
    return matrix


def hints(program: Program) -> dict[int, Array]:
    """Column -> values worth trying: thresholds, and what scalers have seen, led back to where rows come in."""
    rng = np.random.default_rng(1)
    found: dict[int, list[Array]] = {}

    def lead(node: Node, column: int, values: Array) -> None:
        operation = node.operation
        if isinstance(operation, Rows):
            found.setdefault(column, []).append(values[np.isfinite(values)])
        elif isinstance(operation, Numbers):
            lead(node.inputs[0], int(operation.places[column]), values)
        elif isinstance(operation, Join):
            for before in node.inputs:
                wide = width(before)
                if column < wide:
                    return lead(before, column, values)
                column -= wide
        elif isinstance(operation, Arithmetic):
            lead(node.inputs[0], column, _undone(operation, column, values))
        elif isinstance(operation, Checked | Fill):
            lead(node.inputs[0], column, values)
        return None

    widths: dict[int, int] = {}

    def width(node: Node) -> int:
        if id(node) not in widths:
            widths[id(node)] = node.operation.width(*map(width, node.inputs))
        return widths[id(node)]

    for node in program.nodes():
        if isinstance(node.operation, Trees):
            feature, threshold = node.operation.feature & 0xFFFFFF, node.operation.threshold
            inner = np.isfinite(threshold)
            for column in np.unique(feature[inner]).tolist():
                lead(node.inputs[0], column, threshold[inner & (feature == column)])
        elif isinstance(node.operation, Linear | Live):
            for column in range(width(node.inputs[0])):
                lead(node.inputs[0], column, rng.standard_normal(50))
    return {column: joined for column, values in found.items() if len(joined := np.concatenate(values))}


def _undone(operation: Arithmetic, column: int, values: Array) -> Array:
    operand = operation.operand[column] if operation.operand.ndim else operation.operand
    inverse = {"subtract": np.add, "add": np.subtract, "multiply": np.divide, "divide": np.multiply}
    with np.errstate(all="ignore"):
        return np.asarray(inverse[operation.function](values, operand)) if operation.function in inverse else values
