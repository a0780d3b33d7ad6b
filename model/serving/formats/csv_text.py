"""CSV as it leaves: predictions to text, a line each."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from .answer_cells import opened, table
from .json_text import dumps, is_missing, lines_of, ready


def to_csv(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    """One line per prediction, one cell per column; `header=present` in Accept adds the names, if there are any."""
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "fiu" and rows.ndim <= 2 and all(rows.shape[1:]):
        text = _with_words(dumps(ready(rows)), rows)
        if rows.ndim == 1:
            return lines_of(text, b",")
        return text[2:-2].replace(b"],[", b"\n") + b"\n" if len(text) > 4 else b""
    if isinstance(rows, np.ndarray) and rows.ndim == 1 and (labels := _plain_labels(rows)) is not None:
        return labels
    items = ready(rows) if isinstance(rows, np.ndarray) and rows.dtype.kind not in "fiub" else rows
    items = items.tolist() if isinstance(items, np.ndarray) else items
    lines = _Lines()
    writer = csv.writer(lines)
    named = parameters.get("header") == "present"
    for row in table([row if type(row) in PLAIN else opened(row) for row in items], named):
        cells = [cell if type(cell) in PLAIN else _cell(cell) for cell in row]
        writer.writerow(cells or [""])  # "" is a line to whoever reads it, a blank one is not
    return "".join(lines.text).encode()


PLAIN = frozenset((str, int, float, bool))
"""What csv.writer writes as it should, and most cells are."""


class _Lines:
    """csv.writer quotes the characters that its lines end with: told of CR and LF, it quotes both."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def write(self, line: str) -> None:
        self.text.append(f"{line[:-2]}\n")


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
    if isinstance(value, str | bool | int | float):
        return value
    if value is None or is_missing(value):
        return ""
    if isinstance(value, np.float16 | np.longdouble):
        value = np.float32(value) if isinstance(value, np.float16) else float(value)
    if isinstance(value, np.floating):
        return str(value)
    if isinstance(value, np.integer | np.bool_) and not isinstance(value, np.timedelta64):
        return value.item()
    text = dumps(ready([value]))[1:-1]
    return orjson.loads(text) if text[:1] == b'"' else "" if text == b"null" else text.decode()
