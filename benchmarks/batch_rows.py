"""How many rows one call should take, and by how much a batched answer may differ from an unbatched one.

    python benchmarks/batch_rows.py

Prints two Markdown tables: microseconds of a call (and per row) against its rows, with programs where there are
any; and the largest difference between predicting rows together and each alone, for models that use BLAS.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
sys.path[:0] = [str(Path(__file__).parent.parent / "model"), str(Path(__file__).parent)]
warnings.filterwarnings("ignore")

import fast_paths as measured  # noqa: E402
import numpy as np  # noqa: E402
from sklearn import datasets, gaussian_process, linear_model, neural_network, svm  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

ROWS = (1, 16, 64, 256, 1024, 4096)
CASES = (
    "RandomForestClassifier(100)", "LogisticRegression", "HistGradientBoostingClassifier(100)",
    "mixed columns, LogisticRegression",
)  # fmt: skip


def cost(model: object, rows: object, size: int) -> float:
    """Median seconds of a call."""
    some = rows.iloc[np.arange(size) % len(rows)] if hasattr(rows, "iloc") else np.resize(rows, (size, rows.shape[1]))
    spent = []
    for _ in range(9):
        start = time.perf_counter()
        model.predict(some)
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def costs() -> None:
    print("| µs a call (µs a row) | " + " | ".join(f"{n} rows" for n in ROWS) + " |\n|---" + "|---" * len(ROWS) + "|")
    for name in CASES:
        model, source = measured.cases()[name]
        rows, target = measured.rows_of(source)
        for fast in (False, True):
            model = clone(model).fit(rows, target)
            if fast:
                model = measured.fast_of(model, [])
            cells = [f"{1e6 * (s := cost(model, rows, n)):.0f} ({1e6 * s / n:.1f})" for n in ROWS]
            print(f"| {name}, {'program' if fast else 'own'} | " + " | ".join(cells) + " |", flush=True)


MODELS = {
    "LogisticRegression.predict_proba": (linear_model.LogisticRegression(max_iter=200), "predict_proba"),
    "scaled LogisticRegression.predict_proba": (
        make_pipeline(StandardScaler(), linear_model.LogisticRegression()), "predict_proba",
    ),
    "LogisticRegression.predict": (linear_model.LogisticRegression(max_iter=200), "predict"),
    "Ridge.predict": (linear_model.Ridge(), "predict"),
    "MLPClassifier.predict_proba": (neural_network.MLPClassifier(max_iter=50, random_state=0), "predict_proba"),
    "MLPRegressor.predict": (neural_network.MLPRegressor(max_iter=50, random_state=0), "predict"),
    "SVC.decision_function": (svm.SVC(), "decision_function"),
    "GaussianProcessRegressor.predict": (gaussian_process.GaussianProcessRegressor(alpha=1.0), "predict"),
}  # fmt: skip


def differences() -> None:
    print(
        "\n| batched against alone | data | answers that differ | largest difference, relative to the largest answer |"
    )
    print("|---|---|---|---|")
    for name, (model, method) in MODELS.items():
        for source in ("breast_cancer", "digits") if "Regressor" not in name and "Ridge" not in name else ("diabetes",):
            rows, target = getattr(datasets, f"load_{source}")(return_X_y=True)
            answer = getattr(clone(model).fit(rows, target), method)
            rows = rows[:192]
            alone = np.concatenate([answer(rows[i : i + 1]) for i in range(len(rows))]).astype(float)
            share, worst = 0.0, 0.0
            for size in (2, 3, 7, 16, 64, 192):
                together = np.concatenate([answer(rows[i : i + size]) for i in range(0, len(rows), size)]).astype(float)
                share = max(share, float(np.mean(together != alone)))
                worst = max(worst, float(np.abs(together - alone).max() / np.abs(alone).max()))
            print(f"| {name} | {source} | {100 * share:.0f} % | {worst:.1e} |", flush=True)


if __name__ == "__main__":
    costs()
    differences()
