"""What transformation returned → bytes. One prediction per row, or the error that says what came instead.

Floats are written in the shortest form that reads back the same. JSON has no NaN and no Infinity: both become null.
A generator is streamed, one prediction per item. Bytes with a content type are passed on as they are: an object with
`.body` and `.content_type`, or the tuple (bytes, content type).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import GeneratorType
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelFailed


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
    if not content_type.isascii() or not content_type.isprintable():
        raise ModelFailed(f"transformation returned the content type {content_type!a:.80}, which no header can have.")
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


# ---- CSV -------------------------------------------------------------------------------------------------------------


# ---- NumPy, Parquet --------------------------------------------------------------------------------------------------


# ---- streams ---------------------------------------------------------------------------------------------------------
