"""Cells of one column → one array of the kind and the dtype that the model was fitted on."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from . import casting, cells, dtypes, parsed, times, whole_numbers
from .guessing import guessed, kept
from .signature import Column, listed


def read(values: Sequence[Any], column: Column, typed: bool) -> Any:
    """`typed`: the source says what a value is. Raises Unfit for the first cell that does not fit."""
    array = READERS[column.kind](values, column, typed)
    if column.dtype is not None and column.kind != "category":
        array = casting.cast(array, column.dtype)
    return cells.with_none(array) if column.none else array


def _integers(values: Sequence[Any], column: Column, typed: bool) -> Any:
    if column.dtype == "object":
        return whole_numbers.exact(values)
    return whole_numbers.integers(values, dtypes.holds_missing(column.dtype))


def _any(values: Sequence[Any], column: Column, typed: bool) -> Any:
    """Objects stay what JSON says that they are: also whole numbers beside missing ones."""
    if typed and column.dtype == "object" and not isinstance(values, np.ndarray):
        return whole_numbers.objects([np.nan if value is None else value for value in values])
    return (kept if typed else guessed)(values)


def _categories(values: Sequence[Any], column: Column, typed: bool) -> Any:
    """A pandas Categorical with the model's categories. Where the model knows what to do with a value that is none of
    them, the column has that one too, and else the value is refused."""
    import pandas as pd

    if column.categories is None:
        return pd.Categorical(cells.texts(values, typed=typed), ordered=column.ordered)
    dtype, of_value = _category_dtype(column)
    array = read(values, of_value, typed)
    codes = dtype.categories.get_indexer(array) if of_value.kind != "any" else _codes(array, dtype.categories)
    strange = [i for i in np.flatnonzero(codes < 0).tolist() if not cells.is_missing(array[i])]
    if strange and column.closed:
        raise cells.Unfit(
            strange[0], values[strange[0]], f"one of the model's categories {listed(list(dtype.categories))}"
        )
    if strange:
        more = list(dict.fromkeys(array[i] for i in strange))
        dtype = pd.CategoricalDtype(dtype.categories.append(pd.Index(more)), ordered=column.ordered)
        codes = dtype.categories.get_indexer(array)
    return pd.Categorical.from_codes(codes, dtype=dtype)


@lru_cache(maxsize=256)
def _category_dtype(column: Column) -> tuple[Any, Column]:
    """The column's dtype, and what its values are read as."""
    import pandas as pd

    index = pd.Index(list(column.categories or ()), dtype=column.categories_dtype)
    known = [category for category in index if not cells.is_missing(category)]
    fitting = (k for k, types in KINDS_OF_CATEGORIES.items() if all(isinstance(c, types) for c in known))
    kind = next(fitting, "any")
    dtype = str(index.dtype) if kind in ("datetime", "duration") else "object" if kind == "integer" else None
    of_value = replace(column, kind=kind, dtype=dtype, categories_dtype=None, closed=False)
    return pd.CategoricalDtype(index, ordered=column.ordered), of_value


KINDS_OF_CATEGORIES: dict[str, Any] = {
    "text": str,
    "boolean": bool | np.bool_,
    "integer": int | np.integer,
    "number": int | float | np.number,
    "datetime": datetime.datetime | np.datetime64,
    "duration": datetime.timedelta | np.timedelta64,
}
"""The first whose types all categories have."""


def _codes(array: Any, known: Any) -> np.ndarray:
    """Categories of several types: a text that is none of them is the one that is written so, as CSV has it."""
    places = {category: place for place, category in enumerate(known)}
    written = {str(category): place for category, place in places.items()}
    found = [places.get(v, written.get(v, -1) if isinstance(v, str) else -1) for v in array]
    return np.array(found, dtype=np.intp)


READERS: dict[str, Any] = {
    "number": lambda values, column, typed: (whole_numbers.exact if column.dtype == "object" else cells.numbers)(
        values
    ),
    "integer": _integers,
    "boolean": lambda values, column, typed: cells.booleans(values),
    "text": lambda values, column, typed: cells.texts(values, column.categories, typed),
    "category": _categories,
    "datetime": lambda values, column, typed: times.datetimes(values, column.dtype),
    "numbers": lambda values, column, typed: cells.lists_of_numbers(values),
    **dict.fromkeys(parsed.MAKERS, lambda values, column, typed: parsed.parsed(values, column)),
    "any": _any,
}
