"""Cells of one column → one array of the kind and the dtype that the model was fitted on."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import cells, times
from .guessing import guessed, kept
from .signature import Column, listed
from .whole_numbers import integers


def read(values: Sequence[Any], column: Column, typed: bool) -> Any:
    """`typed`: the source says what a value is. Raises Unfit for the first cell that does not fit."""
    array = READERS[column.kind](values, column, typed)
    if column.dtype is not None and str(array.dtype) != column.dtype:
        array = _cast(array, column.dtype)
    return cells.with_none(array) if column.none else array


def _cast(array: Any, dtype: str) -> Any:
    """To the dtype of the sample; where a value has no place in it (a missing integer), what pandas gives stays."""
    if dtype.startswith(("int", "uint")) and array.dtype.kind in "iufO":
        limits = np.iinfo(dtype)
        with np.errstate(invalid="ignore"):
            outside = np.flatnonzero((array < limits.min) | (array > limits.max))
        for index in outside:
            got = array[index : index + 1].tolist()[0]
            raise cells.Unfit(int(index), got, f"a whole number from {limits.min} to {limits.max}")
        if array.dtype.kind == "f":
            return array
    try:
        if is_nullable(dtype):
            import pandas as pd

            return pd.array(array, dtype=dtype)
        return array.astype(dtype)
    except (ValueError, TypeError):
        return array


def is_nullable(dtype: str) -> bool:
    """pandas' own dtypes, which hold a missing value beside whole numbers, truth values and texts."""
    return dtype[:1].isupper() or dtype.startswith(("boolean", "string")) or dtype.endswith("[pyarrow]")


def _categories(values: Sequence[Any], column: Column, typed: bool) -> Any:
    """A pandas Categorical with the model's categories. A value that is none of them is missing, as pandas has it,
    unless the model would refuse it."""
    import pandas as pd

    known = list(column.categories or ())
    if known and all(isinstance(c, bool | np.bool_) for c in known):
        array: Any = cells.booleans(values)
    elif known and all(isinstance(c, int | float | np.number) for c in known):
        array = cells.numbers(values)
    elif known and all(isinstance(c, datetime.datetime) for c in known):
        array = times.datetimes(values, str(pd.Index(known).dtype))
    else:
        array = cells.texts(values, known, typed)
    if not known:
        return pd.Categorical(array, ordered=column.ordered)
    dtype = pd.CategoricalDtype(known, ordered=column.ordered)
    codes = dtype.categories.get_indexer(array)
    if column.closed and len(strange := np.flatnonzero((codes < 0) & ~pd.isna(array))):
        raise cells.Unfit(int(strange[0]), array[strange[0]], f"one of the model's categories {listed(known)}")
    return pd.Categorical.from_codes(codes, dtype=dtype)


READERS: dict[str, Any] = {
    "number": lambda values, column, typed: cells.numbers(values),
    "integer": lambda values, column, typed: integers(values, column.dtype),
    "boolean": lambda values, column, typed: cells.booleans(values),
    "text": lambda values, column, typed: cells.texts(values, column.categories, typed),
    "category": _categories,
    "datetime": lambda values, column, typed: times.datetimes(values, column.dtype),
    "any": lambda values, column, typed: (kept if typed else guessed)(values),
}
