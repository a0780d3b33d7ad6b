"""What a model says about the rows it was fitted on: names, count, and for each column what its cells must be.

Nothing is imported here and nothing is called but getters: classes are known by name, so a model of a library that
is not installed cannot be here. What is not known for certain is "any" and "unknown"; a guess would refuse good rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..rows.signature import Column, Signature
from .sample import load_sample
from .sklearn_columns import ABSORBS, REFUSES, Trait, _get, _is_text_vectorizer, _traits, _unwrapped


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
