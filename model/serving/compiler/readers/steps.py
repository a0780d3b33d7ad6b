"""The steps before a model, as array operations: scalers, imputers, nothing; and steps of steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..operations import Arithmetic, Fill, Join, Missing
from ..program import Node
from .linear import product
from .reading import Declined, Methods, Reading, checked, kind_of

PIPELINE = ("sklearn.pipeline", "Pipeline")
IMPUTER = ("sklearn.impute._base", "SimpleImputer")


def standard_scaler(step: Any, rows: Node, reading: Reading) -> Node:
    rows = checked(step, rows, "transform", "float64")
    if step.with_mean:
        rows = rows.then(Arithmetic("subtract", step.mean_))
    return rows.then(Arithmetic("divide", step.scale_)) if step.with_std else rows


def robust_scaler(step: Any, rows: Node, reading: Reading) -> Node:
    rows = checked(step, rows, "transform", "float64")
    if step.with_centering:
        rows = rows.then(Arithmetic("subtract", step.center_))
    return rows.then(Arithmetic("divide", step.scale_)) if step.with_scaling else rows


def min_max_scaler(step: Any, rows: Node, reading: Reading) -> Node:
    rows = checked(step, rows, "transform", "float64")
    rows = rows.then(Arithmetic("multiply", step.scale_)).then(Arithmetic("add", step.min_))
    return _clipped(rows, *step.feature_range) if step.clip else rows


def max_abs_scaler(step: Any, rows: Node, reading: Reading) -> Node:
    rows = checked(step, rows, "transform", "float64").then(Arithmetic("divide", step.scale_))
    return _clipped(rows, -1.0, 1.0) if getattr(step, "clip", False) else rows


def _clipped(rows: Node, low: float, high: float) -> Node:
    return rows.then(Arithmetic("maximum", np.array(low))).then(Arithmetic("minimum", np.array(high)))


def simple_imputer(step: Any, rows: Node, reading: Reading) -> Node:
    values = np.asarray(step.statistics_)
    if not replaces_nan(step) or values.dtype != np.float64 or np.isnan(values).any():
        raise Declined("SimpleImputer with other than plain NaN")
    rows = checked(step, rows, "transform", "float64")
    filled = rows.then(Fill(values))
    if step.indicator_ is None:
        return filled
    return Node(Join("C"), (filled, rows.then(Missing(np.asarray(step.indicator_.features_, np.int64)))))


def replaces_nan(imputer: Any) -> bool:
    missing = imputer.missing_values
    return isinstance(missing, float) and missing != missing


def pca(step: Any, rows: Node, reading: Reading) -> Node:
    centre = (np.reshape(step.mean_, (1, -1)) @ step.components_.T).ravel()
    out = product(checked(step, rows, "transform", "float64"), step.components_, -centre, True)
    if not step.whiten:
        return out
    scale = np.sqrt(step.explained_variance_)
    scale[scale < np.finfo(scale.dtype).eps] = np.finfo(scale.dtype).eps
    return out.then(Arithmetic("divide", scale))


def nothing(step: Any, rows: Node, reading: Reading) -> Node:
    if getattr(step, "func", None) is None:
        return rows
    if kind_of(step.func) == ("functools", "partial") and step.func.func.__name__ == "check_array":
        return rows  # HistGradientBoosting's own preprocessor: a type, and no complaint
    raise Declined("a function between the steps")


def chain(step: Any, rows: Node, reading: Reading) -> Node:
    """A pipeline of transformers."""
    for inner in steps_of(step):
        rows = reading.transformed(inner, rows)
    return rows


def union(step: Any, rows: Node, reading: Reading) -> Node:
    if step.transformer_weights:
        raise Declined("a weighted FeatureUnion")
    parts = [reading.transformed(inner, rows) for _, inner in step.transformer_list if inner != "drop"]
    return Node(Join("C"), tuple(parts))


def pipeline(model: Any, rows: Node, reading: Reading) -> Methods:
    final = model.steps[-1][1]
    if steps_of(model)[-1] is not final:
        raise Declined("a pipeline without a model at its end")
    place = 0
    try:
        for _, step in model.steps[:-1]:
            if step is not None and not isinstance(step, str):
                rows = reading.transformed(step, rows)
            place += 1
        return reading.methods(final, rows)
    except Declined as reason:
        return reading.rest(model, place, rows, reason)


def steps_of(chain: Any) -> list[Any]:
    steps = [step for _, step in chain.steps] if kind_of(chain) == PIPELINE else [chain]
    return [step for step in steps if step is not None and not isinstance(step, str)]


def must_be_plain(step: Any) -> None:
    """Raises Declined if the step gives DataFrames, or was patched."""
    if getattr(step, "_sklearn_output_config", {}).get("transform", "default") != "default":
        raise Declined(f"{type(step).__qualname__} is set to output DataFrames")
    if "transform" in vars(step):
        raise Declined(f"{type(step).__qualname__}.transform is patched")


TRANSFORMERS = {
    ("sklearn.preprocessing._data", "StandardScaler"): standard_scaler,
    ("sklearn.preprocessing._data", "MinMaxScaler"): min_max_scaler,
    ("sklearn.preprocessing._data", "MaxAbsScaler"): max_abs_scaler,
    ("sklearn.preprocessing._data", "RobustScaler"): robust_scaler,
    ("sklearn.preprocessing._function_transformer", "FunctionTransformer"): nothing,
    IMPUTER: simple_imputer,
    ("sklearn.decomposition._pca", "PCA"): pca,
    ("sklearn.pipeline", "FeatureUnion"): union,
    PIPELINE: chain,
}
PREDICTORS = {PIPELINE: pipeline}
