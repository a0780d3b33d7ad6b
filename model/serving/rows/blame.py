"""Why a model refused rows, if whoever sent them is to blame: the first cell that fits a reason."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

from ..errors import BadRequest
from ..wording import quoted, verbatim
from .decoded import Columns
from .signature import Signature, listed


def explain(rows: Any, signature: Signature, error: BaseException) -> BadRequest | None:
    """Why the model refused these rows (of one request, as they were read), if the caller is to blame; else None.

    Ask it after transformation has raised: then a user's own fillna() comes first, and good rows cost nothing.
    """
    if not isinstance(error, Exception) or isinstance(error, ArithmeticError):
        return None
    found = _blame(rows, signature, str(error)) if signature.columns is not None else None
    return found or _no_number(rows, signature, str(error))


def _blame(rows: Any, signature: Signature, message: str) -> BadRequest | None:
    """The first cell that fits a reason for which estimators refuse rows."""
    columns = signature.columns or ()
    refused = [not column.missing for column in columns]
    cells = _by_column(rows)
    if cells is None or len(cells) != len(columns):
        return None
    unknown = "unknown categor" in message.lower() or "expected levels" in message  # scikit-learn, patsy
    infinite = "infinity" in message  # an imputer takes missing values, and refuses infinite ones
    for position, column in enumerate(columns):
        values = np.asarray(cells[position])
        name = column.name if signature.form == "frame" else position + 1
        if refused[position] and len(bad := np.flatnonzero([v is None or v != v for v in values])):
            where = "" if all(refused) else " in this column"
            kind = f"a {column.kind}" if column.kind != "any" else "a value"
            return BadRequest(
                f"Row {bad[0] + 1}, column {name!r}: no value, and this model takes no missing values{where}.",
                row=int(bad[0]) + 1, column=name, expected=listed(column.categories) if column.categories else kind,
            )  # fmt: skip
        looked_at = (refused[position] or infinite) and values.dtype.kind == "f"
        if looked_at and len(bad := np.flatnonzero(_too_large(values, message))):
            return BadRequest(
                f"Row {bad[0] + 1}, column {name!r}: {verbatim(str(values[bad[0]]))} is too large for this model.",
                row=int(bad[0]) + 1, column=name, expected="a finite number", got=str(values[bad[0]]),
            )  # fmt: skip
        if "outermost knots" in message and column.usual and values.dtype.kind == "f":  # a spline of patsy
            low, high = min(column.usual), max(column.usual)
            if len(bad := np.flatnonzero((values < low) | (values > high))):
                return BadRequest(
                    f"Row {bad[0] + 1}, column {name!r}: {verbatim(str(values[bad[0]]))} is beyond what the model was "
                    "fitted on.",
                    row=int(bad[0]) + 1, column=name, expected=f"a number from {low} to {high}",
                    got=str(values[bad[0]]),
                )  # fmt: skip
        if unknown and column.closed and column.categories:
            known = set(column.categories)
            if strange := [i for i, v in enumerate(values) if v not in known and v == v and v is not None]:
                return BadRequest(
                    f"Row {strange[0] + 1}, column {name!r}: the model does not know the value "
                    f"{quoted(str(values[strange[0]]))}.",
                    row=strange[0] + 1, column=name,
                    expected=listed(column.categories), got=str(values[strange[0]])[:80],
                )  # fmt: skip
    return None


NO_NUMBER = re.compile(r"could not convert string to float: (?:np\.str_\()?('.*'|\".*\")", re.DOTALL)
NO_VALUE = re.compile("setting an array element with a sequence|must be a string or a real number, not '(?:dict|list)'")


def _no_number(rows: Any, signature: Signature, message: str) -> BadRequest | None:
    """A cell that the model would have as a number, in a column of which it says nothing."""
    cell, told = None, NO_NUMBER.search(message)
    if told:
        try:
            cell = ast.literal_eval(told[1])
        except (ValueError, SyntaxError):
            return None
    elif not NO_VALUE.search(message):
        return None
    columns = signature.columns or ()
    cells = [rows] if isinstance(rows, list) else _by_column(rows)
    for position, values in enumerate(cells if cells is not None else ()):
        if columns and columns[position].kind != "any":
            continue
        for row, value in enumerate(values, 1):
            if value == cell if isinstance(cell, str) and isinstance(value, str) else not told and _holds_more(value):
                return _strange(row, position, value, rows, signature)
    return None


def _holds_more(value: Any) -> bool:
    return isinstance(value, list | dict)


def _strange(row: int, position: int, value: Any, rows: Any, signature: Signature) -> BadRequest:
    names = signature.names or (rows.names if isinstance(rows, Columns) else None)
    name = str(names[position]) if names else position + 1
    remedy = ""
    if isinstance(value, str) and any(mark in value for mark in ";\t,"):
        remedy = " Values are separated by commas, outside of quotes."
    elif isinstance(value, str) and row == 1 and not names:
        remedy = " If the first line is a header, send text/csv; header=present."
    return BadRequest(
        f"Row {row}, column {quoted(name)}: the model takes a number there, and not {quoted(value)}.{remedy}",
        row=row, column=name, expected="a number", got=str(value)[:80],
    )  # fmt: skip


def _by_column(rows: Any) -> Any:
    if isinstance(rows, Columns):
        return rows.arrays
    if hasattr(rows, "iloc"):
        return [rows.iloc[:, position] for position in range(rows.shape[1])]
    return rows.T if isinstance(rows, np.ndarray) and rows.ndim == 2 else None


def _too_large(values: np.ndarray, message: str) -> np.ndarray:
    """Estimators that compute in float32 refuse what overflows there, and say so in the message."""
    limit = np.finfo(np.float32).max if "float32" in message else np.finfo(np.float64).max
    return np.asarray(np.abs(values) > limit)
