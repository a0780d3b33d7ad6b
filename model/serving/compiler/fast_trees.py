"""Ensembles of trees: all trees are walked in one call into scikit-learn's compiled code.

scikit-learn answers one row by calling each tree from Python, a forest through joblib besides; that costs 10 to 100
times the walk. Here `Copse` (sklearn.tree's trees, float32 rows) and `Grove` (HistGradientBoosting's, float64 rows)
give the leaf that each row ends in, for every tree. Leaf values are then added in the estimator's own order, so that
sums are equal to the last bit. One thread, always: OpenMP teams cost more than they give on small batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .fast_recipes import SIZES, Array, Declined, Evaluator, NumericRows, Recipe, names_of

MANY_NODES = 500_000
"""Larger ensembles are not copied (130 bytes a node) but called tree by tree."""
MANY_LEAVES = 2**20
"""Larger batches (rows x trees) go tree by tree: their table of leaves would not fit the cache."""
GROVE_ROWS = 200
"""Larger batches go through HistGradientBoosting's own loop: one tree stays in the cache while all rows pass."""


class _Holder:
    """predict_stages asks each estimator for `tree_` and nothing else."""

    def __init__(self, tree: Any) -> None:
        self.tree_ = tree


@dataclass(frozen=True)
class Copse:
    """sklearn.tree's trees, rebuilt so that the value of a leaf is its own number, unique in the ensemble.

    predict_stages adds the value of tree k to column k. Given all trees as one stage it therefore fills a table of
    leaf numbers, without a Python call per tree. It knows no NaN and reads C-ordered float32 rows only.
    """

    stage: Array

    def walk(self, rows: Array) -> Array:
        """float32 rows (n, features) -> the number of the leaf that each tree (column) ends in."""
        from sklearn.ensemble._gradient_boosting import predict_stages

        leaves = np.zeros((len(rows), self.stage.shape[1]))
        predict_stages(self.stage, rows, 1.0, leaves)
        return leaves.astype(np.intp)


def coppice(trees: list[Any], features: int) -> Copse:
    """Rebuilds trees as a Copse; leaf numbers count the nodes of all trees, in order."""
    from sklearn.tree._tree import Tree

    stage, first = np.empty((1, len(trees)), object), 0
    for place, tree in enumerate(trees):
        state = tree.__getstate__()
        numbers = np.arange(first, first + len(state["nodes"]), dtype=np.float64)
        first += len(numbers)
        numbered = Tree(features, np.ones(1, np.intp), 1)
        numbered.__setstate__({**state, "values": numbers.reshape(-1, 1, 1)})
        stage[0, place] = _Holder(numbered)
    return Copse(stage)


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


def running_sums(values: Array) -> Array:
    """The sum of each row from left to right, as `total += value` makes it; np.sum would add in pairs."""
    return np.add.accumulate(values, axis=1)[:, -1] + 0.0  # a sum that starts from zero is never -0.0


def _tree_rows(model: Any, trees: list[Any]) -> NumericRows:
    used = np.concatenate([tree.feature for tree in trees])
    thresholds = np.concatenate([tree.threshold for tree in trees])
    features = int(model.n_features_in_)
    hints = [thresholds[used == feature] for feature in range(features)]
    return NumericRows(features, names_of(model), np.float32, hints, order="C")


def _forest_sums(model: Any, columns: int) -> tuple[NumericRows, Callable[[Array], Array]]:
    """The rows a forest takes, and a function float32 rows -> sums over the trees (n, columns)."""
    trees = [estimator.tree_ for estimator in model.estimators_]
    values = np.concatenate([tree.value.reshape(tree.node_count, -1)[:, :columns] for tree in trees])
    copse = coppice(trees, int(model.n_features_in_)) if len(values) <= MANY_NODES else None
    table = np.ascontiguousarray(values.T)

    def sums(rows: Array) -> Array:
        if copse is not None and len(rows) * len(trees) <= MANY_LEAVES and not np.isnan(rows).any():
            leaves = copse.walk(rows)
            return np.stack([running_sums(column.take(leaves)) for column in table], axis=1)
        total = np.zeros((len(rows), columns))
        for tree in trees:
            total += tree.predict(rows).reshape(len(rows), -1)[:, :columns]
        return total

    return _tree_rows(model, trees), sums


def forest_classifier(model: Any) -> Recipe:
    if model.n_outputs_ != 1:
        raise Declined("more than one output")
    rows, sums = _forest_sums(model, int(model.n_classes_))
    classes, count = model.classes_, len(model.estimators_)

    def predict_proba(rows: Array) -> Array:
        proba = sums(rows)
        proba /= count
        return proba

    def predict(rows: Array) -> Array:
        return classes.take(np.argmax(predict_proba(rows), axis=1), axis=0)  # type: ignore[no-any-return]

    methods: dict[str, Evaluator] = {"predict": predict, "predict_proba": predict_proba}
    return Recipe(model, rows, methods, [(model, "estimators_"), (model, "classes_")])


def forest_regressor(model: Any) -> Recipe:
    outputs, count = int(model.n_outputs_), len(model.estimators_)
    rows, sums = _forest_sums(model, outputs)

    def predict(rows: Array) -> Array:
        means = sums(rows)
        means /= count
        return means[:, 0] if outputs == 1 else means

    return Recipe(model, rows, {"predict": predict}, [(model, "estimators_")])


def tree_classifier(model: Any) -> Recipe:
    if model.n_outputs_ != 1:
        raise Declined("more than one output")
    tree, classes, count = model.tree_, model.classes_, int(model.n_classes_)
    methods = {
        "predict": lambda rows: classes.take(np.argmax(tree.predict(rows), axis=1), axis=0),
        "predict_proba": lambda rows: tree.predict(rows)[:, :count],
    }
    return Recipe(model, _tree_rows(model, [tree]), methods, [(model, "tree_"), (model, "classes_")])


def tree_regressor(model: Any) -> Recipe:
    tree, single = model.tree_, model.n_outputs_ == 1
    methods = {"predict": lambda rows: tree.predict(rows)[:, 0] if single else tree.predict(rows)[:, :, 0]}
    return Recipe(model, _tree_rows(model, [tree]), methods, [(model, "tree_")])


def _classifier_methods(
    raw: Callable[[Array], Array], model: Any, positive: Callable[[Array], Array]
) -> dict[str, Evaluator]:
    """The methods of a boosted classifier on top of its raw predictions, with the estimator's own loss."""
    classes, loss = model.classes_, model._loss

    def decision_function(rows: Array) -> Array:
        scores = raw(rows)
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(rows: Array) -> Array:
        scores = raw(rows)
        chosen = positive(scores.ravel()).astype(int) if scores.shape[1] == 1 else np.argmax(scores, axis=1)
        return classes[chosen]  # type: ignore[no-any-return]

    methods: dict[str, Evaluator] = {"predict": predict, "decision_function": decision_function}
    if hasattr(loss, "predict_proba"):
        methods["predict_proba"] = lambda rows: loss.predict_proba(raw(rows))
    return methods


def gradient_boosting(model: Any) -> Recipe:
    from sklearn.ensemble._gradient_boosting import predict_stages

    stages, rate, features = model.estimators_, model.learning_rate, int(model.n_features_in_)
    if type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor") and model.init_ != "zero":
        raise Declined("its init estimator looks at the rows")
    # a Dummy answers the same for every row and uses no thread, so asking it once is safe before a fork
    start = model._raw_predict_init(np.zeros((1, features), np.float32))

    def raw(rows: Array) -> Array:
        scores = np.repeat(start, len(rows), axis=0)
        predict_stages(stages, rows, rate, scores)
        return scores

    if hasattr(model, "classes_"):
        methods = _classifier_methods(raw, model, lambda scores: scores >= 0)
    else:
        methods = {"predict": lambda rows: raw(rows).ravel()}
    rows = _tree_rows(model, [estimator.tree_ for estimator in stages.ravel()])
    return Recipe(model, rows, methods, [(model, "estimators_"), (model, "init_")])


def hist_gradient_boosting(model: Any) -> Recipe:
    if model._preprocessor is not None or model.is_categorical_ is not None:
        raise Declined("it has categorical features")
    predictors, start = model._predictors, model._baseline_prediction.ravel()
    features, outputs = int(model.n_features_in_), len(start)
    trees = [predictor.nodes for iteration in predictors for predictor in iteration]
    grove = plant(trees, features) if sum(map(len, trees)) <= MANY_NODES else None

    def raw(rows: Array) -> Array:
        scores = np.empty((len(rows), outputs), order="F")  # as the estimator has it: softmax rounds by layout
        if grove is None or len(rows) > GROVE_ROWS:
            scores[:] = start
            model._predict_iterations(rows, predictors, scores, False, 1)
            return scores
        leaves = grove.walk(rows).reshape(len(rows), -1, outputs)
        for output in range(outputs):
            terms = np.column_stack([np.full(len(rows), start[output]), leaves[:, :, output]])
            scores[:, output] = running_sums(terms)
        return scores

    if hasattr(model, "classes_"):
        methods = _classifier_methods(raw, model, lambda scores: scores > 0)
    else:
        inverse = model._loss.link.inverse
        methods = {"predict": lambda rows: inverse(raw(rows).ravel())}
    inner = np.concatenate(trees)
    inner = inner[inner["is_leaf"] == 0]
    hints = [inner["num_threshold"][inner["feature_idx"] == feature] for feature in range(features)]
    rows = NumericRows(features, names_of(model), np.float64, hints, sizes=(*SIZES, GROVE_ROWS + 1))
    return Recipe(model, rows, methods, [(model, "_predictors"), (model, "_baseline_prediction")])
