"""CSV as it leaves: predictions to text, a line each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson

from .json_text import dumps, is_missing, lines_of, ready


def to_csv(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    """One line per prediction, one cell per column; `header=present` in Accept adds the names, if there are any."""
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "fiu" and rows.ndim <= 2 and all(rows.shape[1:]):
        text = _with_words(dumps(ready(rows)), rows)
        if rows.ndim == 1:
            return lines_of(text, b",")
        return text[2:-2].replace(b"],[", b"\n") + b"\n" if len(text) > 4 else b""
    if isinstance(rows, np.ndarray) and rows.ndim == 1 and (plain := _plain_labels(rows)) is not None:
        return plain
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    items: Iterable[Any] = rows.tolist() if isinstance(rows, np.ndarray) and rows.dtype.kind != "M" else rows
    for number, row in enumerate(items):
        if number == 0 and isinstance(row, dict) and parameters.get("header") == "present":
            writer.writerow(row)
        several = isinstance(row, list | tuple) or (isinstance(row, np.ndarray) and row.ndim > 0)
        cells = row.values() if isinstance(row, dict) else row if several else [row]
        writer.writerow([_cell(cell) for cell in cells] or [""])  # "" is a line to whoever reads it, a blank one is not
    return stream.getvalue().encode()


def _with_words(text: bytes, rows: np.ndarray) -> bytes:
    """What is not a number in JSON is a word in CSV, and its neighbours look as they would without it."""
    if b"null" not in text:
        return text
    words = map(str, rows[~np.isfinite(rows)].tolist())
    first, *others = text.split(b"null")
    return first + b"".join(word.encode() + other for word, other in zip(words, others, strict=True))


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
    if value is None or is_missing(value):
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
    return orjson.loads(text) if text[:1] == b'"' else "" if text == b"null" else text.decode()
