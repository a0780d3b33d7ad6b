"""The dtypes that a sample names. pandas is imported only for what NumPy does not have."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np

SPARSE = re.compile(r"Sparse\[(\w+), (.+)\]")
DECIMAL = re.compile(r"decimal(\d+)\((\d+), (\d+)\)\[pyarrow\]")


@lru_cache(maxsize=256)
def named(name: str) -> Any:
    """A dtype of NumPy or pandas. Raises TypeError, ValueError or ImportError for one that is not known here."""
    try:
        return np.dtype(name)
    except (TypeError, ValueError):
        pass
    import pandas as pd

    if match := DECIMAL.fullmatch(name):
        import pyarrow as pa

        return pd.ArrowDtype(getattr(pa, f"decimal{match[1]}")(int(match[2]), int(match[3])))
    if name == "string[pyarrow]":  # of pandas' two, the one that is called so
        import pyarrow as pa

        return pd.ArrowDtype(pa.string())
    if match := SPARSE.fullmatch(name):
        kind, fill = np.dtype(match[1]), match[2]
        return pd.SparseDtype(kind, fill == "True" if kind.kind == "b" else kind.type(fill))
    return pd.api.types.pandas_dtype(name)


def holds_missing(name: str | None) -> bool:
    """Whether a missing value has a place beside whole numbers: in pandas' own dtypes and Arrow's."""
    return name is not None and not isinstance(named(name), np.dtype)
