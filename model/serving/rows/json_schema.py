"""What a model expects, as JSON Schema (2020-12), and a row as an example.

What is not known is left open: a column of which nothing is known takes anything. The server takes more than this says,
since it also reads numbers that are written as texts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .made_up import plausible
from .signature import Column, Signature

TYPES = {"number": "number", "integer": "integer", "boolean": "boolean", "text": "string", "datetime": "string"}
MEANS = {"datetime": "a date or time, ISO 8601"}
PLAIN = (str, bool, int, float)


def of_row(signature: Signature) -> dict[str, Any]:
    """One row: a text, an object, a list, or either of the last two where the columns have names."""
    if signature.form == "texts":
        return {"type": "string"}
    if signature.form == "objects":
        return {"type": "object"}
    if signature.form == "values":
        return {"description": "A value of JSON, which the model takes as it is."}
    if signature.columns is None:
        return {"description": "The model does not say what it expects: a list of values, or an object."}
    columns = [_titled(column, place) for place, column in enumerate(signature.columns, 1)]
    as_list = {"type": "array", "prefixItems": columns, "minItems": len(columns), "maxItems": len(columns)}
    if not signature.names or len(signature.position) < len(columns):
        return as_list
    used = [str(column.name) for column in signature.columns if column.used]
    by_name = {schema["title"]: schema for schema in columns}
    return {"anyOf": [{"type": "object", "properties": by_name, "required": used}, as_list]}


def example(signature: Signature) -> Any:
    """A row that the model should take, as JSON has it: of the sample file, else made up. None: too little is known."""
    sample, columns = signature.sample, signature.columns or ()
    if signature.form == "texts":
        return str(sample[0][0]) if sample else "a sample text"
    if signature.form == "objects":
        return _plain(sample[0][0]) if sample else None
    if sample:
        values = [_plain(value) for value in sample[0]]
    elif not columns or any(column.kind in ("any", "numbers") and column.used for column in columns):
        return None
    else:
        values = [_plain(plausible(column, 0)) if column.used else None for column in columns]
    if signature.names and len(signature.position) == len(columns):
        return dict(zip(signature.names, values, strict=True))
    return values


def _titled(column: Column, place: int) -> dict[str, Any]:
    return {"title": f"column {place}" if column.name is None else str(column.name), **_of_cell(column)}


def _of_cell(column: Column) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    known = [_plain(value) for value in column.categories or () if _plain(value) is not None]
    if not column.used:
        return {"description": "not used by the model"}
    if known and (column.closed or column.kind == "category"):
        return {"enum": known + [None] * column.missing}
    if known:
        schema["examples"] = known
    if column.kind in MEANS:
        schema["description"] = MEANS[column.kind]
    if kind := TYPES.get(column.kind):
        schema["type"] = [kind, "null"] if column.missing else kind
    return schema


def _plain(value: Any) -> Any:
    """As JSON has it: NaN and the like are null, a time is a text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and not math.isfinite(value)) or type(value).__name__ == "NaTType":
        return None
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if type(value) in PLAIN else value.isoformat() if hasattr(value, "isoformat") else str(value)
