"""scikit-learn's trees: single ones, forests, isolation forests.

Each family's nodes are renumbered so that the right child follows the left one and children follow their parent; then
one operation adds the leaves of all trees in the estimator's own order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..answers import Function, Labels
from ..operations import Arithmetic, Array
from ..program import Node
from ..trees import MISSING_RIGHT, Trees, packed
from .reading import Declined, Methods, Reading, checked, labels

MOST_COLUMNS = 2**24 - 1


@dataclass
class Wood:
    """One tree, as arrays of nodes: `feature` counts only where a node is not a leaf."""

    left: Array
    right: Array
    feature: Array
    threshold: Array
    values: Array
    flags: Array
    leaf: Array = field(init=False)

    def __post_init__(self) -> None:
        self.leaf = self.left == self.right

    def order(self) -> Array:
        """The nodes by level, so that two children stand side by side behind their parent."""
        levels, at = [], np.zeros(1, np.intp)
        while len(at):
            levels.append(at)
            inner = at[~self.leaf[at]]
            at = np.column_stack([self.left[inner], self.right[inner]]).ravel()
        return np.concatenate(levels)


def planted(trees: Iterable[Wood], **kwargs: Any) -> Trees:
    """All trees in one operation. `kwargs`: the fields of Trees that are not nodes."""
    roots, parts, first = [], [], 0
    for tree in trees:
        order = tree.order()
        place = np.empty(len(tree.leaf), np.int64)
        place[order] = np.arange(first, first + len(order))
        leaf = tree.leaf[order]
        roots.append(first)
        parts.append(
            (
                np.where(leaf, np.inf, tree.threshold[order]),
                np.where(leaf, 0, tree.feature[order].astype(np.int64) | tree.flags[order]).astype(np.uint32),
                np.where(leaf, place[order], place[tree.left[order]]).astype(np.int32),
                np.where(leaf[:, None], tree.values[order], 0.0),
            )
        )
        first += len(order)
    threshold, feature, left, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    given = {"sets": np.zeros(0, np.uint32), "boundaries": np.zeros(1, np.int64), "precision": "float32", "order": "C"}
    columns = kwargs.pop("columns", np.zeros(len(roots), np.int32))
    nodes = packed(threshold, feature, left)
    return Trees(np.array(roots, np.int64), columns, nodes, values.astype(np.float64), **{**given, **kwargs})


def of_sklearn(tree: Any, columns: int, scale: float = 1.0) -> Wood:
    """A sklearn.tree tree; `columns` of its leaves' values count."""
    values = scale * tree.value.reshape(tree.node_count, -1)[:, :columns]
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count))
    flags = np.where(missing, 0, MISSING_RIGHT)
    if not np.any(missing) and not _takes_nan(tree):
        flags[:] = 0  # NaN never comes: plain comparisons are enough
    left, right = tree.children_left.astype(np.intp), tree.children_right.astype(np.intp)
    return Wood(left, right, np.maximum(tree.feature, 0), tree.threshold, values, flags)


def _takes_nan(tree: Any) -> bool:
    return bool(np.any(getattr(tree, "missing_go_to_left", 0)))


def _summed(model: Any, rows: Node, columns: int) -> Node:
    trees = [estimator.tree_ for estimator in model.estimators_]
    return summed(model, rows, [of_sklearn(tree, columns) for tree in trees], trees, columns)


def summed(model: Any, rows: Node, woods: list[Wood], trees: list[Any], columns: int) -> Node:
    """The sums of these trees, which were read from `trees`."""
    rows = checked(model, rows, dtype="float32")
    if rows.operation.nan == "":  # type: ignore[attr-defined]
        for wood, tree in zip(woods, trees, strict=True):
            wood.flags = np.where(tree.missing_go_to_left, 0, MISSING_RIGHT)
    return rows.then(planted(woods, start=np.zeros(columns)))


def forest_classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    if model.n_outputs_ != 1:
        raise Declined("more than one output")
    sums = _summed(model, rows, int(model.n_classes_))
    proba = sums.then(Arithmetic("divide", np.array(len(model.estimators_))))
    return _classes(model, proba)


def _classes(model: Any, proba: Node) -> Methods:
    chosen = labels(model, "argmax")
    return {"predict": proba.then(chosen), "predict_proba": proba}


def forest_regressor(model: Any, rows: Node, reading: Reading) -> Methods:
    means = _summed(model, rows, int(model.n_outputs_)).then(Arithmetic("divide", np.array(len(model.estimators_))))
    return {"predict": means.then(Function("ravel")) if model.n_outputs_ == 1 else means}


@dataclass
class _Alone:
    """A single tree as a forest of one."""

    model: Any

    def __getattr__(self, name: str) -> Any:
        return [self.model] if name == "estimators_" else getattr(self.model, name)


def tree_classifier(model: Any, rows: Node, reading: Reading) -> Methods:
    if model.n_outputs_ != 1:
        raise Declined("more than one output")
    return _classes(model, _summed(_Alone(model), rows, int(model.n_classes_)))


def tree_regressor(model: Any, rows: Node, reading: Reading) -> Methods:
    value = _summed(_Alone(model), rows, int(model.n_outputs_))
    return {"predict": value.then(Function("ravel")) if model.n_outputs_ == 1 else value}


def isolation_forest(model: Any, rows: Node, reading: Reading) -> Methods:
    woods = []
    places = zip(
        model.estimators_, model.estimators_features_, model._decision_path_lengths,
        model._average_path_length_per_tree, strict=True,
    )  # fmt: skip
    for estimator, features, lengths, more in places:
        wood = of_sklearn(estimator.tree_, 1)
        wood.values = (np.asarray(lengths) + np.asarray(more) - 1.0)[:, None]
        wood.feature = np.asarray(features)[wood.feature]
        woods.append(wood)
    depths = summed(model, rows, woods, [estimator.tree_ for estimator in model.estimators_], 1).then(Function("ravel"))
    most = float(np.ravel(_average_path_length(model._max_samples))[0]) * len(model.estimators_)
    if most == 0:
        raise Declined("an isolation forest of single samples")
    scores = depths.then(Arithmetic("divide", np.array(most))).then(Function("outlier_score"))
    decision = scores.then(Arithmetic("subtract", np.array(float(model.offset_))))
    inlier = Labels(np.array([-1, 1]), "not_negative", "")
    return {"predict": decision.then(inlier), "decision_function": decision, "score_samples": scores}


def _average_path_length(samples: int) -> Any:
    from sklearn.ensemble._iforest import _average_path_length as own

    return own([samples])


FOREST, TREE = "sklearn.ensemble._forest", "sklearn.tree._classes"
SINGLE = {
    **{(TREE, f"{name}Classifier"): tree_classifier for name in ("DecisionTree", "ExtraTree")},
    **{(TREE, f"{name}Regressor"): tree_regressor for name in ("DecisionTree", "ExtraTree")},
}
PREDICTORS = {
    **SINGLE,
    ("sklearn.ensemble._iforest", "IsolationForest"): isolation_forest,
    **{(FOREST, f"{name}Classifier"): forest_classifier for name in ("RandomForest", "ExtraTrees")},
    **{(FOREST, f"{name}Regressor"): forest_regressor for name in ("RandomForest", "ExtraTrees")},
}
