"""A column that the model says nothing about.

CSV is guessed as pandas.read_csv guesses. JSON, Parquet and NumPy say what a value is and are taken at their word: a
text stays a text, an integer an integer, and a column of nulls is not one of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from .cells import LONGEST_NUMBER, NA_WORDS, TRUTH, WHOLE, Unfit, booleans, is_number, numbers, texts
from .whole_numbers import fitting, need_objects, objects


class Present:
    """The cells that are not missing, each time anew: a list of them would be as large as the column."""

    def __init__(self, cells: Sequence[str]) -> None:
        self._cells = cells

    def __iter__(self) -> Iterator[str]:
        return (cell for cell in self._cells if cell not in NA_WORDS)


def guessed(cells: Sequence[str]) -> np.ndarray:
    """Cells of CSV: int64, uint64, float64, bool or texts, as read_csv infers; a missing value is NaN."""
    if isinstance(cells, np.ndarray):  # the model does not use it, and the request does not have it
        return cells
    first = next((cell for cell in cells if cell not in NA_WORDS), None)
    if first is None:
        return np.full(len(cells), np.nan)
    if not is_number(first) and first.strip() not in TRUTH:
        return texts(cells)
    present = Present(cells)
    if all(len(cell) <= LONGEST_NUMBER and WHOLE.fullmatch(cell) for cell in present):
        return _whole([None if cell in NA_WORDS else int(cell) for cell in cells], cells)
    if all(cell in TRUTH for cell in present):
        return booleans(cells)
    if not any(cell.strip() in TRUTH for cell in present):
        try:
            return numbers(cells)
        except Unfit:
            pass
    return texts(cells)


def _whole(values: list[int | None], cells: Sequence[str]) -> np.ndarray:
    """As read_csv has whole numbers: beyond 64 bits they are Python's integers. Where one is negative and another needs
    all 64 bits, they are texts."""
    present = [value for value in values if value is not None]
    found = fitting(present)
    if found is not None and len(present) == len(values):
        return found
    if found is not None and found.dtype == np.int64:
        return numbers(cells)
    if min(present) < 0 and max(present) < 2**64:
        return texts(cells)
    return objects([np.nan if value is None else value for value in values])


def kept(cells: Sequence[Any]) -> Any:
    """Values of a source that has types, in the dtype that pandas.DataFrame gives them; where float64 would change an
    integer, as they are."""
    if hasattr(cells, "dtype") and cells.dtype != object:
        return cells
    types = {type(cell) for cell in cells}
    present = types - {type(None)}
    if present == {bool}:
        return booleans(cells)
    if types == {int}:
        whole = fitting(cells)
        return whole if whole is not None else objects(cells)
    if present and present <= {int, float, Decimal}:
        if int in present and need_objects(cell for cell in cells if type(cell) is int):
            return objects([np.nan if cell is None else cell for cell in cells])
        return numbers(cells)
    return texts(cells, typed=True) if present == {str} else objects(cells)


def as_numbers(arrays: list[Any]) -> np.ndarray | None:
    """The columns as one array, if all are numbers or missing, and none loses digits beside floats."""
    columns = [np.full(len(a), np.nan) if _all_missing(a) else a for a in arrays]
    if not all(isinstance(a, np.ndarray) and a.dtype.kind in "fiu" for a in columns):
        return None
    stacked = np.column_stack(columns)
    if stacked.dtype.kind == "f" and any(_beyond(a) for a in columns):
        return None
    return stacked


def _all_missing(array: Any) -> bool:
    return array.dtype == object and all(value is None for value in array)


def _beyond(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu" and bool(len(array)) and need_objects((int(array.min()), int(array.max())))
