"""Linear models: the estimator's own weights in their own layout, for BLAS rounds differently for different layouts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..answers import Function
from ..operations import Checked, Join, Linear
from ..program import Node
from .reading import Methods, Reading, checked, labels


def product(rows: Node, weights: Any, intercept: Any, transposed: bool) -> Node:
    before = rows
    while isinstance(before.operation, Checked):
        (before,) = before.inputs
    sparse = isinstance(before.operation, Join) and before.operation.order == "sparse"
    return rows.then(Linear(weights, np.asarray(intercept), transposed, sparse))


def regressor(model: Any, rows: Node, reading: Reading) -> Methods:
    rows = checked(model, rows)
    value = product(rows, model.coef_, model.intercept_, model.coef_.ndim == 2)
    return {"predict": value}


def log_regressor(model: Any, rows: Node, reading: Reading) -> Methods:
    """GLMs with the logarithm as their link."""
    (value,) = regressor(model, rows, reading).values()
    return {"predict": value.then(Function("exp"))}


def classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    scores = product(checked(model, rows), model.coef_, model.intercept_, True)
    single = model.coef_.ndim == 1 or model.coef_.shape[0] == 1
    if single and model.coef_.ndim == 2:
        scores = scores.then(Function("ravel"))
    chosen = labels(model, "positive" if single else "argmax")
    return {"predict": scores.then(chosen), "decision_function": scores}


def logistic(model: Any, rows: Node, reading: Reading) -> Methods:
    methods = classifier(model, rows, reading)
    scores = methods["decision_function"]
    if model.coef_.shape[0] == 1:
        return {**methods, "predict_proba": scores.then(Function("expit")).then(Function("two_columns"))}
    return {**methods, "predict_proba": scores.then(Function("softmax"))}


def sgd_classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    if model.loss == "log_loss" and len(model.classes_) == 2:
        return logistic(model, rows, reading)
    return classifier(model, rows, reading)


PREDICTORS = {
    ("sklearn.linear_model._logistic", "LogisticRegression"): logistic,
    ("sklearn.linear_model._logistic", "LogisticRegressionCV"): logistic,
    ("sklearn.linear_model._stochastic_gradient", "SGDClassifier"): sgd_classifier,
    ("sklearn.linear_model._stochastic_gradient", "SGDRegressor"): regressor,
    ("sklearn.linear_model._perceptron", "Perceptron"): classifier,
    ("sklearn.linear_model._passive_aggressive", "PassiveAggressiveClassifier"): classifier,
    ("sklearn.linear_model._passive_aggressive", "PassiveAggressiveRegressor"): regressor,
    ("sklearn.linear_model._ridge", "RidgeClassifier"): classifier,
    ("sklearn.linear_model._ridge", "RidgeClassifierCV"): classifier,
    ("sklearn.linear_model._ridge", "Ridge"): regressor,
    ("sklearn.linear_model._ridge", "RidgeCV"): regressor,
    ("sklearn.linear_model._base", "LinearRegression"): regressor,
    ("sklearn.linear_model._huber", "HuberRegressor"): regressor,
    ("sklearn.linear_model._bayes", "BayesianRidge"): regressor,
    ("sklearn.linear_model._bayes", "ARDRegression"): regressor,
    ("sklearn.linear_model._theil_sen", "TheilSenRegressor"): regressor,
    ("sklearn.linear_model._quantile", "QuantileRegressor"): regressor,
    **{
        ("sklearn.linear_model._coordinate_descent", name): regressor
        for name in ("Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "MultiTaskLasso", "MultiTaskElasticNet")
    },
    **{("sklearn.linear_model._least_angle", name): regressor for name in ("Lars", "LassoLars", "LassoLarsIC")},
    ("sklearn.linear_model._glm.glm", "PoissonRegressor"): log_regressor,
    ("sklearn.linear_model._glm.glm", "GammaRegressor"): log_regressor,
    ("sklearn.svm._classes", "LinearSVC"): classifier,
    ("sklearn.svm._classes", "LinearSVR"): regressor,
}
