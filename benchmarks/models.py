"""Makes what is measured: the pickled models, and rows with the predictions that are right for them.

    python benchmarks/models.py DIRECTORY

DIRECTORY/MODEL/model/model.pkl and DIRECTORY/MODEL/rows-N.json ({"columns", "bodies": [{"rows", "predictions"}]}; a
missing cell is null). The same on every machine: data that scikit-learn ships, fixed seeds. Rows know no protocol.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).parent / "served"))
from slow_models import Holding, Slow

BODIES = {1: 64, 10: 32, 100: 8, 1000: 4, 10_000: 2}
"""Rows of a body: how many different bodies. No answer can be guessed from the one before."""
MISSING = 0.1
"""Share of the cells that are empty, of the model that takes rows with missing values."""


def patients() -> tuple[pd.DataFrame, pd.Series]:
    """Named columns of numbers (some missing) and texts, in the manner of the Titanic's passenger list."""
    data = load_diabetes(as_frame=True, scaled=False)
    frame = data.data[["age", "bmi", "bp", "s1", "s5"]].round(2)
    frame.loc[::9, "age"] = np.nan
    frame["sex"] = np.where(data.data["sex"] == 1, "male", "female")
    frame["ward"] = pd.qcut(data.data["s2"], 3, labels=["north", "south", "west"]).astype(str)
    frame["class"] = pd.qcut(data.data["s6"], 3, labels=["first", "second", "third"]).astype(str)
    return frame, (data.target > 140).astype(int)


def mixed_pipeline() -> object:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")), (texts, make_column_selector(dtype_exclude="number"))
    )
    return make_pipeline(columns, LogisticRegression())


def models() -> dict:
    cancer = load_breast_cancer()
    frame, target = pd.DataFrame(cancer.data, columns=[str(name) for name in cancer.feature_names]), cancer.target
    fitted_on_arrays = {
        "rf": RandomForestClassifier(100, random_state=0),
        "lr": LogisticRegression(max_iter=10_000),
        "hgb": HistGradientBoostingClassifier(random_state=0),
    }
    found = {name: (model.fit(cancer.data, target), frame) for name, model in fitted_on_arrays.items()}
    gaps = frame.mask(np.random.default_rng(0).random(frame.shape) < MISSING)
    found["gaps"] = HistGradientBoostingClassifier(random_state=0).fit(gaps.to_numpy(), target), gaps
    people, outcome = patients()
    return found | {"mixed": (mixed_pipeline().fit(people, outcome), people)}


def slow_models() -> dict:
    """For what only a slow model shows: 3 s a call without and with the interpreter's lock, 20 ms a row."""
    return {"slow": Slow(per_call=3), "holding": Holding(per_call=3), "steady": Slow(per_row=0.02)}


def write(directory: Path, model, frame: pd.DataFrame) -> None:
    (directory / "model").mkdir(parents=True, exist_ok=True)
    (directory / "model/model.pkl").write_bytes(pickle.dumps(model))
    rng = np.random.default_rng(0)
    for size, count in BODIES.items():
        bodies = []
        for _ in range(count):
            rows = frame.iloc[rng.integers(len(frame), size=size)]
            predictions = model.predict(rows if hasattr(model, "feature_names_in_") else rows.to_numpy())
            cells = rows.astype(object).where(rows.notna(), None).to_numpy().tolist()
            bodies.append({"rows": cells, "predictions": predictions.tolist()})
        (directory / f"rows-{size}.json").write_text(json.dumps({"columns": list(frame.columns), "bodies": bodies}))


def main() -> None:
    """Does nothing when they are there already, made by this file and this scikit-learn."""
    directory = Path(sys.argv[1])
    stamp, sources = directory / "stamp", (Path(__file__), Path(__file__).parent / "served/slow_models.py")
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + sklearn.__version__.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    for name, (model, frame) in models().items():
        write(directory / name, model, frame)
    for name, model in slow_models().items():
        rows = [[float((-1) ** n * n), 1.0] for n in range(1, 5)]
        (directory / name / "model").mkdir(parents=True, exist_ok=True)
        (directory / name / "model/model.pkl").write_bytes(pickle.dumps(model))
        bodies = [{"rows": [row], "predictions": [int(row[0] > 0)]} for row in rows]
        (directory / name / "rows-1.json").write_text(json.dumps({"columns": ["a", "b"], "bodies": bodies}))
    stamp.write_text(wanted)


if __name__ == "__main__":
    main()
