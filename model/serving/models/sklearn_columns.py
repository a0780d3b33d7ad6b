"""What scikit-learn's estimators, and those that follow its customs, say of the columns they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from . import encoders, libraries, texts
from .traits import ABSORBS, PASSES, REFUSES, UNKNOWN, Trait, as_objects, both, of_categories, then, without_nan
from .wrapping import ALIKE, asked, fitted, inner, is_identity, is_text_vectorizer, library_of, unwrapped, wraps

Places = list[int | None]
"""For each column that a step sees the input column that it is, as it came; None for one that a step has made."""


def traits_of(estimator: Any, count: int) -> list[Trait]:
    """One per input column of the estimator."""
    if wraps(estimator) and inner(estimator) is not None:
        alike = [one for one in fitted(estimator) if asked(one, "n_features_in_") in (None, count)]
        told = [traits_of(one, count) for one in alike]  # in a chain the others see more
        return [reduce(both, traits) for traits in zip(*told, strict=True)]
    if estimator is None or is_identity(estimator):
        return [Trait(missing=PASSES)] * count
    for attribute, read in COMPOSITES.items():
        if hasattr(estimator, attribute):
            return read(estimator, count)
    for said in libraries.ESTIMATORS:
        found = said(estimator)
        if found is not None and len(found.traits) == count:
            return found.traits
    return [_leaf(estimator)] * count


# ---- steps one after the other ---------------------------------------------------------------------------------------


def _pipeline(pipeline: Any, count: int) -> list[Trait]:
    """What one step does not settle is asked of the next: of columns that are still what they were, each by itself."""
    traits = [Trait(missing=PASSES)] * count
    places: Places | None = list(range(count))
    for _, step in pipeline.steps:
        later = _leaf(unwrapped(step))
        seen = _seen(step, places) if places is not None else {}
        traits = [
            then(trait, seen[place] if place in seen else later if trait.missing == PASSES else Trait())
            for place, trait in enumerate(traits)
        ]
        places = _after(step, places) if places is not None else None
    if count == 1 and traits[0].kind == "any" and any(is_text_vectorizer(step) for _, step in pipeline.steps):
        missing = REFUSES if traits[0].missing == UNKNOWN else traits[0].missing
        return [replace(traits[0], kind="text", missing=missing)]  # what stands before it are functions of texts
    return _as_the_last_wants(pipeline, traits)


def _as_the_last_wants(pipeline: Any, traits: list[Trait]) -> list[Trait]:
    """scikit-learn's scalers and imputers hand on the dtype that they get."""
    *before, (_, last) = pipeline.steps
    dtype = _only_dtype(last)
    if dtype is None or any(library_of(s) != "sklearn" or "FunctionTransformer" in str(type(s)) for _, s in before):
        return traits
    return [replace(trait, dtype=dtype) if trait.kind == "number" else trait for trait in traits]


def _only_dtype(estimator: Any) -> str | None:
    """The one dtype that it takes: a network float32, and k-means that of the rows among which it found its centres."""
    if (network := libraries.skorch(estimator)) is not None:
        return network.traits[0].dtype
    centres = asked(estimator, "cluster_centers_")
    return "float32" if getattr(centres, "dtype", None) == np.float32 else None


def _seen(step: Any, places: Places) -> dict[int, Trait]:
    """What a step says of the input columns that reach it as they came."""
    seen: dict[int, Trait] = {}
    for place, trait in zip(places, traits_of(step, len(places)), strict=True):
        if place is not None:
            seen[place] = both(seen[place], trait) if place in seen else trait
    return seen


def _after(step: Any, places: Places) -> Places | None:
    """What the next step sees. None if it is not known how many columns those are."""
    if is_identity(step) or _is_elementwise(step) or _is_plain_imputer(step):
        return places
    if hasattr(step, "output_indices_"):
        return _after_transformers(step, places)
    for _, part in getattr(step, "steps", ()):
        places = _after(part, places) if places is not None else None  # type: ignore[assignment]
    return places if hasattr(step, "steps") else encoders.after(step, places)


def _after_transformers(transformer: Any, places: Places) -> Places:
    width = max((columns.stop for columns in transformer.output_indices_.values()), default=0)
    after: Places = [None] * width
    inputs = transformer._transformer_to_input_indices
    for name, step, _ in transformer.transformers_:
        columns = transformer.output_indices_.get(name, slice(0, 0))
        if columns.start == columns.stop:  # dropped, or of no columns and so not fitted
            continue
        seen = _after(step, [places[index] for index in inputs.get(name, ())])
        if seen is not None and len(seen) == columns.stop - columns.start:
            after[columns] = seen
    return after


def _is_plain_imputer(estimator: Any) -> bool:
    """One output column per input column, in order."""
    if type(estimator).__name__ != "SimpleImputer" or estimator.add_indicator:
        return False
    return all(s is not None and s == s for s in estimator.statistics_.tolist())


def _is_elementwise(estimator: Any) -> bool:
    """A function such as np.log1p: it takes numbers, and a missing one stays missing."""
    function = getattr(estimator, "func", None) if type(estimator).__name__ == "FunctionTransformer" else None
    return isinstance(function, np.ufunc) and "d->d" in function.types


# ---- steps side by side ----------------------------------------------------------------------------------------------


def _column_transformer(transformer: Any, count: int) -> list[Trait]:
    traits: list[Trait | None] = [None] * count
    inputs = transformer._transformer_to_input_indices
    for name, step, columns in transformer.transformers_:
        indices = list(inputs.get(name, ()))
        if isinstance(step, str) and step == "drop":
            continue
        if isinstance(columns, str | int | np.integer) and texts.takes_texts(step):  # it gets the column alone
            found = [Trait("text", missing=REFUSES)]
        else:
            found = traits_of(step, len(indices)) if indices else []
        for index, trait in zip(indices, found, strict=True):
            traits[index] = trait if (old := traits[index]) is None else both(old, trait)
    return [trait or Trait(used=False) for trait in traits]


def _union(union: Any, count: int) -> list[Trait]:
    traits = [Trait(missing=PASSES)] * count
    for number, (_, step) in enumerate(step for step in union.transformer_list if step[1] != "drop"):
        found = traits_of(step, count)
        traits = found if number == 0 else [both(a, b) for a, b in zip(traits, found, strict=True)]
    return traits


# ---- estimators that treat each column in its own way ----------------------------------------------------------------


def _histogram_boosting(model: Any, count: int) -> list[Trait]:
    """It encodes its categorical columns itself, and takes missing values."""
    traits = [Trait("number", missing=ABSORBS)] * count
    encoder = model._preprocessor.named_transformers_.get("encoder") if model._preprocessor is not None else None
    if encoder is not None:
        positions = model._preprocessor._transformer_to_input_indices["encoder"]
        for position, known in zip(positions, encoder.categories_, strict=True):
            from_dtype = getattr(model, "categorical_features", None) == "from_dtype"
            kind = "category" if from_dtype else of_categories(known)
            traits[position] = Trait(kind, without_nan(known), ABSORBS)
    return traits


def _encoder(encoder: Any, count: int) -> list[Trait]:
    """OneHotEncoder, OrdinalEncoder, TargetEncoder: a missing value is a category like others, or an unknown one."""
    closed = getattr(encoder, "handle_unknown", None) == "error"
    traits = []
    for known in encoder.categories_:
        missing = REFUSES if closed and len(without_nan(known)) == len(known) else ABSORBS
        traits.append(Trait(of_categories(known), tuple(known.tolist()), missing, closed=closed))
    return traits


def _counted_categories(model: Any, count: int) -> list[Trait]:
    """CategoricalNB: whole numbers from 0 on; another is beyond its table."""
    known = [tuple(range(int(n))) for n in model.n_categories_]
    return [Trait("number", categories, REFUSES, closed=True) for categories in known]


def _imputer(imputer: Any, count: int) -> list[Trait]:
    """SimpleImputer: what it fills in tells what the column holds, if it was fitted on objects. A text that it
    replaces ("", "?") is that text, also where a cell of CSV would be a missing value."""
    trait, filled, replaced = _leaf(imputer), imputer.statistics_.tolist(), imputer.missing_values
    if trait.kind != "any":
        return [trait] * count
    kinds = ["any" if imputer.strategy == "constant" else of_categories(as_objects([value])) for value in filled]
    if isinstance(replaced, str):
        kinds = ["text" if kind == "any" and imputer.strategy == "constant" else kind for kind in kinds]
    known = (replaced,) if isinstance(replaced, str) else None
    return [replace(trait, kind=kind, categories=known if kind == "text" else None) for kind in kinds]


COMPOSITES: dict[str, Callable[[Any, int], list[Trait]]] = {
    "steps": _pipeline,
    "_transformer_to_input_indices": _column_transformer,
    "transformer_list": _union,
    "is_categorical_": _histogram_boosting,
    "categories_": _encoder,
    "use_default_cols": encoders.category_encoders,
    "variables_": encoders.feature_engine,
    "n_categories_": _counted_categories,
    "statistics_": _imputer,
}
"""The attribute that tells what an estimator is → the function that reads it."""


def _leaf(estimator: Any) -> Trait:
    """An estimator that treats all columns alike. Only scikit-learn's own are known not to take texts."""
    if estimator is None or is_identity(estimator):
        return Trait(missing=PASSES)
    if _is_elementwise(estimator):
        return Trait("number", missing=PASSES)
    if library_of(estimator) not in ALIKE or type(estimator).__name__ == "FunctionTransformer":
        return Trait(missing=ABSORBS) if library_of(estimator) in ("xgboost", "lightgbm", "catboost") else Trait()
    if wraps(estimator):
        first = next(iter(fitted(estimator)), None)
        alike = first is not None and not wraps(first) and not any(hasattr(first, a) for a in COMPOSITES)
        return _leaf(first) if alike else Trait()
    if type(estimator).__module__ == "sklearn.dummy":
        return Trait(missing=ABSORBS)
    name = type(estimator).__name__
    if not _allows_nan(estimator):
        missing = REFUSES
    else:
        missing = ABSORBS if hasattr(estimator, "predict") or "Imputer" in name or "Indicator" in name else PASSES
    fitted_on_objects = "Imputer" in name and getattr(estimator, "_fit_dtype", np.dtype(float)).kind not in "fiu"
    none = "Imputer" in name and getattr(estimator, "missing_values", np.nan) is None
    kind = "any" if fitted_on_objects else "number"
    return Trait(kind, missing=missing, none=none, dtype=_only_dtype(estimator))


def _allows_nan(estimator: Any) -> bool:
    if hasattr(estimator, "__sklearn_tags__"):
        return bool(estimator.__sklearn_tags__().input_tags.allow_nan)
    return bool(asked(estimator, "_get_tags")()["allow_nan"])  # scikit-learn before 1.6
