"""What a model can be asked, and what to do with one that cannot be asked for what was meant."""

from __future__ import annotations

from .user_code import did_you_mean

OF_NONE = "Is `return` missing in load_model, or was None saved in place of the model?"
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")


def of_missing_method(model: object, method: str) -> str:
    methods = _methods(model)
    found = f"It has {', '.join(methods)}." if methods else "It has none of the usual ones."
    return (
        f"MODEL_SERVER_PREDICT_METHOD={method}: the model, a {type(model).__name__}, has no such method. "
        f"{found}{did_you_mean(method, methods)}"
    )


def of_no_method(model: object, method: str, line: int) -> str:
    """predictor.py is as it came, or nearly: in this line it calls a method that this object does not have."""
    what = f"predictor.py, line {line}, calls model.{method}, which the model does not have: it is {_described(model)}"
    if model is None:
        return f"predictor.py, line {line}, calls model.{method}, and the model is None. {OF_NONE}"
    methods = _methods(model)
    if meant := did_you_mean(method, methods):
        return f"{what}.{meant}"
    if methods:
        return (
            f"{what}. It has {', '.join(methods)}: set MODEL_SERVER_PREDICT_METHOD={methods[0]}, or call it in that "
            "line."
        )
    from save_model import of_parts  # it stands beside predictor.py, and imports nothing of the server

    if example := of_parts(model):
        return f"{what}. Say in that line what is asked of its parts, such as: {example}"
    return f"{what}. Save the fitted model itself, or write in predictor.py what transformation does with it."


def _methods(model: object) -> list[str]:
    is_data = hasattr(model, "dtypes") or hasattr(model, "dtype")  # a DataFrame can be transformed, too
    return [] if is_data else [name for name in METHODS if callable(getattr(model, name, None))]


def _described(model: object) -> str:
    """What it is, and what is inside."""
    kind = type(model).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    if isinstance(model, dict):
        inside = ", ".join(f"{str(key)[:40]} ({type(part).__name__})" for key, part in list(model.items())[:12])
        return f"{article} {kind} of {inside or 'nothing'}"
    if isinstance(model, list | tuple):
        return f"{article} {kind} of {', '.join(type(part).__name__ for part in model[:12]) or 'nothing'}"
    shape = getattr(model, "shape", None)
    return f"{article} {kind}" + (f" of shape {shape}" if isinstance(shape, tuple) else "")
