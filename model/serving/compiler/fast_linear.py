"""Linear models: the same product, the same sum, without the checks that NumericRows has already made.

`rows @ coef.T + intercept` is written as scikit-learn writes it, on the same arrays in the same layout, because BLAS
rounds differently for different layouts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .fast_recipes import Array, Evaluator, NumericRows, Recipe, names_of


def _rows(model: Any) -> NumericRows:
    return NumericRows(int(model.n_features_in_), names_of(model))


def linear_regressor(model: Any) -> Recipe:
    weights = model.coef_ if model.coef_.ndim == 1 else model.coef_.T

    def predict(rows: Array) -> Array:
        return rows @ weights + model.intercept_  # type: ignore[no-any-return]

    return Recipe(model, _rows(model), {"predict": predict}, [(model, "coef_")])


def linear_classifier(model: Any) -> Recipe:
    classes, weights = model.classes_, model.coef_.T

    def decision_function(rows: Array) -> Array:
        scores = rows @ weights + model.intercept_
        return scores.reshape(-1) if scores.ndim > 1 and scores.shape[1] == 1 else scores  # type: ignore[no-any-return]

    def predict(rows: Array) -> Array:
        scores = decision_function(rows)
        chosen = (scores > 0).astype(np.intp) if scores.ndim == 1 else np.argmax(scores, axis=1)
        return classes.take(chosen, axis=0)  # type: ignore[no-any-return]

    methods: dict[str, Evaluator] = {"predict": predict, "decision_function": decision_function}
    return Recipe(model, _rows(model), methods, [(model, "coef_"), (model, "classes_")])


def logistic_regression(model: Any) -> Recipe:
    from scipy.special import expit
    from sklearn.utils.extmath import softmax

    recipe = linear_classifier(model)
    decision_function = recipe.methods["decision_function"]

    def predict_proba(rows: Array) -> Array:
        scores = decision_function(rows)
        if scores.ndim > 1:
            return softmax(scores, copy=False)  # type: ignore[no-any-return]
        positive = expit(scores, out=scores)
        return np.stack([1 - positive, positive], axis=1)

    recipe.methods["predict_proba"] = predict_proba
    return recipe


def sgd_classifier(model: Any) -> Recipe:
    if model.loss == "log_loss" and len(model.classes_) == 2:
        return logistic_regression(model)
    return linear_classifier(model)
