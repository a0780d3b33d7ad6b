"""Why did the warm-up prediction fail? One line: the cause, then the remedy. Nothing is loaded or predicted here."""

from __future__ import annotations

import inspect
import re
import traceback
from pathlib import Path

from ..errors import ServingError
from ..rows.signature import Signature
from . import diagnosis
from .diagnosis import named
from .packages import add_to_requirements
from .user_code import is_at_fault, is_missing_part, meant, place


def of_unfitted(model: object, exc: BaseException | None = None) -> str:
    """`exc`: what a part of the model has said, if it is not the model itself that is not fitted."""
    part = re.match(r"This (\w+) instance is not fitted", str(exc))
    inside = f" ({part[1]})" if part and part[1] != type(model).__name__ else ""
    return (
        f"the model, a {type(model).__name__}, is not fitted{inside}. Fit it and save that very object: "
        "cross_val_score, GridSearchCV and clone fit copies."
    )


def says_unfitted(model: object) -> bool:
    """Whether it says so without being asked for a prediction. What statsmodels fits is another object: the model's own
    predict takes parameters first."""
    told = getattr(model, "is_fitted", None)
    if (told() if callable(told) else told) is False:
        return True
    try:
        first = next(iter(inspect.signature(model.predict).parameters), "")  # type: ignore[attr-defined]
    except (AttributeError, TypeError, ValueError):
        return False
    return first == "params" and hasattr(model, "fit")


def is_unfitted(exc: BaseException) -> bool:
    """Whether a model says by it that it was never fitted: in so many words, or because it lacks what fit would have
    learned, and has learned nothing else."""
    if isinstance(exc, AttributeError) and exc.name and hasattr(exc.obj, "fit") and _is_learned(exc.name):
        return not any(map(_is_learned, getattr(exc.obj, "__dict__", ())))
    return any(kind.__name__ == "NotFittedError" for kind in type(exc).__mro__)


def _is_learned(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def of_any_rows(exc: BaseException, model: object, source: Path) -> str:
    """Why rows of any kind would fail so; nothing if others might not."""
    if is_unfitted(exc):
        return of_unfitted(model, exc)
    asked_of_model = isinstance(exc, AttributeError) and exc.obj is not None and exc.obj is model
    if isinstance(exc, ImportError) or asked_of_model or is_missing_part(exc, model):
        return of_warm_up(exc, model, Signature(), source)
    return ""


def asks_for_other_columns(exc: BaseException, expected: Signature) -> bool:
    """Whether transformation has asked a DataFrame for a column that it does not have, whose name is no misspelling."""
    if not isinstance(exc, KeyError | AttributeError) or meant(exc, expected):
        return False
    frames = [frame for frame, _ in traceback.walk_tb(exc.__traceback__)]
    return str(frames[-1].f_globals.get("__name__")).startswith("pandas.")


def of_warm_up(exc: BaseException, model: object, expected: Signature, source: Path) -> str:
    """The model loaded, and a prediction on a sample row failed. Without the user's own sample the row was made up."""
    if isinstance(exc, ServingError):
        of_columns = expected.form == "frame" and f"returned {expected.count} predictions" in exc.message
        loop = " A loop over a DataFrame goes over its columns: for row in rows.itertuples(index=False)."
        return exc.message + (loop if of_columns else f" {STALE}" if expected.sample else "")
    if is_unfitted(exc):
        return of_unfitted(model, exc)
    remedy = diagnosis.of_other_version(exc, source) or _remedy(exc, model, expected)
    return f"the warm-up prediction failed: {named(exc)} ({place(exc)}).{meant(exc, expected)} {remedy}"


def _remedy(exc: BaseException, model: object, expected: Signature) -> str:
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        return add_to_requirements(exc.name)
    if isinstance(model, dict) and is_missing_part(exc, model):
        return f"The model is a dict of {', '.join(map(str, list(model)[:12]))}."
    if is_at_fault(exc, model):
        return "Correct it there."
    if "Expecting data to be a DMatrix" in str(exc):
        return OF_BOOSTER
    if expected.sample:
        return STALE
    return (
        f"The row was made up of {expected.describe()}: if transformation takes others, save a sample of them beside "
        "the model (README: save_sample)."
    )


STALE = "The row is one of model.sample.json: if that is of another model, write it again with save_sample."
OF_BOOSTER = (
    "A Booster of xgboost takes a DMatrix there: set MODEL_SERVER_PREDICT_METHOD=inplace_predict, which takes rows, or "
    "write model.predict(xgboost.DMatrix(rows)) in that line."
)
