"""Pipelines: shortcuts for the steps, then the model's own fast path.

A step without a shortcut is called as it is, and the model at the end too: it still pays when the steps before do.
Rows that one part refuses go back to the pipeline as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .fast_columns import COLUMN_TRANSFORMER, column_transformer
from .fast_recipes import Admission, Array, Declined, Evaluator, NumericRows, Recipe, names_of
from .fast_steps import Step, kind_of, known, likely_values, must_be_plain, steps_of


def _known_or_own(step: Any) -> Step:
    try:
        return known(step)
    except Declined:
        must_be_plain(step)
        return step.transform  # type: ignore[no-any-return]


def pipeline(model: Any, recipe_for: Callable[[Any], Recipe]) -> Recipe:
    *steps, final = steps_of(model)
    if model.steps[-1][1] is not final or not steps:
        raise Declined("a pipeline without steps before its model")
    rows: Admission
    watched = [(model, "steps")]
    if kind_of(steps[0]) == COLUMN_TRANSFORMER:
        must_be_plain(steps[0])
        rows, first, sparse = column_transformer(steps[0])
        watched.append((steps[0], "transformers_"))
    else:
        first, sparse = known(steps[0]), None
        hints, accepted = _numeric_hints(steps[0]), frozenset(map(np.dtype, ("float64", "int64")))
        rows = NumericRows(int(steps[0].n_features_in_), names_of(steps[0]), hints=hints, accepted=accepted)
    chain = [first, *map(_known_or_own, steps[1:])]
    try:
        last = recipe_for(final)
    except Declined:
        last = None
    if sparse is not None and len(steps) > 1:
        raise Declined("a sparse matrix between the steps")
    finish = _finish(final, last, sparse)
    methods = {name: _composed(chain, finish, name) for name in METHODS if hasattr(model, name)}
    watched.extend(last.watched if last else ())
    return Recipe(model, rows, methods, watched, [last] if last else [])


METHODS = ("predict", "predict_proba", "decision_function")


def _numeric_hints(step: Any) -> list[Array]:
    rng = np.random.default_rng(0)
    return [
        centre + spread * rng.standard_normal(50) for centre, spread in likely_values([step], int(step.n_features_in_))
    ]


def _composed(chain: list[Step], finish: Callable[[str, Any], Any], name: str) -> Evaluator:
    def evaluate(rows: Any) -> Any:
        for transform in chain:
            rows = transform(rows)
            if rows is NotImplemented:
                return NotImplemented
        return finish(name, rows)

    return evaluate


def _finish(final: Any, last: Recipe | None, sparse: Any) -> Callable[[str, Any], Any]:
    """(method, transformed rows) -> the model's answer. `sparse`: the class of matrix that the model was fitted on."""
    numeric = last.rows if last is not None and isinstance(last.rows, NumericRows) else None

    def finish(name: str, rows: Any) -> Any:
        if last is None or name not in last.methods or (sparse is not None and numeric is None):
            return getattr(final, name)(rows if sparse is None else sparse(rows))
        admitted = last.rows.admit(rows)
        if admitted is None:
            return NotImplemented
        # a tree finds the same leaf in a dense matrix, but a sparse product adds in another order than a dense one
        as_fitted = sparse is not None and numeric is not None and numeric.dtype is None
        return last.methods[name](sparse(admitted) if as_fitted else admitted)

    return finish
