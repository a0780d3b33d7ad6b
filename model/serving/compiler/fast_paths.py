"""Exact shortcuts for estimators that people really pickle: the same answers to the last bit, sooner.

A shortcut is set on the estimator object itself (`model.predict = shortcut`), so the user's transformation calls
`model.predict(rows)` as ever; class, attributes, pickling and every other method stay as they are. It answers only
rows of the kind it was proven on and hands all others, and any keyword, to the estimator's own method.
Each is compared with the estimator's own method before it is used, and not used if one bit differs, if the class is
a subclass, if a method is patched, or if scikit-learn's private parts moved. `accelerate` predicts: call it after
the fork. `recipe_for` only reads the model and is safe before it.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from . import fast_boosters, fast_linear, fast_pipelines, fast_steps, fast_trees
from .fast_recipes import Array, Declined, Recipe


class Accelerated(NamedTuple):
    """`model` is the object that was given; `description` is one line for the log."""

    model: Any
    description: str
    methods: tuple[str, ...] = ()
    """The methods that have a shortcut."""


class OwnMethod:
    """What a copied or unpickled shortcut becomes: the estimator's own method, looked up when it is called."""

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        method = inspect.getattr_static(type(self.model), self.name)
        return method.__get__(self.model, type(self.model))(*args, **kwargs)


class Shortcut:
    """Stands in for one method of one estimator object."""

    def __init__(self, recipe: Recipe, name: str) -> None:
        self._model, self._name = recipe.model, name
        self.own = getattr(recipe.model, name)
        self._admit, self._evaluate = recipe.rows.admit, recipe.methods[name]
        self._watched = [(vars(owner), key, vars(owner)[key]) for owner, key in recipe.watched]
        functools.update_wrapper(self, self.own, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and all(state.get(key) is seen for state, key, seen in self._watched):
            rows = self._admit(args[0])
            if rows is not None:
                answer = self._evaluate(rows)
                if answer is not NotImplemented:
                    return answer
        return self.own(*args, **kwargs)

    def __reduce__(self) -> tuple[type[OwnMethod], tuple[Any, str]]:
        return OwnMethod, (self._model, self._name)


def recipe_for(model: Any) -> Recipe:
    """Builds the shortcut's arrays; predicts nothing. Raises Declined with the reason."""
    kind = type(model)
    build = FAST_PATHS.get((kind.__module__, kind.__qualname__))
    if build is None:
        raise Declined(f"none for {kind.__module__}.{kind.__qualname__}")
    try:
        recipe = build(model)
    except (ImportError, AttributeError, KeyError, TypeError, ValueError, IndexError) as exc:
        # an unfitted model, or a version of the library whose private parts differ
        raise Declined(f"{kind.__qualname__} of this version reads differently ({type(exc).__name__}: {exc})") from exc
    patched = [name for name in recipe.methods if name in vars(model)]
    if patched:
        raise Declined(f"{kind.__qualname__}.{patched[0]} is patched")
    return recipe


def accelerate(model: Any, sample_batches: Iterable[Any] = ()) -> Accelerated:
    """Gives `model` its shortcuts, each proven on generated rows and on the sample batches. Never raises."""
    try:
        recipe = recipe_for(model)
        shortcuts = prove(recipe, list(sample_batches))
    except Declined as exc:
        return Accelerated(model, f"fast path: no, {exc}")
    except Exception as exc:  # noqa: BLE001 - a shortcut may never keep a model from serving
        return Accelerated(model, f"fast path: no, {type(exc).__name__} while proving it: {exc}")
    for name, shortcut in shortcuts.items():
        setattr(model, name, shortcut)
    return Accelerated(model, f"fast path: {type(model).__qualname__} ({', '.join(shortcuts)})", tuple(shortcuts))


def prove(recipe: Recipe, sample_batches: list[Any]) -> dict[str, Shortcut]:
    """Shortcuts whose answers equal the estimator's own. Raises Declined at the first bit that differs."""
    shortcuts = {name: Shortcut(recipe, name) for name in recipe.methods if hasattr(recipe.model, name)}
    if not shortcuts:
        raise Declined("the model has none of the methods")
    with warnings.catch_warnings(), np.errstate(all="ignore"), _OneJob(recipe):
        warnings.simplefilter("ignore")
        for part in (*recipe.parts, recipe):
            part.rows.learn(getattr(part.model, next(iter(part.methods))))
        answered = 0
        for rows in [*recipe.rows.examples(np.random.default_rng(0)), *sample_batches]:
            admitted = recipe.rows.admit(rows)
            for name, shortcut in shortcuts.items() if admitted is not None else ():
                answer = outcome(recipe.methods[name], admitted)
                if answer is NotImplemented:
                    continue
                answered += 1
                if not same_bits(answer, outcome(shortcut.own, rows)):
                    raise Declined(f"{type(recipe.model).__qualname__}.{name} differs on {len(rows)} generated rows")
        if not answered:
            raise Declined("no generated rows are admitted")
    return shortcuts


class _OneJob:
    """A forest with n_jobs adds its trees in the order its threads finish; the proof needs the order of one job."""

    def __init__(self, recipe: Recipe) -> None:
        models = [part.model for part in (*recipe.parts, recipe) if type(part.model).__module__.startswith("sklearn.")]
        self.jobs = [(vars(model), vars(model)["n_jobs"]) for model in models if "n_jobs" in vars(model)]

    def __enter__(self) -> None:
        for state, _ in self.jobs:
            state["n_jobs"] = 1

    def __exit__(self, *_: object) -> None:
        for state, jobs in self.jobs:
            state["n_jobs"] = jobs


def outcome(function: Callable[[Any], Any], rows: Any) -> Any:
    """What it returns, or the type of what it raises."""
    try:
        return function(rows)
    except Exception as exc:  # noqa: BLE001 - a model may raise anything, and the shortcut must raise the same
        return [type(exc).__qualname__]


def same_bits(one: Any, other: Any) -> bool:
    """True for arrays of one type, shape and content, signs of zero and NaN included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, str):
        return bool(one == other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if not isinstance(one, np.ndarray) or one.dtype != other.dtype or one.shape != other.shape:
        return False
    return bool(np.array_equal(one, other)) if one.dtype.hasobject else one.tobytes() == other.tobytes()


FAST_PATHS: dict[tuple[str, str], Callable[[Any], Recipe]] = {
    ("sklearn.ensemble._forest", "RandomForestClassifier"): fast_trees.forest_classifier,
    ("sklearn.ensemble._forest", "ExtraTreesClassifier"): fast_trees.forest_classifier,
    ("sklearn.ensemble._forest", "RandomForestRegressor"): fast_trees.forest_regressor,
    ("sklearn.ensemble._forest", "ExtraTreesRegressor"): fast_trees.forest_regressor,
    ("sklearn.tree._classes", "DecisionTreeClassifier"): fast_trees.tree_classifier,
    ("sklearn.tree._classes", "ExtraTreeClassifier"): fast_trees.tree_classifier,
    ("sklearn.tree._classes", "DecisionTreeRegressor"): fast_trees.tree_regressor,
    ("sklearn.tree._classes", "ExtraTreeRegressor"): fast_trees.tree_regressor,
    ("sklearn.ensemble._gb", "GradientBoostingClassifier"): fast_trees.gradient_boosting,
    ("sklearn.ensemble._gb", "GradientBoostingRegressor"): fast_trees.gradient_boosting,
    **{
        ("sklearn.ensemble._hist_gradient_boosting.gradient_boosting", name): fast_trees.hist_gradient_boosting
        for name in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
    },
    ("sklearn.linear_model._logistic", "LogisticRegression"): fast_linear.logistic_regression,
    ("sklearn.linear_model._logistic", "LogisticRegressionCV"): fast_linear.logistic_regression,
    ("sklearn.linear_model._stochastic_gradient", "SGDClassifier"): fast_linear.sgd_classifier,
    ("sklearn.linear_model._stochastic_gradient", "SGDRegressor"): fast_linear.linear_regressor,
    ("sklearn.linear_model._perceptron", "Perceptron"): fast_linear.linear_classifier,
    ("sklearn.linear_model._ridge", "RidgeClassifier"): fast_linear.linear_classifier,
    ("sklearn.linear_model._ridge", "Ridge"): fast_linear.linear_regressor,
    ("sklearn.linear_model._ridge", "RidgeCV"): fast_linear.linear_regressor,
    ("sklearn.linear_model._base", "LinearRegression"): fast_linear.linear_regressor,
    **{
        ("sklearn.linear_model._coordinate_descent", name): fast_linear.linear_regressor
        for name in ("Lasso", "LassoCV", "ElasticNet", "ElasticNetCV")
    },
    ("sklearn.svm._classes", "LinearSVC"): fast_linear.linear_classifier,
    ("sklearn.svm._classes", "LinearSVR"): fast_linear.linear_regressor,
    ("xgboost.sklearn", "XGBClassifier"): fast_boosters.xgboost_classifier,
    ("xgboost.sklearn", "XGBRegressor"): fast_boosters.xgboost_regressor,
    ("lightgbm.sklearn", "LGBMClassifier"): fast_boosters.lightgbm_classifier,
    ("lightgbm.sklearn", "LGBMRegressor"): fast_boosters.lightgbm_regressor,
    fast_steps.PIPELINE: lambda model: fast_pipelines.pipeline(model, recipe_for),
}
"""(module, qualified name) of the exact class -> builder. Strings, so that no family is imported that is not used."""

__all__ = ["FAST_PATHS", "Accelerated", "Array", "accelerate", "recipe_for"]
