"""JSON and JSON Lines as they leave: predictions to text, whole or item by item."""

from __future__ import annotations

import datetime
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from ..errors import ModelFailed
from ..wording import verbatim

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def dumps(value: Any) -> bytes:
    """orjson where it can; what it cannot (integers beyond 64 bits, odd arrays) goes through json, to the same text."""
    try:
        return orjson.dumps(value, default=_plain, option=OPTIONS)
    except (TypeError, orjson.JSONEncodeError):
        pass
    try:
        return json.dumps(_jsonable(value), allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ModelFailed(f"A prediction cannot be written as JSON: {verbatim(str(exc))}.") from exc


def _plain(value: Any) -> Any:
    """What orjson does not know."""
    for method in ("tolist", "to_list", "to_pylist", "as_py"):  # NumPy and tensors, polars, Arrow
        if hasattr(value, method):
            return getattr(value, method)()
    if value is None or is_missing(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "__float__"):
        return float(value)
    if hasattr(value, "toarray"):
        return value.toarray().tolist()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    raise TypeError(f"it holds a {type(value).__name__}")


def is_missing(value: Any) -> bool:
    """pandas' NA and NaT."""
    return type(value).__name__ in ("NAType", "NaTType")


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return _jsonable(_plain(value))


def ready(rows: np.ndarray | list[Any]) -> Any:
    """An array in the form that orjson writes from memory."""
    if isinstance(rows, np.ndarray):
        if rows.dtype.kind not in "fiubM" or rows.dtype.itemsize > 8:
            return rows.tolist()
        if not (rows.flags.c_contiguous and rows.dtype.isnative):
            return np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("="))
    return rows


def to_json(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    return b'{"predictions":' + dumps(ready(rows)) + b"}"


def to_json_lines(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    if isinstance(rows, np.ndarray) and rows.ndim == 1 and rows.dtype.kind in "fiub":
        return lines_of(dumps(ready(rows)), b",")
    return b"".join(dumps(row) + b"\n" for row in (ready(rows) if rows is not None else ()))


def lines_of(array: bytes, separator: bytes) -> bytes:
    return array[1:-1].replace(separator, b"\n") + b"\n" if len(array) > 2 else b""


def stream(items: Iterator[Any], encode_row: Callable[[Any], bytes], json_document: bool) -> Iterator[bytes]:
    """A generator's items as they come. The first is fetched now, so that an early error still is an HTTP status."""
    first = list(itertools.islice(items, 1))
    chained = itertools.chain(first, items)
    return _json_stream(chained) if json_document else (i if isinstance(i, bytes) else encode_row(i) for i in chained)


def _json_stream(items: Iterator[Any]) -> Iterator[bytes]:
    separator = b'{"predictions":['
    for item in items:
        yield separator + (item if isinstance(item, bytes) else dumps(item))
        separator = b","
    yield b"]}" if separator == b"," else b'{"predictions":[]}'
