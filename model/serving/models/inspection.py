"""What a model says about the rows it was fitted on: names, count, and for each column what its cells must be.

Nothing is imported here and nothing is called but getters, and what stands before a text vectorizer (texts.py): classes
are known by name, so a model of a library that is not installed cannot be here. What is not known for certain is "any"
and "unknown"; a guess would refuse good rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..rows.signature import Column, Signature
from . import libraries, texts
from .sample import load_sample, with_sample
from .sklearn_columns import traits_of
from .traits import REFUSES, Found
from .wrapping import LIBRARIES, asked, is_identity, library_of, unwrapped


def signature_of(model: Any, sample: Path | None = None) -> Signature:
    """The signature of a model. The file `sample` (what save_sample wrote) decides over what the model says."""
    said = _said_by(model)
    return said if sample is None else with_sample(said, load_sample(sample))


def _said_by(model: Any) -> Signature:
    found = inspect(model) or inspect_parts(model)
    if found is None:
        return Signature()
    names: list[Any] = [None] * len(found.traits) if found.names is None else list(found.names)
    columns = tuple(
        Column(
            name, trait.kind, trait.categories, trait.dtype, used=trait.used, missing=trait.missing != REFUSES,
            closed=trait.closed, none=trait.none, usual=trait.usual,
        )
        for name, trait in zip(names, found.traits, strict=True)
    )  # fmt: skip
    lacking = found.lacking or next((trait.lacking for trait in found.traits if trait.lacking), "")
    form = found.form or ("frame" if found.names else "array")
    return Signature(form, columns or None, lacking=lacking)


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
    elif depth == 3 and library_of(whole) not in LIBRARIES and hasattr(whole, "__dict__"):
        parts = list(vars(whole).values())
    else:
        yield whole
        return
    for part in parts[:MOST_PARTS] if depth else ():
        if not isinstance(part, type):
            yield from _parts(part, depth - 1)


MOST_PARTS = 1000


def _scikit_learn(model: Any) -> Found | None:
    """Anything with n_features_in_ or feature_names_in_: scikit-learn's estimators and those that follow it."""
    first = _first(model)
    names = asked(first, "feature_names_in_")
    count = len(names) if names is not None else asked(first, "n_features_in_") or _one_of_one_dimension(first)
    if not isinstance(count, int | np.integer) or count < 1:
        return None
    names = None if names is None or list(names) == list(range(count)) else np.asarray(names).tolist()
    return Found(traits_of(model, int(count)), names)


def _one_of_one_dimension(model: Any) -> int | None:
    """IsotonicRegression takes a list of numbers, one a row, and notes no count."""
    if library_of(model) != "sklearn" or not hasattr(model, "__sklearn_tags__"):
        return None
    return 1 if model.__sklearn_tags__().input_tags.one_d_array else None


def _first(model: Any) -> Any:
    """The step of a pipeline that is the first to look at the rows: "passthrough" notes nothing of them."""
    steps = [step for _, step in getattr(model, "steps", ())]
    return next((step for step in steps if not is_identity(step)), model) if steps and is_identity(steps[0]) else model


RECOGNISERS: tuple[Callable[[Any], Found | None], ...] = (
    *(texts.without_columns, *libraries.ESTIMATORS, libraries.statsmodels, libraries.forecaster),
    _scikit_learn,
)
