"""Estimators of scikit-learn that were given others to fit: which they are, and which inside sees the rows first."""

from __future__ import annotations

from typing import Any

import numpy as np

LIBRARIES = frozenset(("builtins", "sklearn", "numpy", "pandas", "scipy", "xgboost", "lightgbm", "catboost"))
"""Their classes say all they know by themselves."""

ALIKE = ("sklearn", "imblearn")
"""Libraries whose wrappers keep what they wrap by scikit-learn's names, and whose tags tell what they take."""


def library_of(estimator: Any) -> str:
    return type(estimator).__module__.partition(".")[0]


def unwrapped(estimator: Any) -> Any:
    """The estimator inside a search, a vote, a calibration: the first to see the rows, as they come."""
    while wraps(estimator) and (first := inner(estimator)) is not None:
        estimator = first
    return estimator


def wraps(estimator: Any) -> bool:
    """Whether it is scikit-learn's, and was given an estimator to fit: it takes what that takes."""
    if library_of(estimator) not in ALIKE:
        return False
    given = [asked(estimator, name) for name in GIVEN]  # get_params fails with pickles of an older version
    return any(hasattr(one, "fit") or (isinstance(one, list) and one != []) for one in given) and not any(
        hasattr(estimator, attribute) for attribute in COMPOSITE
    )


def inner(estimator: Any) -> Any:
    """The first that it has fitted; None if that sees other columns than came in."""
    found, count = next(iter(fitted(estimator)), None), asked(estimator, "n_features_in_")
    features = asked(estimator, "estimators_features_")  # of a bag: each may have its own
    if features is not None and not np.array_equal(features[0], np.arange(len(features[0]))):
        return None
    return found if count in (None, asked(found, "n_features_in_") or count) else None


def fitted(estimator: Any) -> list[Any]:
    """The estimators inside that were fitted, without one for a class that is never or always there."""
    for attribute in FITTED:
        found = asked(estimator, attribute)
        items = list(found) if isinstance(found, list | tuple | np.ndarray) else [found]
        if attribute == "calibrated_classifiers_":
            items = [asked(item, "estimator") for item in items]
        fits = [one for one in items if hasattr(one, "predict") or hasattr(one, "transform")]
        if fits := [one for one in fits if type(one).__name__ != "_ConstantPredictor"]:
            return fits
    return []


def is_identity(estimator: Any) -> bool:
    """Whether rows leave the step as they come."""
    if type(estimator).__name__ == "FunctionTransformer":
        return getattr(estimator, "func", 0) is None
    if hasattr(estimator, "fit_resample"):  # imbalanced-learn's samplers work in fit alone
        return True
    return estimator is None or (isinstance(estimator, str) and estimator == "passthrough")


def is_text_vectorizer(estimator: Any) -> bool:
    """CountVectorizer, TfidfVectorizer, HashingVectorizer, or one like them."""
    return hasattr(estimator, "build_analyzer") and hasattr(estimator, "transform")


COMPOSITE = (
    *("steps", "_transformer_to_input_indices", "transformer_list"),
    *("is_categorical_", "categories_", "use_default_cols"),
)
"""Each tells an estimator that is read in a way of its own (sklearn_columns), whatever it was given."""

GIVEN = ("estimator", "base_estimator", "estimators", "regressor", "classifier")
"""The parameters by which a class of scikit-learn is given estimators to fit."""

FITTED = ("best_estimator_", "estimators_", "estimator_", "calibrated_classifiers_", "regressor_", "estimator")
"""Where it keeps them once they are fitted."""


def asked(thing: Any, attribute: str) -> Any:
    try:
        return getattr(thing, attribute, None)
    except Exception:  # noqa: BLE001  properties of unfitted or foreign estimators raise what they like
        return None
