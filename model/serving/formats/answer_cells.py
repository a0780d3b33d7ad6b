"""The cells of each prediction, for the formats that are a table: CSV, and an array of npy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

import numpy as np

from ..errors import NotAcceptable
from ..rows import foreign
from .json_text import plain

AS_IT_IS = (list, tuple, dict, str, int, float, np.generic, type(None))


def opened(row: Any) -> Any:
    """A dict where the prediction has names, a list or an array where it has several cells, else what it is."""
    if isinstance(row, AS_IT_IS):
        return row
    if isinstance(row, np.ndarray) and row.dtype.kind in "fiub" and not isinstance(row, np.ma.MaskedArray):
        return row
    if (names := foreign.named(row)) is not None:
        return names
    if isinstance(row, Set):
        return plain(row)
    items = foreign.held(row)
    return row if items is None else items


def table(rows: Sequence[Any], header: bool = False) -> Iterator[Sequence[Any]]:
    """The cells of each opened row; those that have names, in one order. `header`: the names first, if there are any.

    A name that a row lacks is a missing value there. Raises NotAcceptable where no row has all the names.
    """
    named = [row for row in rows if isinstance(row, dict)]
    names = max(named, key=len, default={}).keys()
    if header and named:
        yield list(names)
    for row in rows:
        if isinstance(row, dict):
            if not row.keys() <= names:
                raise NotAcceptable(
                    "These predictions have different names, which are not the columns of one table. Ask for "
                    "application/json."
                )
            yield [row.get(name) for name in names]
        else:
            several = isinstance(row, list | tuple) or (isinstance(row, np.ndarray) and row.ndim > 0)
            yield row if several else [row]


def has_names(rows: np.ndarray | Sequence[Any]) -> bool:
    """Whether `table` has a header for them."""
    return not isinstance(rows, np.ndarray) and any(isinstance(opened(row), dict) for row in rows)
