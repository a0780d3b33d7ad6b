"""xgboost and lightgbm: their compiled prediction on a plain matrix, without the wrappers' checks and conversions.

The wrappers look every column of a DataFrame over and pass every training parameter on each call; that costs more
than a hundred trees. Categorical columns and objectives that need more than the booster's own output are declined.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .fast_recipes import Array, Declined, Evaluator, NumericRows, Recipe, names_of


def _two_columns(positive: Array) -> Array:
    return np.vstack((1.0 - positive, positive)).transpose()


def _xgboost(model: Any) -> tuple[NumericRows, Evaluator]:
    if model.booster == "gblinear":
        raise Declined("booster gblinear")
    booster = model.get_booster()
    if "c" in (booster.feature_types or ()):
        raise Declined("it has categorical features")
    trees, missing = model._get_iteration_range(None), model.missing

    def value(rows: Array) -> Any:
        return booster.inplace_predict(rows, iteration_range=trees, missing=missing, validate_features=False)

    names = list(booster.feature_names) if booster.feature_names else None
    return NumericRows(int(model.n_features_in_), names), value


def xgboost_regressor(model: Any) -> Recipe:
    rows, value = _xgboost(model)
    return Recipe(model, rows, {"predict": value}, [(model, "_Booster")])


def xgboost_classifier(model: Any) -> Recipe:
    rows, value = _xgboost(model)
    if model.objective not in ("binary:logistic", "multi:softprob"):
        raise Declined(f"objective {model.objective}")

    def predict(rows: Array) -> Array:
        answer: Array = value(rows)
        if answer.ndim > 1:
            return np.argmax(answer, axis=1)  # type: ignore[no-any-return]
        return np.where(answer > 0.5, 1, 0)

    def predict_proba(rows: Array) -> Array:
        answer: Array = value(rows)
        return answer if answer.ndim > 1 else _two_columns(answer)

    return Recipe(model, rows, {"predict": predict, "predict_proba": predict_proba}, [(model, "_Booster")])


def _lightgbm(model: Any) -> tuple[NumericRows, Evaluator]:
    booster = model._Booster
    if booster.pandas_categorical:
        raise Declined("it has categorical features")
    if callable(model._objective) or any(key.startswith("pred") for key in model._process_params(stage="predict")):
        raise Declined("its own objective or prediction parameters")
    # a list, empty without categories, if it was fitted on a DataFrame; else lightgbm invents the names
    names = names_of(model) if booster.pandas_categorical is not None else None
    rows = NumericRows(int(model.n_features_in_), names)
    rows.spelling = lambda columns: [str(name).replace(" ", "_") for name in columns]
    return rows, booster.predict


def lightgbm_regressor(model: Any) -> Recipe:
    rows, value = _lightgbm(model)
    return Recipe(model, rows, {"predict": value}, [(model, "_Booster")])


def lightgbm_classifier(model: Any) -> Recipe:
    rows, value = _lightgbm(model)
    classes = model.classes_

    def predict_proba(rows: Array) -> Array:
        answer: Array = value(rows)
        return answer if answer.ndim > 1 else _two_columns(answer)

    def predict(rows: Array) -> Array:
        return classes[np.argmax(predict_proba(rows), axis=1)]  # type: ignore[no-any-return]

    return Recipe(model, rows, {"predict": predict, "predict_proba": predict_proba}, [(model, "_Booster")])
