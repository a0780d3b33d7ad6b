"""The words that every reader uses: what is declined, what an estimator refuses, and how its parts are read.

A reader takes a fitted estimator and the node of its rows, and gives the nodes of its answers. It may ask the estimator
for predictions, so programs are read after a fork.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..answers import Labels
from ..operations import Array, Checked
from ..program import Node

Methods = dict[str, Node]


class Declined(Exception):
    """There is no program for this model: the message says why."""


class Reading(Protocol):
    """Reads the parts of a composed estimator."""

    def methods(self, model: Any, rows: Node) -> Methods:
        """By the name of the estimator's method: its answer."""

    def transformed(self, step: Any, rows: Node) -> Node:
        """What a step makes of the rows."""

    def rest(self, model: Any, first: int, rows: Node, reason: Declined) -> Methods:
        """What the pipeline itself answers by its steps from `first` on, for that `reason`, which is raised where it
        may not."""


def kind_of(estimator: Any) -> tuple[str, str]:
    return type(estimator).__module__, type(estimator).__qualname__


def checked(estimator: Any, rows: Node, method: str = "predict", dtype: str = "") -> Node:
    """The rows as the estimator takes them; it is asked how it refuses NaN and infinity."""
    own, features = getattr(estimator, method), int(estimator.n_features_in_)
    nan, inf = (_complaint(own, features, value) for value in (np.nan, np.inf))
    return rows.then(Checked(dtype, nan, inf))


def _complaint(own: Callable[[Any], Any], features: int, value: float) -> str:
    row = np.zeros((1, features))
    row[0, 0] = value
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            own(row)
    except ValueError as exc:
        return str(exc) or "ValueError"
    return ""


def whole(array: Any) -> Array:
    """Labels or categories as an array that needs no pickle, or Declined."""
    array = np.asarray(array)
    if array.dtype == object:
        if not all(isinstance(value, str) for value in array.ravel().tolist()):
            raise Declined("labels that are neither numbers nor texts")
        plain = array.astype(str)
        if plain.tolist() != array.tolist():  # NumPy drops zeros at the end of a text
            raise Declined("labels that NumPy cannot keep")
        return np.asarray(plain)
    if array.dtype.kind not in "Uifb":
        raise Declined(f"labels of type {array.dtype}")
    return np.asarray(array)


def labels(model: Any, rule: str) -> Labels:
    """The model's classes, chosen by one of RULES."""
    classes = np.asarray(model.classes_)
    kinds = {type(label).__name__ for label in classes.tolist()} if classes.dtype == object else {""}
    if not kinds <= {"", "str", "str_"} or len(kinds) > 1:
        raise Declined("labels of mixed types")
    return Labels(whole(classes), rule, kinds.pop())
