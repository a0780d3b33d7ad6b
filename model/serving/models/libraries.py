"""What models of libraries other than scikit-learn say of the columns they take. None: it is not one of theirs."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import Any

from .sklearn_columns import ABSORBS, REFUSES, UNKNOWN, Trait


@dataclass(frozen=True)
class Found:
    """A trait for each column; `form` is "texts" or "objects" where there are no columns; `lacking` is a sentence."""

    traits: list[Trait]
    names: list[str] | None = None
    form: str = ""
    lacking: str = ""


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def lightgbm(model: Any) -> Found | None:
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


def xgboost(model: Any) -> Found | None:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if not (hasattr(booster, "feature_types") and hasattr(booster, "num_features")):
        return None
    names, types = booster.feature_names, booster.feature_types
    categories = xgboost_categories(booster) if types and "c" in types else {}
    lacking = ""
    if types and "c" in types and not categories and not is_installed("pyarrow"):
        lacking = (
            "the model has categorical columns, whose categories xgboost tells and reads with pyarrow, which is not "
            "installed. Add pyarrow to model/requirements.txt."
        )
    traits = []
    for position in range(booster.num_features()):
        if types and types[position] == "c":
            known = categories.get(names[position] if names else position)
            traits.append(Trait("category" if known else "any", known, ABSORBS, closed=bool(known)))
        else:
            traits.append(Trait("number", missing=ABSORBS))
    return Found(traits, list(names) if names else None, lacking=lacking)


def xgboost_categories(booster: Any) -> dict[Any, tuple[Any, ...]]:
    """Kept by the booster since xgboost 3.1, which refuses others; needs pyarrow."""
    try:
        exported = booster.get_categories(export_to_arrow=True).to_arrow()
        return {name: tuple(values.to_pylist()) for name, values in exported if values is not None}
    except Exception:  # noqa: BLE001  an older xgboost, or no pyarrow: the categories stay unknown
        return {}


def catboost(model: Any) -> Found | None:
    """Its categories are texts to it, also those that were numbers. Without names it calls its columns 0, 1, 2, …"""
    if not (hasattr(model, "get_cat_feature_indices") and hasattr(model, "feature_names_")):
        return None
    names = [str(name) for name in model.feature_names_]
    traits = [Trait("number", missing=ABSORBS)] * len(names)
    for kind, trait in (
        *(("cat", Trait("text", missing=REFUSES)), ("text", Trait("text", missing=REFUSES))),
        ("embedding", Trait(missing=UNKNOWN)),
    ):
        for index in getattr(model, f"get_{kind}_feature_indices", tuple)():
            traits[index] = trait
    invented = names == [str(i) for i in range(len(names))]
    return Found(traits, None if invented else names)


def statsmodels(model: Any) -> Found | None:
    """A results object: fitted on an array, on a DataFrame, or with a formula on the columns that it mentions.

    That of a time series has no columns: it is asked for steps or for dates.
    """
    data = getattr(getattr(model, "model", None), "data", None)
    if data is None or not hasattr(model, "params") or ".tsa." in type(model.model).__module__:
        return None
    formula, frame = getattr(model.model, "formula", None), getattr(data, "frame", None)
    if formula is not None:
        if frame is None:
            return None
        right = formula.split("~", 1)[-1]
        quoted = {text for pair in QUOTED.findall(right) for text in pair}
        words = set(re.findall(r"[^\W\d]\w*", QUOTED.sub("", right))) | quoted
        names = [str(name) for name in frame.columns if str(name) in words]
        return Found([_of_dtype(frame[name]) for name in names], names)
    names = list(model.model.exog_names)
    return Found([Trait("number")] * len(names), names if hasattr(data.orig_exog, "columns") else None)


QUOTED = re.compile(r"""Q\(\s*(?:"([^"]*)"|'([^']*)')\s*\)""")
"""How a formula writes a name that is not one of Python's."""


MOST_LEVELS = 1000


def _of_dtype(series: Any) -> Trait:
    """A formula takes the texts that it was fitted on, and no others."""
    if series.dtype.kind in "fiu":
        return Trait("number")
    known = list(dict.fromkeys(series.dropna()))
    if not all(isinstance(value, str) for value in known):
        return Trait()
    return Trait("text", tuple(known), closed=True) if len(known) <= MOST_LEVELS else Trait("text")
