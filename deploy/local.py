"""What the model itself answers, here in the notebook, to hold the endpoint's answer against."""

from __future__ import annotations

import importlib
import io
import sys
from pathlib import Path
from typing import Any


def predictions(csv: str, model_dir: Path) -> list[str]:
    """One prediction per line of `csv` (no header), as the endpoint writes it. Needs the model's packages here."""
    import joblib
    import pandas as pd

    sys.path.insert(0, str(model_dir))
    try:
        predictor = importlib.reload(importlib.import_module("predictor"))
        load = getattr(predictor, "load_model", lambda directory: joblib.load(Path(directory) / "model.pkl"))
        model: Any = load(str(model_dir))
        rows = pd.read_csv(io.StringIO(csv), header=None)
        columns = getattr(model, "feature_names_in_", None)
        if columns is None:
            answer = predictor.transformation(model, rows.to_numpy())
        else:
            answer = predictor.transformation(model, rows.set_axis(columns, axis=1))
    finally:
        sys.path.remove(str(model_dir))
    return [str(value) for value in answer]


def same(answer: list[str], expected: list[str]) -> bool:
    """Equal, number by number up to the rounding that another CPU may bring."""
    return len(answer) == len(expected) and all(a == b or _close(a, b) for a, b in zip(answer, expected, strict=True))


def _close(a: str, b: str) -> bool:
    try:
        return abs(float(a) - float(b)) <= 1e-9 * max(1.0, abs(float(b)))
    except ValueError:
        return False
