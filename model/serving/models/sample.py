"""model.sample.json: what `save_sample` writes in the notebook decides over what the model says of itself.

It is read here. It is written by save_model.py beside predictor.py, which works without the server.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ModelNotUsable
from ..rows.signature import FORMS, KINDS, Column, Signature

SAMPLE_FILE = "model.sample.json"


def save_sample(rows: Any, where: str | Path | None = None, n: int = 3) -> Path:
    """Writes model.sample.json: for notebooks that import it from here."""
    from save_model import save_sample as save

    return save(rows, where, n)


def load_sample(path: Path) -> Signature:
    """Reads what save_sample wrote. Raises ModelNotUsable with the file's name and what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        columns = tuple(_column(raw) for raw in content["columns"])
        rows = tuple(tuple(row) for row in content.get("rows", ()))
        if content["form"] not in FORMS or any(len(row) != len(columns) for row in rows):
            raise ValueError("its form or its rows do not fit its columns")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ModelNotUsable(f"{path.name} cannot be read ({exc!r}). Write it again with save_sample.") from exc
    return Signature(content["form"], None if content["form"] == "objects" else columns, rows)


def _column(raw: dict[str, Any]) -> Column:
    kind, dtype = raw.get("kind", "any"), raw.get("dtype")
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    known = tuple(raw["categories"]) if raw.get("categories") is not None else None
    if known and str(raw.get("categories_dtype")).startswith("datetime"):
        import pandas as pd

        known = tuple(pd.Index(known).astype(raw["categories_dtype"]))
    return Column(raw.get("name"), kind, known, None if dtype in NO_DTYPE else dtype, bool(raw.get("ordered")))


def with_sample(said: Signature, path: Path) -> Signature:
    """What the sample file says, which decides over what the model has `said`. Which values the model refuses no sample
    tells: that is kept where both have the same columns."""
    sample = load_sample(path)
    ours = {str(column.name): column for column in said.columns or ()}
    if said.count != sample.count or said.form not in ("frame", "array"):
        return sample
    if said.names and sample.names:  # else in their order
        if ours.keys() != set(sample.names):
            return sample
        return replace(sample, columns=tuple(_refused(c, ours[str(c.name)]) for c in sample.columns or ()))
    return replace(sample, columns=tuple(map(_refused, sample.columns or (), said.columns or ())))


def _refused(sample: Column, said: Column) -> Column:
    """The column of the sample, with the values that the model refuses."""
    known = sample.categories if sample.categories is not None or sample.kind == "category" else said.categories
    return replace(sample, missing=said.missing, closed=said.closed, none=said.none, categories=known)


NO_DTYPE = ("object", "str", "category")
"""What the kind alone says."""
