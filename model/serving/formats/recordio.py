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

from ..errors import BadRequest, PayloadTooLarge
from ..rows.signature import Signature
from ..rows.table import Table, align

MAGIC = 0xCED7230A
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
TENSORS = {2: "<f4", 3: "<f8", 7: "varint"}
"""Field number of a Value → how its numbers are written."""


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature, max_bytes: int) -> Any:
    rows: list[np.ndarray] = []
    cells = 0
    try:
        for record in _records(body):
            rows.append(_row(record))
            cells += len(rows[-1])
            if cells * 8 > max(max_bytes, 2**20):
                raise PayloadTooLarge(f"The records hold more numbers than fit into the limit of {max_bytes} bytes.")
    except (struct.error, IndexError, ValueError, OverflowError, UnicodeDecodeError) as exc:
        raise BadRequest(
            f"Record {len(rows) + 1} is not RecordIO-protobuf with a tensor of numbers called `values`: {exc}.",
            row=len(rows) + 1,
        ) from exc
    table = Table.of_rows(rows, signature.count)
    if signature.numeric and rows:
        table = Table((), len(rows), block=np.stack(rows))
    return align(table, signature)


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


def _row(record: bytes) -> np.ndarray:
    for number, entry in _fields(record):
        if number != 1:
            continue
        pair = dict(_fields(entry))
        if pair.get(1) != b"values":
            continue
        for kind, tensor in _fields(pair.get(2, b"")):
            if kind in TENSORS:
                return _tensor(tensor, TENSORS[kind])
    raise ValueError("there is none")


def _tensor(tensor: bytes, form: str) -> np.ndarray:
    parts: dict[int, list[bytes]] = {}
    for number, content in _fields(tensor):
        parts.setdefault(number, []).append(content)
    raw = b"".join(parts.get(1, []))
    if form == "varint":
        values = np.array([_signed(v) for v in _varints(raw)], dtype=np.float64)
    else:
        values = np.frombuffer(raw, form).astype(np.float64)
    keys = list(_varints(b"".join(parts.get(2, []))))
    if not keys:
        return values
    shape = list(_varints(b"".join(parts.get(3, []))))
    if len(shape) != 1 or not 0 < shape[0] <= 1_000_000 or max(keys) >= shape[0] or len(keys) != len(values):
        raise ValueError("its keys, values and shape do not fit together")
    dense = np.zeros(shape[0])
    dense[keys] = values
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


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number in it is too long")


def _varints(data: bytes) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        yield value


def _signed(value: int) -> int:
    """int32 travels as a 64-bit two's complement."""
    return value - 2**64 if value >= 2**63 else value
