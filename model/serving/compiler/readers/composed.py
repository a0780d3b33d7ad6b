"""Estimators that are made of estimators: searches, votes, stacks, calibrations, transformed and several targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..answers import Average, Columns, Function, Interpolation, Labels, Votes
from ..operations import VECTOR, Arithmetic, Join
from ..program import Node, width_of
from .reading import Declined, Methods, Reading, kind_of, labels

NO_WEIGHTS = np.zeros(0)


def best(model: Any, rows: Node, reading: Reading) -> Methods:
    """A search: the estimator that it found."""
    return reading.methods(model.best_estimator_, rows)


def frozen(model: Any, rows: Node, reading: Reading) -> Methods:
    return reading.methods(model.estimator, rows)


def _weights(model: Any) -> np.ndarray:
    weights = model._weights_not_none
    return NO_WEIGHTS if weights is None else np.asarray(weights, np.float64)


def voting_classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    parts = [reading.methods(part, rows) for part in model.estimators_]
    if model.voting == "soft":
        proba = Node(Average(_weights(model)), tuple(part["predict_proba"] for part in parts))
        return {"predict": proba.then(labels(model, "argmax")), "predict_proba": proba}
    votes = Node(Votes(len(model.classes_), _weights(model)), tuple(part["predict"] for part in parts))
    return {"predict": votes.then(labels(model, "argmax"))}


def voting_regressor(model: Any, rows: Node, reading: Reading) -> Methods:
    parts = tuple(reading.methods(part, rows)["predict"] for part in model.estimators_)
    return {"predict": Node(Average(_weights(model)), parts)}


def stacking(model: Any, rows: Node, reading: Reading) -> Methods:
    parts = []
    for part, method in zip(model.estimators_, model.stack_method_, strict=True):
        value = reading.methods(part, rows)[method]
        if width_of(value) == VECTOR:
            value = value.then(Function("as_column"))
        elif method == "predict_proba" and len(model.classes_) == 2:
            value = value.then(Columns(1, 2))
        parts.append(value)
    if model.passthrough:
        parts.append(rows)
    methods = reading.methods(model.final_estimator_, Node(Join("stacked"), tuple(parts)))
    if not hasattr(model, "classes_"):
        return {"predict": methods["predict"]}
    chosen = methods["predict"]
    if not isinstance(chosen.operation, Labels) or chosen.operation.objects:
        raise Declined("a final estimator of another kind")
    codes = chosen.operation.classes.astype(np.intp)
    named = Labels(labels(model, "argmax").classes[codes], chosen.operation.rule, labels(model, "argmax").objects)
    return {**methods, "predict": chosen.inputs[0].then(named)}


def calibrated(model: Any, rows: Node, reading: Reading) -> Methods:
    parts = tuple(_calibrated(part, rows, reading) for part in model.calibrated_classifiers_)
    proba = Node(Average(NO_WEIGHTS), parts)
    return {"predict": proba.then(labels(model, "argmax")), "predict_proba": proba}


def _calibrated(part: Any, rows: Node, reading: Reading) -> Node:
    if part.method not in ("sigmoid", "isotonic") or list(part.classes) != list(part.estimator.classes_):
        raise Declined(f"calibration by {part.method}")
    methods, binary = reading.methods(part.estimator, rows), len(part.classes) == 2
    if "decision_function" in methods:
        scores = methods["decision_function"]
    else:
        scores = methods["predict_proba"]
        scores = scores.then(Columns(1, -1)) if binary else scores
    if binary:
        proba = _curve(part.calibrators[0], scores).then(Function("two_columns"))
    else:
        curves = [_curve(one, scores.then(Columns(number, -1))) for number, one in enumerate(part.calibrators)]
        joined = Node(Join("C"), tuple(curve.then(Function("as_column")) for curve in curves))
        proba = joined.then(Function("normalized"))
    return proba.then(Function("at_most_one"))


def _curve(calibrator: Any, scores: Node) -> Node:
    if hasattr(calibrator, "a_"):
        scores = scores.then(Arithmetic("multiply", np.array(calibrator.a_)))
        scores = scores.then(Arithmetic("add", np.array(calibrator.b_)))
        return scores.then(Arithmetic("multiply", np.array(-1.0))).then(Function("expit"))
    return scores.then(Interpolation(calibrator.X_thresholds_, calibrator.y_thresholds_))


INVERSES = {np.exp: "exp", np.expm1: "exp1", np.square: "square"}


def transformed_target(model: Any, rows: Node, reading: Reading) -> Methods:
    value = reading.methods(model.regressor_, rows)["predict"]
    if model._training_dim != 1:
        raise Declined("several targets that are transformed")
    transformer = model.transformer_
    name = kind_of(transformer)[1]
    if name == "FunctionTransformer":
        inverse = transformer.inverse_func
        if inverse is not None and inverse not in INVERSES:
            raise Declined("a target transformed by a function of its own")
        return {"predict": value if inverse is None else value.then(Function(INVERSES[inverse]))}
    if name == "StandardScaler":
        for function, operand in (("multiply", transformer.scale_), ("add", transformer.mean_)):
            value = value if operand is None else value.then(Arithmetic(function, np.asarray(operand[0])))
        return {"predict": value}
    raise Declined(f"a target transformed by {name}")


def multi_output(model: Any, rows: Node, reading: Reading) -> Methods:
    values = [reading.methods(part, rows)["predict"].then(Function("as_column")) for part in model.estimators_]
    return {"predict": Node(Join("C"), tuple(values))}


def multi_output_classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    """Only the labels: its probabilities are a list of arrays."""
    values = [reading.methods(part, rows)["predict"].then(Function("as_column")) for part in model.estimators_]
    return {"predict": Node(Join("stacked"), tuple(values))}


def one_vs_rest(model: Any, rows: Node, reading: Reading) -> Methods:
    """Of several classes; one estimator answers for each."""
    if model.label_binarizer_.y_type_ != "multiclass" or len(model.estimators_) < 2:
        raise Declined("OneVsRestClassifier of two classes, or of several labels a row")
    parts = [reading.methods(part, rows) for part in model.estimators_]
    methods: Methods = {}
    if all("predict_proba" in part for part in parts):
        proba = [part["predict_proba"].then(Columns(1, 2)) for part in parts]
        methods["predict_proba"] = Node(Join("F"), tuple(proba)).then(Function("shares"))
        scores = Node(Join("F"), tuple(proba))
    if all("decision_function" in part for part in parts):
        columns = [part["decision_function"].then(Function("as_column")) for part in parts]
        methods["decision_function"] = scores = Node(Join("F"), tuple(columns))
    return {**methods, "predict": scores.then(labels(model, "argmax"))}


SEARCHES = ("GridSearchCV", "RandomizedSearchCV")
PREDICTORS = {
    **{("sklearn.model_selection._search", name): best for name in SEARCHES},
    ("sklearn.model_selection._search_successive_halving", "HalvingGridSearchCV"): best,
    ("sklearn.model_selection._search_successive_halving", "HalvingRandomSearchCV"): best,
    ("sklearn.frozen._frozen", "FrozenEstimator"): frozen,
    ("sklearn.ensemble._voting", "VotingClassifier"): voting_classifier,
    ("sklearn.ensemble._voting", "VotingRegressor"): voting_regressor,
    ("sklearn.ensemble._stacking", "StackingClassifier"): stacking,
    ("sklearn.ensemble._stacking", "StackingRegressor"): stacking,
    ("sklearn.calibration", "CalibratedClassifierCV"): calibrated,
    ("sklearn.compose._target", "TransformedTargetRegressor"): transformed_target,
    ("sklearn.multioutput", "MultiOutputRegressor"): multi_output,
    ("sklearn.multioutput", "MultiOutputClassifier"): multi_output_classifier,
    ("sklearn.multiclass", "OneVsRestClassifier"): one_vs_rest,
}
