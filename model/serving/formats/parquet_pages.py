"""What the pages of a Parquet file inflate to, by the header of each: the file's own metadata may claim less.

The headers are Thrift's compact protocol (https://github.com/apache/parquet-format). Arrow makes room for a page, and
inflates it, before anybody can measure it, so each header is read here first. Only plain structs are: there is nothing
else in a header.
"""

from __future__ import annotations

from typing import Any

I32, BINARY, STRUCT = 5, 8, 12
VARINTS = (4, I32, 6)
FIXED = {1: 0, 2: 0, 3: 1, 7: 8}
"""Bytes of true, false, a byte and a double."""
UNCOMPRESSED_SIZE, COMPRESSED_SIZE = 2, 3
"""Fields of a header."""
DEEPEST = 4
PADDING = 100
"""Bytes that some writers leave after the pages of a column."""


def inflated(body: bytes, metadata: Any) -> int:
    """Bytes of all pages that are compressed, as their headers say. Raises ValueError for a header that is not one."""
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    chunks = (group.column(i) for group in groups for i in range(group.num_columns))
    return sum(_of_column(body, chunk) for chunk in chunks if chunk.compression != "UNCOMPRESSED")


def _of_column(body: bytes, chunk: Any) -> int:
    at = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < at:
        at = chunk.dictionary_page_offset
    end, size = min(at + chunk.total_compressed_size, len(body)), 0
    while at < end:
        try:
            sizes, start = _struct(body, at)
            compressed = sizes[COMPRESSED_SIZE]
        except (ValueError, KeyError, IndexError) as exc:
            if end - at <= PADDING:
                break
            raise ValueError("the header of a page cannot be read") from exc
        size += max(0, sizes.get(UNCOMPRESSED_SIZE, 0))
        at = start + max(0, compressed)
    return size


def _struct(body: bytes, at: int, depth: int = 0) -> tuple[dict[int, int], int]:
    """The 32-bit numbers of a struct by their field, and where it ends."""
    if depth > DEEPEST:
        raise ValueError("too deep")
    numbers: dict[int, int] = {}
    field = 0
    while kind := body[at]:
        delta, kind = kind >> 4, kind & 15
        at += 1
        if delta:
            field += delta
        else:
            field, at = _varint(body, at)
            field = _signed(field)
        if kind in VARINTS:
            number, at = _varint(body, at)
            if kind == I32:
                numbers[field] = _signed(number)
        elif kind == BINARY:
            length, at = _varint(body, at)
            at += length
        elif kind == STRUCT:
            _, at = _struct(body, at, depth + 1)
        else:
            at += FIXED[kind]
    return numbers, at + 1


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
