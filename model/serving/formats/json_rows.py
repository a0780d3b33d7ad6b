"""application/json and JSON Lines → rows, in every shape that SageMaker's algorithms, MLflow and TF Serving take.

A list is rows, or one row; an object is an envelope around them, or one row by name. NaN and Infinity, which Python's
json.dumps writes although JSON has none, are taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from ..errors import BadRequest, PayloadTooLarge
from ..rows.signature import Signature
from ..rows.table import Table, align
from .budget import Bounds
from .json_envelopes import are_texts, bare, document
from .json_numbers import numeric_lines, numeric_table
from .json_tables import MOST_VALUES, SHAPES, as_list, of_lists, of_objects

MOST_LISTS = 2_000_000
"""Parsed, an empty list takes thirty times the bytes that it has in the body: the memory of a worker is the limit."""


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    _refuse_what_would_swell(body)
    if (numbers := numeric_table(body, signature)) is not None:
        return align(numbers, signature)
    return _aligned(document(_parsed(body, "The body"), signature), signature)


def decode_lines(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    """One row per line; a line may be anything that is one row in JSON. Blank lines are skipped."""
    _refuse_what_would_swell(body)
    lines = [line for line in body.splitlines() if line.strip()]
    if (numbers := numeric_lines(lines, signature)) is not None:
        return align(numbers, signature)
    try:
        rows = orjson.loads(b"[" + b",".join(lines) + b"]")
        if len(rows) != len(lines):
            raise orjson.JSONDecodeError("two values on a line", "", 0)
    except orjson.JSONDecodeError:  # once more, to learn which line it is
        rows = [_parsed(line, f"Row {number}", number) for number, line in enumerate(lines, 1)]
    return _aligned([_line(row, signature) for row in rows], signature)


def _refuse_what_would_swell(body: bytes) -> None:
    if len(body) < 2 * MOST_LISTS:
        return
    lists, values = body.count(b"[") + body.count(b"{"), body.count(b",")
    if lists > MOST_LISTS or values > MOST_VALUES:
        raise PayloadTooLarge(
            f"The body holds {lists} lists and objects and {values} values; at most {MOST_LISTS} and {MOST_VALUES} are "
            "taken in one request. Send fewer rows, or send them as text/csv.",
        )


def _line(value: Any, signature: Signature) -> Any:
    """A line that is an envelope of its own holds exactly one row."""
    if isinstance(value, dict) and not signature.named_by(value):
        inner = next((value[key] for key in ("instances", "inputs") if key in value), None)
        if isinstance(inner, list) and len(inner) == 1:
            return inner[0]
    return value


def _parsed(text: bytes, what: str, row: int | None = None) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        reason = str(exc)
    if b"NaN" in text or b"Infinity" in text:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    several = row is not None and re.search(rb"[}\]]\s*[{\[]", text)
    remedy = " Were there several lines? curl -d removes their ends: use --data-binary." if several else ""
    raise BadRequest(f"{what} is not valid JSON: {reason[:200]}.{remedy}", row=row, expected=SHAPES)


def _aligned(rows: list[Any] | Table, signature: Signature) -> Any:
    """Rows of one kind (lists or objects) in the form that transformation gets."""
    if isinstance(rows, Table):
        return align(rows, signature)
    if are_texts(rows, signature):
        return rows
    if signature.form == "objects":
        return _objects(rows)
    rows = [bare(row, signature) for row in rows] if rows and isinstance(rows[0], dict) else rows
    if rows and isinstance(rows[0], dict):
        return align(of_objects(rows, signature), signature)
    lists = [as_list(row, number, signature) for number, row in enumerate(rows, 1)]
    return align(of_lists(lists, signature.count, signature), signature)


def _objects(rows: list[Any]) -> list[Any]:
    """For a model of objects: as they are."""
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadRequest(f"Row {number} is {row!r:.80}; expected an object.", row=number, expected='{"name": …}')
    return rows
