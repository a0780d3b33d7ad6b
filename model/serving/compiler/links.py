"""From scores to probabilities and values: each in the arithmetic of the library that it comes from.

C's exp and NumPy's round differently: scikit-learn's logistic link is C's, its softmax NumPy's; xgboost and lightgbm
take C's, in float32 and float64.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from . import native
from .operations import Array

Function = Callable[..., Any]


def _expf() -> Callable[[float], float]:
    """C's own of float32, or what comes close where it is not found: then nothing is proven with it."""
    for library in (None, "libm.so.6", "libm.dylib"):
        with suppress(OSError, AttributeError):
            function = ctypes.CDLL(library).expf
            function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
            return function
    return _exp


def exp(values: Array) -> Array:
    """C's exp, as SciPy, xgboost and lightgbm have it, of float64 or float32: NumPy's own rounds differently."""
    found = native.exp(values)
    if found is None:
        one = EXPF if values.dtype == np.float32 else _exp
        found = np.array(list(map(one, values.ravel().tolist())), values.dtype).reshape(values.shape)
    return found


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


EXPF = _expf()


def expit(scores: Array) -> Array:
    return 1.0 / (1.0 + exp(-scores))


def softmax(scores: Array) -> Array:
    scores = scores - np.max(scores, axis=1).reshape((-1, 1))
    np.exp(scores, out=scores)
    scores /= np.sum(scores, axis=1).reshape((-1, 1))
    return np.asarray(scores)


def two_columns(positive: Array) -> Array:
    out = np.empty((len(positive), 2), positive.dtype)
    out[:, 1] = positive.ravel()
    out[:, 0] = 1 - out[:, 1]
    return out


def normalized(values: Array) -> Array:
    total = np.sum(values, axis=1)[:, None]
    return np.asarray(np.divide(values, total, out=np.full_like(values, 1 / values.shape[1]), where=total != 0))


def shares(values: Array) -> Array:
    """Of each row's sum, where that is not zero."""
    total = np.sum(values, axis=1)[:, None]
    return np.asarray(np.divide(values, total, out=values.copy(order="K"), where=total != 0))


def at_most_one(proba: Array) -> Array:
    proba[(proba > 1.0) & (proba <= 1.0 + 1e-5)] = 1.0
    return proba


def softmax_double(scores: Array) -> Array:
    """As lightgbm's C++ has it: one after the other."""
    powers = exp(scores - scores.max(axis=1, keepdims=True))
    return powers / np.add.accumulate(powers, axis=1)[:, -1:]


def expit_single(scores: Array) -> Array:
    """As xgboost has it."""
    return np.float32(1) / (exp(np.minimum(-scores, np.float32(88.7))) + np.float32(1))


def softmax_single(scores: Array) -> Array:
    """As xgboost has it: the sum is one of double precision."""
    powers = exp(scores - scores.max(axis=1, keepdims=True))
    total = np.add.accumulate(powers, axis=1, dtype=np.float64)[:, -1:]
    return powers / total.astype(np.float32)


NAMED: dict[str, Function] = {
    "expit": expit,
    "half_logit": lambda scores: expit(2 * scores),
    "exp": np.exp,
    "exp1": np.expm1,
    "square": np.square,
    "softmax": softmax,
    "two_columns": two_columns,
    "normalized": normalized,
    "shares": shares,
    "total": lambda values: values.sum(axis=1),
    "two_sides": lambda decision: np.vstack([-decision, decision]).T / 2,
    "at_most_one": at_most_one,
    "outlier_score": lambda depths: -(2 ** (-depths)),
    "ravel": lambda scores: scores.ravel(),
    "expit_single": expit_single,
    "exp_single": exp,
    "softmax_single": softmax_single,
    "exp_double": exp,
    "softmax_double": softmax_double,
    "as_column": lambda scores: scores.reshape(-1, 1),
}
