"""What scikit-learn's estimators say of the columns they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from ..rows.cells import NA_WORDS
from .wrapping import COMPOSITE, asked, fitted, inner, unwrapped, wraps

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


def traits_of(estimator: Any, count: int) -> list[Trait]:
    """One per input column of the estimator."""
    if wraps(estimator) and inner(estimator) is not None:
        alike = [one for one in fitted(estimator) if asked(one, "n_features_in_") in (None, count)]
        told = [traits_of(one, count) for one in alike]  # in a chain the others see more
        return [reduce(_both, traits) for traits in zip(*told, strict=True)]
    if estimator is None or _is_identity(estimator):
        return [Trait(missing=PASSES)] * count
    for attribute, read in COMPOSITES.items():
        if hasattr(estimator, attribute):
            return read(estimator, count)
    return _leaf(estimator, count)


def _pipeline(pipeline: Any, count: int) -> list[Trait]:
    """What the first step does not settle is asked of the next, as long as columns stay what they are."""
    traits, same_columns = [Trait(missing=PASSES)] * count, True
    for _, step in pipeline.steps:
        if same_columns:
            traits = [_then(before, after) for before, after in zip(traits, traits_of(step, count), strict=True)]
        else:
            later = _leaf(unwrapped(step), 1)[0]
            traits = [_then(trait, later) if trait.missing == PASSES else trait for trait in traits]
        same_columns = same_columns and (_is_identity(step) or _is_plain_imputer(step))
    return traits


def _then(before: Trait, after: Trait) -> Trait:
    known = before if before.kind != "any" else after
    missing = after.missing if before.missing == PASSES else before.missing
    none = before.none or (before.missing == PASSES and after.none)
    return replace(known, missing=missing, used=before.used and after.used, none=none)


def _column_transformer(transformer: Any, count: int) -> list[Trait]:
    traits: list[Trait | None] = [None] * count
    inputs = transformer._transformer_to_input_indices
    for name, step, columns in transformer.transformers_:
        indices = list(inputs.get(name, ()))
        if isinstance(step, str) and step == "drop":
            continue
        if isinstance(columns, str) and is_text_vectorizer(step):
            found = [Trait("text", missing=REFUSES)]
        else:
            found = traits_of(step, len(indices)) if indices else []
        for index, trait in zip(indices, found, strict=True):
            traits[index] = trait if (old := traits[index]) is None else _both(old, trait)
    return [trait or Trait(used=False) for trait in traits]


def _both(one: Trait, other: Trait) -> Trait:
    """A column that two estimators read: the more telling of the two, the stricter of the two."""
    known = one if one.categories is not None or other.kind == "any" else other
    missing = REFUSES if REFUSES in (one.missing, other.missing) else one.missing
    categories = known.categories
    if one.categories is not None and other.categories is not None:  # of a bag, each has seen some of the rows
        categories = tuple(dict.fromkeys(c if c == c else np.nan for c in (*one.categories, *other.categories)))
    return replace(known, categories=categories, missing=missing, none=one.none or other.none)


def _union(union: Any, count: int) -> list[Trait]:
    traits = [Trait(missing=PASSES)] * count
    for number, (_, step) in enumerate(step for step in union.transformer_list if step[1] != "drop"):
        found = traits_of(step, count)
        traits = found if number == 0 else [_both(a, b) for a, b in zip(traits, found, strict=True)]
    return traits


def _histogram_boosting(model: Any, count: int) -> list[Trait]:
    """It encodes its categorical columns itself, and takes missing values."""
    traits = [Trait("number", missing=ABSORBS)] * count
    encoder = model._preprocessor.named_transformers_.get("encoder") if model._preprocessor is not None else None
    if encoder is not None:
        positions = model._preprocessor._transformer_to_input_indices["encoder"]
        for position, known in zip(positions, encoder.categories_, strict=True):
            from_dtype = getattr(model, "categorical_features", None) == "from_dtype"
            kind = "category" if from_dtype else _of_categories(known)
            traits[position] = Trait(kind, _without_nan(known), ABSORBS)
    return traits


def _encoder(encoder: Any, count: int) -> list[Trait]:
    """OneHotEncoder, OrdinalEncoder, TargetEncoder: a missing value is a category like others, or an unknown one."""
    closed = getattr(encoder, "handle_unknown", None) == "error"
    traits = []
    for known in encoder.categories_:
        missing = REFUSES if closed and len(_without_nan(known)) == len(known) else ABSORBS
        traits.append(Trait(_of_categories(known), tuple(known.tolist()), missing, closed=closed))
    return traits


def _category_encoders(encoder: Any, count: int) -> list[Trait]:
    """Of the library of that name: it encodes the columns in `cols`, and notes which values it has seen."""
    names = [str(name) for name in encoder.feature_names_in_]
    seen = getattr(getattr(encoder, "ordinal_encoder", encoder), "mapping", None) or ()
    values = {str(entry["col"]): np.asarray(entry["mapping"].index, dtype=object) for entry in seen}
    traits = [Trait(missing=PASSES)] * count
    for name in map(str, encoder.cols or ()):
        known = values.get(name, np.empty(0, object))
        some = sorted(_without_nan(known), key=lambda value: value not in NA_WORDS)[:1000]  # CSV must know of those
        traits[names.index(name)] = Trait(_of_categories(known), tuple(some) or None, ABSORBS)
    return traits


def _of_categories(categories: np.ndarray) -> str:
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


def _without_nan(categories: np.ndarray) -> tuple[Any, ...]:
    return tuple(c for c in categories.tolist() if c is not None and c == c)


COMPOSITES: dict[str, Callable[[Any, int], list[Trait]]] = dict(
    zip(
        COMPOSITE,
        (_pipeline, _column_transformer, _union, _histogram_boosting, _encoder, _category_encoders),
        strict=True,
    )
)
"""The attribute that tells what an estimator is → the function that reads it."""


def _leaf(estimator: Any, count: int) -> list[Trait]:
    """An estimator that treats all columns alike. Only scikit-learn's own are known not to take texts."""
    if estimator is None or _is_identity(estimator):
        return [Trait(missing=PASSES)] * count
    if not type(estimator).__module__.startswith("sklearn.") or type(estimator).__name__ == "FunctionTransformer":
        boosts = type(estimator).__module__.split(".")[0] in ("xgboost", "lightgbm", "catboost")
        return [Trait(missing=ABSORBS if boosts else UNKNOWN)] * count
    if wraps(estimator):
        first = next(iter(fitted(estimator)), None)
        alike = first is not None and not wraps(first) and not any(hasattr(first, a) for a in COMPOSITES)
        return _leaf(first, count) if alike else [Trait()] * count
    tags = estimator.__sklearn_tags__().input_tags if hasattr(estimator, "__sklearn_tags__") else None
    allows_nan = tags.allow_nan if tags else estimator._get_tags()["allow_nan"]  # scikit-learn before 1.6
    if type(estimator).__module__ == "sklearn.dummy":
        return [Trait(missing=ABSORBS)] * count
    name, missing = type(estimator).__name__, REFUSES
    if allows_nan:
        missing = ABSORBS if hasattr(estimator, "predict") or "Imputer" in name or "Indicator" in name else PASSES
    fitted_on_objects = "Imputer" in name and getattr(estimator, "_fit_dtype", np.dtype(float)).kind not in "fiu"
    none = "Imputer" in name and getattr(estimator, "missing_values", np.nan) is None
    return [Trait("any" if fitted_on_objects else "number", missing=missing, none=none)] * count


def _is_identity(estimator: Any) -> bool:
    if type(estimator).__name__ == "FunctionTransformer":
        return getattr(estimator, "func", 0) is None
    if hasattr(estimator, "fit_resample"):  # imbalanced-learn's samplers work in fit alone
        return True
    return estimator is None or (isinstance(estimator, str) and estimator == "passthrough")


def _is_plain_imputer(estimator: Any) -> bool:
    """One output column per input column, in order."""
    plain = type(estimator).__name__ == "SimpleImputer" and not estimator.add_indicator
    return plain and all(s is not None and s == s for s in estimator.statistics_.tolist())


def is_text_vectorizer(estimator: Any) -> bool:
    """CountVectorizer, TfidfVectorizer, HashingVectorizer, or one like them."""
    return hasattr(estimator, "build_analyzer") and hasattr(estimator, "transform")
