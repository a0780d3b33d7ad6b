"""Whole numbers keep their digits: float64 holds each of them only up to 2**53.

A column of them is int64 or uint64. With a missing value or a fraction among them it is float64, as pandas has it, but
objects (Python's own integers) where float64 would make another number of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .cells import LONGEST_NUMBER, WHOLE, is_missing, numbers

EXACT = 2**53
"""From here on float64 does not hold every integer."""


def integers(cells: Sequence[Any], dtype: str | None = None) -> Any:
    """The cells of a column of whole numbers. Raises Unfit for what is not a number.

    pandas' own Int64 and the like hold missing values beside whole numbers.
    """
    if dtype is not None and dtype[:1].isupper():
        import pandas as pd

        try:
            values = [None if is_missing(cell) else _whole(cell) for cell in cells]
            return pd.Series(values, dtype=dtype).array
        except (ValueError, OverflowError, TypeError):
            pass
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind in "iu":
            return cells
    elif (whole := _all_whole(cells)) is not None:
        return whole
    floats = numbers(cells)
    if not isinstance(cells, np.ndarray) and need_objects(_whole(cell) for cell in cells if _is_whole(cell)):
        return objects([_whole(c) if _is_whole(c) else f for c, f in zip(cells, floats.tolist(), strict=True)])
    with np.errstate(invalid="ignore"):
        rounded = floats.astype(np.int64)
    return rounded if np.array_equal(rounded, floats) and np.abs(floats).max(initial=0) < EXACT else floats


def fitting(values: Sequence[int]) -> np.ndarray | None:
    """As int64, else as uint64; None if there is a value that fits neither."""
    for dtype in (np.int64, np.uint64):
        try:
            return np.array(values, dtype=dtype)
        except OverflowError:
            continue
    return None


def need_objects(values: Iterable[int]) -> bool:
    """Whether one of them may lose digits in float64."""
    return any(not -EXACT <= value <= EXACT for value in values)


def objects(cells: Sequence[Any]) -> np.ndarray:
    """As they are."""
    values = np.empty(len(cells), dtype=object)
    values[:] = list(cells)
    return values


def _all_whole(cells: Sequence[Any]) -> np.ndarray | None:
    try:
        values = [_whole(cell) for cell in cells]
    except ValueError:
        return None
    found = fitting(values)
    return found if found is not None else objects(values)


def _is_whole(cell: object) -> bool:
    if isinstance(cell, str):
        return len(cell) <= LONGEST_NUMBER and bool(WHOLE.fullmatch(cell))
    return type(cell) is int


def _whole(cell: Any) -> int:
    if _is_whole(cell):
        return int(cell)
    raise ValueError("a whole number")
