"""A column brought to the dtype of the sample. A value that has no place in it is refused and never becomes another."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .cells import Unfit, is_missing
from .dtypes import named

WHOLE = re.compile(r"(u?int\d+)(\[pyarrow\])?", re.IGNORECASE)


def cast(array: Any, name: str) -> Any:
    """The column in the dtype that the sample had. Raises Unfit for the first value that has no place in it.

    A missing or broken value among whole numbers, and a missing one among truth values or texts of NumPy, make of the
    column what pandas makes of it: floats, or objects.
    """
    dtype = named(name)
    if array.dtype == dtype:
        return array
    limits = np.iinfo(match[1].lower()) if (match := WHOLE.fullmatch(name)) else None
    if limits is not None:
        _within(array, limits)
    if isinstance(dtype, np.dtype) and dtype.kind != "m":
        broken = array.dtype.kind in "fO" if limits is not None else dtype.kind in "bU" and any(map(is_missing, array))
        cast_to: Any = array if broken else _of_numpy(array, dtype)
    else:
        cast_to = _of_pandas(array, dtype, name)
    if array.dtype.kind == "f" and limits is None and dtype.kind == "f":
        _not_infinite(array, cast_to, name)
    return cast_to


def _within(array: Any, limits: np.iinfo) -> None:
    expected = f"a whole number from {limits.min} to {limits.max}"
    if array.dtype.kind == "O":
        outside = [i for i, v in enumerate(array) if not is_missing(v) and not limits.min <= v <= limits.max]
    else:  # as a float the largest of 64 bits is one more
        above = array >= float(limits.max) if limits.bits == 64 and array.dtype.kind == "f" else array > limits.max
        outside = np.flatnonzero(((array < limits.min) | above) & np.isfinite(array)).tolist()
    if outside:
        raise Unfit(outside[0], array[outside[0]], expected)


def _of_numpy(array: Any, dtype: np.dtype) -> Any:
    with np.errstate(over="ignore"):
        return array.astype(str if dtype.kind == "U" else dtype)


def _of_pandas(array: Any, dtype: Any, name: str) -> Any:
    import pandas as pd

    try:
        with np.errstate(over="ignore"):
            return pd.array(array, dtype=dtype)
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        pass
    for index, value in enumerate(array):
        try:
            pd.array([value], dtype=dtype)
        except (ValueError, TypeError, OverflowError, NotImplementedError):
            raise Unfit(index, value, f"what {name} holds") from None
    return array


def _not_infinite(before: np.ndarray, after: Any, name: str) -> None:
    import pandas as pd

    numbers = after if isinstance(after, np.ndarray) else pd.Series(after).to_numpy(np.float64, na_value=np.nan)
    infinite = np.isinf(numbers) & np.isfinite(before)
    if len(lost := np.flatnonzero(infinite)):
        raise Unfit(int(lost[0]), float(before[lost[0]]), f"a number that fits into {name}")
