"""Where the records of a line format begin, and its header: so that a body can be cut between records.

A line that is not blank is a record. In CSV, lines between which a quote is open are one.
"""

from __future__ import annotations

import codecs
import re
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise

from ..rows.signature import Signature
from . import csv_header, csv_rows
from .streams import together

LONGEST_HEADER = 2**20


class Records:
    """A body, cut between its records; the header, if there is one, is repeated for each part."""

    def __init__(
        self, body: bytes, starts: Sequence[int], header: bytes, width: int | None = None, unclear: bool = False
    ) -> None:
        """`width` is how many cells a row of CSV has; `unclear`: the first record may be a header."""
        self.body, self.header, self.width, self.unclear = body, header, width, unclear
        self.places = [*starts, len(body)]

    def __len__(self) -> int:
        return len(self.places) - 1

    def part(self, first: int, end: int) -> bytes:
        return self.header + self.body[self.places[first] : self.places[end]]


def cut(body: bytes, media_type: str, parameters: Mapping[str, str], signature: Signature) -> Records:
    """The records of a body in a charset whose line feed is one byte; the model says how wide one is."""
    body = body.removeprefix(codecs.BOM_UTF8)
    if media_type != "text/csv":
        return Records(body, _lines(body), b"")
    if csv_rows.says_comma(body):
        body = body.partition(b"\n")[2]
    starts = _lines(body)
    header = _header(body, starts, parameters.get("header", ""), signature)
    width = len(header) if header else signature.count
    if header is None:
        unclear = "header" not in parameters and csv_header.is_unclear(csv_rows.first_rows(body, 2), signature)
        return Records(body, _rows(body, starts, width), b"", width, unclear)
    below = starts[0] + csv_rows.end_of_first_row(body[starts[0] : starts[0] + LONGEST_HEADER])
    rows = array("Q", (start for start in starts if start >= below))
    return Records(body, _rows(body, rows, width), body[starts[0] : below], width)


def whole(body: bytes, width: int | None, without: int = 0) -> int:
    """How many bytes of the beginning of a CSV body are whole records, whatever follows; 0 if that cannot be told.
    `without`: so many of them are not rows."""
    end = end_of_lines(body)
    if body.find(b'"', 0, end) < 0:
        return whole_lines(body, without)
    body = body[:end]
    starts = _lines(body)
    if not starts:
        return end
    opening = _open_lines(body, starts)
    inside = _inside(body, starts, opening, width)
    begun = [start for i, start in enumerate(starts) if i not in inside] + [end]
    if opening and opening[-1] not in inside:  # what closes its quote may follow
        begun = begun[: bisect_left(begun, starts[opening[-1]]) + 1]
    return begun[together(len(begun) - 1, without)]


def whole_lines(body: bytes, without: int = 0) -> int:
    """The same, where each line is a record."""
    end = end_of_lines(body)
    mark = body[max(0, end - 1) : end]
    count = body.count(mark, 0, end) if mark else 0
    for _ in range(count - together(count, without)):
        end = body.rfind(mark, 0, end - 1) + 1
    return end


def end_of_lines(body: bytes) -> int:
    """Where the last line ends. A carriage return as the last byte may be half of an end."""
    return max(body.rfind(b"\n"), body.rfind(b"\r", 0, max(0, len(body) - 1))) + 1


def _lines(body: bytes) -> Sequence[int]:
    """Where lines begin that are not blank."""
    return array("Q", (line.start() for line in re.finditer(rb"[^\r\n]+", body) if not line[0].isspace()))


def _header(body: bytes, starts: Sequence[int], said: str, signature: Signature) -> list[str] | None:
    if not starts or said == "absent":
        return None
    first = next(iter(csv_rows.first_rows(body, 1)), None)
    return first if said == "present" or csv_header.is_header(first, signature) else None


def _rows(body: bytes, starts: Sequence[int], width: int | None) -> Sequence[int]:
    """Lines between which a quote is open are one record, if together they are one row of the right width.

    Else the line that opens the quote is a bad record by itself, as for SageMaker, which splits at every line end.
    """
    if b'"' not in body or not starts:
        return starts
    inside = _inside(body, starts, _open_lines(body, starts), width)
    return [start for i, start in enumerate(starts) if i not in inside]


def _open_lines(body: bytes, starts: Sequence[int]) -> list[int]:
    """The lines, by number, after which a quote is open if it was closed before."""
    ends = [*starts[1:], len(body)]
    return [i for i, (start, end) in enumerate(zip(starts, ends, strict=True)) if body.count(b'"', start, end) % 2]


def _inside(body: bytes, starts: Sequence[int], open_lines: Sequence[int], width: int | None) -> set[int]:
    """The lines that begin inside a record."""
    ends = [*starts[1:], len(body)]
    inside: set[int] = set()
    for opening, closing in pairwise(open_lines):
        if opening in inside:
            continue
        rows = csv_rows.rows_in(body[starts[opening] : ends[closing]].decode("latin-1"))
        if len(rows) == 1 and width in (None, len(rows[0])):
            inside.update(range(opening + 1, closing + 1))
    return inside
