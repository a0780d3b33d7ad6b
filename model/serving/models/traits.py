"""What one column's cells must be, as far as one estimator tells, and what two that read it tell together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

REFUSES, PASSES, ABSORBS, UNKNOWN = "refuses", "passes", "absorbs", "unknown"
"""What a step does with a missing value: fails, hands it to the next step, deals with it, or nobody knows."""


@dataclass(frozen=True)
class Trait:
    """What one column's cells must be, as far as one estimator tells."""

    kind: str = "any"
    categories: tuple[Any, ...] | None = None
    missing: str = UNKNOWN
    used: bool = True
    closed: bool = False
    """A value outside the categories is an error (handle_unknown="error")."""
    none: bool = False
    """A missing value is looked for as None, not as NaN."""
    dtype: str | None = None
    """The dtype of the array, where the model takes no other."""
    usual: tuple[Any, ...] = ()
    """Values that the model surely takes, for a made-up row."""
    lacking: str = ""
    """A sentence: what the model would need to tell what the column holds."""


@dataclass(frozen=True)
class Found:
    """A trait for each column; `form` is one of the signature's forms where there are no columns; `lacking` is a
    sentence."""

    traits: list[Trait]
    names: list[Any] | None = None
    form: str = ""
    lacking: str = ""


def then(before: Trait, after: Trait) -> Trait:
    """A column that one step hands on to another as it is."""
    known = after if before.kind in ("any", after.kind) else before
    if before.categories and known is after:  # what the one replaces, the other need not know
        known = replace(after, categories=tuple(dict.fromkeys((*(after.categories or ()), *before.categories))))
    missing = after.missing if before.missing == PASSES else before.missing
    none = before.none or (before.missing == PASSES and after.none)
    return replace(
        known, missing=missing, used=before.used and after.used, none=none, dtype=before.dtype or after.dtype,
        usual=before.usual or after.usual, lacking=before.lacking or after.lacking,
    )  # fmt: skip


def both(one: Trait, other: Trait) -> Trait:
    """A column that two estimators read: the more telling of the two, the stricter of the two."""
    known = one if one.categories is not None or other.kind == "any" else other
    missing = REFUSES if REFUSES in (one.missing, other.missing) else one.missing
    categories = known.categories
    if one.categories is not None and other.categories is not None:  # of a bag, each has seen some of the rows
        categories = tuple(dict.fromkeys(c if c == c else np.nan for c in (*one.categories, *other.categories)))
    return replace(
        known, categories=categories, missing=missing, none=one.none or other.none, lacking=one.lacking or other.lacking
    )


def of_categories(categories: Any) -> str:
    """The kind of a column that has these values."""
    categories = np.asarray(categories)
    present = [c for c in categories.tolist() if c is not None and c == c]
    if present and all(isinstance(c, str) for c in present):
        return "text"
    if present and all(isinstance(c, bool) for c in present):
        return "boolean"
    if categories.dtype.kind in "iu":
        return "integer"
    if present and categories.dtype == object and all(type(c) is int for c in present):
        return "integer"
    return "number" if present and all(isinstance(c, int | float) for c in present) else "any"


def as_objects(values: Any) -> np.ndarray:
    """Without NumPy's own idea of what they have in common."""
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def without_nan(categories: np.ndarray) -> tuple[Any, ...]:
    return tuple(c for c in categories.tolist() if c is not None and c == c)
