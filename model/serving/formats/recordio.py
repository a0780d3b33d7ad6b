"""application/x-recordio-protobuf → rows: SageMaker's own format, read without its SDK.

A record is: 0xced7230a, a length, that many bytes padded to four. The bytes are a protobuf message
`Record {map<string, Value> features = 1}`; we read features["values"], a float32 (2), float64 (3) or int32 (7) tensor
`{repeated values = 1; repeated uint64 keys = 2; repeated uint64 shape = 3}`. With keys the row is sparse.
(aws/sagemaker-python-sdk, serializers: record.proto and amazon/common.py.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import BadRequest
from ..rows.signature import Signature
from ..rows.table import Table, align, takes_block
from ..rows.widths import wrong_width
from ..wording import verbatim
from .budget import NUMBER_BYTES, Bounds

MAGIC = 0xCED7230A
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
TENSORS: dict[int, np.dtype[Any]] = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: np.dtype(np.int64)}
"""Field number of a Value → its numbers. An int32 travels as a 64-bit two's complement, digit by digit."""

WIDEST = 1_000_000
LONGEST_VARINT = 10
FEW = 32
"""Bytes that are read faster one by one than by NumPy's calls."""


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    """Rows of one width, as one block: of the type of all records, or of float64 where these differ."""
    cells, count, width, dtype = bytearray(), 0, signature.count, TENSORS[3]
    try:
        for record in _records(body):
            row = _row(record, bounds, len(cells))
            count, width = count + 1, len(row) if width is None else width
            if len(row) != width:
                raise wrong_width(count, len(row), signature, width)
            if count == 1 and signature.columns is None:
                dtype = row.dtype
            elif row.dtype != dtype != TENSORS[3]:
                cells, dtype = bytearray(np.frombuffer(cells, dtype).astype(TENSORS[3]).data), TENSORS[3]
            cells += row.astype(dtype).data
    except (struct.error, IndexError, ValueError, OverflowError, UnicodeDecodeError) as exc:
        raise BadRequest(
            f"Record {count + 1} is not RecordIO-protobuf with a tensor of numbers called `values`: "
            f"{verbatim(str(exc))}.",
            row=count + 1,
        ) from exc
    block = np.frombuffer(cells, dtype).reshape(count, width or 0)
    if takes_block(signature, None):
        return align(Table((), count, block=block), signature)
    return align(Table(list(block.T), count), signature)


def _records(body: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(body):
        magic, length = struct.unpack_from("<II", body, position)
        if magic != MAGIC or length >> 29:
            raise ValueError("its first bytes are not those of a whole record")
        if position + 8 + length > len(body):
            raise ValueError("it is cut short")
        yield body[position + 8 : position + 8 + length]
        position += 8 + (length + 3) // 4 * 4


def _row(record: bytes, bounds: Bounds, held: int) -> np.ndarray:
    """`held` bytes of rows are there already."""
    for number, entry in _fields(record):
        if number != 1:
            continue
        name, value = b"", b""
        for part, content in _fields(entry):
            name, value = (content if part == 1 else name), (content if part == 2 else value)
        if name != b"values":
            continue
        for kind, tensor in _fields(value):
            if kind in TENSORS:
                return _tensor(tensor, TENSORS[kind], bounds, held)
    raise ValueError("there is none")


def _tensor(tensor: bytes, dtype: np.dtype[Any], bounds: Bounds, held: int) -> np.ndarray:
    parts = {1: bytearray(), 2: bytearray(), 3: bytearray()}
    for number, content in _fields(tensor):
        if number in parts:
            parts[number] += content
    raw, keys, shape = parts[1], _varints(parts[2]), _varints(parts[3])
    values = _varints(raw).view(dtype) if dtype.kind == "i" else np.frombuffer(raw, dtype)
    if not len(keys):
        return values
    if len(shape) != 1 or not 0 < shape[0] <= WIDEST or keys.max() >= shape[0] or len(keys) != len(values):
        raise ValueError("its keys, values and shape do not fit together")
    bounds.afford(held + int(shape[0]) * NUMBER_BYTES)  # a million zeros take a few bytes
    dense = np.zeros(int(shape[0]), dtype)
    dense[keys.astype(np.int64)] = values
    return dense


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message; a number comes as the bytes it is written in."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        start, wire = position, tag & 7
        if wire == VARINT:
            _, position = _varint(message, position)
        elif wire == BYTES:
            length, start = _varint(message, position)
            position = start + length
        elif wire in (FIXED64, FIXED32):
            position += 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"it has the unknown wire type {wire}")
        if position > len(message):
            raise ValueError("it is cut short")
        yield tag >> 3, message[start:position]


def _varint(data: bytes | bytearray, position: int) -> tuple[int, int]:
    value = data[position]
    if value < 0x80:
        return value, position + 1
    value &= 0x7F
    for shift in range(7, 7 * LONGEST_VARINT, 7):
        position += 1
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
    raise ValueError("a number in it is too long")


def _varints(data: bytes | bytearray) -> np.ndarray:
    """uint64: each number ends with its first byte below 0x80, and gives seven bits a byte. Many are read at once."""
    if len(data) <= FEW:
        return np.array([*_few_varints(data)], np.uint64)
    digits = np.frombuffer(bytes(data), np.uint8)
    ends = np.flatnonzero(digits < 0x80)
    if not len(ends):
        if len(digits):
            raise ValueError("a number in it is cut short")
        return np.empty(0, np.uint64)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if ends[-1] != len(digits) - 1 or lengths.max() > LONGEST_VARINT:
        raise ValueError("a number in it is cut short, or too long")
    values = np.zeros(len(starts), np.uint64)
    for place in range(int(lengths.max())):
        longer = np.flatnonzero(lengths > place)
        values[longer] |= (digits[starts[longer] + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    return values


def _few_varints(data: bytes | bytearray) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        yield value & 2**64 - 1
