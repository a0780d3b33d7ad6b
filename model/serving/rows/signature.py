"""What the model expects: columns, their order, names and types. Asked from the model, or from a sample file.

Rows reach `transformation` in the form that the model was fitted on: a DataFrame, an array or a list of texts.
A model that says nothing about itself gets what the request holds: an array if all is numbers, else a DataFrame.
model.sample.json, written by `save_sample` in the notebook, decides over the model: use it when requests carry other
columns than the model's own (transformation computes those), or for types that a model does not keep.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadRequest, ModelNotUsable
from . import cells

SAMPLE_FILE = "model.sample.json"


@dataclass(frozen=True)
class Column:
    """One column that the model expects. `kind` is a key of KINDS; `dtype` a pandas dtype to end with, if known."""

    name: Any = None
    kind: str = "any"
    categories: tuple[Any, ...] | None = None
    dtype: str | None = None
    ordered: bool = False
    used: bool = True
    missing: bool = True
    """False: an empty cell makes the model fail."""
    closed: bool = False
    """True: a value that is not one of the categories makes the model fail."""


@dataclass(frozen=True)
class Signature:
    """`form` is "frame", "array", "texts" (list of str) or "unknown"; `columns` is None if not even their count is."""

    form: str = "unknown"
    columns: tuple[Column, ...] | None = None
    sample: tuple[tuple[Any, ...], ...] = ()
    """Rows of the sample file, as JSON values."""

    @cached_property
    def names(self) -> tuple[str, ...] | None:
        """The names as a caller writes them; None if the model has none."""
        if self.form != "frame" or self.columns is None:
            return None
        return tuple(str(column.name) for column in self.columns)

    @cached_property
    def position(self) -> dict[str, int]:
        """Name → index."""
        return {name: index for index, name in enumerate(self.names or ())}

    @cached_property
    def count(self) -> int | None:
        return 1 if self.form == "texts" else None if self.columns is None else len(self.columns)

    @cached_property
    def numeric(self) -> bool:
        """Every value may travel in one float64 block. True as well when nothing is known: numbers are numbers."""
        return self.form != "texts" and all(
            c.kind == "number" and c.dtype in (None, "float64") for c in self.columns or ()
        )

    @cached_property
    def index(self) -> Any:
        """The pandas Index of a frame, made once: building it anew would cost as much as the frame."""
        import pandas as pd

        return pd.Index([column.name for column in self.columns or ()])

    @cached_property
    def key(self) -> str:
        """What rows of this form have in common; see Decoded.batch_key."""
        return f"{self.form}:{self.count}"

    def frame(self, block: np.ndarray) -> Any:
        """A float block → the DataFrame that the model was fitted on. About 20 µs.

        By columns in memory, as read_csv leaves it: BLAS rounds differently for rows, and answers shall be the same.
        """
        import pandas as pd

        return pd.DataFrame(np.asfortranarray(block), columns=self.index, copy=False)

    def wrap(self, block: np.ndarray) -> Any:
        """A float block (rows, count) → rows, in the form that transformation gets."""
        return self.frame(block) if self.form == "frame" else block

    def describe(self) -> str:
        """For the log and for error messages: `4 columns: a, b, c, d`."""
        if self.form == "texts":
            return "1 text"
        if self.columns is None:
            return "anything"
        names = f": {listed(self.names)}" if self.names else ""
        return f"{len(self.columns)} column{'s' * (len(self.columns) != 1)}{names}"

    def explain(self, rows: Any, error: BaseException) -> BadRequest | None:
        """Why the model refused these rows (of one request), if the caller is to blame; None if it is not.

        To be asked after transformation raised, so that a user's own fillna() is not pre-empted and good rows cost
        nothing.
        """
        if not isinstance(error, ValueError | TypeError | KeyError) or self.columns is None:
            return None
        return _blame(rows, self, str(error))


def listed(names: Sequence[object] | None, most: int = 12) -> str:
    """`a, b, c … (40 in all)`, for messages."""
    names = names or ()
    shown = ", ".join(str(name)[:80] for name in names[:most])
    return shown if len(names) <= most else f"{shown} … ({len(names)} in all)"


def _blame(rows: Any, signature: Signature, message: str) -> BadRequest | None:
    """The first cell that fits a reason for which estimators refuse rows."""
    columns = signature.columns or ()
    refused = [not column.missing for column in columns]
    frame = hasattr(rows, "iloc")
    if getattr(rows, "shape", (0, 0))[1:] != (len(columns),):
        return None
    unknown = "unknown categor" in message.lower()
    for position, column in enumerate(columns):
        values = np.asarray(rows.iloc[:, position] if frame else rows[:, position])
        name = column.name if signature.form == "frame" else position + 1
        if refused[position] and len(bad := np.flatnonzero([v is None or v != v for v in values])):
            where = "" if all(refused) else " in this column"
            kind = f"a {column.kind}" if column.kind != "any" else "a value"
            return BadRequest(
                f"Row {bad[0] + 1}, column {name!r}: no value, and this model takes no missing values{where}.",
                row=int(bad[0]) + 1, column=name, expected=listed(column.categories) if column.categories else kind,
            )  # fmt: skip
        if refused[position] and values.dtype.kind == "f" and len(bad := np.flatnonzero(_too_large(values, message))):
            return BadRequest(
                f"Row {bad[0] + 1}, column {name!r}: {values[bad[0]]} is too large for this model.",
                row=int(bad[0]) + 1, column=name, expected="a finite number", got=str(values[bad[0]]),
            )  # fmt: skip
        if unknown and column.closed and column.categories:
            known = set(column.categories)
            if strange := [i for i, v in enumerate(values) if v not in known and v == v and v is not None]:
                return BadRequest(
                    f"Row {strange[0] + 1}, column {name!r}: the model does not know the value "
                    f"{str(values[strange[0]])[:80]!r}.",
                    row=strange[0] + 1, column=name,
                    expected=listed(column.categories), got=str(values[strange[0]])[:80],
                )  # fmt: skip
    return None


def _too_large(values: np.ndarray, message: str) -> np.ndarray:
    """Estimators that compute in float32 refuse what overflows there, and say so in the message."""
    limit = np.finfo(np.float32).max if "float32" in message else np.finfo(np.float64).max
    return np.asarray(np.abs(values) > limit)


# ---- the sample file -----------------------------------------------------------------------------------------------


def save_sample(rows: Any, where: str | Path = "model", n: int = 3) -> Path:
    """Writes model.sample.json: names, types and categories of the columns, and the first `n` rows (0: none).

        import sys; sys.path.insert(0, "model")
        from serving.rows.signature import save_sample
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

KINDS: dict[str, Any] = {
    "number": lambda values, column, null: cells.numbers(values),
    "integer": lambda values, column, null: cells.integers(values, column.dtype),
    "boolean": lambda values, column, null: cells.booleans(values),
    "text": lambda values, column, null: (cells.json_texts if null else cells.texts)(values, column.categories),
    "category": lambda values, column, null: cells.categories(values, column),
    "datetime": lambda values, column, null: cells.datetimes(values, column),
    "any": lambda values, column, null: cells.guessed(values),
}
"""Kind → (cells, column, the source has a null of its own) → array."""
