"""RecordIO-protobuf as the SageMaker SDK writes it, for tests."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from serving.formats import recordio


def varint(number: int) -> bytes:
    digits = bytearray()
    while number > 127:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def dense_record(values: Iterable[float], kind: str = "float32") -> bytes:
    return _record(_numbers(values, kind), kind)


def sparse_record(width: int, values: Mapping[int, float]) -> bytes:
    keys = b"".join(map(varint, values))
    return _record(_numbers(values.values(), "float32") + _field(2, keys) + _field(3, varint(width)), "float32")


def _numbers(values: Iterable[float], kind: str) -> bytes:
    if kind == "int32":
        return _field(1, b"".join(varint(int(value) % 2**64) for value in values))
    return _field(1, b"".join(struct.pack("<f", value) for value in values))


def _record(tensor: bytes, kind: str) -> bytes:
    record = _field(1, _field(1, b"values") + _field(2, _field({"float32": 2, "int32": 7}[kind], tensor)))
    return struct.pack("<II", recordio.MAGIC, len(record)) + record + b"\0" * (-len(record) % 4)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content
