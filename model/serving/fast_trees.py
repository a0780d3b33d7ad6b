"""Trees, all at once: every tree of an ensemble is walked for every row in one call into compiled code.

scikit-learn answers one row by calling each tree from Python (a forest through joblib, gradient boosting through
OpenMP); that costs 10 to 100 times the walk. Here all trees become one array of nodes, in the layout of
HistGradientBoosting's predictor, walked by scikit-learn's own code with one thread. Leaf values are added in the
estimator's order, so sums are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .fast_recipes import Array, Declined, NumericRows, Recipe, names_of

MANY_ROWS = 40
"""From here on, tree by tree wins: one tree's nodes stay in the cache while all rows pass (benchmarks/fast_paths.py)."""
MANY_NODES = 1_000_000
"""Larger ensembles are not copied (60 bytes a node) but always walked tree by tree."""


@dataclass(frozen=True)
class Grove:
    """All trees in one array of nodes. Node 0 opens a binary search for the tree's number, which leads to its root.

    The walker takes one row of features per walk, so each row would have to be copied once per tree. Instead a row is
    written once, and walk number t sees memory from t * step on: a window. Cell 0 of window t holds t, for the search;
    feature f of the row lies at places[f] of window 0, so tree t finds it at places[f] - t * step.
    """

    nodes: Array
    trees: int
    step: int
    places: Array

    def walk(self, rows: Array) -> Array:
        """float64 rows (n, features) -> the value of the leaf that each tree (column) ends in."""
        from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

        count, period, width = len(rows), self.trees * self.step, int(self.places[-1]) + 1
        memory = np.zeros(count * period + width)
        memory[: count * period : self.step].reshape(count, self.trees)[:] = np.arange(self.trees)
        strided = np.lib.stride_tricks.as_strided
        strided(memory, (count, width), (period * 8, 8))[:, self.places] = rows
        windows = strided(memory, (count * self.trees, width), (self.step * 8, 8))
        leaves = np.empty(count * self.trees)
        _predict_from_raw_data(self.nodes, windows, *NO_CATEGORIES, 1, leaves)
        return leaves.reshape(count, self.trees)


NO_CATEGORIES = (np.zeros((0, 8), np.uint32), np.zeros((0, 8), np.uint32), np.zeros(0, np.uint32))


def plant(trees: list[Array], features: int) -> Grove:
    """Joins trees (arrays of nodes, each with its root first) into one Grove."""
    count = len(trees)
    step = 1 + -(-features // count)
    last = (count - 1) * step
    # cells at multiples of `step` hold tree numbers; the row goes into the gaps behind the last of its own numbers
    gaps = np.arange(last, last + (features + 1) * 2 + step)
    places = gaps[gaps % step != 0][:features]
    starts = np.cumsum([count - 1, *map(len, trees)])
    search = np.zeros(count - 1, trees[0].dtype)
    free = iter(range(count - 1))

    def lead(first: int, end: int) -> int:
        if end - first == 1:
            return int(starts[first])
        here, middle = next(free), (first + end) // 2
        search["num_threshold"][here] = middle - 0.5
        search["left"][here], search["right"][here] = lead(first, middle), lead(middle, end)
        return here

    lead(0, count)
    moved = [search]
    for number, tree in enumerate(trees):
        nodes, inner = tree.copy(), tree["is_leaf"] == 0
        for child in ("left", "right"):
            nodes[child][inner] += np.uint32(starts[number])
        nodes["feature_idx"][inner] = places[tree["feature_idx"][inner]] - number * step
        nodes["feature_idx"][~inner] = 0
        moved.append(nodes)
    return Grove(np.concatenate(moved), count, step, places)


def read(tree: Any) -> Array:
    """sklearn.tree's nodes in the layout of the walker; a leaf's value is its own number."""
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    source = tree.__getstate__()["nodes"]
    nodes = np.zeros(len(source), PREDICTOR_RECORD_DTYPE)
    leaf = source["left_child"] < 0
    nodes["is_leaf"] = leaf
    nodes["value"] = np.arange(len(source))
    nodes["num_threshold"] = source["threshold"]
    for ours, theirs in (("feature_idx", "feature"), ("left", "left_child"), ("right", "right_child")):
        nodes[ours] = np.where(leaf, 0, source[theirs])
    if "missing_go_to_left" in (source.dtype.names or ()):
        nodes["missing_go_to_left"] = source["missing_go_to_left"]
    return nodes


def running_sums(values: Array) -> Array:
    """The sum of each row from left to right, as `total += value` makes it; np.sum would add in pairs."""
    return np.add.accumulate(values, axis=1)[:, -1] + 0.0  # + 0.0: a sum that starts from zero is never -0.0


def _hints(trees: list[Array], features: int) -> list[Array]:
    nodes = np.concatenate(trees)
    nodes = nodes[nodes["is_leaf"] == 0]
    return [nodes["num_threshold"][nodes["feature_idx"] == feature] for feature in range(features)]


def _forest_sums(model: Any, trees: list[Any], columns: int) -> tuple[list[Array], Callable[[Array], Array]]:
    """The trees' nodes, and a function float32 rows -> sums over the trees (n, columns)."""
    nodes = [read(tree) for tree in trees]
    values = [tree.value.reshape(len(tree.value), -1)[:, :columns] for tree in trees]

    def tree_by_tree(rows: Array) -> Array:
        sums = np.zeros((len(rows), columns))
        for tree in trees:
            sums += tree.predict(rows).reshape(len(rows), -1)[:, :columns]
        return sums

    if sum(map(len, nodes)) > MANY_NODES:
        return nodes, tree_by_tree
    grove = plant(_numbered(nodes), model.n_features_in_)
    table = np.ascontiguousarray(np.concatenate(values).T)

    def sums(rows: Array) -> Array:
        if len(rows) >= MANY_ROWS:
            return tree_by_tree(rows)
        leaves = grove.walk(rows).astype(np.intp)
        return np.stack([running_sums(column.take(leaves)) for column in table], axis=1)

    return nodes, sums


def _numbered(trees: list[Array]) -> list[Array]:
    """Leaf values become numbers that are unique in the whole ensemble."""
    first = 0
    for nodes in trees:
        nodes["value"] += first
        first += len(nodes)
    return trees


def _tree_rows(model: Any, nodes: list[Array]) -> NumericRows:
    features = int(model.n_features_in_)
    return NumericRows(features, names_of(model), np.float32, _hints(nodes, features))


def forest_classifier(model: Any) -> Recipe:
    if model.n_outputs_ != 1:
        raise Declined("more than one output")
    nodes, sums = _forest_sums(model, [e.tree_ for e in model.estimators_], int(model.n_classes_))
    classes, count = model.classes_, len(model.estimators_)

    def predict_proba(rows: Array) -> Array:
        proba = sums(rows)
        proba /= count
        return proba

    def predict(rows: Array) -> Array:
        return classes.take(np.argmax(predict_proba(rows), axis=1), axis=0)  # type: ignore[no-any-return]

    methods = {"predict": predict, "predict_proba": predict_proba}
    return Recipe(model, _tree_rows(model, nodes), methods, [(model, "estimators_"), (model, "classes_")])


def forest_regressor(model: Any) -> Recipe:
    outputs, count = int(model.n_outputs_), len(model.estimators_)
    nodes, sums = _forest_sums(model, [e.tree_ for e in model.estimators_], outputs)

    def predict(rows: Array) -> Array:
        means = sums(rows)
        means /= count
        return means[:, 0] if outputs == 1 else means

    return Recipe(model, _tree_rows(model, nodes), {"predict": predict}, [(model, "estimators_")])


def tree_classifier(model: Any) -> Recipe:
    if model.n_outputs_ != 1:
        raise Declined("more than one output")
    tree, classes, count = model.tree_, model.classes_, int(model.n_classes_)
    methods = {
        "predict": lambda rows: classes.take(np.argmax(tree.predict(rows), axis=1), axis=0),
        "predict_proba": lambda rows: tree.predict(rows)[:, :count],
    }
    return Recipe(model, _tree_rows(model, [read(tree)]), methods, [(model, "tree_"), (model, "classes_")])


def tree_regressor(model: Any) -> Recipe:
    tree, single = model.tree_, model.n_outputs_ == 1
    methods = {"predict": lambda rows: tree.predict(rows)[:, 0] if single else tree.predict(rows)[:, :, 0]}
    return Recipe(model, _tree_rows(model, [read(tree)]), methods, [(model, "tree_")])


def _boosted(
    start: Array, trees: list[list[Array]], features: int, rest: Callable[[Array, Array], None]
) -> Callable[[Array], Array]:
    """start (k,), trees [iteration][k] whose leaf values are final -> function rows -> raw predictions (n, k)."""
    outputs, flat = len(start), [tree for iteration in trees for tree in iteration]
    grove = plant(flat, features) if flat and sum(map(len, flat)) <= MANY_NODES else None

    def raw(rows: Array) -> Array:
        if grove is None or len(rows) >= MANY_ROWS:
            sums = np.zeros((len(rows), outputs), order="F")
            sums += start
            rest(rows, sums)
            return sums
        terms = np.empty((outputs, len(rows), len(trees) + 1))
        terms[:, :, 0] = start[:, None]
        terms[:, :, 1:] = grove.walk(rows).reshape(len(rows), len(trees), outputs).transpose(2, 0, 1)
        return np.add.accumulate(terms, axis=2)[:, :, -1].T

    return raw


def _classifier_methods(raw: Callable[[Array], Array], model: Any, positive: Callable[[Array], Array]) -> Any:
    """The public methods of a boosted classifier on top of its raw predictions, with the estimator's own loss."""
    classes, loss = model.classes_, model._loss

    def decision_function(rows: Array) -> Array:
        scores = raw(rows)
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(rows: Array) -> Array:
        scores = raw(rows)
        chosen = positive(scores.ravel()).astype(int) if scores.shape[1] == 1 else np.argmax(scores, axis=1)
        return classes[chosen]  # type: ignore[no-any-return]

    methods = {"predict": predict, "decision_function": decision_function}
    if hasattr(loss, "predict_proba"):
        methods["predict_proba"] = lambda rows: loss.predict_proba(np.asfortranarray(raw(rows)))
    return methods


def gradient_boosting(model: Any) -> Recipe:
    from sklearn.ensemble._gradient_boosting import predict_stages

    stages, rate, features = model.estimators_, model.learning_rate, int(model.n_features_in_)
    if type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor") and model.init_ != "zero":
        raise Declined("its init estimator looks at the rows")
    # a Dummy answers the same for every row and uses no thread, so asking it once is safe before a fork
    start = model._raw_predict_init(np.zeros((1, features), np.float32))[0]
    trees = [[read(estimator.tree_) for estimator in stage] for stage in stages]
    for nodes, stage in zip(trees, stages, strict=True):
        for tree, estimator in zip(nodes, stage, strict=True):
            tree["value"] = rate * estimator.tree_.value[:, 0, 0]

    def rest(rows: Array, sums: Array) -> None:
        result = np.ascontiguousarray(sums)
        predict_stages(stages, np.ascontiguousarray(rows), rate, result)
        sums[:] = result

    raw = _boosted(start, trees, features, rest)
    if hasattr(model, "classes_"):
        methods = _classifier_methods(raw, model, lambda scores: scores >= 0)
    else:
        methods = {"predict": lambda rows: raw(rows).ravel()}
    rows = _tree_rows(model, [tree for stage in trees for tree in stage])
    return Recipe(model, rows, methods, [(model, "estimators_"), (model, "init_")])


def hist_gradient_boosting(model: Any) -> Recipe:
    if model._preprocessor is not None or model.is_categorical_ is not None:
        raise Declined("categorical features")
    predictors, features = model._predictors, int(model.n_features_in_)
    trees = [[predictor.nodes for predictor in iteration] for iteration in predictors]

    def rest(rows: Array, sums: Array) -> None:
        model._predict_iterations(rows, predictors, sums, False, 1)

    raw = _boosted(model._baseline_prediction.ravel(), trees, features, rest)
    if hasattr(model, "classes_"):
        methods = _classifier_methods(raw, model, lambda scores: scores > 0)
    else:
        inverse = model._loss.link.inverse
        methods = {"predict": lambda rows: inverse(raw(rows).ravel())}
    hints = _hints([tree for iteration in trees for tree in iteration], features)
    watched = [(model, "_predictors"), (model, "_baseline_prediction")]
    return Recipe(model, NumericRows(features, names_of(model), np.float64, hints), methods, watched)
