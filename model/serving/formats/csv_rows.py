"""text/csv → rows. Plain numbers take a short cut through C; everything else is read cell by cell, with its place.

All ways read the same rows: what pandas.read_csv reads, with floats rounded correctly. A line is a row unless it is
blank or the header, and rows are counted without those. Short and long rows are refused, never padded or cut.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import BadRequest
from ..rows.cells import INFINITY, NA_WORDS, NUMBER, TRUTH, plain_numbers
from ..rows.signature import Signature
from ..rows.table import Table, align, by_name, takes_block, wrong_width

csv.field_size_limit(sys.maxsize)  # a cell may be a whole document; the body's size is limited already

BULK_BYTES = 200_000
"""From here on pandas' columnar parser is faster than orjson (measured: benchmarks/decode.py)."""

BULK_CELLS_PER_ROW = 1000
"""Wider rows cost pandas more per column than they save."""


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature, max_bytes: int = 0) -> Any:
    """Rows for transformation, or BadRequest."""
    header = parameters.get("header", "")
    if header != "present" and signature.numeric:
        block = numeric_block(body, signature.count)
        if block is not None:
            return _fitting(block, signature)
    text = body.decode("utf-8")
    first = _first_row(text)
    if header == "present" or (header != "absent" and is_header(first, signature)):
        names = [name.strip() for name in first or ()]
        if takes_block(signature, names):
            block = _after_header(body, names)
            if block is not None:
                return align(Table((), len(block), names, block=block), signature)
        frame = _bulk_frame(_below(body) or b"", names, signature)
        return frame if frame is not None else _cell_by_cell(text, signature, names)
    frame = _bulk_frame(body, None, signature)
    return frame if frame is not None else _cell_by_cell(text, signature, None, may_have_header=header != "absent")


def numeric_block(body: bytes, width: int | None) -> np.ndarray | None:
    """The short cut: (rows, columns) float64 if the body is nothing but numbers and empty cells, else None.

    A None is no verdict: the caller then reads cell by cell, and that names what is wrong.
    """
    body = body.strip(b"\r\n")
    if not body or body[0] in b" \t":
        return None
    if b"\n" not in body and b"\r" not in body:
        cells = plain_numbers(body)
        return None if cells is None or width not in (None, len(cells)) else np.array([cells], dtype=np.float64)
    if len(body) >= BULK_BYTES and body.find(b"\n") >= 0 and body.count(b",", 0, body.find(b"\n")) < BULK_CELLS_PER_ROW:
        return _bulk(body)
    return _by_line(body)


def _by_line(body: bytes) -> np.ndarray | None:
    """Some hundred lines: all cells as one flat list, if every line has as many commas."""
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    commas = lines[0].count(b",")
    if any(line.count(b",") != commas or not line.strip() for line in lines) or b"\r" in body.replace(b"\r\n", b""):
        return None
    cells = plain_numbers(b",".join(lines))
    if cells is None or len(cells) != len(lines) * (commas + 1):
        return None
    return np.array(cells, dtype=np.float64).reshape(len(lines), commas + 1)


def _bulk(body: bytes) -> np.ndarray | None:
    """Thousands of lines: pandas' own parser, if it is installed.

    pandas pads short rows with NaN. Where there is no NaN there was none; else the commas are counted. It also takes
    quotes, and a line break inside them: with those the short cut is left.
    """
    if b'"' in body:
        return None
    try:
        frame = _read_csv(body, np.float64)
    except ImportError:
        return _by_line(body)
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    block: np.ndarray = frame.to_numpy()
    if np.isnan(block).any() and not _rectangular(body, block.shape[1]):
        return None
    return block


def _read_csv(body: bytes, dtype: Any) -> Any:
    import pandas as pd

    # since 3.1 pandas rounds correctly by default and warns of the option
    old = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    exact: dict[str, Any] = {"float_precision": "round_trip"} if old else {}
    return pd.read_csv(io.BytesIO(body), header=None, dtype=dtype, engine="c", index_col=False, **exact)


def _bulk_frame(body: bytes, names: list[str] | None, signature: Signature) -> Any:
    """Thousands of lines of numbers and texts, read by pandas; None where the reader of cells has to decide.

    That is wherever pandas is more lenient than we are (quotes, short rows) or knows less (a category called NA).
    """
    columns = signature.columns or ()
    order = by_name(names, signature) if names is not None else list(range(len(columns)))
    simple = all(
        c.kind in ("number", "text") and c.dtype is None and NA_WORDS.isdisjoint(c.categories or ()) for c in columns
    )
    if signature.form != "frame" or not simple or None in order or any(None in (c.categories or ()) for c in columns):
        return None
    if len(body) < BULK_BYTES or b'"' in body or b"\0" in body:
        return None
    width = len(names) if names is not None else len(columns)
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


def _rectangular(body: bytes, width: int) -> bool:
    """Every line has width - 1 commas. Blank lines make it False, which only costs the short cut."""
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    return all(line.count(b",") == width - 1 for line in lines)


def _fitting(block: np.ndarray, signature: Signature) -> np.ndarray:
    if signature.count is not None and block.shape[1] != signature.count:
        raise wrong_width(1, block.shape[1], signature)
    return block


def _after_header(body: bytes, names: list[str]) -> np.ndarray | None:
    """The numbers below a one-line header."""
    below = _below(body)
    block = numeric_block(below, len(names)) if below is not None else None
    return block if block is not None and block.shape[1] == len(names) else None


def _below(body: bytes) -> bytes | None:
    """What follows the first line, if that is plain: a quote in it might hold a line break."""
    body = body.lstrip(b"\r\n")
    end = body.find(b"\n")
    first = body[:end].removesuffix(b"\r")
    quoted = first.count(b'"') % 2
    return None if end < 0 or quoted or b"\r" in first or not first.strip() else body[end + 1 :]


def _reader(text: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), strict=True)


def _blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and bool(row[0]) and row[0].isspace())


def _first_row(text: str) -> list[str] | None:
    try:
        return next((row for row in _reader(text) if not _blank(row)), None)
    except csv.Error:
        return None


def is_header(row: list[str] | None, signature: Signature) -> bool:
    """A first line is a header if it names a column of the model and none of its cells looks like a value.

    With all the names there, an empty cell is no value: DataFrame.to_csv leaves one above its index.
    A cell that is one of its own column's categories is a value even if some column has that name.
    """
    if not row or not signature.position:
        return False
    cells = [cell.strip() for cell in row]
    complete = all(name in cells for name in signature.position)
    if not any(cell in signature.position for cell in cells):
        return False
    if any(_looks_like_a_value(cell) for cell in cells if cell or not complete):
        return False
    if complete:
        return True
    columns = signature.columns or ()
    return not any(c.categories and cell in c.categories for c, cell in zip(columns, cells, strict=False))


def _looks_like_a_value(cell: str) -> bool:
    return cell in NA_WORDS or cell in TRUTH or bool(NUMBER.fullmatch(cell) or INFINITY.fullmatch(cell))


def _cell_by_cell(text: str, signature: Signature, names: list[str] | None, may_have_header: bool = False) -> Any:
    """The way that takes everything and names what it does not take."""
    width = len(names) if names is not None else signature.count
    if names is not None and signature.names is not None:
        by_name(names, signature)  # a missing column is a better complaint than the rows below it
    rows: list[list[str]] = []
    header_to_skip = names is not None
    try:
        for row in _reader(text):
            if _blank(row):
                continue
            if header_to_skip:
                header_to_skip = False
                continue
            if width is None:
                width = len(row)
            if len(row) != width:
                raise wrong_width(len(rows) + 1, len(row), signature, width, row)
            rows.append(row)
    except csv.Error as exc:
        raise BadRequest(f"Row {len(rows) + 1} is not valid CSV: {_reason(exc)}.", row=len(rows) + 1) from None
    columns = list(zip(*rows, strict=True)) if rows else [()] * (width or 0)
    return align(Table(columns, len(rows), names, null=False, may_have_header=may_have_header), signature)


def _reason(error: csv.Error) -> str:
    return "a quote is opened and not closed" if re.search("unexpected end", str(error)) else str(error)
