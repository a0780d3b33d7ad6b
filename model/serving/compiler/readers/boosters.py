"""xgboost and lightgbm, from their own export: serving needs neither library.

xgboost compares and adds in float32, lightgbm in float64; both take C's exp. Linear trees, objectives of the user's own
and categorical columns of DataFrames are declined.
"""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..answers import Function, Labels
from ..operations import Arithmetic, Array
from ..program import Node
from ..trees import CATEGORICAL, MISSING_RIGHT, OTHER_RIGHT, TOWARDS_ZERO, ZERO_MISSING
from .reading import Declined, Methods, Reading, checked, labels
from .trees import Wood, planted

# ---- xgboost ---------------------------------------------------------------------------------------------------------


def _xgboost(model: Any, rows: Node) -> tuple[Node, str]:
    """The margins, and the objective."""
    booster = model.get_booster()
    learner = json.loads(booster.save_raw("json"))["learner"]
    trees, shares = learner["gradient_booster"], None
    if trees["name"] == "dart":
        trees, shares = trees["gbtree"], np.asarray(trees["weight_drop"], np.float32)
    if trees["name"] != "gbtree":
        raise Declined("a booster other than of plain trees")
    forest = trees["model"]
    if forest.get("cats", {}).get("enc"):
        raise Declined("categorical columns of a DataFrame")
    if not (isinstance(model.missing, float) and math.isnan(model.missing)):
        raise Declined("a missing value other than NaN")
    first, end = model._get_iteration_range(None)
    steps = forest["iteration_indptr"]
    chosen = slice(steps[first], steps[end] if end else steps[-1])
    objective = learner["objective"]["name"]
    start = np.atleast_1d(np.asarray(json.loads(learner["learner_model_param"]["base_score"]), np.float32))
    if objective.endswith(("logistic", "logitraw")):
        start = -_logarithm(np.float32(1) / start - np.float32(1))
    elif objective in ("count:poisson", "reg:gamma", "reg:tweedie"):
        start = _logarithm(start)
    groups = np.asarray(forest["tree_info"][chosen], np.int32)
    if len(start) != groups.max() + 1:
        start = np.repeat(start, groups.max() + 1)
    sets: list[Array] = []
    woods = [_xgboost_tree(tree, sets) for tree in forest["trees"][chosen]]
    if shares is not None:
        for wood, group, share in zip(woods, groups, shares[chosen], strict=True):
            wood.values = ((wood.values + start[group]) - start[group]) * share
    rows = checked(model, rows, dtype="float32")
    return rows.then(planted(woods, start=start.astype(np.float32), columns=groups, **_joined(sets))), objective


def _joined(sets: list[Array]) -> dict[str, Array]:
    boundaries = np.cumsum([0, *map(len, sets)], dtype=np.int64)
    return {"sets": np.concatenate([np.zeros(0, np.uint32), *sets]), "boundaries": boundaries}


def _logarithm(values: Array) -> Array:
    """C's own, of float32 numbers."""
    function = ctypes.CDLL(None).logf
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return np.array(list(map(function, values.tolist())), np.float32)


def _xgboost_tree(tree: dict[str, Any], sets: list[Array]) -> Wood:
    if int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise Declined("trees with several values a leaf")
    left, right = (np.asarray(tree[f"{side}_children"], np.intp) for side in ("left", "right"))
    condition = np.asarray(tree["split_conditions"], np.float32)
    flags = np.where(np.asarray(tree["default_left"]), 0, MISSING_RIGHT)
    # left is below the condition there, not above the threshold here
    threshold = np.nextafter(condition, np.float32(-np.inf)).astype(np.float64)
    for node, first, size in zip(*(tree[f"categories_{what}"] for what in ("nodes", "segments", "sizes")), strict=True):
        flags[node] |= CATEGORICAL  # its categories go right, all others left
        threshold[node] = len(sets)
        sets.append(~_bits(tree["categories"][first : first + size]))
    return Wood(left, right, np.asarray(tree["split_indices"], np.int64), threshold, condition[:, None], flags)


def _bits(categories: list[int]) -> Array:
    """A set as words of 32 categories."""
    words = np.zeros(max(categories) // 32 + 1, np.uint32)
    for category in categories:
        words[category // 32] |= np.uint32(1 << category % 32)
    return words


XGBOOST_LINKS = {
    "reg:squarederror": "", "reg:absoluteerror": "", "reg:pseudohubererror": "", "reg:squaredlogerror": "",
    "reg:quantileerror": "", "reg:logistic": "expit_single", "count:poisson": "exp_single", "reg:gamma": "exp_single",
    "reg:tweedie": "exp_single",
}  # fmt: skip


def xgboost_regressor(model: Any, rows: Node, reading: Reading) -> Methods:
    margin, objective = _xgboost(model, rows)
    if objective not in XGBOOST_LINKS:
        raise Declined(f"objective {objective}")
    value = margin.then(Function("ravel")) if margin.operation.start.shape == (1,) else margin  # type: ignore[attr-defined]
    return {"predict": value.then(Function(XGBOOST_LINKS[objective])) if XGBOOST_LINKS[objective] else value}


def xgboost_classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    margin, objective = _xgboost(model, rows)
    classes = np.arange(max(2, model.n_classes_))
    if objective == "binary:logistic":
        positive = margin.then(Function("expit_single"))
        proba = positive.then(Function("two_columns"))
        return {"predict": positive.then(Labels(classes, "half", "")), "predict_proba": proba}
    if objective == "multi:softprob":
        proba = margin.then(Function("softmax_single"))
        return {"predict": proba.then(Labels(classes, "argmax", "")), "predict_proba": proba}
    raise Declined(f"objective {objective}")


# ---- lightgbm --------------------------------------------------------------------------------------------------------

TINY = float(np.float32(1e-35))


def names_of(model: Any) -> Any:
    """The columns of the DataFrame that it was fitted on, or None; lightgbm invents names for those of an array."""
    if type(model).__module__.startswith("lightgbm.") and model._Booster.pandas_categorical is None:
        return None
    return getattr(model, "feature_names_in_", None)


def _lightgbm(model: Any, rows: Node) -> tuple[Node, list[str]]:
    """The raw scores, and the words of the objective."""
    booster = model._Booster
    if booster.pandas_categorical:
        raise Declined("categorical columns of a DataFrame")
    if callable(model._objective) or any(key.startswith("pred") for key in model._process_params(stage="predict")):
        raise Declined("its own objective or prediction parameters")
    head, *sections = booster.model_to_string().split("\nTree=")
    facts = dict(line.partition("=")[::2] for line in head.splitlines())
    sections[-1] = sections[-1].partition("\nend of trees")[0]
    trees = [dict(line.partition("=")[::2] for line in section.splitlines()[1:]) for section in sections]
    outputs = int(facts["num_tree_per_iteration"])
    sets: list[Array] = []
    woods = [_lightgbm_tree(tree, sets) for tree in trees]
    raw = checked(model, rows, dtype="float64").then(
        planted(
            woods,
            start=np.zeros(outputs),
            columns=np.tile(np.arange(outputs, dtype=np.int32), len(trees) // outputs),
            precision="float64",
            **_joined(sets),
        )
    )
    if "average_output" in head.splitlines():
        raw = raw.then(Arithmetic("divide", np.array(len(trees) // outputs)))
    return raw, facts["objective"].split()


def _numbers(text: str, dtype: Any) -> Array:
    return np.array(text.split(), dtype=dtype)


def _lightgbm_tree(tree: dict[str, str], sets: list[Array]) -> Wood:
    """Its inner nodes, then its leaves; a child below zero is a leaf there."""
    if tree.get("is_linear", "0") != "0":
        raise Declined("linear trees")
    leaves = _numbers(tree["leaf_value"], np.float64)
    inner = int(tree["num_leaves"]) - 1
    none = np.full(len(leaves), -1, np.intp)
    if not inner:
        return Wood(none, none, np.zeros(1, np.int64), np.zeros(1), leaves[:, None], np.zeros(1, np.int64))
    left, right = (_numbers(tree[f"{side}_child"], np.intp) for side in ("left", "right"))
    left, right = (np.where(side < 0, inner - 1 - side, side) for side in (left, right))
    threshold, kinds = _numbers(tree["threshold"], np.float64), _numbers(tree["decision_type"], np.int64)
    categorical, default_left, missing = (kinds & 1) != 0, (kinds & 2) != 0, (kinds >> 2) & 3
    # 0: NaN is taken for zero; 1: zero is missing; 2: NaN is missing
    nan_left = np.where(missing == 0, threshold >= 0, default_left)
    flags = np.where(nan_left, 0, MISSING_RIGHT) | np.where(missing == 1, ZERO_MISSING, 0)
    flags[categorical] = CATEGORICAL | MISSING_RIGHT | OTHER_RIGHT | TOWARDS_ZERO
    words_of = _words(tree, threshold[categorical])
    # lightgbm takes for zero what is as small as that
    threshold = np.where((threshold >= 0) & (threshold < TINY), TINY, threshold)
    threshold = np.where((threshold < 0) & (threshold >= -TINY), np.nextafter(-TINY, -np.inf), threshold)
    for node, words in zip(np.flatnonzero(categorical), words_of, strict=True):
        threshold[node] = len(sets)
        sets.append(words)

    def behind(array: Array, values: Any) -> Array:
        return np.concatenate([array, np.full(len(leaves), values, array.dtype)])

    values = np.concatenate([np.zeros(inner), leaves])[:, None]
    feature = behind(_numbers(tree["split_feature"], np.int64), 0)
    return Wood(
        np.concatenate([left, none]), np.concatenate([right, none]), feature, behind(threshold, 0), values,
        behind(flags, 0),
    )  # fmt: skip


def _words(tree: dict[str, str], numbers: Array) -> Iterator[Array]:
    if len(numbers):
        ends, words = _numbers(tree["cat_boundaries"], np.int64), _numbers(tree["cat_threshold"], np.uint32)
        for number in numbers.astype(int):
            yield words[ends[number] : ends[number + 1]]


LIGHTGBM_LINKS = {
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile", "mape"), ""),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "exp_double"),
}


def lightgbm_regressor(model: Any, rows: Node, reading: Reading) -> Methods:
    raw, words = _lightgbm(model, rows)
    if words[0] not in LIGHTGBM_LINKS or "sqrt" in words:
        raise Declined(f"objective {' '.join(words)}")
    value = raw.then(Function("ravel"))
    link = LIGHTGBM_LINKS[words[0]]
    return {"predict": value.then(Function(link)) if link else value}


def lightgbm_classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    raw, words = _lightgbm(model, rows)
    if words[0] == "binary" and "sigmoid:1" in words:
        proba = raw.then(Function("expit")).then(Function("two_columns"))
    elif words[0] == "multiclass":
        proba = raw.then(Function("softmax_double"))
    else:
        raise Declined(f"objective {' '.join(words)}")
    return {"predict": proba.then(labels(model, "argmax")), "predict_proba": proba}


PREDICTORS = {
    ("xgboost.sklearn", "XGBClassifier"): xgboost_classifier,
    ("xgboost.sklearn", "XGBRFClassifier"): xgboost_classifier,
    ("xgboost.sklearn", "XGBRegressor"): xgboost_regressor,
    ("xgboost.sklearn", "XGBRFRegressor"): xgboost_regressor,
    ("lightgbm.sklearn", "LGBMClassifier"): lightgbm_classifier,
    ("lightgbm.sklearn", "LGBMRegressor"): lightgbm_regressor,
}
