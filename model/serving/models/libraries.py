"""What models of libraries other than scikit-learn say of the columns they take. None: it is not one of theirs."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from typing import Any

from .traits import ABSORBS, REFUSES, Found, Trait, as_objects, of_categories
from .wrapping import unwrapped


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
        traits = [Trait(missing=ABSORBS, lacking=OF_LIGHTGBM)] * len(names)
    invented = all(name == f"Column_{i}" for i, name in enumerate(names))
    return Found(traits, None if invented else names)


OF_LIGHTGBM = (
    "the model was fitted on categorical columns of pandas, and LightGBM does not tell which they are, since one has an"
    " order or a single value. Save a sample beside the model (README: save_sample)."
)


def xgboost(model: Any) -> Found | None:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if not (hasattr(booster, "feature_types") and hasattr(booster, "num_features")):
        return None
    names, types = booster.feature_names, booster.feature_types
    has_categories = bool(types) and "c" in types and not _are_codes(booster)
    categories = xgboost_categories(booster) if has_categories else {}
    lacking = OF_XGBOOST if has_categories and not categories and not is_installed("pyarrow") else ""
    traits = []
    for position in range(booster.num_features()):
        if has_categories and types[position] == "c":
            known = categories.get(names[position] if names else position)
            traits.append(Trait("category" if known else "any", known, ABSORBS, closed=bool(known), lacking=lacking))
        else:
            traits.append(Trait("number", missing=ABSORBS))
    return Found(traits, list(names) if names else None)


OF_XGBOOST = (
    "the model has categorical columns, whose categories xgboost tells and reads with pyarrow, which is not installed. "
    "Add pyarrow to model/requirements.txt."
)


def _are_codes(booster: Any) -> bool:
    """Whether its categorical columns were numbers from the start (feature_types): then it keeps no categories."""
    kept = booster.get_categories() if hasattr(booster, "get_categories") else None
    return kept is not None and bool(kept.empty())


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
        ("embedding", Trait("numbers", missing=REFUSES)),
    ):
        for index in getattr(model, f"get_{kind}_feature_indices", tuple)():
            traits[index] = trait
    invented = names == [str(i) for i in range(len(names))]
    return Found(traits, None if invented else names)


def statsmodels(model: Any) -> Found | None:
    """A results object: fitted on an array, on a DataFrame, or with a formula on the columns that it mentions.

    That of a time series has no columns.
    """
    data = getattr(getattr(model, "model", None), "data", None)
    if data is None or not hasattr(model, "params"):
        return None
    if ".tsa." in type(model.model).__module__:
        return Found([], form="unknown", lacking=OF_TIME_SERIES)
    formula, frame = getattr(model.model, "formula", None), getattr(data, "frame", None)
    if formula is not None:
        if frame is None:
            return None
        right = formula.split("~", 1)[-1]
        quoted = {text for pair in QUOTED.findall(right) for text in pair}
        words = set(re.findall(r"[^\W\d]\w*", QUOTED.sub("", right))) | quoted
        names = [str(name) for name in frame.columns if str(name) in words]
        levels = {text for groups in LEVELS.findall(right) for text in groups}
        return Found([_of_series(frame[name], name in levels) for name in names], names)
    names = list(model.model.exog_names)
    return Found([Trait("number")] * len(names), names if hasattr(data.orig_exog, "columns") else None)


QUOTED = re.compile(r"""Q\(\s*(?:"([^"]*)"|'([^']*)')\s*\)""")
"""How a formula writes a name that is not one of Python's."""
LEVELS = re.compile(r"""\bC\(\s*(?:([^\W\d]\w*)|Q\(\s*(?:"([^"]*)"|'([^']*)')\s*\))\s*[,)]""")
"""How it says that a column's values are levels."""
MOST_LEVELS = 1000


def _of_series(series: Any, has_levels: bool) -> Trait:
    """A formula takes the levels that it was fitted on, and no others; splines take nothing beyond their last knots."""
    known = list(dict.fromkeys(series.dropna()))
    kind = "number" if series.dtype.kind in "fiu" else of_categories(as_objects(known))
    if kind == "text" or (has_levels and kind == "number"):
        return (
            Trait(kind, tuple(known), closed=True) if len(known) <= MOST_LEVELS else Trait(kind, usual=tuple(known[:3]))
        )
    if kind == "number" and known:
        return Trait("number", usual=(float(series.median()), float(series.min()), float(series.max())))
    return Trait(kind)


def forecaster(model: Any) -> Found | None:
    """sktime's forecasters, and those that follow its interface."""
    asks = hasattr(type(model), "update_predict") and hasattr(type(model), "cutoff")
    return Found([], form="unknown", lacking=OF_TIME_SERIES) if asks else None


OF_TIME_SERIES = (
    "the model is one of a time series: it is asked for steps or dates, not for rows. Write in predictor.py what a row "
    'asks for. For {"steps": 3} that is return [model.forecast(int(n)).tolist() for n in rows["steps"]], or '
    "model.predict(fh=range(1, int(n) + 1)) in its place for sktime."
)


def skorch(model: Any) -> Found | None:
    """A network whose first layer says how many numbers it takes, and of which type: PyTorch converts nothing."""
    module: Any = getattr(unwrapped(model), "module_", None)
    layers = [layer for layer in module.modules() if not list(layer.children())] if hasattr(module, "modules") else []
    if not layers or type(layers[0]).__name__ != "Linear":
        return None
    dtype = str(layers[0].weight.dtype).rpartition(".")[2]
    return Found([Trait("number", missing=ABSORBS, dtype=dtype)] * layers[0].in_features)


ESTIMATORS: tuple[Callable[[Any], Found | None], ...] = (lightgbm, xgboost, catboost, skorch)
"""Those that may also be a part of one of scikit-learn's."""
