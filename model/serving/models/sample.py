"""model.sample.json: what `save_sample` writes in the notebook decides over what the model says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelNotUsable
from ..rows.signature import Column, Signature
from ..rows.table import KINDS

SAMPLE_FILE = "model.sample.json"


def save_sample(rows: Any, where: str | Path = "model", n: int = 3) -> Path:
    """Writes model.sample.json: names, types and categories of the columns, and the first `n` rows (0: none).

        import sys; sys.path.insert(0, "model")
        from serving.models.sample import save_sample
        save_sample(X_train, "model")

    `rows` is a DataFrame, a NumPy array, or a list or Series of texts: what transformation is to get.
    """
    path = Path(where) / SAMPLE_FILE if Path(where).is_dir() else Path(where)
    if hasattr(rows, "columns"):
        form, columns = "frame", [_described(rows[name], name) for name in rows.columns]
        values = [list(row) for row in rows.head(n).astype(object).itertuples(index=False, name=None)]
    elif getattr(rows, "ndim", 1) == 2:
        array = np.asarray(rows)
        form = "array"
        columns = [{"kind": _kind(array[:, i]), "dtype": str(array.dtype)} for i in range(array.shape[1])]
        values = [list(row) for row in array[:n]]
    else:
        form, columns, values = "texts", [{"kind": "text"}], [[str(text)] for text in list(rows)[:n]]
    content = {"form": form, "columns": columns, "rows": [[_json_value(v) for v in row] for row in values]}
    path.write_text(json.dumps(content, indent=1, default=str, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _described(series: Any, name: Any) -> dict[str, Any]:
    described = {"name": _json_value(name), "dtype": str(series.dtype), "kind": _kind(series)}
    if described["dtype"] == "category":
        described["categories"] = [_json_value(c) for c in series.cat.categories]
        described["ordered"] = bool(series.cat.ordered)
    return described


def _kind(values: Any) -> str:
    dtype = str(values.dtype).lower()
    for start, kind in DTYPE_KINDS.items():
        if dtype.startswith(start):
            return kind
    present = [v for v in np.asarray(values, dtype=object).ravel() if v is not None and v == v]
    return "text" if all(isinstance(v, str) for v in present) else "number" if _all_numbers(present) else "any"


def _all_numbers(values: list[Any]) -> bool:
    return all(isinstance(v, int | float | np.number) for v in values)


def _json_value(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return None
    return value if isinstance(value, str | int | float | bool) else str(value)


def load_sample(path: Path) -> Signature:
    """Reads what save_sample wrote. Raises ModelNotUsable with the file's name and what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        columns = []
        for raw in content["columns"]:
            known = tuple(raw["categories"]) if raw.get("categories") is not None else None
            kind = raw.get("kind", "any")
            if kind not in KINDS:
                raise ValueError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
            dtype = raw.get("dtype") if raw.get("dtype") not in ("object", "str", "string", "category") else None
            columns.append(Column(raw.get("name"), kind, known, dtype, bool(raw.get("ordered"))))
        rows = tuple(tuple(row) for row in content.get("rows", ()))
        if content["form"] not in ("frame", "array", "texts") or any(len(row) != len(columns) for row in rows):
            raise ValueError("its form or its rows do not fit its columns")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ModelNotUsable(f"{path.name} cannot be read ({exc!r}). Write it again with save_sample.") from exc
    return Signature(content["form"], tuple(columns), rows)


DTYPE_KINDS = {
    "float": "number", "int": "integer", "uint": "integer", "bool": "boolean",
    "str": "text", "category": "category", "datetime": "datetime",
}  # fmt: skip
"""How a pandas or NumPy dtype begins → the kind of column."""
