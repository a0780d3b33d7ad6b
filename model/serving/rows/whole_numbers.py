"""Whole numbers keep their digits: float64 holds each of them only up to 2**53.

A column of them is int64 or uint64. With a missing value or a fraction among them it is float64, as pandas has it, but
objects (Python's own integers) where float64 would make another number of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .cells import LONGEST_NUMBER, WHOLE, checked, is_missing, number, numbers

EXACT = 2**53
"""From here on float64 does not hold every integer."""


def integers(cells: Sequence[Any], holds_missing: bool = False) -> Any:
    """The cells of a column of whole numbers. Raises Unfit for what is not a number.

    Where the column `holds_missing` values beside whole numbers, one that has some is an array of int and None, and a
    number that is not whole raises Unfit.
    """
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind in "iu":
            return cells
    elif (whole := _all_whole(cells)) is not None:
        return whole
    if holds_missing:
        values = np.empty(len(cells), dtype=object)
        for index, cell in enumerate(cells):
            values[index] = None if is_missing(cell) else checked(_exactly_whole, index, cell, "a whole number")
        return values
    floats = numbers(cells)
    if not isinstance(cells, np.ndarray) and need_objects(_whole(cell) for cell in cells if _is_whole(cell)):
        return objects([_whole(c) if _is_whole(c) else f for c, f in zip(cells, floats.tolist(), strict=True)])
    with np.errstate(invalid="ignore"):
        rounded = floats.astype(np.int64)
    return rounded if np.array_equal(rounded, floats) and np.abs(floats).max(initial=0) < EXACT else floats


def exact(cells: Sequence[Any]) -> np.ndarray:
    """Numbers as objects: int for what is written as a whole number, else float. Raises Unfit."""
    values = np.empty(len(cells), dtype=object)
    for index, cell in enumerate(cells):
        values[index] = checked(_exact, index, cell, "a number")
    return values


def _exact(cell: object) -> int | float:
    return _whole(cell) if _is_whole(cell) else number(cell)


def _exactly_whole(cell: object) -> int:
    """Also of 3.0, as a source writes it that has no whole numbers."""
    value = _exact(cell)
    if value != value // 1:
        raise ValueError("a whole number")
    return int(value)


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
    return type(cell) is int or isinstance(cell, np.integer)


def _whole(cell: Any) -> int:
    if _is_whole(cell):
        return int(cell)
    raise ValueError("a whole number")
