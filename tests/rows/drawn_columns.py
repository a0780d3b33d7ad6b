"""Names of every ugly kind, and columns of every kind of value: to be fitted on, and to come later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

N = 24
"""Rows that a model is fitted on."""

NAMES = [
    *("a", " Flow Duration", "b ", "a b", "a_b", "0", "1", "2", "2019", "nan", "NA", "True", "1.5", "1e3", "-0", "inf"),
    *("größe", "gro\u0308ße", "温度", "a,b", 'q"q', "x;y", "two\nlines", "cr\r\nlf", "", "'", "#", "A", "__index__"),
    *("class", "instances", "inputs", "data", "features", "columns", "predictions", "dataframe_split", "index", "null"),
    *("âge", "Zürich", "ñ", "ça va"),
    *("values", "shape", "name", "level_0", "None", "[x]", "{", "PAR1"),
]
NUMBERED = [[0, 1, 2, 3], [2019, 2020, 2021, 2022]]


@dataclass(frozen=True)
class Kind:
    """Values to be fitted on, from a generator of random numbers, and others that may come later."""

    fitted: Callable[[np.random.Generator], Any]
    others: tuple[Any, ...] = ()


def some(*values: Any, dtype: Any = None) -> Callable[[np.random.Generator], Any]:
    def chosen(rng: np.random.Generator) -> Any:
        places = rng.integers(0, len(values), N)
        return pd.Series([values[i] for i in places], dtype=dtype)

    return chosen


SIZES = (1e-8, 0.1, 1.0, 100.0, 1e8)
FLOATS = (-0.0, 1e-320, 0.1 + 0.2, 1e22, 123456789.12345679, 1e150, float("inf"), None, 5, True)
TEXTS = ("NA", "", "None", "unknown", "02139", "1e5", "a,b", 'q"q', "x\ny", " padded ", "nan", None, 2139, 1.5, True)
START = pd.Timestamp("2024-01-31 10:00")
KINDS = {
    "float": Kind(lambda rng: rng.normal(size=N) * SIZES[rng.integers(5)], FLOATS),
    "halves": Kind(some(-1.5, -1.0, -0.5, 0.0, 0.5, 2.0), FLOATS),
    "holes": Kind(lambda rng: np.where(rng.random(N) < 0.3, np.nan, rng.normal(size=N)), (*FLOATS, None, float("nan"))),
    "marked": Kind(some(-1.0, 0.25, 3.5, 7.0), (0.0, None)),
    "float32": Kind(lambda rng: rng.normal(size=N).astype("float32"), (0.1, 1e-45, 16777217.0, None)),
    "whole": Kind(lambda rng: rng.integers(-5, 5, N), (2**31, None, 1.5, True)),
    "uint8": Kind(lambda rng: rng.integers(0, 255, N).astype("uint8"), (0, 255)),
    "keys": Kind(lambda rng: rng.integers(2**53, 2**53 + 9, N), (2**53 + 1, -(2**53) - 1, 2**63 - 1)),
    "flag": Kind(lambda rng: rng.random(N) < 0.5),
    "words": Kind(some("acme", "x y", "é, ", 'q"', "N/A?", "温度"), TEXTS),
    "digits": Kind(some("02139", "10115", "1", "1.0", "-0", "1e5", "007"), TEXTS),
    "traps": Kind(some("NA", "null", "True", "nan", "None", "n/a", "-inf"), TEXTS),
    "gaps": Kind(some("acme", "02139", "NA?", np.nan), TEXTS),
    "nones": Kind(some("acme", "02139", None, dtype=object), (None, "unknown")),
    "category": Kind(
        some("low", "mid", "high", "NA", dtype=pd.CategoricalDtype(["low", "mid", "high", "NA"])), (None,)
    ),
    "order": Kind(some("low", None, "high", dtype=pd.CategoricalDtype(["low", "high"], ordered=True)), ("else", None)),
    "numbers": Kind(some(1, 2, 30, dtype=pd.CategoricalDtype([1, 2, 30])), (None,)),
    "Int64": Kind(some(1, 2, None, 2**40, dtype="Int64"), (None, -1)),
    "Float64": Kind(some(0.1, -0.0, None, dtype="Float64"), (None, 1e-320)),
    "boolean": Kind(some(True, False, None, dtype="boolean"), (None,)),
    "string": Kind(some("a", "007", "z z", None, dtype="string"), TEXTS),
    "times": Kind(lambda rng: START + pd.to_timedelta(rng.integers(0, 10**6, N), "s"), (None,)),
    "zoned": Kind(lambda rng: (START + pd.to_timedelta(rng.integers(0, 10**6, N), "s")).tz_localize("UTC"), (None,)),
    "mixture": Kind(some(1, "1", 2.5, True, None, 2**64, dtype=object), TEXTS),
}
PLAIN = ("float", "halves", "whole", "flag")
TEXTUAL = ("words", "digits", "traps")
SAMPLED = tuple(sorted(set(KINDS) - {"mixture", "nones"}))
