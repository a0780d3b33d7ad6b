"""The rows of a body as pandas, NumPy and json read them, in the form that a model was fitted on. Nothing of the kit.

What a source says of a value holds; CSV is guessed as read_csv guesses. docs/requests.md has both as a table.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
from drawn_models import Fitted
from pandas._libs.parsers import STR_NA_VALUES

TRUTH = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


def csv(fit: Fitted, body: bytes, names: list[str], header: bool, **options: Any) -> Any:
    """`names` are those of the columns, also where they are not in the body."""
    dtypes: dict[str, Any] = {}
    if fit.form != "unknown":
        dtypes = {name: as_read(fit, name) for name in names if name in fit.names and as_read(fit, name) is not None}
        known = {name: set(column_of(fit, name)) if fit.encodes else set(categories(fit, name)) for name in fit.names}
        missing = {name: sorted(STR_NA_VALUES - known.get(name, set())) for name in names}
        options |= {"keep_default_na": False, "na_values": missing}
    frame = pd.read_csv(
        io.BytesIO(body), header=0 if header else None, names=names, dtype=dtypes, index_col=False, **options
    )
    if not header and fit.form == "unknown":
        frame.columns = range(len(names))
    return as_fitted(fit, frame, header)


def categories(fit: Fitted, name: str) -> list[Any]:
    column = column_of(fit, name)
    return list(column.cat.categories) if column.dtype == "category" else []


def column_of(fit: Fitted, name: str) -> pd.Series:
    return fit.frame.iloc[:, fit.names.index(name)]


def as_read(fit: Fitted, name: str) -> Any:
    """What read_csv is told: that texts are texts, and that -0 is not an integer. The rest follows from the cells."""
    dtype = column_of(fit, name).dtype
    if dtype == "category":
        return str if dtype.categories.dtype.kind not in "iufb" else None
    return str(dtype) if str(dtype) in ("Int64", "boolean") else None if dtype.kind in "iub" else str


def typed(fit: Fitted, rows: Any, names: list[str] | None = None) -> Any:
    """From records, lists, or an array; `names` where the source has none for the columns."""
    if fit.form == "unknown":
        return as_fitted(fit, pd.DataFrame(rows), names is None)
    each_its_own = object if isinstance(rows, list) else None  # 2139 beside null is not 2139.0
    return as_fitted(fit, pd.DataFrame(rows, columns=names, dtype=each_its_own), names is None)


def as_fitted(fit: Fitted, frame: pd.DataFrame, named: bool) -> Any:
    """In the order, the types and the form that the model was fitted on."""
    if fit.form == "unknown":
        return frame if named else undressed(frame)
    columns = {name: cast(column_of(fit, name), frame[name]) for name in fit.names}
    rows = pd.DataFrame(columns)
    rows.columns = fit.frame.columns
    if fit.form == "frame":
        return rows
    return rows.to_numpy(dtype=float if all(d.kind in "iufb" for d in rows.dtypes) else object)


def undressed(frame: pd.DataFrame) -> Any:
    """What a model that says nothing is given: numbers without names are an array, where none loses digits."""
    columns = [frame.iloc[:, i] for i in range(frame.shape[1])]
    numbers = [np.full(len(c), np.nan) if c.isna().all() else c.to_numpy() for c in columns]
    if not all(array.dtype.kind in "iuf" for array in numbers):
        return frame
    array = np.column_stack(numbers)
    whole = [(c, a) for c, a in zip(numbers, array.T, strict=True) if c.dtype.kind in "iu"]
    return array if all(list(map(int, a)) == c.tolist() for c, a in whole) else frame


def cast(fitted: pd.Series, column: pd.Series) -> Any:
    dtype = fitted.dtype
    column = column if dtype.kind == "O" else column.infer_objects()
    if dtype == "category":
        known = dtype.categories
        read = numbers(column) if known.dtype.kind in "iufb" else texts(column, object)
        return pd.Series(read).astype(dtype)
    if dtype.kind == "M":
        return times(column, dtype)
    if dtype == "Float64":
        return numbers(column).astype(dtype)
    if dtype == "Int64" or dtype == "boolean":
        return column.astype(dtype)
    if dtype.kind in "iufb":
        return plain_numbers(column, dtype)
    read = texts(column, object if None in fitted.tolist() else dtype)
    return read.where(read.notna(), None) if None in fitted.tolist() else read


def plain_numbers(column: pd.Series, dtype: Any) -> pd.Series:
    """A missing value among integers makes floats of them, as ever in pandas."""
    if dtype.kind in "iu" and column.dtype.kind in "iu":
        return column.astype(dtype)
    read = numbers(column)
    if dtype.kind == "b" and not read.isin([0, 1]).all():
        raise ValueError("a truth value is True or False")
    if dtype.kind in "iu" and not read.dropna().between(np.iinfo(dtype).min, np.iinfo(dtype).max).all():
        raise ValueError("a whole number that does not fit")
    whole = dtype.kind not in "iub" or (read.notna() & (read % 1 == 0) & (read.abs() < 2**53)).all()
    return read.astype(dtype) if whole else read


def numbers(column: pd.Series) -> pd.Series:
    return pd.Series([number(value) for value in column], dtype=float)


def number(value: Any) -> float:
    if isinstance(value, str):
        value = np.nan if value in STR_NA_VALUES else TRUTH.get(value.strip(), value)
    return np.nan if value is None or value is pd.NA else float(value)


def texts(column: pd.Series, dtype: Any) -> pd.Series:
    values = [np.nan if v is None or v is pd.NA or v != v else v if isinstance(v, str) else str(v) for v in column]
    return pd.Series(values, dtype=dtype)


def times(column: pd.Series, dtype: Any) -> pd.Series:
    read = pd.to_datetime(column, format="ISO8601", utc=True)
    return (read if getattr(dtype, "tz", None) else read.dt.tz_localize(None)).astype(dtype)
