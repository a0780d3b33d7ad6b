"""model.sample.json: what `save_sample` writes in the notebook decides over what the model says of itself.

`save_sample` runs where the model is trained: it needs NumPy and pandas, and nothing else of the server's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelNotUsable
from ..rows.signature import FORMS, KINDS, Column, Signature

SAMPLE_FILE = "model.sample.json"
BESIDE_PREDICTOR = Path(__file__).resolve().parents[2]


def save_sample(rows: Any, where: str | Path | None = None, n: int = 3) -> Path:
    """Writes model.sample.json: names, types and categories of the columns, and the first `n` rows (0: none).

        import sys; sys.path.insert(0, "model")
        from serving.models.sample import save_sample
        save_sample(X_train)

    `rows` is a DataFrame, a NumPy array, or a list or Series of texts or of dicts: what transformation is to get.
    `where` is a directory or a file; without it the file is written beside predictor.py. ValueError says what a
    sample cannot hold: two columns of one name, names of two levels, a dtype that a request cannot carry.
    """
    path = Path(where) if where is not None else BESIDE_PREDICTOR
    if path.is_dir():
        path /= SAMPLE_FILE
    elif path.suffix != ".json" or not path.parent.is_dir():
        raise ValueError(f"{path} is neither a directory nor a .json file in one (from {Path.cwd()}).")
    form, columns, values = _seen(rows, n)
    content = {"form": form, "columns": columns, "rows": [[_json_value(v) for v in row] for row in values]}
    path.write_text(json.dumps(content, indent=1, default=str, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _seen(rows: Any, n: int) -> tuple[str, list[dict[str, Any]], list[Any]]:
    """The form of the rows, their columns and the first n of them."""
    if hasattr(rows, "columns"):
        _refuse_names(rows.columns)
        described = [_described(rows[name], name) for name in rows.columns]
        return "frame", described, [list(row) for row in rows.head(n).astype(object).itertuples(index=False, name=None)]
    if getattr(rows, "ndim", 1) == 2:
        array = np.asarray(rows)
        described = [{"kind": _kind(array[:, i]), "dtype": str(array.dtype)} for i in range(array.shape[1])]
        return "array", described, [list(row) for row in array[:n]]
    items = list(rows)
    if items and all(isinstance(item, dict) for item in items):
        return "objects", [{"kind": "any"}], [[item] for item in items[:n]]
    if not all(isinstance(item, str) for item in items):
        raise ValueError("rows are a DataFrame, a two-dimensional array, or a list of texts or of dicts.")
    return "texts", [{"kind": "text"}], [[text] for text in items[:n]]


def _refuse_names(names: Any) -> None:
    if getattr(names, "nlevels", 1) > 1:
        raise ValueError(
            f"The columns' names have {names.nlevels} levels; requests carry one. Join them: "
            'frame.columns = ["_".join(map(str, name)) for name in frame.columns], and fit the model on that.'
        )
    given = [str(name) for name in names]
    if twice := next((name for name in given if given.count(name) > 1), None):
        raise ValueError(
            f"Two columns are called {twice!r}, so requests cannot tell them apart. Rename one, fit again."
        )


def _described(series: Any, name: Any) -> dict[str, Any]:
    described = {"name": _json_value(name), "dtype": str(series.dtype), "kind": _kind(series)}
    if described["kind"] == "category":
        known = series.cat.categories
        if not all(isinstance(c, str | int | float | np.generic) or hasattr(c, "isoformat") for c in known):
            raise ValueError(
                f"The categories of the column {name!r} are of the type {type(known[0]).__name__}, which a request "
                "cannot carry. Make them texts, fit the model on that, and save again."
            )
        described["categories"] = [_json_value(c) for c in known]
        described["categories_dtype"] = str(known.dtype)
        described["ordered"] = bool(series.cat.ordered)
    return described


def _kind(values: Any) -> str:
    dtype = str(values.dtype).lower()
    for start, kind in DTYPE_KINDS.items():
        if dtype.startswith(start):
            return kind
    present = [v for v in np.asarray(values, dtype=object).ravel() if not _is_missing(v)]
    if all(isinstance(v, str) for v in present):
        return "text"
    numbers = all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in present)
    return "number" if numbers else "any"


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (np.isscalar(value) and value != value)


def _json_value(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if _is_missing(value):
        return None
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_json_value(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else str(value)


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


NO_DTYPE = ("object", "str", "category")
"""What the kind alone says."""

DTYPE_KINDS = {
    "float": "number", "double": "number", "int": "integer", "uint": "integer", "bool": "boolean",
    "str": "text", "large_string": "text", "category": "category", "datetime": "datetime", "timestamp": "datetime",
}  # fmt: skip
"""How a pandas, Arrow or NumPy dtype begins → the kind of column."""
