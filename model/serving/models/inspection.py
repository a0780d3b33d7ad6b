"""What a model says about the rows it was fitted on: names, count, and for each column what its cells must be.

Nothing is imported here and nothing is called but getters: classes are known by name, so a model of a library that
is not installed cannot be here. What is not known for certain is "any" and "unknown"; a guess would refuse good rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..rows.signature import Column, Signature
from . import libraries
from .libraries import Found
from .sample import load_sample, with_sample
from .sklearn_columns import REFUSES, Trait, is_text_vectorizer, traits_of
from .wrapping import asked, unwrapped


def signature_of(model: Any, sample: Path | None = None) -> Signature:
    """The signature of a model. The file `sample` (what save_sample wrote) decides over what the model says."""
    said = _said_by(model)
    return said if sample is None else with_sample(said, load_sample(sample))


def _said_by(model: Any) -> Signature:
    found = inspect(model) or inspect_parts(model)
    if found is None:
        return Signature()
    if found.form == "texts":
        return Signature("texts", (Column(kind="text"),))
    if found.form == "objects":
        return Signature("objects")
    names: list[Any] = [None] * len(found.traits) if found.names is None else list(found.names)
    columns = tuple(
        Column(
            name, trait.kind, trait.categories, used=trait.used, missing=trait.missing != REFUSES, closed=trait.closed,
            none=trait.none,
        )
        for name, trait in zip(names, found.traits, strict=True)
    )  # fmt: skip
    return Signature("frame" if found.names else "array", columns, lacking=found.lacking)


def inspect(model: Any) -> Found | None:
    """None if the model says nothing. Never raises: a model that misbehaves when asked says nothing."""
    for recognise in RECOGNISERS:
        try:
            found = recognise(model)
        except Exception:  # noqa: BLE001  a stranger's property may raise anything
            continue
        if found is not None:
            return found
    return None


def inspect_parts(model: Any) -> Found | None:
    """What the parts of a dict or a tuple, or the attributes of somebody's own class, say of the rows.

    Only parts that were fitted on named columns tell, if they agree, and text vectorizers if there are no others: what
    is between the parts is not known.
    """
    found = [said for part in _parts(unwrapped(model)) if (said := inspect(part)) is not None]
    named = [said for said in found if said.names]
    if named:
        same = all(said.names == named[0].names for said in named)
        return min(named, key=lambda said: sum(trait.kind == "any" for trait in said.traits)) if same else None
    return next((said for said in found if said.form == "texts"), None)


def _parts(whole: Any, depth: int = 3) -> Iterator[Any]:
    """What is in a dict, a list or somebody's own object, and in dicts and lists inside it."""
    if isinstance(whole, dict | list | tuple):
        parts = list(whole.values() if isinstance(whole, dict) else whole)
    elif depth == 3 and type(whole).__module__.partition(".")[0] not in LIBRARIES and hasattr(whole, "__dict__"):
        parts = list(vars(whole).values())
    else:
        yield whole
        return
    for part in parts[:MOST_PARTS] if depth else ():
        if not isinstance(part, type):
            yield from _parts(part, depth - 1)


MOST_PARTS = 1000
LIBRARIES = frozenset(("builtins", "sklearn", "numpy", "pandas", "scipy", "xgboost", "lightgbm", "catboost"))
"""Their classes say all they know by themselves."""


def _texts(model: Any) -> Found | None:
    """A text vectorizer as the first step, alone or beside others: one string per row."""
    return Found([Trait("text")], form="texts") if _takes_texts(model) else None


def _takes_texts(estimator: Any) -> bool:
    estimator = unwrapped(estimator)
    for _, step in getattr(estimator, "steps", ()):
        if not _is_function_of_texts(step):
            return _takes_texts(step)
    if hasattr(estimator, "transformer_list"):
        return any(_takes_texts(step) for _, step in estimator.transformer_list)
    return is_text_vectorizer(estimator)


def _is_function_of_texts(step: Any) -> bool:
    """A function as a step notes how many columns it was fitted on, if what it was given had columns."""
    return type(step).__name__ == "FunctionTransformer" and asked(step, "n_features_in_") is None


def _objects(model: Any) -> Found | None:
    """A vectorizer of dicts as the first step: objects as they are."""
    first = unwrapped(model)
    while hasattr(first, "steps"):
        first = unwrapped(first.steps[0][1])
    name = type(first).__name__
    objects = name == "DictVectorizer" or (name == "FeatureHasher" and first.input_type == "dict")
    return Found([], form="objects") if objects else None


def _scikit_learn(model: Any) -> Found | None:
    """Anything with n_features_in_ or feature_names_in_: scikit-learn's estimators and those that follow it."""
    names = asked(model, "feature_names_in_")
    count = len(names) if names is not None else asked(model, "n_features_in_")
    if not isinstance(count, int | np.integer) or count < 1:
        return None
    traits = traits_of(model, int(count))
    return Found(traits, [str(name) for name in names] if names is not None else None)


RECOGNISERS: tuple[Callable[[Any], Found | None], ...] = (
    *(_texts, _objects, libraries.lightgbm, libraries.xgboost, libraries.catboost, libraries.statsmodels),
    _scikit_learn,
)
