"""What a model can be asked, and what to do with one that cannot be asked for what was meant."""

from __future__ import annotations

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")


def of_missing_method(model: object, method: str) -> str:
    methods = [n for n in METHODS if callable(getattr(model, n, None))]
    found = f"It has {', '.join(methods)}." if methods else "It has none of the usual ones."
    return f"MODEL_SERVER_PREDICT_METHOD={method}: the model, a {type(model).__name__}, has no such method. {found}"


def of_no_method(model: object, method: str) -> str:
    """predictor.py is as it came, or nearly: it calls a method that this object has not."""
    what = f"the model is {_described(model)}, which has no {method}"
    is_data = hasattr(model, "dtypes") or hasattr(model, "dtype")  # a DataFrame can be transformed, too
    methods = [n for n in METHODS if callable(getattr(model, n, None)) and not is_data]
    if methods:
        return (
            f"{what}. It has {', '.join(methods)}: set MODEL_SERVER_PREDICT_METHOD={methods[0]}, or call it in "
            "transformation in predictor.py."
        )
    if isinstance(model, dict | list | tuple):
        return f"{what}. Write transformation in predictor.py so that it uses these parts, such as {_example(model)}."
    return f"{what}. Save the fitted model itself, or write transformation in predictor.py."


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


def _example(parts: dict[object, object] | list[object] | tuple[object, ...]) -> str:
    places = list(parts.items()) if isinstance(parts, dict) else list(enumerate(parts))
    predicts = next((key for key, part in places if hasattr(part, "predict")), None)
    return f"return model[{predicts!r}].predict(rows)" if predicts is not None else "return […]"
