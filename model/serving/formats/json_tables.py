"""Rows of JSON, as lists or as objects → a table. JSON says what a value is, so nothing is converted here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..errors import BadRequest, PayloadTooLarge
from ..rows.signature import Signature, listed
from ..rows.table import ANYTHING, Table, takes_block
from ..rows.widths import wrong_width
from ..wording import quoted, verbatim
from .json_pieces import Long
from .pieces import Gathered

SHAPES = '[[…], […]] or {"instances": [[…], …]} or [{"name": value, …}, …]'
MOST_VALUES = 25_000_000
MOST_MISSING, MISSING_A_VALUE = 1_000_000, 10
"""Missing values of objects whose names differ, in all or for each value that is there: a small body must not become a
large table."""


def as_list(row: Any, number: int, signature: Signature) -> list[Any]:
    """One row of values; 400 with its number if it is something else."""
    if isinstance(row, list):
        return row
    if signature.count == 1 and not isinstance(row, dict):
        return [row]
    raise BadRequest(
        f"Row {number} is {quoted(row)}; expected a list of values{' like the rows before it' * (number > 1)}.",
        row=number, expected=SHAPES,
    )  # fmt: skip


def of_values(rows: list[Any], width: int | None, signature: Signature, names: Sequence[str] | None = None) -> Table:
    """Rows as lists of values, `width` of them if that is known."""
    if not isinstance(rows, Long):
        lists = [as_list(row, number, signature) for number, row in enumerate(rows, 1)]
        return of_lists(lists, width, signature, names)
    gathered = None
    for number, row in enumerate(rows, 1):
        values = as_list(row, number, signature)
        if gathered is None:
            gathered = Gathered(len(values) if width is None else width)
        if len(values) != gathered.width:
            raise wrong_width(number, len(values), ANYTHING, gathered.width, values)
        gathered.add(values)
    return Table(gathered.columns(), gathered.count, names) if gathered else Table([()] * (width or 0), 0, names)


def of_lists(
    rows: list[list[Any]], width: int | None, signature: Signature, names: Sequence[str] | None = None
) -> Table:
    """At once, if the model wants numbers and NumPy finds nothing else in equal rows; else by column."""
    if rows and takes_block(signature, names) and (signature.columns is not None or _only_numbers(rows)):
        try:
            block = np.array(rows)
        except (ValueError, OverflowError):  # rows of different lengths, or lists in them
            return Table.of_rows(rows, width, names)
        lossy = block.dtype.kind == "f" and signature.columns is None and type(rows[0][0]) is int
        if block.ndim == 2 and block.dtype.kind in "fiu" and not lossy and width in (None, block.shape[1]):
            return Table((), len(rows), names, block=block)
    return Table.of_rows(rows, width, names)


def _only_numbers(rows: list[list[Any]]) -> bool:
    """Floats alone or integers alone: in an array of both, or with truth values, a value would change its type."""
    types = set(map(type, chain.from_iterable(rows)))
    return len(types) == 1 and types <= {int, float}


def of_objects(rows: list[Any], signature: Signature) -> Table:
    """Rows by name. A model that knows its columns needs all of them in every row: a missing value is sent as null, so
    that a misspelt name is seen. For one that says nothing, what any row lacks is missing."""
    given, count, sent = _names_of(rows)
    cells = len(given) * count
    sparse = signature.names is None and cells - sent > max(MOST_MISSING, MISSING_A_VALUE * sent)
    if cells > MOST_VALUES or sparse:
        raise PayloadTooLarge(f"The {count} rows have {len(given)} different names; send fewer rows at once.")
    names, needed = given, given if signature.columns is not None else []
    key_of = dict(zip(given, given, strict=True))
    if signature.names is not None:
        key_of = dict(zip(signature.spelled(given), given, strict=True))
        needed = [n for n, c in zip(signature.names, signature.columns or (), strict=True) if c.used]
        names = [name for name in signature.position if name in key_of]
        strange = [key for name, key in key_of.items() if name not in signature.position]
    else:
        strange = []
    keys = [key_of.get(name) for name in needed]
    taken, gathered = [key_of[name] for name in names], Gathered(len(names))
    for number, row in enumerate(rows, 1):
        missing = [name for name, key in zip(needed, keys, strict=True) if key not in row]
        if missing:
            shown = repr if signature.names is not None else quoted
            unknown = f" The model does not know: {verbatim(listed(strange))}." if strange else ""
            raise BadRequest(
                f"Row {number} has no {', '.join(map(shown, missing[:12]))}.{unknown} "
                "Send null for a value that is unknown.",
                row=number, column=missing[0][:80], expected=listed(needed, 40), got=", ".join(list(row)[:12])[:200],
            )  # fmt: skip
        gathered.add([row.get(key) for key in taken])
    return Table(gathered.columns(), count, names)


def _names_of(rows: list[Any]) -> tuple[list[str], int, int]:
    """The names that any row has, how many rows there are, and how many values they have in all."""
    given: dict[str, None] = {}
    number = sent = 0
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadRequest(f"Row {number} is {quoted(row)}; expected an object like row 1.", row=number)
        if not all(map(given.__contains__, row)):
            given |= dict.fromkeys(row)
        sent += len(row)
    return list(given), number, sent


def bare(row: Any, signature: Signature) -> Any:
    """{"features": […]} and {"data": {"features": {"values": […]}}}, as SageMaker's own algorithms take rows, and
    {"data": […]}; TF Serving has the name of a tensor there, {"input_1": […]}."""
    if not isinstance(row, dict) or signature.named_by(row):
        return row
    name, only = next(iter(row.items()), ("", None))
    if len(row) == 1 and isinstance(only, list) and 1 < len(only) == signature.count and not signature.knows(name):
        return only
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
            raise BadRequest(
                f"A sparse row has the key {quoted(key, 40)}, which is not in its shape {verbatim(str(shape))}."
            )
        dense[key] = value
    return dense


# ---- columns by name -------------------------------------------------------------------------------------------------


def of_columns(value: dict[str, list[Any]]) -> Table:
    value = {name: cells.in_memory() if isinstance(cells, Long) else cells for name, cells in value.items()}
    lengths = {len(cells) for cells in value.values()}
    if len(lengths) > 1:
        got = ", ".join(f"{name}: {len(cells)}" for name, cells in list(value.items())[:12])
        raise BadRequest(f"The columns have different lengths ({verbatim(got, 400)}).")
    return Table(list(value.values()), lengths.pop() if lengths else 0, list(value))


def by_index(value: dict[str, Any], signature: Signature) -> Table | list[Any] | None:
    """What DataFrame.to_json() writes by default, {"column": {"0": value, "1": value}}, and with orient="index",
    {"0": {"column": value}, …}.

    Where the model does not know the columns, the index must be numbers: {"who": {"age": 3}} is an object in a row.
    """
    columns = list(value.values())
    if not columns or not all(isinstance(cells, dict) for cells in columns):
        return None
    index = columns[0].keys()
    if signature.named_by(value) or _are_numbers(index):
        if any(cells.keys() != index for cells in columns):
            return None
        return Table([list(cells.values()) for cells in columns], len(index), list(value))
    by_row = all(map(signature.named_by, columns)) if signature.position else _are_numbers(value)
    return columns if by_row else None


def _are_numbers(index: Collection[str]) -> bool:
    return bool(index) and all(key.isdecimal() for key in index)
