"""JSON and JSON Lines as they leave: predictions to text, whole or item by item."""

from __future__ import annotations

import datetime
import enum
import json
import os
from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
import orjson

from ..errors import ModelFailed
from ..rows import foreign
from ..wording import verbatim

OPENING, CLOSING = b'{"predictions":[', b"]}"
OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def dumps(value: Any) -> bytes:
    """orjson where it can; what it cannot (integers beyond 64 bits, odd arrays) goes through json, to the same text."""
    try:
        return orjson.dumps(value, default=plain, option=OPTIONS)
    except (TypeError, orjson.JSONEncodeError):
        pass
    try:
        return json.dumps(_jsonable(value), allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ModelFailed(f"A prediction cannot be written as JSON: {verbatim(str(exc))}.") from exc


def plain(value: Any) -> Any:
    """What orjson does not know, in terms of what it knows, one level deep. Raises TypeError, ValueError."""
    if value is None or is_missing(value):
        return None
    if hasattr(value, "as_py"):  # Arrow
        return value.as_py()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return _text(value)
    if (names := foreign.named(value)) is not None:
        return names
    if (items := foreign.held(value)) is not None:
        return ready(items)
    if isinstance(value, Set):
        return _in_order(value)
    return _single(value)


def _single(value: Any) -> Any:
    if getattr(value, "shape", None) == ():  # an array without dimensions
        return _of_numpy(foreign.of_tensor(value))
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "__float__") and not isinstance(value, type):
        return float(value)
    if type(value).__module__.partition(".")[0] == "pandas":  # a period, an interval
        return str(value)
    raise TypeError(f"it holds a {type(value).__name__}; return numbers, texts, lists and dicts")


def _of_numpy(single: np.ndarray) -> Any:
    """float32 stays what it is: Python's float would have more digits."""
    kind = single.dtype.kind
    if kind in "mM":
        return foreign.spelt(single.reshape(1))[0]
    return single[()] if kind in "fiub" and single.itemsize <= 8 else float(single) if kind == "f" else single.item()


def is_missing(value: Any) -> bool:
    """pandas' NA and NaT; what NumPy has masked."""
    return type(value).__name__ in ("NAType", "NaTType") or value is np.ma.masked


def _text(value: bytes | bytearray) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("it holds bytes that are not a text; return base64, or (bytes, content type)") from None


def _in_order(values: Set[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, str | int):
        return value
    try:
        return orjson.loads(orjson.dumps(value, default=plain, option=OPTIONS))
    except (TypeError, orjson.JSONEncodeError):
        return _jsonable(plain(value))


def ready(rows: np.ndarray | list[Any]) -> Any:
    """In the form that orjson writes from memory. It has no NaT, and no nanoseconds."""
    if isinstance(rows, np.ndarray):
        if rows.dtype.kind == "f" and rows.dtype.itemsize > 8:
            return rows.astype(np.float64)
        if rows.dtype.kind not in "fiub":
            return foreign.spelt(rows) if rows.dtype.kind in "mM" else rows.tolist()
        if not (rows.flags.c_contiguous and rows.dtype.isnative):
            return np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("="))
        return rows
    return _without_times(rows) if _holds_times(next((row for row in rows if row is not None), None)) else rows


def _holds_times(value: Any) -> bool:
    if isinstance(value, dict | list | tuple):
        return any(map(_holds_times, value.values() if isinstance(value, dict) else value))
    return isinstance(value, np.datetime64) or (isinstance(value, np.ndarray) and value.dtype.kind == "M")


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_times(item) for item in value]
    if isinstance(value, np.datetime64):
        return _of_numpy(np.asarray(value))
    return foreign.spelt(value) if isinstance(value, np.ndarray) and value.dtype.kind == "M" else value


def to_json(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    return OPENING[:-1] + dumps(ready(rows)) + CLOSING[1:]


def to_json_lines(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    if isinstance(rows, np.ndarray) and rows.ndim == 1 and rows.dtype.kind in "fiub":
        return lines_of(dumps(ready(rows)), b",")
    return b"".join(dumps(row) + b"\n" for row in (ready(rows) if rows is not None else ()))


def lines_of(array: bytes, separator: bytes) -> bytes:
    return array[1:-1].replace(separator, b"\n") + b"\n" if len(array) > 2 else b""


def stream(documents: Iterator[bytes]) -> Iterator[bytes]:
    """One document of many: each is an answer to one row, or the user's own JSON of one."""
    before = OPENING
    for document in documents:
        yield before + (document[len(OPENING) : -len(CLOSING)] if document.startswith(OPENING) else document)
        before = b","
    yield CLOSING if before == b"," else OPENING + CLOSING
