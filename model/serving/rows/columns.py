"""Cells of one column → one array of the kind and the dtype that the model was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import cells
from .guessing import guessed, kept
from .signature import Column


def read(values: Sequence[Any], column: Column, typed: bool) -> Any:
    """`typed`: the source says what a value is. Raises Unfit for the first cell that does not fit."""
    array = READERS[column.kind](values, column, typed)
    if column.dtype is not None and str(array.dtype) != column.dtype:
        array = _cast(array, column.dtype)
    return cells.with_none(array) if column.none else array


def _cast(array: Any, dtype: str) -> Any:
    """To the dtype of the sample; where a value has no place in it (a missing integer), what pandas gives stays."""
    if dtype.startswith(("int", "uint")) and array.dtype.kind in "iuf":
        if array.dtype.kind == "f":
            return array
        limits = np.iinfo(dtype)
        for index in np.flatnonzero((array < limits.min) | (array > limits.max)):
            raise cells.Unfit(int(index), int(array[index]), f"a whole number from {limits.min} to {limits.max}")
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


READERS: dict[str, Any] = {
    "number": lambda values, column, typed: cells.numbers(values),
    "integer": lambda values, column, typed: cells.integers(values, column.dtype),
    "boolean": lambda values, column, typed: cells.booleans(values),
    "text": lambda values, column, typed: cells.texts(values, column.categories, typed),
    "category": lambda values, column, typed: cells.categories(values, column, typed),
    "datetime": lambda values, column, typed: cells.datetimes(values, column.dtype),
    "any": lambda values, column, typed: (kept if typed else guessed)(values),
}
