"""application/json and JSON Lines → rows, in every shape that SageMaker's algorithms, MLflow and TF Serving take.

A list is rows, or one row; an object is an envelope around them, or one row by name. NaN and Infinity, which Python's
json.dumps writes although JSON has none, are taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from ..errors import BadRequest, PayloadTooLarge
from ..rows.signature import Signature
from ..rows.table import Table, align, takes_block
from .budget import Bounds
from .json_numbers import numeric_lines, numeric_table

SHAPES = '[[…], […]] or {"instances": [[…], …]} or [{"name": value, …}, …]'


MOST_LISTS = 2_000_000
MOST_VALUES = 25_000_000
"""Parsed, an empty list takes thirty times the bytes that it has in the body: the memory of a worker is the limit."""


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    _refuse_what_would_swell(body)
    if (numbers := numeric_table(body, signature)) is not None:
        return align(numbers, signature)
    return align(_table(_document(_parsed(body, "The body"), signature), signature), signature)


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
    return align(_table([_line(row, signature) for row in rows], signature), signature)


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
    if isinstance(value, dict) and not _is_named_row(value, signature):
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
    raise BadRequest(f"{what} is not valid JSON: {reason[:200]}.", row=row, expected=SHAPES)


def _document(value: Any, signature: Signature) -> Any:
    """Takes the envelope off: a list of rows, or a Table."""
    if isinstance(value, list):
        if not value or isinstance(value[0], list | dict):
            return value
        return value if signature.count == 1 else [value]
    if not isinstance(value, dict):
        return [value] if signature.count == 1 else _no_rows(value)
    if not _is_named_row(value, signature):
        for keys, take_off in ENVELOPES:
            if all(key in value for key in keys):
                return take_off(value, signature)
    _refuse_unknown_envelope(value, signature)
    if value and all(isinstance(cells, list) for cells in value.values()):
        return _named_columns(value)
    return [value]


def _is_named_row(value: dict[str, Any], signature: Signature) -> bool:
    """A feature may be called "data" or "inputs"; then the object is a row if all features are there."""
    return bool(signature.position) and all(name in value for name in signature.position)


def _refuse_unknown_envelope(value: dict[str, Any], signature: Signature) -> None:
    """Rows under a name that nobody knows would be read as one column, or as one cell."""
    if signature.count is None or value.keys() & signature.position.keys():
        return
    for name, inner in value.items():
        if not isinstance(inner, list) or not inner:
            continue
        if isinstance(inner[0], list | dict) or (len(value) == 1 and signature.count > 1):
            known = ", ".join(" with ".join(keys) for keys, _ in ENVELOPES if keys != ("data",))
            raise BadRequest(
                f"{name[:80]!r} is neither a column of the model nor an envelope around rows. Envelopes are: {known}.",
                expected=SHAPES,
            )


def _no_rows(value: Any) -> Any:
    raise BadRequest(f"The body is the JSON value {value!r:.80}, which is not rows.", expected=SHAPES)


def _inner(key: str) -> Callable[[dict[str, Any], Signature], Any]:
    def take_off(value: dict[str, Any], signature: Signature) -> Any:
        inner = value[key]
        if isinstance(inner, list | dict) or signature.count == 1:
            return _document(inner, signature)
        raise BadRequest(f'"{key}" is {inner!r:.80}; expected a list of rows.', expected=SHAPES)

    return take_off


def _split(value: dict[str, Any], signature: Signature) -> Table:
    names, rows = value["columns"], value["data"]
    if not isinstance(names, list) or not isinstance(rows, list):
        raise BadRequest('"columns" and "data" must be lists.', expected='{"columns": […], "data": [[…], …]}')
    lists = [_as_list(row, number, signature) for number, row in enumerate(rows, 1)]
    return _of_lists(lists, len(names), signature, [str(name) for name in names])


def _dataframe_split(value: dict[str, Any], signature: Signature) -> Table:
    inner = value["dataframe_split"]
    if not isinstance(inner, dict) or not {"columns", "data"} <= inner.keys():
        raise BadRequest('"dataframe_split" must be {"columns": […], "data": [[…], …]}.')
    return _split(inner, signature)


def _one_row(value: dict[str, Any], signature: Signature) -> list[Any]:
    return [value]


def _data(value: dict[str, Any], signature: Signature) -> list[Any]:
    """{"data": {"features": …}} is a row; {"data": [[…]]} is not."""
    _refuse_unknown_envelope(value, signature)
    return [value]


def _named_columns(value: dict[str, list[Any]]) -> Table:
    lengths = {len(cells) for cells in value.values()}
    if len(lengths) > 1:
        got = ", ".join(f"{name}: {len(cells)}" for name, cells in list(value.items())[:12])
        raise BadRequest(f"The columns have different lengths ({got[:400]}).")
    return Table(list(value.values()), lengths.pop() if lengths else 0, list(value))


ENVELOPES: tuple[tuple[tuple[str, ...], Callable[[dict[str, Any], Signature], Any]], ...] = (
    (("instances",), _inner("instances")),
    (("inputs",), _inner("inputs")),
    (("dataframe_split",), _dataframe_split),
    (("dataframe_records",), _inner("dataframe_records")),
    (("columns", "data"), _split),
    (("predictions",), _inner("predictions")),  # what the container before this one in a pipeline has answered
    (("features",), _one_row),
    (("data",), _data),
)
"""The keys that tell an envelope → the function that takes it off; the first that fits."""


def _table(rows: list[Any] | Table, signature: Signature) -> Table:
    """Rows of one kind (lists or objects) → a table."""
    if isinstance(rows, Table):
        return rows
    rows = [_bare(row, signature) for row in rows] if rows and isinstance(rows[0], dict) else rows
    if rows and isinstance(rows[0], dict):
        return _of_objects(rows, signature)
    lists = [_as_list(row, number, signature) for number, row in enumerate(rows, 1)]
    return _of_lists(lists, signature.count, signature)


def _bare(row: Any, signature: Signature) -> Any:
    """{"features": […]} and {"data": {"features": {"values": […]}}}, as SageMaker's own algorithms take rows."""
    if not isinstance(row, dict) or _is_named_row(row, signature):
        return row
    inner = row.get("data", row)
    inner = inner.get("features") if isinstance(inner, dict) else None
    if isinstance(inner, list):
        return inner
    if isinstance(inner, dict) and isinstance(inner.get("values"), list):
        return _dense(inner) if "keys" in inner else inner["values"]
    return row


def _dense(sparse: dict[str, Any]) -> list[Any]:
    """{"keys": […], "shape": [n], "values": […]}: zeros but for the keys."""
    keys, shape, values = sparse["keys"], sparse.get("shape"), sparse["values"]
    fits = isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], int) and 0 < shape[0] <= 100_000
    if not fits or not isinstance(keys, list) or len(keys) != len(values):
        raise BadRequest("A sparse row needs keys, values of the same length, and shape [n] with n up to 100000.")
    dense: list[Any] = [0.0] * shape[0]  # type: ignore[index]
    for key, value in zip(keys, values, strict=True):
        if not isinstance(key, int) or not 0 <= key < len(dense):
            raise BadRequest(f"A sparse row has the key {key!r:.40}, which is not in its shape {shape}.")
        dense[key] = value
    return dense


def _as_list(row: Any, number: int, signature: Signature) -> list[Any]:
    if isinstance(row, list):
        return row
    if signature.count == 1 and not isinstance(row, dict):
        return [row]
    raise BadRequest(
        f"Row {number} is {row!r:.80}; expected a list of values{' like the rows before it' * (number > 1)}.",
        row=number, expected=SHAPES,
    )  # fmt: skip


def _of_lists(rows: list[list[Any]], width: int | None, signature: Signature, names: list[str] | None = None) -> Table:
    """At once, if the model wants numbers and NumPy finds nothing else in equal rows; else by column."""
    if rows and takes_block(signature, names):
        try:
            block = np.array(rows)
        except (ValueError, OverflowError):  # rows of different lengths, or lists in them
            return Table.of_rows(rows, width, names)
        if block.ndim == 2 and block.dtype.kind in "fiu" and width in (None, block.shape[1]):
            return Table((), len(rows), names, block=block)
    return Table.of_rows(rows, width, names)


def _of_objects(rows: list[Any], signature: Signature) -> Table:
    """Rows by name. Every row must have every column: a missing value is sent as null, so a misspelt name is seen."""
    wanted = [n for n, c in zip(signature.names or (), signature.columns or (), strict=False) if c.used]
    names = (
        [name for name in signature.names if name in rows[0] or name in wanted] if signature.names else list(rows[0])
    )
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadRequest(f"Row {number} is {row!r:.80}; expected an object like row 1.", row=number)
        missing = [name for name in (wanted or names) if name not in row]
        if missing:
            got = ", ".join(list(row)[:12])
            raise BadRequest(
                f"Row {number} has no {', '.join(map(repr, missing[:12]))}. Send null for a value that is unknown.",
                row=number, column=missing[0], expected=", ".join(names[:40]), got=got[:200],
            )  # fmt: skip
    return Table([[row.get(name) for row in rows] for name in names], len(rows), names)
