"""XGBoost and LightGBM by their own export: the same bits as their own prediction, or declined with the reason."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris, make_classification

from serving.compiler.proof import prove
from serving.compiler.readers.known import program_of
from serving.compiler.readers.reading import Declined

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")

CHANCE = np.random.default_rng(0)
ROWS, LABELS = make_classification(1500, 8, n_informative=6, random_state=0)
GAPS = np.where(CHANCE.random(ROWS.shape) < 0.1, np.nan, ROWS)
CODES = np.column_stack([np.round(np.abs(ROWS[:, 0]) * 9), ROWS[:, 1:]])
NAMED = pd.DataFrame(ROWS, columns=[f"c{i}" for i in range(8)])
WORDS = NAMED.assign(c0=pd.Categorical(CHANCE.choice(list("uvw"), len(NAMED))))
IRIS, DIABETES = load_iris(return_X_y=True), load_diabetes(return_X_y=True)
LINEAR = (DIABETES[0], np.abs(DIABETES[1]))


def xgb(kind: str, rows: Any, labels: Any, fit: dict[str, Any] | None = None, **parameters: Any) -> Any:
    model = getattr(xgboost, f"XGB{kind}")(**{"n_estimators": 15, "n_jobs": 1, **parameters})
    return model.fit(rows, labels, verbose=False, **fit or {})


def lgb(kind: str, rows: Any, labels: Any, fit: dict[str, Any] | None = None, **parameters: Any) -> Any:
    model = getattr(lightgbm, f"LGBM{kind}")(**{"n_estimators": 15, "n_jobs": 1, "verbose": -1, **parameters})
    return model.fit(rows, labels, **fit or {})


EARLY = {"eval_set": [(ROWS[500:], LABELS[500:])]}
COMPILED = {
    "xgb two classes, missing values": lambda: xgb("Classifier", GAPS, LABELS, n_estimators=40),
    "xgb three classes": lambda: xgb("Classifier", *IRIS),
    "xgb regression": lambda: xgb("Regressor", *DIABETES),
    "xgb poisson": lambda: xgb("Regressor", *LINEAR, objective="count:poisson"),
    "xgb gamma": lambda: xgb("Regressor", *LINEAR, objective="reg:gamma"),
    "xgb logistic regression": lambda: xgb("Regressor", ROWS, LABELS, objective="reg:logistic"),
    "xgb absolute error": lambda: xgb("Regressor", *DIABETES, objective="reg:absoluteerror"),
    "xgb codes of categories": lambda: xgb(
        "Classifier", CODES, LABELS, enable_categorical=True, feature_types=["c"] + ["q"] * 7
    ),
    "xgb frame": lambda: xgb("Classifier", NAMED, LABELS),
    "xgb forest": lambda: xgb("RFClassifier", *IRIS),
    "xgb parallel trees": lambda: xgb("Classifier", *IRIS, num_parallel_tree=3),
    "xgb stopped early": lambda: xgb("Classifier", ROWS[:500], LABELS[:500], EARLY, early_stopping_rounds=2),
    "lgb two classes, missing values": lambda: lgb("Classifier", GAPS, LABELS, n_estimators=40),
    "lgb texts": lambda: lgb("Classifier", ROWS, np.array(["no", "yes"])[LABELS]),
    "lgb three classes": lambda: lgb("Classifier", *IRIS),
    "lgb regression": lambda: lgb("Regressor", *DIABETES),
    "lgb zero is missing": lambda: lgb("Regressor", *DIABETES, zero_as_missing=True),
    "lgb nothing is missing": lambda: lgb("Classifier", ROWS, LABELS, use_missing=False),
    "lgb poisson": lambda: lgb("Regressor", *LINEAR, objective="poisson"),
    "lgb codes of categories": lambda: lgb("Classifier", CODES, LABELS, {"categorical_feature": [0]}),
    "lgb frame": lambda: lgb("Classifier", NAMED, LABELS),
    "xgb dart": lambda: xgb("Classifier", ROWS, LABELS, booster="dart"),
    "lgb dart": lambda: lgb("Classifier", ROWS, LABELS, boosting_type="dart"),
    "lgb forest": lambda: lgb("Classifier", ROWS, LABELS, boosting_type="rf", subsample=0.5, subsample_freq=1),
    "xgb two outputs": lambda: xgb("Regressor", DIABETES[0], np.c_[DIABETES[1], DIABETES[1]]),
    "lgb one leaf": lambda: lgb("Regressor", *DIABETES, min_child_samples=10_000),
}
DECLINED = {
    "xgb categories of a frame": (lambda: xgb("Classifier", WORDS, LABELS, enable_categorical=True), "DataFrame"),
    "xgb linear": (lambda: xgb("Classifier", ROWS, LABELS, booster="gblinear"), "plain trees"),
    "xgb another missing value": (lambda: xgb("Classifier", ROWS, LABELS, missing=-1), "missing value"),
    "lgb categories of a frame": (lambda: lgb("Classifier", WORDS, LABELS), "DataFrame"),
    "lgb linear leaves": (lambda: lgb("Regressor", *DIABETES, linear_tree=True), "linear trees"),
    "lgb one against the others": (lambda: lgb("Classifier", *IRIS, objective="multiclassova"), "multiclassova"),
    "lgb prediction parameters": (lambda: lgb("Classifier", ROWS, LABELS, pred_early_stop=True), "parameters"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPILED)
def test_a_booster_is_compiled_to_the_last_bit(name: str) -> None:
    """Around its thresholds, with missing values, categories, infinities and zeros; in NumPy and natively."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = COMPILED[name]()
    program = program_of(model)
    proven = prove(model, program, [ROWS[:300], GAPS[:300]] if program.names is None and program.count == 8 else [])
    assert proven.dtypes == ("float64", "float32", "int64")
    assert set(program.methods) == ({"predict", "predict_proba"} if hasattr(model, "classes_") else {"predict"})


@pytest.mark.parametrize("name", DECLINED)
def test_what_a_booster_does_beyond_its_trees_is_declined(name: str) -> None:
    """With the reason; it is served by itself."""
    make, reason = DECLINED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make()
    with pytest.raises(Declined, match=reason):
        program_of(model)
