"""Why a model refused rows, if whoever sent them is to blame: the first cell that fits a reason."""

from __future__ import annotations

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
    if not isinstance(error, Exception) or isinstance(error, ArithmeticError) or signature.columns is None:
        return None
    return _blame(rows, signature, str(error))


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
