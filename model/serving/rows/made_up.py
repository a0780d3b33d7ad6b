"""Plausible rows for a warm-up: from the sample file, else made up from what the model says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .decoded import dressed
from .signature import Column, Signature
from .table import Table, align


def sample_rows(signature: Signature, n: int) -> Any:
    """`n` plausible rows in the form that transformation gets; None when too little is known to make them up."""
    return dressed(raw_rows(signature, n), signature)


def raw_rows(signature: Signature, n: int) -> Any:
    """The same as a request's rows are: not yet a frame.

    From the sample file if there is one. Else made up from what the model says, so a transformation that expects more
    than the model does may refuse them: a failure proves something only if `signature.sample` is there.
    """
    sample, columns = signature.sample, signature.columns
    if signature.form == "texts":
        return [str(row[0]) for row in _cycled(sample or (("a sample text",),), n)]
    if signature.form == "objects":
        return [row[0] for row in _cycled(sample or (({},),), n)]
    if signature.form == "values":
        return None
    if not columns or (not sample and any(c.kind in ("any", "numbers") and c.used for c in columns)):
        return None
    rows = _cycled(sample or [[plausible(c, i) for c in columns] for i in range(3)], n)
    aligned = align(Table.of_rows(rows, len(columns)), signature)
    return np.asfortranarray(aligned) if signature.form == "frame" and isinstance(aligned, np.ndarray) else aligned


def _cycled(rows: Sequence[Any], n: int) -> list[Any]:
    return [rows[i % len(rows)] for i in range(n)]


def plausible(column: Column, row: int) -> Any:
    """A value that the column may have, one after the other for the rows 0, 1, 2, …"""
    if column.categories:
        known = [c for c in column.categories if c is not None and c == c] or ["a"]
        value = known[row % len(known)]
        return value.item() if isinstance(value, np.generic) else value
    if column.usual:
        return column.usual[row % len(column.usual)]
    return {"text": "a", "boolean": row % 2 == 0, "integer": row + 1, "datetime": "2024-01-01"}.get(
        column.kind, (1.0, 0.5, 2.0)[row % 3]
    )
