"""application/json and JSON Lines → rows, in every shape that SageMaker's algorithms, MLflow and TF Serving take.

A list is rows, or one row; an object is an envelope around them, or one row by name. NaN and Infinity, which Python's
json.dumps writes although JSON has none, are taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import orjson

from ..compiler.bodies import count
from ..errors import BadRequest
from ..rows.signature import Signature
from ..rows.table import Table, align
from ..wording import quoted
from . import json_pieces
from .budget import NUMBER_BYTES, TEXT_BYTES, Bounds
from .json_envelopes import are_texts, document
from .json_numbers import numeric_lines, numeric_table
from .json_pieces import Broken, Long, mapped
from .json_tables import SHAPES, bare, of_objects, of_values
from .pieces import PIECE, windows

OBJECT_BYTES = 240
"""A dict of one item."""


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    """Rows for transformation, or BadRequest."""
    _afford(body, signature, bounds)
    if (numbers := numeric_table(body, signature)) is not None:
        return align(numbers, signature)
    try:
        return _aligned(document(json_pieces.document(body, _piece), signature), signature)
    except Broken:  # once more as a whole, to learn where
        return _aligned(document(_parsed(body, "The body"), signature), signature)


def decode_lines(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    """One row per line; a line may be anything that is one row in JSON. Blank lines are skipped."""
    _afford(body, signature, bounds)
    if (numbers := numeric_lines(body, signature)) is not None:
        return align(numbers, signature)
    rows = Long(lambda: _pieces_of_lines(body)) if len(body) > PIECE else list(chain(*_pieces_of_lines(body)))
    return _aligned(mapped(rows, lambda row: _line(row, signature)), signature)


def _pieces_of_lines(body: bytes) -> Iterator[list[Any]]:
    count = 0
    for window in windows(body):
        lines = [line for line in window.splitlines() if line.strip()]
        try:
            rows = orjson.loads(b"[" + b",".join(lines) + b"]")
            if len(rows) != len(lines) or HUGE.search(window):
                raise orjson.JSONDecodeError("two values on a line", "", 0)
        except orjson.JSONDecodeError:  # once more, to learn which line it is
            rows = [_parsed(line, f"Row {number}", number) for number, line in enumerate(lines, count + 1)]
        count += len(rows)
        yield rows


def _afford(body: bytes, signature: Signature, bounds: Bounds) -> None:
    """Values are counted by what stands between them; a quote that belongs to no name belongs to a text."""
    objects = count(body, b"{")
    values = count(body, b",") + count(body, b"[") + objects
    texts = max(0, min(values, count(body, b'"') // 2 - count(body, b":")))
    kept = objects * OBJECT_BYTES if signature.as_sent else 0
    bounds.afford(2 * values * NUMBER_BYTES + texts * TEXT_BYTES + kept)


def _line(value: Any, signature: Signature) -> Any:
    """A line that is an envelope of its own holds exactly one row."""
    if isinstance(value, dict) and not signature.named_by(value):
        inner = next((value[key] for key in ("instances", "inputs") if key in value), None)
        if isinstance(inner, list) and len(inner) == 1:
            return inner[0]
    return value


def _parsed(text: bytes, what: str, row: int | None = None) -> Any:
    try:
        return _piece(text)
    except Broken as exc:
        several = row is not None and re.search(rb"[}\]]\s*[{\[]", text)
        remedy = " Were there several lines? curl -d removes their ends: use --data-binary." if several else ""
        if b"'" in text and b'"' not in text:
            remedy = " Names and texts have double quotes in JSON, not single ones."
        elif PYTHONS.search(text):
            remedy = " JSON has null, true and false where Python has None, True and False: json.dumps writes them."
        raise BadRequest(f"{what} is not valid JSON: {str(exc)[:200]}.{remedy}", row=row, expected=SHAPES) from None


PYTHONS = re.compile(rb"[\[,:]\s*(None|True|False|nan|inf)\s*[,\]}]")
"""What `str` of Python's lists and dicts leaves, and NumPy's."""
HUGE = re.compile(rb"(?<![\d.])\d{20}")
"""An integer beyond 64 bits: orjson makes a float of it, which would be another key or another text."""


def _piece(text: bytes) -> Any:
    if HUGE.search(text):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):  # it is not JSON, or has more digits than Python reads
            pass
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        reason = str(exc)
    if b"NaN" in text or b"Infinity" in text:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    raise Broken(reason)


def _aligned(rows: list[Any] | Table, signature: Signature) -> Any:
    """Rows of one kind (lists or objects) in the form that transformation gets."""
    if isinstance(rows, Table):
        return align(rows, signature)
    if are_texts(rows, signature):
        return json_pieces.in_memory(rows)
    if not isinstance(rows, Long):
        rows = [json_pieces.in_memory(row) for row in rows]
    if signature.form == "values":
        return list(rows)
    if signature.form == "objects":
        return _objects(rows)
    if rows and isinstance(rows[0], dict):
        rows = mapped(rows, lambda row: bare(row, signature))
    if rows and isinstance(rows[0], dict):
        return align(of_objects(rows, signature), signature)
    return align(of_values(rows, signature.count, signature), signature)


def _objects(rows: list[Any]) -> list[Any]:
    """For a model of objects: as they are."""
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadRequest(f"Row {number} is {quoted(row)}; expected an object.", row=number, expected='{"name": …}')
    return list(rows)
