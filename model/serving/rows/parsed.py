"""Durations, periods, dates, times of day and decimals: values that JSON and CSV write as texts."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from . import cells, dtypes
from .signature import Column

PERIOD = re.compile(r"\d{4}(Q[1-4]|-\d\d(-\d\d([T ][\d:.]+)?(/\d{4}-\d\d-\d\d)?)?)?", re.ASCII)


def parsed(values: Sequence[Any], column: Column) -> np.ndarray:
    """Objects of the column's kind; a missing value is NaN. Raises Unfit."""
    make, expected = MAKERS[column.kind]
    found = np.empty(len(values), dtype=object)
    for index, cell in enumerate(values):
        if cells.is_missing(cell) or cell == "NaT":
            found[index] = np.nan
            continue
        try:
            found[index] = make(cell, column)
        except (ValueError, TypeError, ArithmeticError):
            raise cells.Unfit(index, cell, expected) from None
    return found


def _duration(cell: Any, column: Column) -> Any:
    """A number has no unit, so it is refused."""
    import pandas as pd

    if isinstance(cell, datetime.timedelta | np.timedelta64) or (isinstance(cell, str) and not cells.is_number(cell)):
        return pd.Timedelta(cell)
    raise ValueError("not a duration")


def _period(cell: Any, column: Column) -> Any:
    import pandas as pd

    if isinstance(cell, str) and not PERIOD.fullmatch(cell):  # of "May" pandas makes that of this year
        raise ValueError("not a period")
    return pd.Period(cell, freq=dtypes.named(str(column.dtype)).freq)


def _date(cell: Any, column: Column) -> datetime.date:
    if isinstance(cell, str):
        cell = datetime.datetime.fromisoformat(cell)
    if isinstance(cell, datetime.datetime):
        if cell.time() != datetime.time():
            raise ValueError("more than a date")
        return cell.date()
    if isinstance(cell, datetime.date):
        return cell
    raise ValueError("not a date")


def _time(cell: Any, column: Column) -> datetime.time:
    return cell if isinstance(cell, datetime.time) else datetime.time.fromisoformat(cell)


def _decimal(cell: Any, column: Column) -> Decimal:
    if isinstance(cell, str):
        cells.number(cell)
        return Decimal(cell.strip())
    return cell if isinstance(cell, Decimal) else Decimal(str(cells.number(cell) if isinstance(cell, float) else cell))


MAKERS: dict[str, tuple[Callable[[Any, Column], Any], str]] = {
    "duration": (_duration, "a duration such as 1 days 02:30:00 or PT1H"),
    "period": (_period, "a period such as 2024-05"),
    "date": (_date, "a date such as 2024-05-31"),
    "time": (_time, "a time of day such as 12:30:00"),
    "decimal": (_decimal, "a number"),
}
"""Kind → a cell's value, and what is expected."""
