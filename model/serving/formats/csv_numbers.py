"""A CSV of numbers, read at once by native code; and a large one of numbers and texts, read by pandas."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..compiler import bodies, native
from ..rows.cells import MINUS_ZERO, NA_WORDS, plain_numbers
from ..rows.signature import Signature
from ..rows.table import by_name
from ..rows.whole_numbers import EXACT
from .pieces import PIECE, windows

BULK_BYTES = 200_000
"""From here on pandas reads texts among numbers faster than we do cell by cell (measured: benchmarks/decode.py)."""


def numeric_block(body: bytes, guess: bool = False, columns: int | None = None) -> np.ndarray | None:
    """(rows, columns) float64 if the body is nothing but numbers and missing values, else None. With `guess`, for a
    model that says nothing, int64 if all are whole, as read_csv infers. `columns` of a frame: a large one then lies by
    columns.

    A None is not a verdict: the caller then reads cell by cell, and that names what is wrong.
    """
    if native.available and columns and len(body) > 2 * PIECE and (frame := _by_columns(body, columns)) is not None:
        return frame
    block = bodies.matrix_csv(body) if native.available else by_line(body.strip(b"\r\n"))
    if not isinstance(block, np.ndarray):
        return None
    return _inferred(block, body) if guess else block


def _by_columns(body: bytes, columns: int) -> np.ndarray | None:
    """Filled window by window: a block by rows that is turned is in memory twice. None if lines are not all alike."""
    ends = bodies.count(body, b"\n") + bodies.count(body, b"\r") - body.count(b"\r\n")
    rows = ends + (body[-1:] not in b"\r\n")
    if rows * (columns - 1) != bodies.count(body, b","):
        return None
    block, filled = np.empty((rows, columns), order="F"), 0
    for window in windows(body):
        part = bodies.matrix_csv(window)
        if not isinstance(part, np.ndarray) or part.shape[1] != columns or filled + len(part) > rows:
            return None
        block[filled : filled + len(part)] = part
        filled += len(part)
    return block if filled == rows else None


FRACTION = re.compile(rb"[.eE]")


def _inferred(block: np.ndarray, body: bytes) -> np.ndarray | None:
    """As read_csv infers it. None where an integer would not come through floats: such cells are read by column."""
    if MINUS_ZERO.search(body) or not np.nanmax(np.abs(block), initial=0) < EXACT:
        return None
    return block if FRACTION.search(body) or np.isnan(block).any() else block.astype(np.int64)


def by_line(body: bytes) -> np.ndarray | None:
    """Without native code: all cells as one flat list, if every line has as many commas."""
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    commas = lines[0].count(b",")
    if any(line.count(b",") != commas or not line.strip() for line in lines) or any(b"\r" in line for line in lines):
        return None
    cells = plain_numbers(b",".join(lines))
    if cells is None or len(cells) != len(lines) * (commas + 1):
        return None
    return np.array(cells, dtype=np.float64).reshape(len(lines), commas + 1)


def _read_csv(body: bytes, dtype: Any) -> Any:
    import pandas as pd

    # since 3.1 pandas rounds correctly by default and warns of the option
    old = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    exact: dict[str, Any] = {"float_precision": "round_trip"} if old else {}
    return pd.read_csv(io.BytesIO(body), header=None, dtype=dtype, engine="c", index_col=False, **exact)


def bulk_frame(body: bytes, names: Sequence[str] | None, signature: Signature) -> Any:
    """Thousands of lines of numbers and texts, read by pandas; None where the reader of cells has to decide.

    That is wherever pandas is more lenient than we are (quotes, short rows) or knows less (a category called NA).
    """
    if signature.form != "frame" or len(body) < BULK_BYTES or b'"' in body or b"\0" in body:
        return None
    columns = signature.columns or ()
    order = by_name(names, signature) if names is not None else list(range(len(columns)))
    simple = all(
        c.kind in ("number", "text") and c.dtype is None and not c.none and NA_WORDS.isdisjoint(c.categories or ())
        for c in columns
    )
    if not simple or None in order or any(None in (c.categories or ()) for c in columns):
        return None
    width = len(names) if names is not None else len(columns)
    if _width(body) != width:  # before pandas makes a column for each comma of it
        return None
    dtypes: dict[int, Any] = dict.fromkeys(range(width), str)
    dtypes |= {i: np.float64 for i, c in zip(order, columns, strict=True) if i is not None and c.kind == "number"}
    try:
        frame = _read_csv(body, dtypes)
    except (ValueError, OverflowError, ImportError):
        return None
    if frame.shape[1] != width or (frame.iloc[:, -1].isna().any() and not _rectangular(body.strip(b"\r\n"), width)):
        return None
    frame = frame.iloc[:, order]
    frame.columns = signature.index
    return frame


def _width(body: bytes) -> int:
    """Cells of the first line that is not blank."""
    start = len(body) - len(body.lstrip(b"\r\n"))
    end = body.find(b"\n", start)
    return body.count(b",", start, end if end >= 0 else len(body)) + 1


def _rectangular(body: bytes, width: int) -> bool:
    """Every line has width - 1 commas. Blank lines make it False, which only costs the short cut."""
    return all(line.count(b",") == width - 1 for window in windows(body) for line in window.splitlines())
