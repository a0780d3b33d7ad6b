"""text/csv → rows. Plain numbers are read by native code; everything else cell by cell, with its place.

All ways read the same rows: what pandas.read_csv reads, with floats rounded correctly. A line is a row unless it is
blank or the header, and rows are counted without those. Short and long rows are refused, never padded or cut.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np

from ..compiler.bodies import count
from ..errors import BadRequest
from ..rows.signature import Signature
from ..rows.table import Table, align, by_name, expect_width, takes_block
from ..rows.widths import wrong_width
from ..wording import quoted
from .budget import NUMBER_BYTES, TEXT_BYTES, Bounds
from .csv_header import (
    is_header,
    looks_like_a_value,
    may_be_unasked,
    mostly_texts,
    refuse_alone,
    refuse_unclear,
    unasked_header,
)
from .csv_numbers import bulk_frame, numeric_block
from .media_types import refuse_json
from .pieces import Gathered, lines

csv.field_size_limit(sys.maxsize)  # a cell may be a whole document; the body's size is limited already


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    """Rows for transformation, or BadRequest."""
    header = parameters.get("header", "")
    _afford(body, signature, bounds)
    if body[:4].lower() == b"sep=":
        body = _below_separator(body)
    if signature.columns is None or not signature.numeric:
        refuse_json(body)
    if header != "present" and signature.numeric and not (header != "absent" and _names_like_numbers(body, signature)):
        if header != "absent":
            _refuse_counted(body, signature)
        columns = signature.count if signature.form == "frame" else None
        block = numeric_block(body, guess=signature.columns is None, columns=columns)
        if block is not None:
            return _fitting(block, signature)
    if header == "absent":
        return _without_header(body, signature)
    top = first_rows(body, 2)
    first = top[0] if top else None
    if header == "present" or is_header(first, signature):
        if header != "present" and len(top) == 1:
            refuse_alone(top[0], signature)
        return _with_header(body, first or (), signature)
    refuse_unclear(top, signature)
    return _without_header(body, signature, may_have_header=True)


def _refuse_counted(body: bytes, signature: Signature) -> None:
    """The short cut for numbers takes a header of numbers for a row. One look at the first line suffices mostly."""
    end = body.find(b"\n") + 1
    if 0 < end < len(body) and b"." not in body[:end]:
        refuse_unclear(first_rows(body, 2), signature)


def _with_header(body: bytes, first: Sequence[str], signature: Signature) -> Any:
    names = signature.spelled(first)
    if takes_block(signature, names):
        block = _after_header(body, names)
        if block is not None:
            return align(Table((), len(block), names, block=block), signature)
    frame = bulk_frame(_below(body) or b"", names, signature)
    return frame if frame is not None else cell_by_cell(body, signature, names)


def _without_header(body: bytes, signature: Signature, may_have_header: bool = False) -> Any:
    frame = bulk_frame(body, None, signature)
    return frame if frame is not None else cell_by_cell(body, signature, None, may_have_header)


def _below_separator(body: bytes) -> bytes:
    """Excel writes and understands a first line that says which separator the file has."""
    separator, below = _separator(body)
    if separator != b",":
        name = {b";": "semicolons", b"\t": "tabs"}.get(separator, quoted(separator.decode("utf-8", "replace"), 20))
        raise BadRequest(f"The first line says that values are separated by {name}; expected are commas.")
    return below


def _separator(body: bytes) -> tuple[bytes, bytes]:
    line, _, below = body.partition(b"\n")
    return line.strip(b"\r")[4:].strip(b'"'), below


def says_comma(body: bytes) -> bool:
    """Whether the first line is no more than the word that values are separated by commas."""
    return body[:4].lower() == b"sep=" and _separator(body[:64])[0] == b","


def _names_like_numbers(body: bytes, signature: Signature) -> bool:
    """Whether the short cut for numbers must be left since the model's names look like numbers, and so do these."""
    if not signature.position or not all(map(looks_like_a_value, signature.position)):
        return False
    body = body.lstrip(b"\r\n")
    first = first_rows(body[: body.find(b"\n") + 1 or None], 1)
    return bool(first) and is_header(first[0], signature)


def _fitting(block: np.ndarray, signature: Signature) -> np.ndarray:
    if signature.count is not None and block.shape[1] != signature.count:
        raise wrong_width(1, block.shape[1], signature, alone=len(block) == 1)
    return block


def _after_header(body: bytes, names: list[str]) -> np.ndarray | None:
    """The numbers below a one-line header."""
    below = _below(body)
    block = numeric_block(below, columns=len(names)) if below is not None else None
    return block if block is not None and block.shape[1] == len(names) else None


def _below(body: bytes) -> bytes | None:
    """What follows the first line, if that is plain: a quote in it might hold a line break."""
    body = body.lstrip(b"\r\n")
    end = body.find(b"\n")
    first = body[:end].removesuffix(b"\r")
    quoted = first.count(b'"') % 2
    return None if end < 0 or quoted or b"\r" in first or not first.strip() else body[end + 1 :]


def _reader(body: bytes) -> Any:
    return csv.reader(lines(body), strict=True)


def rows_in(text: str) -> list[list[str]]:
    """The cells of each row; none at all if the text is not CSV."""
    try:
        return list(_reader(text.encode()))
    except csv.Error:
        return []


def _blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and bool(row[0]) and row[0].isspace())


def first_rows(body: bytes, count: int) -> list[list[str]]:
    """At most so many; fewer where one is not CSV. A byte that is not UTF-8 is none of a name's."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines(body, errors="replace"), strict=True):
            if not _blank(row):
                rows.append(row)
            if len(rows) == count:
                break
    except csv.Error:
        pass
    return rows


def end_of_first_row(body: bytes) -> int:
    """How many bytes the first row takes, which begins the body."""
    text = body.decode("latin-1")  # a character for each byte
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    with suppress(csv.Error, StopIteration):
        next(reader)
    return sum(map(len, islice(io.StringIO(text, newline=""), reader.line_num)))


def cell_by_cell(body: bytes, signature: Signature, names: Sequence[str] | None, may_have_header: bool = False) -> Any:
    """Reads any CSV, and names the row and the column that do not fit."""
    width = len(names) if names is not None else signature.count
    if names is not None and signature.names is not None:
        by_name(names, signature)  # a missing column is a better complaint than the rows below it
    first, gathered = _gathered(body, signature, width, has_header=names is not None)
    columns = gathered.columns()
    if may_have_header and first and signature.form != "values" and may_be_unasked(first, signature):
        names = unasked_header(first, columns, signature)
    if names is not None and names is first:
        columns, gathered.count = [column[1:] for column in columns], gathered.count - 1
    if names is not None and signature.names is None:
        names = [name or f"Unnamed: {place}" for place, name in enumerate(names)]  # as read_csv has it
    table = Table(columns, gathered.count, names, typed=False, may_have_header=may_have_header and mostly_texts(first))
    del columns, gathered  # each column goes as soon as it is converted
    return align(table, signature)


def _gathered(
    body: bytes, signature: Signature, width: int | None, has_header: bool
) -> tuple[list[str] | None, Gathered]:
    """The first row, and all rows by column; without the header, if there is one."""
    first, gathered = None, None if width is None else Gathered(width)
    number, headed = 0, has_header
    try:
        for row in _reader(body):
            if _blank(row):
                continue
            if has_header:
                has_header = False
                continue
            number += 1
            if gathered is None:
                expect_width(len(row), signature)
                gathered = Gathered(len(row))
            if len(row) != gathered.width:
                alone = b"\n" not in body.strip(b"\r\n")
                raise wrong_width(number, len(row), signature, gathered.width, row, alone, headed)
            first = first or row
            gathered.add(row)
    except csv.Error as exc:
        raise BadRequest(f"Row {number + 1} is not valid CSV: {_reason(exc)}.", row=number + 1) from None
    return first, gathered or Gathered(0)


def _afford(body: bytes, signature: Signature, bounds: Bounds) -> None:
    """Before anything is read: numbers take eight bytes each, texts are objects."""
    cells = count(body, b",") + max(count(body, b"\n"), count(body, b"\r")) + 1
    bounds.afford(cells * (NUMBER_BYTES if signature.numeric else TEXT_BYTES))


def _reason(error: csv.Error) -> str:
    if "expected after" in str(error):
        return (
            "a cell goes on after its closing quote. Values are separated by commas, not by semicolons, tabs or bars, "
            "and a quote inside a cell is written twice"
        )
    return "a quote is opened and not closed" if re.search("unexpected end", str(error)) else str(error)
