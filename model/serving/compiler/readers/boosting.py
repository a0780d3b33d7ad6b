"""scikit-learn's boosted trees: gradient boosting, and histogram boosting with missing values and categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..answers import Function
from ..operations import Array
from ..program import Node
from ..trees import CATEGORICAL, MISSING_RIGHT, OTHER_RIGHT
from .reading import Declined, Methods, Reading, checked, labels
from .trees import Wood, of_sklearn, planted

PROBABILITIES = {
    "HalfBinomialLoss": ("expit", "two_columns"),
    "ExponentialLoss": ("half_logit", "two_columns"),
    "HalfMultinomialLoss": ("softmax",),
}
"""Class of the loss -> how raw scores become probabilities."""
INVERSES = {"IdentityLink": (), "LogLink": ("exp",)}
"""Class of a regression's link -> its inverse."""


def _boosted(model: Any, raw: Node, outputs: int, rule: str) -> Methods:
    single = outputs == 1
    if not hasattr(model, "classes_"):
        value = raw.then(Function("ravel"))
        for name in INVERSES[type(model._loss.link).__name__]:
            value = value.then(Function(name))
        return {"predict": value}
    chosen = labels(model, rule if single else "argmax")
    methods = {"predict": raw.then(chosen), "decision_function": raw.then(Function("ravel")) if single else raw}
    if (names := PROBABILITIES.get(type(model._loss).__name__)) is not None:
        proba = raw
        for name in names:
            proba = proba.then(Function(name))
        methods["predict_proba"] = proba
    return methods


def gradient_boosting(model: Any, rows: Node, reading: Reading) -> Methods:
    stages, rate = model.estimators_, float(model.learning_rate)
    if type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor") and model.init_ != "zero":
        raise Declined("its init estimator looks at the rows")
    outputs = stages.shape[1]
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32)).ravel()
    woods = [of_sklearn(estimator.tree_, 1, rate) for estimator in stages.ravel()]
    columns = np.tile(np.arange(outputs, dtype=np.int32), len(stages))
    rows = checked(model, rows, dtype="float32")
    return _boosted(model, rows.then(planted(woods, start=start, columns=columns)), outputs, "not_negative")


def hist_gradient_boosting(model: Any, rows: Node, reading: Reading) -> Methods:
    predictors, start = model._predictors, model._baseline_prediction.ravel().astype(np.float64)
    if model._preprocessor is not None:
        rows = reading.transformed(model._preprocessor, rows)
        known, feature_map = model._bin_mapper.make_known_categories_bitsets()
    else:
        rows = checked(model, rows, dtype="float64")
        known, feature_map = np.zeros((0, 8), np.uint32), np.zeros(0, np.uint32)
    sets: list[Array] = []
    woods = [_histogram(tree, known, feature_map, sets) for iteration in predictors for tree in iteration]
    columns = np.tile(np.arange(len(start), dtype=np.int32), len(predictors))
    trees = planted(
        woods,
        start=start,
        columns=columns,
        precision="float64",
        order="F",  # as the estimator has it: softmax rounds by layout
        sets=np.concatenate([np.zeros(0, np.uint32), *sets]),
        boundaries=np.arange(len(sets) + 1, dtype=np.int64) * 8,
    )
    return _boosted(model, rows.then(trees), len(start), "positive")


def _histogram(tree: Any, known: Array, feature_map: Array, sets: list[Array]) -> Wood:
    """One of its trees; the categories of its nodes are appended to `sets`, those that are unknown where NaN goes."""
    nodes = tree.nodes
    missing_left = nodes["missing_go_to_left"] != 0
    flags = np.where(missing_left, 0, MISSING_RIGHT)
    threshold = nodes["num_threshold"].astype(np.float64)
    for node in np.flatnonzero((nodes["is_categorical"] != 0) & (nodes["is_leaf"] == 0)):
        goes_left = tree.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        if missing_left[node]:
            goes_left = goes_left | ~known[feature_map[nodes["feature_idx"][node]]]
        flags[node] |= CATEGORICAL | (0 if missing_left[node] else OTHER_RIGHT)
        threshold[node] = len(sets)
        sets.append(goes_left.astype(np.uint32))
    leaf = nodes["is_leaf"] != 0
    left, right = (np.where(leaf, -1, nodes[side].astype(np.intp)) for side in ("left", "right"))
    return Wood(left, right, nodes["feature_idx"].astype(np.int64), threshold, nodes["value"][:, None], flags)


HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
PREDICTORS = {
    **{("sklearn.ensemble._gb", f"GradientBoosting{kind}"): gradient_boosting for kind in ("Classifier", "Regressor")},
    **{(HISTOGRAM, f"HistGradientBoosting{kind}"): hist_gradient_boosting for kind in ("Classifier", "Regressor")},
}
