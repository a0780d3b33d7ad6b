"""What the program of each kind of model gives: microseconds of one call before and after, side by side, in one run.

    python benchmarks/fast_paths.py [word in the name of a case ...]

Prints a Markdown table. One thread (as in a worker with as many workers as CPUs); medians of alternating calls.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
sys.path.insert(0, str(Path(__file__).parent.parent / "model"))
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn import compose, datasets, ensemble, impute, linear_model, preprocessing, svm, tree  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402

from serving.compiler.compiling import NotCompiled, compiled  # noqa: E402
from serving.compiler.facade import Estimator, Facade  # noqa: E402

SIZES = (1, 16, 64)


def mixed(count: int = 1000) -> tuple[pd.DataFrame, np.ndarray]:
    """Named, mixed columns in the manner of a passenger list."""
    rng = np.random.default_rng(0)
    numbers = {name: rng.gamma(2, 20, count) for name in ("age", "fare", "weight", "distance")}
    texts = {name: rng.choice(list("ABCDEF"), count) for name in ("sex", "port", "deck", "class", "title")}
    frame = pd.DataFrame(numbers | texts)
    frame.loc[::9, "fare"] = np.nan
    return frame, (frame["age"] + frame["weight"] > 80).to_numpy(int)


def prepared(encoder: object) -> compose.ColumnTransformer:
    numbers = make_pipeline(impute.SimpleImputer(strategy="median"), preprocessing.StandardScaler())
    chosen = compose.make_column_selector
    return compose.make_column_transformer(
        (numbers, chosen(dtype_include="number")), (encoder, chosen(dtype_exclude="number"))
    )


def cases() -> dict:
    one_hot = preprocessing.OneHotEncoder(handle_unknown="ignore")
    ordinal = preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    scaler, logistic = preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=200)
    found = {
        "RandomForestClassifier(100)": (ensemble.RandomForestClassifier(), "breast_cancer"),
        "RandomForestClassifier(100), 10 classes": (ensemble.RandomForestClassifier(), "digits"),
        "RandomForestRegressor(100)": (ensemble.RandomForestRegressor(), "diabetes"),
        "ExtraTreesClassifier(100)": (ensemble.ExtraTreesClassifier(), "breast_cancer"),
        "DecisionTreeClassifier": (tree.DecisionTreeClassifier(), "breast_cancer"),
        "GradientBoostingClassifier(100)": (ensemble.GradientBoostingClassifier(), "breast_cancer"),
        "GradientBoostingRegressor(100)": (ensemble.GradientBoostingRegressor(), "diabetes"),
        "HistGradientBoostingClassifier(100)": (ensemble.HistGradientBoostingClassifier(), "breast_cancer"),
        "HistGradientBoostingRegressor(100)": (ensemble.HistGradientBoostingRegressor(), "diabetes"),
        "LogisticRegression": (logistic, "breast_cancer"),
        "LogisticRegression, 10 classes": (logistic, "digits"),
        "Ridge": (linear_model.Ridge(), "diabetes"),
        "SGDClassifier": (linear_model.SGDClassifier(), "breast_cancer"),
        "LinearSVC": (svm.LinearSVC(), "breast_cancer"),
        "StandardScaler, LogisticRegression": (make_pipeline(scaler, logistic), "breast_cancer"),
        "SimpleImputer, RandomForest(100)": (
            make_pipeline(impute.SimpleImputer(), ensemble.RandomForestClassifier()), "breast_cancer",
        ),
        "mixed columns, LogisticRegression": (make_pipeline(prepared(one_hot), logistic), "mixed"),
        "mixed columns, RandomForest(100)": (
            make_pipeline(prepared(one_hot), ensemble.RandomForestClassifier()), "mixed",
        ),
        "mixed columns, HistGradientBoosting(100)": (
            make_pipeline(prepared(ordinal), ensemble.HistGradientBoostingClassifier()), "mixed",
        ),
    }  # fmt: skip
    for module, prefix, kwargs in (("xgboost", "XGB", {}), ("lightgbm", "LGBM", {"verbose": -1})):
        try:
            kind = getattr(__import__(module), prefix + "Classifier")
        except ImportError:
            continue
        found[f"{prefix}Classifier(100)"] = (kind(n_estimators=100, **kwargs), "breast_cancer")
        found[f"{prefix}Classifier(100), DataFrame"] = (kind(n_estimators=100, **kwargs), "breast_cancer_frame")
    return found


def rows_of(name: str) -> tuple:
    if name == "mixed":
        return mixed()
    return getattr(datasets, "load_" + name.removesuffix("_frame"))(return_X_y=True, as_frame=name.endswith("_frame"))


def alternating(one, other, rows, rounds: int = 41) -> tuple[float, float]:
    """Median microseconds of each; whatever else the machine does strikes both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, spent in zip((one, other), seconds, strict=True):
            start = time.perf_counter()
            call(rows)
            spent.append(time.perf_counter() - start)
    return tuple(float(np.median(spent) * 1e6) for spent in seconds)  # type: ignore[return-value]


def fast_of(model: object, samples: list) -> Facade:
    """What transformation gets as `model`: the model's program, proven."""
    program = compiled(model, samples)
    return Facade(program, Estimator(lambda: None, program.name, model))


def main(words: list[str]) -> None:
    heads = [f"{size} row{'s' * (size > 1)}, µs" for size in SIZES]
    print("| model | " + " | ".join(heads) + " | proof at load, ms |\n|---" + "|---" * (len(SIZES) + 1) + "|")
    for name, (model, source) in cases().items():
        if words and not any(word in name for word in words):
            continue
        rows, target = rows_of(source)
        model = clone(model).fit(rows, target)
        start = time.perf_counter()
        try:
            fast = fast_of(model, [rows[:3]])
        except NotCompiled as exc:
            print(f"| {name} | declined, {exc} |")
            continue
        load = (time.perf_counter() - start) * 1e3
        cells = []
        for size in SIZES:
            own, ours = alternating(model.predict, fast.predict, rows[:size])
            cells.append(f"{own:.0f} → {ours:.0f} ({own / ours:.1f}×)")
        print(f"| {name} | " + " | ".join(cells) + f" | {load:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
