"""What the model expects: names, order and count of its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import BadRequest


@dataclass(frozen=True)
class Signature:
    names: tuple[str, ...] | None = None
    count: int | None = None

    def sample_rows(self, n: int) -> Any:
        if self.count is None:
            return None
        import numpy as np

        rows = np.zeros((n, self.count))
        return self.frame(rows)

    def describe(self) -> str:
        return f"{self.count} columns"

    def frame(self, rows: Any) -> Any:
        if self.names is None:
            return rows
        import pandas as pd

        return pd.DataFrame(rows, columns=list(self.names))

    def align(self, rows: Any) -> Any:
        if self.count is not None and rows.shape[1] != self.count:
            raise BadRequest(
                f"The model expects {self.count} columns, the rows have {rows.shape[1]}.",
                row=1, expected=self.count, got=rows.shape[1],
            )  # fmt: skip
        return self.frame(rows)


def of(model: Any, sample: Any = None) -> Signature:
    names = getattr(model, "feature_names_in_", None)
    return Signature(None if names is None else tuple(names), getattr(model, "n_features_in_", None))
