"""ColumnTransformer and encoders: which columns stay numbers, and what each encoder makes of each value.

An encoder is asked for its answer to every category that it knows, to one that it does not know, to NaN and to None;
what it refused is not in the table, and rows that need it go to the estimator itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..operations import Array, Join, Lookup, Numbers
from ..program import Node
from .reading import Declined, Reading, kind_of, whole
from .steps import IMPUTER, must_be_plain, steps_of

MOST_COLUMNS = 2000
"""Wider one-hot matrices are left to scikit-learn's sparse ones."""
UNSEEN = "\x01unseen"


def column_transformer(step: Any, rows: Node, reading: Reading) -> Node:
    parts: list[Node] = []
    example: dict[int, Any] = {}
    for name, chain, _ in step.transformers_:
        places = np.arange(step.n_features_in_)[step._transformer_to_input_indices[name]]
        if not len(places) or (isinstance(chain, str) and chain == "drop"):
            continue
        inner = [] if isinstance(chain, str) else steps_of(chain)
        if any(kind_of(part) in TRANSFORMERS and kind_of(part) != COLUMN_TRANSFORMER for part in inner):
            lookups = _lookups(chain, places.tolist())
            parts += [rows.then(lookup) for lookup in lookups]
            example.update({lookup.place: lookup.keys.tolist()[0] for lookup in lookups})
        else:
            numbers = rows.then(Numbers(places.astype(np.int64)))
            for part in inner:
                numbers = reading.transformed(part, numbers)
            parts.append(numbers)
    return Node(Join(_layout(step, example)), tuple(parts))


def _layout(step: Any, example: dict[int, Any]) -> str:
    """How its answers lie in memory, which it is asked."""
    cells = {place: [example.get(place, 0.5)] * 3 for place in range(step.n_features_in_)}
    like = step.transform(_table(getattr(step, "feature_names_in_", None), cells))
    if like.shape[1] > MOST_COLUMNS:
        raise Declined(f"{like.shape[1]} columns after encoding")
    if hasattr(like, "tocsr"):
        return "sparse"
    return "F" if like.flags.f_contiguous and not like.flags.c_contiguous else "C"


def _table(names: Sequence[Any] | None, cells: dict[int, list[Any]]) -> Any:
    """A DataFrame or an array, as the estimator was fitted on."""
    if names is None:
        texts = any(isinstance(column[0], str) for column in cells.values())
        return np.array([*zip(*cells.values(), strict=True)], dtype=object if texts else np.float64)
    import pandas

    def series(column: list[Any]) -> Any:
        return pandas.Series(column, dtype=object if any(isinstance(value, str) for value in column) else None)

    return pandas.DataFrame({name: series(column) for name, column in zip(names, cells.values(), strict=True)})


def encoder(step: Any, rows: Node, reading: Reading) -> Node:
    """An encoder of all columns."""
    sparse = getattr(step, "sparse_output", False)
    parts = [rows.then(lookup) for lookup in _lookups(step, list(range(step.n_features_in_)))]
    return Node(Join("sparse" if sparse else "C"), tuple(parts))


def _lookups(chain: Any, places: Sequence[int]) -> list[Lookup]:
    steps = steps_of(chain)
    last = steps[-1]
    for step in steps:
        must_be_plain(step)
    if len(steps) > 2 or (len(steps) == 2 and (kind_of(steps[0]) != IMPUTER or steps[0].add_indicator)):
        raise Declined("an encoder behind other steps than an imputer")
    if np.dtype(last.dtype) != np.float64:
        raise Declined("an encoder that does not give float64")
    pools = [[value for value in pool.tolist() if value == value and value is not None] for pool in last.categories_]
    if not all(pools) or any(len({type(v) for v in pool}) > 1 or isinstance(pool[0], bool) for pool in pools):
        raise Declined("categories of mixed types")
    widths = last._n_features_outs if hasattr(last, "_n_features_outs") else [1] * len(pools)
    ends = np.cumsum([0, *widths])
    return [
        _lookup(chain, pools, number, place, slice(ends[number], ends[number + 1]))
        for number, place in enumerate(places)
    ]


def _lookup(chain: Any, pools: list[list[Any]], number: int, place: int, mine: slice) -> Lookup:
    pool = pools[number]
    table = _asked(chain, pools, number, pool)
    if table is None:
        raise Declined("an encoder that refuses its own categories")
    text = isinstance(pool[0], str)
    odd: list[list[Any]] = [[UNSEEN if text else max(pool) + 1], [np.nan], [None]]
    answers = [_asked(chain, pools, number, values) if text or values != [None] else None for values in odd]
    rows, codes = [table[:, mine]], []
    for answer in answers:
        codes.append(-1 if answer is None else sum(map(len, rows)))
        rows += [] if answer is None else [answer[:, mine]]
    return Lookup(int(place), whole(np.array(pool, dtype=object if text else None)), np.concatenate(rows), *codes)


def _asked(chain: Any, pools: list[list[Any]], number: int, values: list[Any]) -> Array | None:
    """The chain's answer to `values` in one column, with known categories in the others; None if it objects."""
    cells = {i: values if i == number else [pool[0]] * len(values) for i, pool in enumerate(pools)}
    texts = any(isinstance(pool[0], str) for pool in pools)
    names = getattr(chain, "feature_names_in_", None)
    if names is None and texts != all(isinstance(pool[0], str) for pool in pools):
        raise Declined("an array of texts and numbers")
    table = _table(names, cells)
    if names is not None and isinstance(pools[number][0], str):
        table[names[number]] = table[names[number]].astype(object)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = chain.transform(table)
    except (ValueError, TypeError):
        return None
    return np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer, dtype=np.float64)


COLUMN_TRANSFORMER = ("sklearn.compose._column_transformer", "ColumnTransformer")
TRANSFORMERS = {
    COLUMN_TRANSFORMER: column_transformer,
    ("sklearn.preprocessing._encoders", "OneHotEncoder"): encoder,
    ("sklearn.preprocessing._encoders", "OrdinalEncoder"): encoder,
}
