"""A row with too few or too many values: the error, and what may be the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import BadRequest
from .signature import Signature, listed


def wrong_width(
    row: int, got: int, signature: Signature, width: int | None = None, cells: Sequence[Any] = (), alone: bool = False,
    headed: bool = False,
) -> BadRequest:  # fmt: skip
    """The row has `got` values instead of `width`, or instead of what the model expects. `cells` are its values where
    they are at hand, `alone` says that the body is one line of CSV, `headed` that the width is that of a header."""
    expected = width if width is not None else signature.count or 0
    names = signature.names if expected == signature.count else None
    remedy = _below_header(got, expected, cells) if headed else ""
    remedy = remedy or _remedy(got, expected, signature, cells)
    if alone and got > expected > 1 and (got - 1) % (expected - 1) == 0:
        remedy += " Were there several lines? curl -d removes their ends: use --data-binary."
    values = f"{got} value{'s' * (got != 1)}"
    message = f"Row {row} has {values}; expected {expected}{': ' + listed(names) if names else ''}.{remedy}"
    return BadRequest(message, row=row, expected=expected, got=got)


def _remedy(got: int, expected: int, signature: Signature, cells: Sequence[Any]) -> str:
    if signature.form == "texts":
        return " Quote a text that contains commas, or send one text per line as text/plain."
    texts = [cell for cell in cells if isinstance(cell, str)]
    if (got < expected or signature.numeric) and any(mark in cell for mark in ";\t|" for cell in texts):
        return " Values are separated by commas, not by semicolons, tabs or bars, and decimals have a point."
    if got == 1 < expected and isinstance(cells[0] if cells else None, list):
        return " The value is a list: there are more brackets than in [[…], […]]."
    if got < expected and texts and all("," in cell for cell in texts):
        return " The value is a text with commas: a row is a list of values."
    return " Is the label still among them?" if got == expected + 1 else ""


def _below_header(got: int, expected: int, cells: Sequence[Any]) -> str:
    """What one value more or less than the header has names may come from."""
    if got == expected + 1 and cells and cells[-1] != "":
        return " The header has a name less: are the rows' own names before the values? In R: row.names = FALSE."
    return " A comma ends the header, or the row, but not both." if abs(got - expected) == 1 else ""
