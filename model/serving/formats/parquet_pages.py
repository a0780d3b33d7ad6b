"""What a Parquet file inflates to: its row groups as its footer tells them, and its pages by the header of each.

The footer may claim less than the pages take, and Arrow makes room for a page before anybody can measure it. Arrow also
ends the process when it is asked about some footers that are damaged. So footer and headers are read here first; both
are in Thrift's compact protocol (https://github.com/apache/parquet-format).
"""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple

from .streams import File

I32, I64, BINARY, LIST, SET, STRUCT = 5, 6, 8, 9, 10, 12
VARINTS = (4, I32, I64)
TOLD = (1, 2)
"""True and false, which a field has no bytes for."""
FIXED = {1: 1, 2: 1, 3: 1, 7: 8}
"""Bytes of true and false in a list, a byte and a double."""
DEEPEST = 16
PADDING = 100
"""Bytes that some writers leave after the pages of a column."""

Fields = dict[tuple[int, int], Any]
"""(number, kind) → value. Thrift's readers pass over a field of another kind than its own, so the kind is looked at."""
ROW_GROUPS, COLUMNS, TOTAL_BYTE_SIZE, META_DATA = (4, LIST), (1, LIST), (2, I64), (3, STRUCT)
TOTAL_COMPRESSED_SIZE, DATA_PAGE_OFFSET, DICTIONARY_PAGE_OFFSET = (7, I64), (9, I64), (11, I64)
UNCOMPRESSED_PAGE_SIZE, COMPRESSED_PAGE_SIZE = (2, I32), (3, I32)


class Group(NamedTuple):
    """A row group: the bytes that it is said to inflate to, and where the pages of each column begin and end."""

    size: int
    chunks: list[tuple[int, int]]


def groups(file: BinaryIO | File) -> list[Group]:
    """The row groups of a file, by its footer. Raises ValueError if that cannot be read."""
    length = file.seek(0, 2)
    file.seek(max(0, length - 8))
    size = int.from_bytes(file.read(4), "little")
    if size > length - 12:
        raise ValueError("it has no footer")
    file.seek(length - 8 - size)
    try:
        fields, _ = _struct(file.read(size), 0)
        return [
            Group(told[TOTAL_BYTE_SIZE], [_chunk(c[META_DATA]) for c in told[COLUMNS]]) for told in fields[ROW_GROUPS]
        ]
    except (KeyError, IndexError, TypeError) as exc:
        raise ValueError("its footer cannot be read") from exc


def _chunk(column: Fields) -> tuple[int, int]:
    start, dictionary = column[DATA_PAGE_OFFSET], column.get(DICTIONARY_PAGE_OFFSET, 0)
    if 0 < dictionary < start:
        start = dictionary
    return start, start + column[TOTAL_COMPRESSED_SIZE]


def inflated(body: bytes, row_groups: list[Group]) -> int:
    """Bytes of all pages, as their headers say. Raises ValueError for a header that is not one."""
    return sum(_of_column(body, max(0, start), min(end, len(body))) for g in row_groups for start, end in g.chunks)


def _of_column(body: bytes, at: int, end: int) -> int:
    size = 0
    while at < end:
        try:
            sizes, start = _struct(body, at)
            compressed = sizes[COMPRESSED_PAGE_SIZE]
        except (ValueError, KeyError, IndexError) as exc:
            if end - at <= PADDING:
                break
            raise ValueError("the header of a page cannot be read") from exc
        size += max(0, sizes.get(UNCOMPRESSED_PAGE_SIZE, 0))
        at = start + max(0, compressed)
    return size


def _struct(body: bytes, at: int, depth: int = 0) -> tuple[Fields, int]:
    """The fields of a struct, and where it ends."""
    fields: Fields = {}
    field = 0
    while head := body[at]:
        delta, kind = head >> 4, head & 15
        at += 1
        if delta:
            field += delta
        else:
            number, at = _varint(body, at)
            field = _signed(number)
        if kind not in TOLD:
            fields[field, kind], at = _value(body, at, kind, depth + 1)
    return fields, at + 1


def _value(body: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """A number, a list, a struct, or None for what nobody asks; and where it ends."""
    if depth > DEEPEST:
        raise ValueError("too deep")
    if kind in VARINTS:
        number, at = _varint(body, at)
        return _signed(number), at
    if kind == BINARY:
        length, at = _varint(body, at)
        return None, at + length
    if kind == STRUCT:
        return _struct(body, at, depth)
    if kind not in (LIST, SET):
        return None, at + FIXED[kind]
    count, of, at = body[at] >> 4, body[at] & 15, at + 1
    if count == 15:
        count, at = _varint(body, at)
    items = []
    for _ in range(count):
        item, at = _value(body, at, of, depth + 1)
        items.append(item)
    return items, at


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first. Raises ValueError for more than 64."""
    number = 0
    for shift in range(0, 70, 7):
        byte = body[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise ValueError("a number of more than 64 bits")


def _signed(number: int) -> int:
    """Zigzag: 0, -1, 1, -2 … are 0, 1, 2, 3 …"""
    return (number >> 1) ^ -(number & 1)
