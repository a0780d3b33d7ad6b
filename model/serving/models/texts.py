"""Models that take no columns: a text a row, an object a row, or another value of JSON.

A text vectorizer may stand behind functions and cleaners of somebody's own. Whether those take texts is not written
anywhere, so they are asked with two made-up ones; a step that picks columns of a frame fails at that.
"""

from __future__ import annotations

from typing import Any

from .native_code import needs_a_real_thread
from .traits import Found, Trait
from .wrapping import LIBRARIES, asked, is_identity, is_text_vectorizer, library_of, unwrapped

ASKED = ("a sample text", "and another one")


def takes_texts(estimator: Any) -> bool:
    return container_of(estimator) is not None


def container_of(estimator: Any) -> str | None:
    """How the texts are handed over: as a "list", or as a "series" of pandas where a list is not taken. None: it takes
    no texts."""
    for name, container in (("list", list), ("series", _series)):
        if _arrive(estimator, container(ASKED)):
            return name
    return "list" if _behind_functions(estimator) else None


def _series(texts: Any) -> Any:
    import pandas as pd

    return pd.Series(list(texts))


def _arrive(estimator: Any, rows: Any) -> bool:
    """Whether these texts come to a text vectorizer, or to an estimator as the features that it was fitted on."""
    estimator = unwrapped(estimator)
    if is_text_vectorizer(estimator):
        return _splits_texts(estimator)
    for _, step in getattr(estimator, "steps", ()):
        if is_identity(step):
            continue
        if not _is_before_columns(step):
            return _arrive(step, rows) if _are_rows(rows) else _fits(step, rows)
        rows = _asked_for(step, rows)
        if rows is None:
            return False
    branches = [step for _, step in getattr(estimator, "transformer_list", ()) if not isinstance(step, str)]
    arrive = [_arrive(step, rows) for step in branches]
    others = [step for step, arrives in zip(branches, arrive, strict=True) if not arrives]
    return any(arrive) and all(_is_before_columns(step) and _asked_for(step, rows) is not None for step in others)


def _behind_functions(estimator: Any) -> bool:
    """A vectorizer behind functions of predictor.py, whatever they make of the texts that they were asked with."""
    estimator = unwrapped(estimator)
    for _, step in getattr(estimator, "steps", ()):
        if not is_identity(step) and not (type(step).__name__ == "FunctionTransformer" and _is_before_columns(step)):
            return _behind_functions(step)
    branches = [step for _, step in getattr(estimator, "transformer_list", ())]
    return any(map(_behind_functions, branches)) or (is_text_vectorizer(estimator) and _splits_texts(estimator))


def _is_before_columns(step: Any) -> bool:
    """A function, or a transformer of somebody's own, that has noted no columns when it was fitted."""
    foreign = type(step).__name__ == "FunctionTransformer" or library_of(step) not in LIBRARIES | {"imblearn"}
    noted = asked(step, "n_features_in_") is not None or asked(step, "feature_names_in_") is not None
    return foreign and not noted and hasattr(step, "transform") and not is_text_vectorizer(step)


def _asked_for(step: Any, rows: Any) -> Any:
    """What it makes of the texts; None if that is not one for each."""
    if needs_a_real_thread():  # what runs in such a library before the fork may hang the workers
        return None
    try:
        made = step.transform(rows)
        count = made.shape[0] if hasattr(made, "shape") else len(made)
    except Exception:  # noqa: BLE001  it does not take texts
        return None
    return made if count == len(ASKED) else None


def _are_rows(made: Any) -> bool:
    return getattr(made, "ndim", 1) == 1


def _fits(step: Any, made: Any) -> bool:
    """Numbers, as many for a text as it was fitted on: texts were embedded."""
    count, kind = asked(unwrapped(step), "n_features_in_"), getattr(getattr(made, "dtype", None), "kind", "")
    return count is not None and kind in "fiu" and made.ndim == 2 and made.shape[1] == count


def _splits_texts(vectorizer: Any) -> bool:
    """One with an analyzer of somebody's own may have been fitted on tokens, or on objects."""
    own = any(callable(asked(vectorizer, name)) for name in ("analyzer", "preprocessor", "tokenizer"))
    if not own or needs_a_real_thread():
        return True
    try:
        return not isinstance(vectorizer.build_analyzer()(ASKED[0]), str)
    except Exception:  # noqa: BLE001  it takes something else
        return False


def without_columns(model: Any) -> Found | None:
    """A text a row; or objects as they are (DictVectorizer), or values of JSON as they are."""
    if (container := container_of(model)) is not None:
        return Found([Trait("text", dtype="str" if container == "series" else None)], form="texts")
    first = unwrapped(model)
    while hasattr(first, "steps"):
        first = unwrapped(first.steps[0][1])
    hashes = type(first).__name__ == "FeatureHasher"
    if type(first).__name__ == "DictVectorizer" or (hashes and first.input_type == "dict"):
        return Found([], form="objects")
    return Found([], form="values") if hashes or is_text_vectorizer(first) else None
