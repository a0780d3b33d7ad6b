"""What a model can be asked, and what to do with one that cannot be asked for what was meant."""

from __future__ import annotations

import inspect
import sys

from .user_code import did_you_mean
from .wrapping import LIBRARIES

OF_NONE = "Is `return` missing in load_model, or was None saved in place of the model?"
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")


def has(model: object, method: str) -> bool:
    """Whether it can be called with rows alone. A class takes them only by a method of its own."""
    found = getattr(model, method, None)
    return callable(found) and (not isinstance(model, type) or inspect.ismethod(found))


def of_missing_method(model: object, method: str) -> str:
    if isinstance(model, type):
        return f"MODEL_SERVER_PREDICT_METHOD={method}: {_of_class(model)}"
    methods = _methods(model)
    found = f"It has {', '.join(methods)}." if methods else "It has none of the usual ones."
    return (
        f"MODEL_SERVER_PREDICT_METHOD={method}: the model, a {type(model).__name__}, has no such method. "
        f"{_why_not(model, method)}{found}{did_you_mean(method, methods)}"
    )


def of_no_method(model: object, method: str, line: int) -> str:
    """predictor.py is as it came, or nearly: in this line it calls a method that this object does not have."""
    where = f"predictor.py, line {line}, calls model.{method}"
    if model is None:
        return f"{where}, and the model is None. {OF_NONE}"
    if isinstance(model, type):
        return f"{where}, and {_of_class(model)}"
    return f"{where}, which the model does not have: it is {_described(model)}.{_remedy(model, method)}"


def _of_class(model: type) -> str:
    return f"the model is the class {model.__name__} itself, not an object of it. Save the object that fit has fitted."


def _remedy(model: object, method: str) -> str:
    from save_model import of_parts  # it stands beside predictor.py, and imports nothing of the server

    methods, why = _methods(model), _why_not(model, method)
    if meant := did_you_mean(method, methods):
        return meant
    if methods:
        usable = f"set MODEL_SERVER_PREDICT_METHOD={methods[0]}, or call it in that line."
        return f" {why}It has {', '.join(methods)}: {usable}"
    if hasattr(model, "fit_predict"):
        return f" {why}It has fit_predict, which says nothing of rows that it was not fitted on."
    if isinstance(model, bytes):
        return " Perhaps it was pickled twice: save the model by one pickle.dump(model, file), without pickle.dumps."
    if callable(model):
        return " Call it in that line: return model(rows)"
    if own := _own_methods(model):
        return f" It has {', '.join(own)}: call it in that line."
    if not why and (example := of_parts(model)):
        return f" Say in that line what is asked of its parts, such as: {example}"
    return f" {why}Save the fitted model itself, or write in predictor.py what transformation does with it."


def _why_not(model: object, method: str) -> str:
    """A sentence of the model's own; scikit-learn says so what a method depends on."""
    try:
        getattr(model, method)
    except AttributeError as exc:
        return f"{' '.join(str(exc.__cause__).split())[:200].rstrip('.')}. " if exc.__cause__ else ""
    return ""


def _methods(model: object) -> list[str]:
    is_data = hasattr(model, "shape")  # a DataFrame can be transformed, too
    return [] if is_data else [name for name in METHODS if callable(getattr(model, name, None))]


def _own_methods(model: object) -> list[str]:
    """The public methods of somebody's own class."""
    kind = vars(type(model)) if _is_own(model) else {}
    return [name for name, value in kind.items() if not name.startswith("_") and callable(value)][:6]


def _is_own(model: object) -> bool:
    """Whether its class is somebody's own, as far as can be told."""
    top = type(model).__module__.partition(".")[0]
    return top not in sys.stdlib_module_names | LIBRARIES and not hasattr(model, "get_params")


def _described(model: object) -> str:
    """What it is, and what is inside."""
    kind = type(model).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    shape = getattr(model, "shape", None)
    if isinstance(model, str | bool | int | float):
        return f"{article} {kind}: {model!r:.60}"
    return f"{article} {kind}{f' of shape {shape}' if isinstance(shape, tuple) else _inside(model)}"


def _inside(model: object, depth: int = 3) -> str:
    """The parts of a dict, a list or somebody's own object, and what is inside them."""
    if isinstance(model, list | tuple):
        return f" of {', '.join(type(part).__name__ + _inside(part, depth - 1) for part in model[:12]) or 'nothing'}"
    if isinstance(model, dict):
        how, parts = "of", model
    elif _is_own(model) or type(model).__name__ == "SimpleNamespace":
        how, parts = "with", getattr(model, "__dict__", {})
    else:
        return ""
    inside = [
        f"{str(key)[:40]} ({type(part).__name__}{_inside(part, depth - 1)})" for key, part in list(parts.items())[:12]
    ]
    return f" {how} {', '.join(inside) or 'nothing'}" if depth else ""
