"""What a model says about the rows it was fitted on: names, count, and for each column what its cells must be.

Nothing is imported here and nothing is called but getters: classes are known by name, so a model of a library that
is not installed cannot be here. What is not known for certain is "any" and "unknown"; a guess would refuse good rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..rows.signature import Column, Signature, load_sample

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


@dataclass(frozen=True)
class Found:
    traits: list[Trait]
    names: list[str] | None = None
    texts: bool = False


def signature_of(model: Any, sample: Path | None = None) -> Signature:
    """The signature of a model. The file `sample` (what save_sample wrote) decides over what the model says."""
    if sample is not None:
        return load_sample(sample)
    found = inspect(model)
    if found is None:
        return Signature()
    if found.texts:
        return Signature("texts", (Column(kind="text"),))
    names: list[Any] = [None] * len(found.traits) if found.names is None else list(found.names)
    columns = tuple(
        Column(
            name, trait.kind, trait.categories, used=trait.used, missing=trait.missing != REFUSES, closed=trait.closed
        )
        for name, trait in zip(names, found.traits, strict=True)
    )
    return Signature("frame" if found.names else "array", columns)


def inspect(model: Any) -> Found | None:
    """None if the model says nothing. Never raises: a model that misbehaves when asked says nothing."""
    for recognise in RECOGNISERS:
        try:
            found = recognise(model)
        except Exception:  # noqa: BLE001  a stranger's property may raise anything
            continue
        if found is not None:
            return found
    return None


def _texts(model: Any) -> Found | None:
    """A text vectorizer as the first step: one string per row."""
    first = model
    while (first := _unwrapped(first)) is not None and hasattr(first, "steps"):
        first = first.steps[0][1]
    return Found([Trait("text")], texts=True) if _is_text_vectorizer(first) else None


def _lightgbm(model: Any) -> Found | None:
    """Its categories belong to the categorical columns in order; feature_infos tells which those are."""
    model = getattr(model, "booster_", model)
    if not (hasattr(model, "feature_name") and hasattr(model, "pandas_categorical")):
        return None
    names, categories = list(model.feature_name()), model.pandas_categorical or []
    traits = [Trait("number", missing=ABSORBS)] * len(names)
    infos = re.search(r"^feature_infos=(.*)$", model.model_to_string(num_iteration=1), re.MULTILINE)
    categorical = [i for i, info in enumerate(infos.group(1).split()) if info[0] not in "[n"] if infos else []
    if len(categorical) == len(categories):
        for position, known in zip(categorical, categories, strict=True):
            traits[position] = Trait("category", tuple(known), ABSORBS)
    elif categories:
        traits = [Trait(missing=ABSORBS)] * len(names)
    invented = all(name == f"Column_{i}" for i, name in enumerate(names))
    return Found(traits, None if invented else names)


def _xgboost(model: Any) -> Found | None:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if not (hasattr(booster, "feature_types") and hasattr(booster, "num_features")):
        return None
    names, types = booster.feature_names, booster.feature_types
    categories = _xgboost_categories(booster) if types and "c" in types else {}
    traits = []
    for position in range(booster.num_features()):
        if types and types[position] == "c":
            known = categories.get(names[position] if names else position)
            traits.append(Trait("category" if known else "any", known, ABSORBS))
        else:
            traits.append(Trait("number", missing=ABSORBS))
    return Found(traits, list(names) if names else None)


def _xgboost_categories(booster: Any) -> dict[Any, tuple[Any, ...]]:
    """Kept by the booster since xgboost 3.1; needs pyarrow."""
    try:
        exported = booster.get_categories(export_to_arrow=True).to_arrow()
        return {name: tuple(values.to_pylist()) for name, values in exported if values is not None}
    except Exception:  # noqa: BLE001  an older xgboost, or no pyarrow: the categories stay unknown
        return {}


def _statsmodels(model: Any) -> Found | None:
    """A results object: fitted on an array, on a DataFrame, or with a formula on the columns that it mentions."""
    data = getattr(getattr(model, "model", None), "data", None)
    if data is None or not hasattr(model, "params"):
        return None
    formula, frame = getattr(model.model, "formula", None), getattr(data, "frame", None)
    if formula is not None:
        if frame is None:
            return None
        words = set(re.findall(r"[^\W\d]\w*", formula.split("~")[-1]))
        names = [str(name) for name in frame.columns if name in words]
        return Found([_of_dtype(frame[name]) for name in names], names)
    names = list(model.model.exog_names)
    return Found([Trait("number")] * len(names), names if hasattr(data.orig_exog, "columns") else None)


def _of_dtype(series: Any) -> Trait:
    if series.dtype.kind in "fiu":
        return Trait("number")
    return Trait("text") if all(isinstance(v, str) for v in series.dropna()) else Trait()


def _scikit_learn(model: Any) -> Found | None:
    """Anything with n_features_in_ or feature_names_in_: scikit-learn's estimators and those that follow it."""
    names = _get(model, "feature_names_in_")
    count = len(names) if names is not None else _get(model, "n_features_in_")
    if not isinstance(count, int | np.integer) or count < 1:
        return None
    traits = _traits(model, int(count))
    return Found(traits, [str(name) for name in names] if names is not None else None)


RECOGNISERS: tuple[Callable[[Any], Found | None], ...] = (_texts, _lightgbm, _xgboost, _statsmodels, _scikit_learn)


# ---- scikit-learn: what happens to each column -----------------------------------------------------------------------


def _traits(estimator: Any, count: int) -> list[Trait]:
    """One per input column of the estimator."""
    estimator = _unwrapped(estimator)
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
            traits = [_then(before, after) for before, after in zip(traits, _traits(step, count), strict=True)]
        else:
            later = _leaf(_unwrapped(step), 1)[0]
            traits = [_then(trait, later) if trait.missing == PASSES else trait for trait in traits]
        same_columns = same_columns and (_is_identity(step) or _is_plain_imputer(step))
    return traits


def _then(before: Trait, after: Trait) -> Trait:
    known = before if before.kind != "any" else after
    missing = after.missing if before.missing == PASSES else before.missing
    return replace(known, missing=missing, used=before.used and after.used)


def _column_transformer(transformer: Any, count: int) -> list[Trait]:
    traits: list[Trait | None] = [None] * count
    inputs = transformer._transformer_to_input_indices
    for name, step, columns in transformer.transformers_:
        indices = list(inputs.get(name, ()))
        if isinstance(step, str) and step == "drop":
            continue
        if isinstance(columns, str) and _is_text_vectorizer(step):
            found = [Trait("text", missing=REFUSES)]
        else:
            found = _traits(step, len(indices)) if indices else []
        for index, trait in zip(indices, found, strict=True):
            traits[index] = trait if (old := traits[index]) is None else _both(old, trait)
    return [trait or Trait(used=False) for trait in traits]


def _both(one: Trait, other: Trait) -> Trait:
    """A column that two transformers read: the more telling of the two, the stricter of the two."""
    known = one if one.categories is not None or other.kind == "any" else other
    return replace(known, missing=REFUSES if REFUSES in (one.missing, other.missing) else one.missing)


def _union(union: Any, count: int) -> list[Trait]:
    traits = [Trait(missing=PASSES)] * count
    for number, (_, step) in enumerate(step for step in union.transformer_list if step[1] != "drop"):
        found = _traits(step, count)
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


def _of_categories(categories: np.ndarray) -> str:
    present = [c for c in categories.tolist() if c is not None and c == c]
    if present and all(isinstance(c, str) for c in present):
        return "text"
    if present and all(isinstance(c, bool) for c in present):
        return "boolean"
    if categories.dtype.kind in "iu":
        return "integer"
    return "number" if present and all(isinstance(c, int | float) for c in present) else "any"


def _without_nan(categories: np.ndarray) -> tuple[Any, ...]:
    return tuple(c for c in categories.tolist() if c is not None and c == c)


COMPOSITES: dict[str, Callable[[Any, int], list[Trait]]] = {
    "steps": _pipeline,
    "_transformer_to_input_indices": _column_transformer,
    "transformer_list": _union,
    "is_categorical_": _histogram_boosting,
    "categories_": _encoder,
}
"""The attribute that tells what an estimator is → the function that reads it."""


def _leaf(estimator: Any, count: int) -> list[Trait]:
    """An estimator that treats all columns alike. Only scikit-learn's own are known not to take texts."""
    if estimator is None or _is_identity(estimator):
        return [Trait(missing=PASSES)] * count
    if not type(estimator).__module__.startswith("sklearn.") or type(estimator).__name__ == "FunctionTransformer":
        return [Trait(missing=ABSORBS if _is_boosting(estimator) else UNKNOWN)] * count
    tags = estimator.__sklearn_tags__().input_tags if hasattr(estimator, "__sklearn_tags__") else None
    allows_nan = tags.allow_nan if tags else estimator._get_tags()["allow_nan"]  # scikit-learn before 1.6
    name = type(estimator).__name__
    if not allows_nan:
        missing = REFUSES
    else:
        missing = ABSORBS if hasattr(estimator, "predict") or "Imputer" in name or "Indicator" in name else PASSES
    fitted_on_objects = "Imputer" in name and getattr(estimator, "_fit_dtype", np.dtype(float)).kind not in "fiu"
    return [Trait("any" if fitted_on_objects else "number", missing=missing)] * count


def _is_boosting(estimator: Any) -> bool:
    return type(estimator).__module__.split(".")[0] in ("xgboost", "lightgbm", "catboost")


def _is_identity(estimator: Any) -> bool:
    if type(estimator).__name__ == "FunctionTransformer":
        return getattr(estimator, "func", 0) is None
    return estimator is None or (isinstance(estimator, str) and estimator == "passthrough")


def _is_plain_imputer(estimator: Any) -> bool:
    """One output column per input column, in order."""
    if type(estimator).__name__ != "SimpleImputer" or estimator.add_indicator:
        return False
    return all(s is not None and s == s for s in estimator.statistics_.tolist())


def _is_text_vectorizer(estimator: Any) -> bool:
    """CountVectorizer, TfidfVectorizer, HashingVectorizer, or one like them."""
    return hasattr(estimator, "build_analyzer") and hasattr(estimator, "transform")


def _unwrapped(estimator: Any) -> Any:
    """The estimator inside a search, a vote, a calibration: the first to see the rows."""
    while estimator is not None and (inner := WRAPPERS.get(type(estimator).__name__)) is not None:
        found = _get(estimator, inner)
        if isinstance(found, list):
            found = found[0]
        if inner == "calibrated_classifiers_":
            found = found.estimator
        if found is None:
            return estimator
        estimator = found
    return estimator


WRAPPERS = {
    **dict.fromkeys(("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV"), "best_estimator_"),
    **dict.fromkeys(("HalvingRandomSearchCV",), "best_estimator_"),
    **dict.fromkeys(("VotingClassifier", "VotingRegressor", "StackingClassifier", "StackingRegressor"), "estimators_"),
    **dict.fromkeys(("OneVsRestClassifier", "MultiOutputClassifier", "MultiOutputRegressor"), "estimators_"),
    **dict.fromkeys(("FixedThresholdClassifier", "TunedThresholdClassifierCV"), "estimator_"),
    "TransformedTargetRegressor": "regressor_",
    "CalibratedClassifierCV": "calibrated_classifiers_",
    "FrozenEstimator": "estimator",
}
"""Class → the attribute that holds the fitted estimator, or a list of such."""


def _get(thing: Any, attribute: str) -> Any:
    try:
        return getattr(thing, attribute, None)
    except Exception:  # noqa: BLE001  properties of unfitted or foreign estimators raise what they like
        return None
