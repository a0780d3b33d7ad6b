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
from ..wording import quoted, verbatim


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
        raise ModelFailed(f"transformation returned the content type {quoted(content_type)}, which no header can have.")
    return Encoded(bytes(body), content_type)


def is_whole(predictions: Any) -> bool:
    """True for an answer that cannot be split by rows: a generator, or bytes with a content type."""
    return isinstance(predictions, GeneratorType) or as_sent(predictions) is not None


def per_row(predictions: Any, count: int) -> np.ndarray | list[Any]:
    """Exactly one prediction per row, as an array or a list, so that it can be sliced. Idempotent.

    Raises ModelFailed that says what was returned for how many rows.
    """
    if predictions is None:
        raise ModelFailed("transformation returned None. Is `return` missing?")
    rows = _rows(predictions, count)
    if rows is None:
        raise ModelFailed(f"transformation returned {_what(predictions)} for {_rows_of(count)}; expected one for each.")
    if len(rows) != count:
        raise ModelFailed(
            f"transformation returned {len(rows)} prediction{'s' * (len(rows) != 1)} ({_what(predictions)}) for "
            f"{_rows_of(count)}; "
            f"expected one prediction per row.{_remedy(predictions, count)}"
        )
    return rows


def _rows_of(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def _rows(predictions: Any, count: int) -> np.ndarray | list[Any] | None:
    if isinstance(predictions, np.ndarray):
        return _of_array(predictions)
    if isinstance(predictions, list | tuple):
        return _by_row(predictions, count)
    if isinstance(predictions, dict):
        return _records(predictions) if predictions else None
    if hasattr(predictions, "iloc") and hasattr(predictions, "columns"):
        return _records(_named(predictions))
    for method in ("to_dicts", "to_pylist"):  # a frame of polars; tables, batches and arrays of Arrow
        if hasattr(predictions, method):
            return list(getattr(predictions, method)())
    if hasattr(predictions, "iloc") or (hasattr(predictions, "to_numpy") and hasattr(predictions, "dtype")):
        numpy_dtype = isinstance(predictions.dtype, np.dtype) and predictions.dtype.kind in "fiubM"
        return predictions.to_numpy() if numpy_dtype else list(predictions)
    if hasattr(predictions, "toarray"):  # scipy.sparse
        return np.asarray(predictions.toarray())
    if hasattr(predictions, "__array__"):
        return _of_array(_of_tensor(predictions))
    return None


def _of_array(array: np.ndarray) -> np.ndarray | list[Any] | None:
    if array.dtype.names:
        return [dict(zip(array.dtype.names, row, strict=True)) for row in array.tolist()]
    if not array.ndim:
        return None
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        return list(array.tolist())  # what is masked becomes None
    if array.dtype.kind == "V":  # numbers that NumPy does not have, such as bfloat16
        return array.astype(np.float32)
    return np.asarray(array)


def _of_tensor(tensor: Any) -> np.ndarray:
    """torch refuses to hand over what is part of a graph, lies on a GPU, or is of a type that NumPy does not have."""
    for name in ("detach", "cpu", "resolve_conj", "to_dense"):
        if hasattr(tensor, "detach") and hasattr(tensor, name):
            tensor = getattr(tensor, name)()
    try:
        return np.asarray(tensor)
    except TypeError:
        return np.asarray(tensor.tolist())


def _by_row(predictions: list[Any] | tuple[Any, ...], count: int) -> np.ndarray | list[Any]:
    """scikit-learn's multi-output predict_proba is a list of arrays, one per output: turned into one entry per row.

    A tuple is how Python returns several things, such as (mean, std) for all rows: turned into one entry per row. If it
    has as many parts as there are rows, and each part is as long, it could mean either and is refused.
    """
    first = predictions[0] if predictions else None
    outputs = isinstance(first, np.ndarray) and first.ndim == 2
    if outputs and all(isinstance(p, np.ndarray) and p.ndim == 2 and len(p) == count for p in predictions):
        return [list(row) for row in zip(*predictions, strict=True)]
    if isinstance(predictions, tuple) and len(predictions) == count > 1 and _all_of_length(predictions, count):
        raise ModelFailed(
            f"transformation returned a tuple of {count} results of length {count} for {count} rows: are they one for "
            f"each row, or {count} results for all rows? {COLUMNS}; a list is one for each row."
        )
    if isinstance(predictions, tuple) and len(predictions) != count > 0 and _all_of_length(predictions, count):
        return [list(row) for row in zip(*map(_items, predictions), strict=True)]
    return list(predictions)


COLUMNS = "Several results for each row are columns: return a dict such as {'mean': mean, 'std': std}"


def _all_of_length(items: Any, length: int) -> bool:
    return all(_is_column(item) and len(item) == length for item in items)


def _remedy(predictions: Any, count: int) -> str:
    several = isinstance(predictions, list | tuple) and _all_of_length(predictions, count)
    return f" {COLUMNS}." if several else ""


def _named(frame: Any) -> dict[str, Any]:
    """The columns of a DataFrame by name. Two of one name would be one in the answer."""
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ModelFailed(f"transformation returned a DataFrame with two columns {quoted(twice)}. Rename one of them.")
    return {name: frame.iloc[:, place] for place, name in enumerate(names)}


def _records(columns: Mapping[str, Any]) -> list[Any] | None:
    """Columns → one object per row."""
    values = [c if isinstance(c, np.ndarray) else _items(c) for c in columns.values() if _is_column(c)]
    if len(values) != len(columns) or len({len(c) for c in values}) != 1:
        return None
    names = [str(name) for name in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _items(column: Any) -> list[Any]:
    rows = _rows(column, len(column))
    return rows if isinstance(rows, list) else list(column if rows is None else rows)


def _is_column(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes | dict) and getattr(value, "ndim", 1) > 0


def _what(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(value, dict):
        return f"a dict with the keys {verbatim(', '.join(map(str, list(value)[:10])))}"
    kind = type(value).__name__
    if shape is not None:
        return f"{kind} of shape {shape}"
    return f"{kind} {quoted(value, 60)}" if np.isscalar(value) else kind
