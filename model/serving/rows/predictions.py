"""What transformation returned → bytes. One prediction per row, or the error that says what came instead.

Floats are written in the shortest form that reads back the same. JSON has no NaN and no Infinity: both become null.
A generator is streamed, one prediction per item. Bytes with a content type are passed on as they are: an object with
`.body` and `.content_type`, or the tuple (bytes, content type).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import islice
from types import GeneratorType
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelFailed
from ..wording import quoted, verbatim
from . import foreign


class Ambiguous(ModelFailed):
    """With as many rows as this, what was returned could mean one thing or another."""


class Encoded(NamedTuple):
    """`body` is bytes, or an iterator of bytes for a streamed answer."""

    body: bytes | Iterator[bytes]
    content_type: str


def as_sent(predictions: Any) -> Encoded | None:
    """The user's own bytes and content type, if that is what transformation returned."""
    if isinstance(predictions, tuple) and len(predictions) == 2:
        body, content_type = predictions
        if not (isinstance(body, bytes | bytearray | memoryview) and isinstance(content_type, str)):
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
        raise ModelFailed(
            f"transformation returned {_what(predictions)} for {_rows_of(count)}; expected a list or an array with one "
            f"prediction per row.{_fault(predictions)}"
        )
    if len(rows) != count:
        endless = isinstance(predictions, Iterator) and len(rows) > count
        came = f"more than {count}" if endless else str(len(rows))
        raise ModelFailed(
            f"transformation returned {came} prediction{'s' * (came != '1')} ({_what(predictions)}) for "
            f"{_rows_of(count)}; expected one prediction per row.{_remedy(predictions, count)}"
        )
    return rows


def _rows_of(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def _rows(predictions: Any, count: int) -> np.ndarray | list[Any] | None:
    if isinstance(predictions, np.ndarray):
        return foreign.of_array(predictions)
    if isinstance(predictions, list | tuple):
        return _by_row(predictions, count)
    if isinstance(predictions, Iterator):  # it may have no end
        return list(islice(predictions, count + 1))
    if (found := foreign.held(foreign.in_order(predictions))) is not None:
        return found
    columns = foreign.named(predictions)
    return foreign.records(columns) if columns else None


def _by_row(predictions: list[Any] | tuple[Any, ...], count: int) -> np.ndarray | list[Any]:
    """scikit-learn's multi-output predict_proba is a list of arrays, one per output: turned into one entry per row.

    A tuple is how Python returns several things, such as (mean, std) for all rows: turned into one entry per row. If it
    has as many parts as there are rows, and one of them is as long, it could mean either and is refused.
    """
    first = predictions[0] if predictions else None
    outputs = isinstance(first, np.ndarray) and first.ndim == 2
    if outputs and all(isinstance(p, np.ndarray) and p.ndim == 2 and len(p) == count for p in predictions):
        return [list(row) for row in zip(*predictions, strict=True)]
    if isinstance(predictions, tuple):
        if len(predictions) == count > 1 and _some_of_length(predictions, count):
            some = "" if _all_of_length(predictions, count) else "(some) "
            raise Ambiguous(
                f"transformation returned a tuple of {count} results {some}of length {count} for {count} rows: are "
                f"they one for each row, or {count} results for all rows? {COLUMNS}; a list is one for each row."
            )
        if len(predictions) != count > 0 and _all_of_length(predictions, count):
            return [list(row) for row in zip(*map(foreign.items, predictions), strict=True)]
    return list(predictions)


COLUMNS = "Several results for each row are columns: return a dict such as {'mean': mean, 'std': std}"


def _some_of_length(parts: Sequence[Any], count: int) -> bool:
    return any(foreign.length(part) == count for part in parts)


def _all_of_length(parts: Sequence[Any], count: int) -> bool:
    return all(foreign.length(part) == count for part in parts)


def _remedy(predictions: Any, count: int) -> str:
    if isinstance(predictions, list | tuple):
        if _some_of_length(predictions, count):
            return f" {COLUMNS}."
        if len(predictions) == 2 and isinstance(predictions[1], str) and "/" in predictions[1]:
            return " An answer of your own making is (bytes, content type)."
        return ""
    shape: Sequence[int] = getattr(predictions, "shape", ())
    transposed = len(shape) == 2 and shape[1] == count != shape[0]
    return " It has a column for each row: return its transpose, `.T`." if transposed else ""


def _fault(predictions: Any) -> str:
    """Why it is not one prediction per row."""
    if isinstance(predictions, Set):
        return " A set has no order."
    columns = foreign.named(predictions)
    if not columns:
        return ""
    lengths = [foreign.length(column) for column in columns.values()]
    for (name, column), found in zip(columns.items(), lengths, strict=True):
        if found is None:
            kind = type(column).__name__
            return f" Each value of a dict is a column, but {quoted(name)} is a {kind}. Dicts of rows stand in a list."
    return f" Its columns have different lengths: {', '.join(map(str, lengths[:10]))}."


def _what(value: Any) -> str:
    if isinstance(value, BaseException):
        return f"the exception {type(value).__name__} ({verbatim(str(value))}), which it should raise,"
    if (columns := foreign.named(value)) is not None:
        kind = "dict" if isinstance(value, dict) else type(value).__name__
        return f"a {kind} with the keys {verbatim(', '.join(map(str, list(columns)[:10])))}"
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if shape:
        return f"{kind} of shape {tuple(shape)}"
    return f"{kind} {quoted(value, 60)}" if np.isscalar(value) else kind
