"""model.sample.json: what `save_sample` writes in the notebook decides over what the model says of itself.

It is read here. It is written by save_model.py beside predictor.py, which works without the server.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ModelNotUsable
from ..rows import dtypes
from ..rows.signature import FORMS, KINDS, Column, Signature, listed, normal

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


def of_another_model(sample: Signature, said: Signature) -> str:
    """Why the sample cannot be of a model that gets its rows as they are; empty if it can. Not every model compares
    names: LightGBM takes the columns as they come."""
    names, known = sample.names or (), said.names or ()
    if len(names) != len(known) or list(map(normal, names)) == list(map(normal, known)):
        return ""
    here, there = next((a, b) for a, b in zip(names, known, strict=True) if normal(a) != normal(b))
    place = names.index(here) + 1
    return (
        f"{SAMPLE_FILE} is of another model: its column {place} is {here!r}, and the model was fitted with {there!r} "
        f"there ({listed(known)}). Write it again with save_sample, from rows as the model was fitted on."
    )


def _column(raw: dict[str, Any]) -> Column:
    kind, dtype = raw.get("kind", "any"), raw.get("dtype")
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    dtype = None if dtype in NO_DTYPE else _known(dtype)
    known, of_known = raw.get("categories"), raw.get("categories_dtype")
    if known is not None and str(of_known).startswith(("datetime", "timestamp", "timedelta", "duration")):
        import pandas as pd

        parse = pd.to_datetime if str(of_known).startswith(("datetime", "timestamp")) else pd.to_timedelta
        known = pd.Index(parse(known)).astype(dtypes.named(of_known))
    return Column(
        raw.get("name"), kind, None if known is None else tuple(known), dtype, bool(raw.get("ordered")),
        closed=kind == "category", none=bool(raw.get("none")),
        categories_dtype=None if of_known in NO_DTYPE else _known(of_known),
    )  # fmt: skip


def with_sample(said: Signature, sample: Signature) -> Signature:
    """The sample decides over what the model has `said`. Which values a column may have for the model (whether one may
    be missing or unknown) no sample tells: that the model says of the column with that name, or at that place."""
    if not sample.columns or not said.columns or said.form not in ("frame", "array"):
        return sample
    if sample.names and said.names:
        known = {normal(name): column for name, column in zip(said.names, said.columns, strict=True)}
        found = [known.get(normal(name)) for name in sample.names]
    elif len(sample.columns) == len(said.columns):
        found = list(said.columns)
    else:
        return sample
    pairs = zip(sample.columns, found, strict=True)
    return replace(sample, columns=tuple(column if one is None else _refined(column, one) for column, one in pairs))


def _refined(column: Column, said: Column) -> Column:
    """A category that is none of the sample's is refused, unless the model says that it takes others."""
    column = replace(column, missing=said.missing, none=column.none or said.none)
    if column.kind == "category":
        return replace(column, closed=said.closed or said.kind == "any")
    return replace(column, closed=said.closed, categories=said.categories)


def _known(dtype: str) -> str:
    try:
        dtypes.named(dtype)
    except Exception as exc:  # pandas without pyarrow has a NameError
        remedy = " Add pyarrow to model/requirements.txt." if "[pyarrow]" in str(dtype) else ""
        message = f"{SAMPLE_FILE} has a column of the type {dtype}, which is not known here.{remedy}"
        raise ModelNotUsable(message) from exc
    return dtype


NO_DTYPE = (None, "str", "category")
"""What the kind alone says."""
