"""Dates and times: ISO 8601 texts, and times of typed sources, in the dtype that the model was fitted on."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .cells import Unfit, is_missing

DATE = "a date or time such as 2024-05-31 or 2024-05-31T12:00:00"
OFFSET = re.compile(r".*[T ]\d.*(Z|[+-]\d\d(:?\d\d)?)\s*", re.ASCII | re.DOTALL)
"""A text that says which time zone it is in."""


def datetimes(cells: Sequence[Any], dtype: str | None = None) -> Any:
    """ISO 8601 texts or times, in the dtype that the model was fitted on. A number has no unit, so it is refused.

    Where the column has no zone, a time with an offset is converted to UTC. Where it has one, a time needs an offset.
    """
    import pandas as pd

    zoned = dtype is not None and "," in dtype
    values: list[Any] = [None if is_missing(cell) else cell for cell in cells]
    for index, cell in enumerate(values):
        if cell is not None and not isinstance(cell, str | datetime.date | np.datetime64):
            raise Unfit(index, cell, DATE)
        if zoned and cell is not None and not _has_offset(cell):
            raise Unfit(index, cell, "a time with its offset such as 2024-05-31T12:00:00+02:00 or …Z")
    series = pd.Series(values, dtype=object)
    times = pd.to_datetime(series, errors="coerce", format="ISO8601", utc=True)
    bad = np.flatnonzero(times.isna() & series.notna())
    if len(bad):
        raise Unfit(int(bad[0]), cells[int(bad[0])], DATE)
    try:
        return (times if zoned else times.dt.tz_localize(None)).astype(dtype or "datetime64[ns]").array
    except (ValueError, OverflowError):  # a year that the dtype does not hold
        index = next(i for i, value in enumerate(values) if value is not None)
        raise Unfit(index, cells[index], f"a time that fits into {dtype or 'datetime64[ns]'}") from None


def _has_offset(cell: Any) -> bool:
    return bool(OFFSET.fullmatch(cell)) if isinstance(cell, str) else getattr(cell, "tzinfo", None) is not None
