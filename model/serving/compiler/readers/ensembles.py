"""Bagging and AdaBoost: of trees they are forests; bags of other estimators are averages."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..answers import Average, Function, Labels
from ..operations import Arithmetic, Array, Numbers
from ..program import Node
from . import trees
from .composed import NO_WEIGHTS
from .reading import Declined, Methods, Reading, checked, kind_of, labels


def _widened(values: Array, part: Any, model: Any) -> Array:
    """A bag's part may not have seen all classes."""
    if not hasattr(model, "classes_"):
        return values
    wide = np.zeros((len(values), len(model.classes_)))
    wide[:, np.asarray(part.classes_, np.intp)] = values
    return wide


def _average(model: Any, rows: Node, reading: Reading, method: str) -> Node:
    """The mean of what the parts answer, each by its own features."""
    count, parts = int(getattr(model, "n_classes_", 1)), model.estimators_
    if not all(kind_of(part) in trees.SINGLE for part in parts):
        answers = []
        for part, features in zip(parts, model.estimators_features_, strict=True):
            if count > 1 and len(part.classes_) != count:
                raise Declined("a bag's part that has not seen all classes")
            given = rows.then(Numbers(np.asarray(features, np.int64)))  # even all of them: so they lie in memory
            answers.append(reading.methods(part, given)[method])
        return Node(Average(NO_WEIGHTS), tuple(answers))
    woods = []
    for part, features in zip(parts, model.estimators_features_, strict=True):
        wood = trees.of_sklearn(part.tree_, int(getattr(part, "n_classes_", 1)))
        wood.values = _widened(wood.values, part, model)
        wood.feature = np.asarray(features)[wood.feature]
        woods.append(wood)
    sums = trees.summed(model, rows, woods, [part.tree_ for part in parts], count)
    return sums.then(Arithmetic("divide", np.array(len(parts))))


def bagging_classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    proba = _average(model, rows, reading, "predict_proba")
    return {"predict": proba.then(labels(model, "argmax")), "predict_proba": proba}


def bagging_regressor(model: Any, rows: Node, reading: Reading) -> Methods:
    mean = _average(model, rows, reading, "predict")
    single = all(kind_of(part) in trees.SINGLE for part in model.estimators_)
    return {"predict": mean.then(Function("ravel")) if single else mean}


def ada_boost_classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    """Each tree gives its weight to the class that it predicts, and takes a share of it from all others."""
    parts, weights, count = model.estimators_, model.estimator_weights_, int(model.n_classes_)
    if not all(kind_of(part) in trees.SINGLE for part in parts) or count < 2:
        raise Declined("AdaBoost of other estimators than trees")
    woods = []
    for part, weight in zip(parts, weights, strict=False):
        wood = trees.of_sklearn(part.tree_, int(part.n_classes_))
        named = part.classes_.take(np.argmax(wood.values, axis=1))
        wood.values = np.where(named[:, None] == model.classes_, weight, -1 / (count - 1) * weight)
        woods.append(wood)
    # it looks at the rows as they are, and each tree at those of single precision
    sums = trees.summed(parts[0], checked(model, rows), woods, [part.tree_ for part in parts], count)
    decision = sums.then(Arithmetic("divide", np.asarray(weights.sum())))
    if count == 2:
        decision = decision.then(Arithmetic("multiply", np.array([-1.0, 1.0]))).then(Function("total"))
        proba = decision.then(Function("two_sides")).then(Function("softmax"))
    else:
        proba = decision.then(Arithmetic("divide", np.array(count - 1))).then(Function("softmax"))
    chosen: Labels = labels(model, "positive" if count == 2 else "argmax")
    return {"predict": decision.then(chosen), "predict_proba": proba, "decision_function": decision}


PREDICTORS = {
    ("sklearn.ensemble._bagging", "BaggingClassifier"): bagging_classifier,
    ("sklearn.ensemble._bagging", "BaggingRegressor"): bagging_regressor,
    ("sklearn.ensemble._weight_boosting", "AdaBoostClassifier"): ada_boost_classifier,
}
