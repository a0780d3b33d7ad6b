"""The steps before a model, as array operations: scalers, imputers, nothing.

Each builder takes a fitted step and returns a function matrix -> matrix that computes what the step's transform
computes, in the same order of operations. It never changes the matrix it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .fast_recipes import Array, Declined

Step = Callable[[Any], Any]


def standard_scaler(step: Any) -> Step:
    def transform(rows: Array) -> Array:
        if step.with_mean:
            rows = rows - step.mean_
        return rows / step.scale_ if step.with_std else rows

    return transform


def min_max_scaler(step: Any) -> Step:
    if step.clip:
        raise Declined("MinMaxScaler clips")
    return lambda rows: rows * step.scale_ + step.min_


def max_abs_scaler(step: Any) -> Step:
    if getattr(step, "clip", False):
        raise Declined("MaxAbsScaler clips")
    return lambda rows: rows / step.scale_


def robust_scaler(step: Any) -> Step:
    def transform(rows: Array) -> Array:
        if step.with_centering:
            rows = rows - step.center_
        return rows / step.scale_ if step.with_scaling else rows

    return transform


def simple_imputer(step: Any) -> Step:
    values = np.asarray(step.statistics_)
    if not replaces_nan(step) or values.dtype != np.float64 or np.isnan(values).any():
        raise Declined("SimpleImputer with other than plain NaN")

    def transform(rows: Array) -> Array:
        missing = np.isnan(rows)
        if missing.any():
            rows = rows.copy(order="K")
            rows[missing] = values.take(np.nonzero(missing)[1])
        return rows

    return transform


def nothing(step: Any) -> Step:
    if getattr(step, "func", None) is not None:
        raise Declined("a function between the steps")
    return lambda rows: rows


def replaces_nan(imputer: Any) -> bool:
    missing = imputer.missing_values
    return isinstance(missing, float) and missing != missing and not imputer.add_indicator


def kind_of(step: Any) -> tuple[str, str]:
    return type(step).__module__, type(step).__qualname__


def steps_of(chain: Any) -> list[Any]:
    steps = [step for _, step in chain.steps] if kind_of(chain) == PIPELINE else [chain]
    return [step for step in steps if step is not None and not isinstance(step, str)]


def must_be_plain(step: Any) -> None:
    """Raises Declined if the step gives DataFrames, or was patched."""
    if getattr(step, "_sklearn_output_config", {}).get("transform", "default") != "default":
        raise Declined(f"{type(step).__qualname__} is set to output DataFrames")
    if "transform" in vars(step):
        raise Declined(f"{type(step).__qualname__}.transform is patched")


def known(step: Any) -> Step:
    must_be_plain(step)
    build = STEPS.get(kind_of(step))
    if build is None:
        raise Declined(f"no shortcut for {type(step).__qualname__}")
    return build(step)


def likely_values(steps: list[Any], count: int) -> list[tuple[float, float]]:
    """Likely values of numeric columns, from what the scalers or imputers have seen."""
    centre, spread = np.zeros(count), np.ones(count)
    for step in reversed(steps):
        for attribute in ("mean_", "center_", "statistics_"):
            if getattr(step, attribute, None) is not None:
                centre = np.asarray(getattr(step, attribute), float)
        if getattr(step, "scale_", None) is not None and kind_of(step)[1] != "MinMaxScaler":
            spread = np.asarray(step.scale_, float)
    return list(zip(centre.tolist(), spread.tolist(), strict=True))


PIPELINE = ("sklearn.pipeline", "Pipeline")
IMPUTER = ("sklearn.impute._base", "SimpleImputer")
STEPS: dict[tuple[str, str], Callable[[Any], Step]] = {
    ("sklearn.preprocessing._data", "StandardScaler"): standard_scaler,
    ("sklearn.preprocessing._data", "MinMaxScaler"): min_max_scaler,
    ("sklearn.preprocessing._data", "MaxAbsScaler"): max_abs_scaler,
    ("sklearn.preprocessing._data", "RobustScaler"): robust_scaler,
    ("sklearn.preprocessing._function_transformer", "FunctionTransformer"): nothing,
    IMPUTER: simple_imputer,
}
