"""One column of cells → one array. The grammar is pandas.read_csv's; the dtype is what the model was fitted on.

Numbers are rounded correctly (as float() does), so a float that was written with repr() comes back bit for bit.
A cell that does not fit raises Unfit with its position; the caller adds the row and the column's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from ..wording import quoted

NA_WORDS = frozenset(
    [
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"),
        *("NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)
"""What pandas.read_csv takes for a missing value."""

TRUTH = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
NUMBER = re.compile(r"[ \t]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?[ \t]*", re.ASCII)
WHOLE = re.compile(r"[ \t]*[+-]?\d+[ \t]*", re.ASCII)
INFINITY = re.compile(r"[ \t]*[+-]?inf(inity)?[ \t]*", re.ASCII | re.IGNORECASE)
LONGEST_NUMBER = 1000
"""Characters; float() on megabytes of digits would hold the worker."""

NUMBER_BYTES = b"0123456789+-.eE, "
MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])")


class Unfit(Exception):
    """The cell at `index` is not what its column holds."""

    def __init__(self, index: int, got: object, expected: str) -> None:
        got = got.item() if isinstance(got, np.generic) else got
        super().__init__(f"expected {expected}, got {quoted(got)}")
        self.index, self.got, self.expected = index, got, expected


def plain_numbers(line: bytes) -> list[float] | None:
    """The comma-separated cells of a line, if each is a plain JSON number or empty (that becomes None). Else None, and
    `number` has to read them.

    orjson reads a thousand cells in the time that float() takes for two hundred, but it knows `true`, strings and
    lists (kept out by the alphabet) and reads -0 as the integer 0. `line` has no line breaks.
    """
    if line.translate(None, NUMBER_BYTES):
        return None
    if b"-0," in line or b"-0 " in line or line[-2:] == b"-0":
        line = MINUS_ZERO.sub(b"-0.0", line)
    if b",," in line or line[:1] == b"," or line[-1:] == b",":
        line = (b"," + line + b",").replace(b",,", b",null,").replace(b",,", b",null,")[1:-1]
    try:
        cells: list[float] = orjson.loads(b"[" + line + b"]")
    except orjson.JSONDecodeError:
        return None
    return cells


def number(cell: object) -> float:
    """One cell as a float. A missing value is NaN; True is 1, as pandas gives a model. Raises ValueError if it is not a
    number."""
    if isinstance(cell, str):
        if len(cell) > LONGEST_NUMBER:  # looked at first: a megabyte of digits is not a number to anybody
            return _not_a_number()
        if NUMBER.fullmatch(cell) or INFINITY.fullmatch(cell):
            return float(cell)
        if cell in NA_WORDS:
            return np.nan
        return float(TRUTH[cell.strip()]) if cell.strip() in TRUTH else _not_a_number()
    if cell is None:
        return np.nan
    if isinstance(cell, int | float | np.number | np.bool_ | Decimal):
        try:
            return float(cell)
        except OverflowError:  # an integer of more than 308 digits: what read_csv makes of it
            return np.inf if cell > 0 else -np.inf
    return _not_a_number()


def _not_a_number() -> float:
    raise ValueError("a number")


def is_number(cell: str) -> bool:
    try:
        number(cell)
    except ValueError:
        return False
    return True


WORTH_JOINING = 4
"""Cells from which on one call for all of them takes less time than one for each."""
PART = 2**16
"""Cells that are converted at a time: as Python's floats they take four times the room."""


def numbers(cells: Sequence[Any]) -> np.ndarray:
    """The cells as float64. Raises Unfit. The common cases are converted in C, the others cell by cell."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "fiub":
        return cells.astype(np.float64)
    if len(cells) <= PART:
        return _few_numbers(cells)
    floats = np.empty(len(cells))
    for start in range(0, len(cells), PART):
        try:
            floats[start : start + PART] = _few_numbers(cells[start : start + PART])
        except Unfit as exc:
            raise Unfit(start + exc.index, exc.got, exc.expected) from None
    return floats


def _few_numbers(cells: Sequence[Any]) -> np.ndarray:
    if len(cells) >= WORTH_JOINING and isinstance(cells[0], str):
        try:
            plain = plain_numbers(",".join(cells).encode())
        except TypeError:  # not every cell is text
            plain = None
        if plain is not None and len(plain) == len(cells):
            return np.array(plain, dtype=np.float64)
    elif not isinstance(cells, np.ndarray) and set(map(type, cells)) <= {int, float}:
        try:
            return np.array(cells, dtype=np.float64)
        except OverflowError:
            pass
    converted = (checked(number, i, cell, "a number") for i, cell in enumerate(cells))
    return np.fromiter(converted, dtype=np.float64, count=len(cells))


def checked(convert: Any, index: int, cell: object, expected: str) -> Any:
    """`convert(cell)`. Raises Unfit."""
    try:
        return convert(cell)
    except (ValueError, TypeError):
        raise Unfit(index, cell, expected) from None


def booleans(cells: Sequence[Any]) -> np.ndarray:
    """bool; with missing values an object array of True, False and NaN, as pandas does."""
    words = {**TRUTH, "1": True, "0": False, "1.0": True, "0.0": False}
    values: list[Any] = []
    for index, cell in enumerate(cells):
        if is_missing(cell):
            values.append(np.nan)
        elif (known := words.get(str(cell).strip())) is not None:
            values.append(known)
        else:
            raise Unfit(index, cell, "True or False")
    missing = any(value is np.nan for value in values)
    return np.array(values, dtype=object if missing else bool)


def texts(cells: Sequence[Any], categories: Sequence[Any] | None = None, typed: bool = False) -> np.ndarray:
    """An object array of str. A missing value is NaN (None where the model's categories have None).

    In a typed source only null is missing: there "NA" and "" are texts. Elsewhere a cell that is one of the categories
    is never missing: a model may know "NA" (Namibia) or "None" as a value.
    """
    missing = None if categories is not None and None in categories else np.nan
    words = frozenset() if typed else _missing_words(tuple(categories or ()))
    values = np.empty(len(cells), dtype=object)
    for index, cell in enumerate(cells):
        if isinstance(cell, str):
            values[index] = missing if cell in words else cell
        elif is_missing(cell):
            values[index] = missing
        elif isinstance(cell, list | dict):
            raise Unfit(index, cell, "a text")
        else:
            values[index] = str(cell)
    return values


@lru_cache(maxsize=1024)
def _missing_words(categories: tuple[Any, ...]) -> frozenset[str]:
    """Those that are not a category themselves."""
    return NA_WORDS.difference(category for category in categories if isinstance(category, str))


def lists_of_numbers(cells: Sequence[Any]) -> np.ndarray:
    """An object array of lists of floats: embeddings. In CSV a list is a cell as JSON writes it."""
    values = np.empty(len(cells), dtype=object)
    for index, cell in enumerate(cells):
        try:
            given = orjson.loads(cell) if isinstance(cell, str) else cell
            if not isinstance(given, list | np.ndarray):
                raise ValueError("a list")
            values[index] = [number(one) for one in given]
        except (ValueError, TypeError):
            raise Unfit(index, cell, "a list of numbers") from None
    return values


def with_none(array: Any) -> np.ndarray:
    """Objects in which a missing value is None: what an imputer of None has learned to look for."""
    values = np.array(array, dtype=object)
    values[[value is None or value != value for value in values]] = None
    return values


def is_missing(cell: object) -> bool:
    return cell is None or (cell in NA_WORDS if isinstance(cell, str) else cell != cell)
