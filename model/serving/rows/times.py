"""Dates and times: ISO 8601 texts, and times of typed sources, in the dtype that the model was fitted on."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from .cells import Unfit, is_missing
from .dtypes import named

DEFAULT = "datetime64[ns]"
DATE = "a date or time such as 2024-05-31 or 2024-05-31T12:00:00"
ISO = re.compile(
    r"(\d{4}([-/]\d{1,2}){0,2}|\d{8})([T ]\d\d(:?\d\d(:?\d\d([.,]\d+)?)?)?\s?(Z|[+-]\d\d?(:?\d\d)?)?)?", re.ASCII | re.I
)
"""What pandas is asked to read. It would take `now` and, before version 2, days that come first."""
OFFSET = re.compile(r".*[T ]\d.*(Z|[+-]\d\d?(:?\d\d)?)", re.ASCII | re.DOTALL | re.I)
"""A text that says which time zone it is in."""


def datetimes(cells: Sequence[Any], dtype: str | None = None) -> Any:
    """ISO 8601 texts or times, in the dtype that the model was fitted on. A number has no unit, so it is refused.

    Where the column has no zone, a time with an offset is converted to UTC. Where it has one, a time needs an offset.
    """
    import pandas as pd

    zoned = dtype is not None and ("," in dtype or "tz=" in dtype)
    values = [_time(index, cell, zoned) for index, cell in enumerate(cells)]
    series = pd.Series(values, dtype=object)
    times = pd.to_datetime(series, errors="coerce", utc=True, **_iso())
    bad = np.flatnonzero(times.isna() & series.notna())
    if len(bad):
        raise Unfit(int(bad[0]), cells[int(bad[0])], f"a date or time that exists and fits into {dtype or DEFAULT}")
    times = times if zoned else times.dt.tz_localize(None)
    wanted = named(dtype or DEFAULT)
    try:
        return _in(times, wanted)
    except (ValueError, OverflowError):  # a year that the dtype does not hold
        index = next(i for i in range(len(times)) if not _fits(times[i : i + 1], wanted))
        raise Unfit(index, cells[index], f"a time that fits into {wanted}") from None


def _time(index: int, cell: Any, zoned: bool) -> Any:
    """What pandas is to read: None for a missing value. Raises Unfit."""
    if is_missing(cell) or cell == "NaT":
        return None
    text = cell.strip().upper() if isinstance(cell, str) else None
    if not isinstance(cell, datetime.date | np.datetime64) and not (text and ISO.fullmatch(text)):
        ours = isinstance(cell, int | float) and not isinstance(cell, bool)
        raise Unfit(index, cell, DATE + ". A number has no unit: DataFrame.to_json needs date_format='iso'" * ours)
    if zoned and not (OFFSET.fullmatch(text) if text else getattr(cell, "tzinfo", None) is not None):
        raise Unfit(index, cell, "a time with its offset such as 2024-05-31T12:00:00+02:00 or …Z")
    return text or cell


@cache
def _iso() -> dict[str, str]:
    """pandas 1 has no word for it, and tries ISO 8601 first."""
    import pandas as pd

    return {} if pd.__version__.startswith("1.") else {"format": "ISO8601"}


def _in(times: Any, dtype: Any) -> Any:
    """A zone of one's own is Arrow's, too; a time of day that a date does not hold is a ValueError."""
    if getattr(dtype, "tz", None) is not None:
        return times.dt.tz_convert(dtype.tz).astype(dtype).array
    return times.astype(dtype).array


def _fits(times: Any, dtype: Any) -> bool:
    try:
        _in(times, dtype)
    except (ValueError, OverflowError):
        return False
    return True
