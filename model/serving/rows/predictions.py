"""What transformation returned → bytes. One prediction per row, or the error that says what came instead.

Floats are written in the shortest form that reads back the same. JSON has no NaN and no Infinity: both become null.
A generator is streamed, one prediction per item. Bytes with a content type are passed on as they are: an object with
`.body` and `.content_type`, or the tuple (bytes, content type).
"""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import GeneratorType
from typing import Any, NamedTuple

import numpy as np
import orjson

from ..errors import ModelFailed, NotAcceptable

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class Encoded(NamedTuple):
    """`body` is bytes, or an iterator of bytes for a streamed answer."""

    body: bytes | Iterator[bytes]
    content_type: str


def as_sent(predictions: Any) -> Encoded | None:
    """The user's own bytes and content type, if that is what transformation returned."""
    if isinstance(predictions, tuple) and len(predictions) == 2:
        body, content_type = predictions
        if not (isinstance(body, bytes) and isinstance(content_type, str)):
            return None
    elif hasattr(predictions, "body") and hasattr(predictions, "content_type"):
        body, content_type = predictions.body, predictions.content_type
    else:
        return None
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray | memoryview) or not isinstance(content_type, str):
        raise ModelFailed(f"transformation returned a {type(predictions).__name__} whose body is not bytes.")
    return Encoded(bytes(body), content_type)


def is_whole(predictions: Any) -> bool:
    """True for an answer that cannot be split by rows: a generator, or bytes with a content type."""
    return isinstance(predictions, GeneratorType) or as_sent(predictions) is not None


def per_row(predictions: Any, count: int) -> np.ndarray | list[Any]:
    """Exactly one prediction per row, as an array or a list, so that it can be sliced. Idempotent.

    Raises ModelFailed that says what was returned for how many rows.
    """
    rows = _rows(predictions, count)
    if rows is None:
        raise ModelFailed(f"transformation returned {_what(predictions)} for {count} rows; expected one for each.")
    if len(rows) != count:
        raise ModelFailed(
            f"transformation returned {len(rows)} predictions ({_what(predictions)}) for {count} rows; "
            "expected one prediction per row."
        )
    return rows


def _rows(predictions: Any, count: int) -> np.ndarray | list[Any] | None:
    if isinstance(predictions, np.ndarray):
        if predictions.dtype.names:
            return [dict(zip(predictions.dtype.names, row, strict=True)) for row in predictions.tolist()]
        return np.asarray(predictions) if predictions.ndim else None
    if isinstance(predictions, list | tuple):
        return _by_row(predictions, count)
    if isinstance(predictions, dict):
        return _records(predictions) if predictions else None
    if hasattr(predictions, "iloc") and hasattr(predictions, "columns"):
        return _records({str(name): predictions.iloc[:, i] for i, name in enumerate(predictions.columns)})
    if hasattr(predictions, "iloc") or hasattr(predictions, "to_numpy"):
        numpy_dtype = isinstance(predictions.dtype, np.dtype) and predictions.dtype.kind in "fiubM"
        return predictions.to_numpy() if numpy_dtype else list(predictions)
    if hasattr(predictions, "toarray"):  # scipy.sparse
        return np.asarray(predictions.toarray())
    if hasattr(predictions, "__array__"):
        array = np.asarray(predictions)
        return array if array.ndim else None
    return None


def _by_row(predictions: list[Any] | tuple[Any, ...], count: int) -> np.ndarray | list[Any]:
    """scikit-learn's multi-output predict_proba is a list of arrays, one per output: turned into one entry per row."""
    first = predictions[0] if predictions else None
    outputs = isinstance(first, np.ndarray) and first.ndim == 2
    if outputs and all(isinstance(p, np.ndarray) and p.ndim == 2 and len(p) == count for p in predictions):
        return [list(row) for row in zip(*predictions, strict=True)]
    return list(predictions)


def _records(columns: Mapping[str, Any]) -> list[Any] | None:
    """Columns → one object per row."""
    values = [list(c) if not isinstance(c, np.ndarray) else c for c in columns.values() if _is_column(c)]
    if len(values) != len(columns) or len({len(c) for c in values}) != 1:
        return None
    names = [str(name) for name in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _is_column(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes | dict) and np.ndim(value) > 0


def _what(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(value, dict):
        return f"a dict with the keys {', '.join(map(str, list(value)[:10]))}"
    kind = type(value).__name__
    return f"{kind} of shape {shape}" if shape is not None else f"{kind} {value!r:.60}" if np.isscalar(value) else kind


# ---- JSON ------------------------------------------------------------------------------------------------------------


def dumps(value: Any) -> bytes:
    """orjson where it can; what it cannot (integers beyond 64 bits, odd arrays) goes through json, to the same text."""
    try:
        return orjson.dumps(value, default=_plain, option=OPTIONS)
    except (TypeError, orjson.JSONEncodeError):
        pass
    try:
        return json.dumps(_jsonable(value), allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ModelFailed(f"A prediction cannot be written as JSON: {exc}.") from exc


def _plain(value: Any) -> Any:
    """What orjson does not know."""
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "tolist"):
        return value.tolist()
    if value is None or _is_missing(value):
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


def _is_missing(value: Any) -> bool:
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


def _ready(rows: np.ndarray | list[Any]) -> Any:
    """An array in the form that orjson writes from memory."""
    if isinstance(rows, np.ndarray):
        if rows.dtype.kind not in "fiubM" or rows.dtype.itemsize > 8:
            return rows.tolist()
        if not (rows.flags.c_contiguous and rows.dtype.isnative):
            return np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("="))
    return rows


def to_json(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    return b'{"predictions":' + dumps(_ready(rows)) + b"}"


def to_json_lines(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    if isinstance(rows, np.ndarray) and rows.ndim == 1 and rows.dtype.kind in "fiub":
        return _lines(dumps(_ready(rows)), b",")
    return b"".join(dumps(row) + b"\n" for row in (_ready(rows) if rows is not None else ()))


def _lines(array: bytes, separator: bytes) -> bytes:
    return array[1:-1].replace(separator, b"\n") + b"\n" if len(array) > 2 else b""


# ---- CSV -------------------------------------------------------------------------------------------------------------


def to_csv(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    """One line per prediction, one cell per column; `header=present` in Accept adds the names, if there are any."""
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "fiu" and rows.ndim <= 2:
        text = dumps(_ready(rows))
        if b"null" not in text:
            if rows.ndim == 1:
                return _lines(text, b",")
            return text[2:-2].replace(b"],[", b"\n") + b"\n" if len(text) > 4 else b""
    if isinstance(rows, np.ndarray) and rows.ndim == 1 and (plain := _plain_labels(rows)) is not None:
        return plain
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    items: Iterable[Any] = rows.tolist() if isinstance(rows, np.ndarray) and rows.dtype.kind != "M" else rows
    for number, row in enumerate(items):
        if number == 0 and isinstance(row, dict) and parameters.get("header") == "present":
            writer.writerow(row)
        cells = row.values() if isinstance(row, dict) else row if isinstance(row, list | tuple | np.ndarray) else [row]
        writer.writerow([_cell(cell) for cell in cells])
    return stream.getvalue().encode()


def _plain_labels(rows: np.ndarray) -> bytes | None:
    """Texts that need no quotes, one a line; None if some do. Labels are most of what classifiers answer."""
    if rows.dtype.kind not in "UO":
        return None
    labels = rows.tolist()
    if not labels or not all(isinstance(label, str) and label for label in labels):
        return None
    text = "\n".join(labels)
    if text.count("\n") != len(labels) - 1 or any(mark in text for mark in ',"\r'):
        return None
    return text.encode() + b"\n"


def _cell(value: Any) -> Any:
    """Numbers as repr() has them (nan and inf too), a missing value empty, lists and objects as JSON."""
    if isinstance(value, str):
        return value
    if value is None or _is_missing(value):
        return ""
    if isinstance(value, np.datetime64):
        return "" if np.isnat(value) else str(value)
    if isinstance(value, np.generic) and not isinstance(value, np.floating):
        value = value.item()
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, np.floating):
        return str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    text = dumps(value)
    return orjson.loads(text) if text[:1] == b'"' else text.decode()


# ---- NumPy, Parquet --------------------------------------------------------------------------------------------------


def _as_array(rows: np.ndarray | list[Any]) -> np.ndarray:
    try:
        array = np.asarray(rows)
        if array.dtype == object and all(isinstance(v, str) for v in array.ravel()):
            array = array.astype(str)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype.hasobject:
        raise NotAcceptable("These predictions are no array of numbers or texts. Ask for application/json.")
    return array


def to_npy(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, _as_array(rows), allow_pickle=False)
    return stream.getvalue()


# ---- streams ---------------------------------------------------------------------------------------------------------


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
