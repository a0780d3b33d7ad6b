"""What the encoders and imputers of category_encoders and feature_engine say of the columns they take.

Both work on some of the columns by name and hand on the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..rows.cells import NA_WORDS
from .traits import ABSORBS, PASSES, REFUSES, Trait, as_objects, of_categories, without_nan
from .wrapping import asked, library_of


def category_encoders(encoder: Any, count: int) -> list[Trait]:
    """It encodes the columns in `cols`; it notes the dtypes that it was fitted on, and some which values they had."""
    names = list(encoder.feature_names_in_)
    dtypes = asked(encoder, "feature_dtypes_in_") or [None] * count
    told = getattr(getattr(encoder, "ordinal_encoder", encoder), "mapping", None)
    entries = [entry for entry in told if isinstance(entry, dict)] if isinstance(told, list) else []
    values = {entry["col"]: as_objects(entry["mapping"].index) for entry in entries if "mapping" in entry}
    traits = [Trait(missing=PASSES)] * count
    for name in encoder.cols or ():
        place = names.index(name)
        seen = values.get(name, np.empty(0, object))
        kind = of_categories(seen) if len(seen) else _of_dtype(dtypes[place])
        some = sorted(without_nan(seen), key=lambda value: value not in NA_WORDS)[:1000]  # CSV must know of those
        traits[place] = Trait(kind, tuple(some) or None, ABSORBS)
    return traits


def _of_dtype(dtype: Any) -> str:
    if hasattr(dtype, "categories"):
        return of_categories(as_objects(dtype.categories))
    if str(dtype) in ("str", "string"):
        return "text"
    return "number" if getattr(dtype, "kind", "") in "fiu" and dtype is not None else "any"


def feature_engine(transformer: Any, count: int) -> list[Trait]:
    """It works on the columns in `variables_`; encoders keep their categories, imputers what they fill in."""
    known = asked(transformer, "encoder_dict_") or {}
    filled = asked(transformer, "imputer_dict_") or {}
    takes_missing = getattr(transformer, "missing_values", "raise") == "ignore"
    traits = []
    for name in transformer.feature_names_in_:
        if name in known:
            values = as_objects(known[name])
            missing = ABSORBS if takes_missing else REFUSES
            closed = getattr(transformer, "unseen", "") == "raise"
            traits.append(Trait(of_categories(values), tuple(values.tolist()), missing, closed=closed))
        elif name in filled:
            traits.append(Trait(of_categories(as_objects([filled[name]])), missing=ABSORBS))
        else:
            traits.append(Trait() if name in transformer.variables_ else Trait(missing=PASSES))
    return traits


def after(step: Any, places: list[int | None]) -> list[int | None] | None:
    """What the next step sees behind one of these: columns that keep their names. None for any other step."""
    if library_of(step) not in ("category_encoders", "feature_engine"):
        return None
    given, made = list(step.feature_names_in_), np.asarray(step.get_feature_names_out()).tolist()
    return [places[given.index(name)] if name in given else None for name in made]
