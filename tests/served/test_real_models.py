"""Models that people really deploy, each served by the real server: what is sent, and what comes back."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import cluster, datasets, ensemble, gaussian_process, linear_model, multioutput
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from running import Native, make_program

Serve = Callable[..., Native]
CANCER, CANCER_TARGET = datasets.load_breast_cancer(return_X_y=True, as_frame=True)
CANCER_NAMES = CANCER_TARGET.map({0: "malignant", 1: "benign"})


def passengers() -> tuple[pd.DataFrame, np.ndarray]:
    """Mixed columns with missing values, as the Titanic's list has them."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "age": np.where(random.random(200) < 0.2, np.nan, random.integers(1, 80, 200)),
            "fare": random.gamma(2, 15, 200).round(2),
            "class": random.choice(["1st", "2nd", "3rd"], 200),
            "port": random.choice(["Cherbourg", "Queenstown", "Southampton, UK"], 200),
        }
    )
    return rows, (rows["fare"] > 30).to_numpy().astype(int)


PEOPLE, SURVIVED = passengers()
SENTENCES = ["good, really good", "bad film", "a good story", "boring and bad"] * 5


def titanic() -> Any:
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare"]), (OneHotEncoder(), ["class", "port"])
    )
    return make_pipeline(columns, linear_model.LogisticRegression()).fit(PEOPLE, SURVIVED)


def categorical() -> tuple[pd.DataFrame, Any]:
    rows = PEOPLE.astype({"class": "category", "port": "category"})
    return rows, ensemble.HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype").fit(
        rows, SURVIVED
    )


def csv_of(rows: Any, **options: Any) -> bytes:
    return pd.DataFrame(rows).to_csv(index=False, **{"header": False, **options}).encode()


def numbers(text: str) -> np.ndarray:
    return np.loadtxt(io.StringIO(text), delimiter=",")


@pytest.fixture
def served(serve: Serve, tmp_path: Path) -> Callable[..., Native]:
    """The model behind a real server that is ready."""

    def start(model: Any, predictor: str | None = None, files: dict[str, str] | None = None, **environ: str) -> Native:
        program = make_program(tmp_path, predictor, pickle.dumps(model), files)
        return serve(program=program, MODEL_SERVER_WORKERS="1", **environ).until_ready()

    return start


ARRAY = CANCER.to_numpy()
NAMED = {
    "random forest with string labels": ensemble.RandomForestClassifier(20, random_state=0).fit(CANCER, CANCER_NAMES),
    "isolation forest": ensemble.IsolationForest(n_estimators=20, random_state=0).fit(CANCER),
    "k-means": cluster.KMeans(3, n_init=1, random_state=0).fit(CANCER),
    "gradient boosting": ensemble.GradientBoostingClassifier(n_estimators=10).fit(CANCER, CANCER_NAMES),
}


@pytest.mark.parametrize("model", NAMED.values(), ids=NAMED)
def test_a_model_of_named_columns(served: Callable[..., Native], model: Any) -> None:
    """CSV by position, CSV by name in any order, JSON objects: the same predictions, the model's own."""
    running = served(model)
    rows = CANCER[:20]
    expected = [str(label) for label in model.predict(rows)]
    shuffled = rows[list(rows.columns[::-1])].assign(comment="ignored")
    assert running.post(csv_of(rows)).text.splitlines() == expected
    assert running.post(csv_of(shuffled, header=True)).text.splitlines() == expected
    records = json.dumps({"instances": rows.to_dict("records")}).encode()
    assert [str(p) for p in running.post(records, "application/json").json()["predictions"]] == expected


def test_a_model_of_an_array(served: Callable[..., Native]) -> None:
    """CSV, JSON, JSON Lines and NumPy bytes: the same predictions."""
    model = linear_model.LogisticRegression(max_iter=5000).fit(ARRAY, CANCER_TARGET)
    running = served(model)
    expected = model.predict(ARRAY[:20]).tolist()
    assert [int(x) for x in running.post(csv_of(ARRAY[:20])).text.split()] == expected
    assert running.post(json.dumps(ARRAY[:20].tolist()).encode(), "application/json").json()["predictions"] == expected
    lines = b"\n".join(json.dumps(row).encode() for row in ARRAY[:20].tolist())
    assert [int(x) for x in running.post(lines, "application/jsonlines").text.split()] == expected
    stream = io.BytesIO()
    np.save(stream, ARRAY[:20])
    answer = running.post(stream.getvalue(), "application/x-npy", Accept="application/x-npy")
    assert np.load(io.BytesIO(answer.content), allow_pickle=False).tolist() == expected


def test_probabilities(served: Callable[..., Native]) -> None:
    """MODEL_SERVER_PREDICT_METHOD=predict_proba: one column per class, every bit of the model's own."""
    model = ensemble.RandomForestClassifier(20, random_state=0).fit(CANCER, CANCER_NAMES)
    running = served(model, MODEL_SERVER_PREDICT_METHOD="predict_proba")
    assert (numbers(running.post(csv_of(CANCER[:20])).text) == model.predict_proba(CANCER[:20])).all()


def test_mixed_columns_with_missing_values(served: Callable[..., Native]) -> None:
    """Empty cells, null, quoted commas: as pandas would give them; an unknown category is a 400 that names it."""
    model = titanic()
    running = served(model)
    expected = model.predict(PEOPLE[:40]).tolist()
    assert [int(x) for x in running.post(csv_of(PEOPLE[:40])).text.split()] == expected
    records = PEOPLE[:40].astype(object).where(PEOPLE[:40].notna(), None).to_dict("records")
    assert running.post(json.dumps(records).encode(), "application/json").json()["predictions"] == expected
    refused = running.post(b"30,10,4th,Cherbourg\n")
    assert refused.status_code == 400
    assert refused.json()["error"]["column"] == "class"
    assert "4th" in refused.json()["error"]["message"]


def test_categories_and_missing_values_of_hist_gradient_boosting(served: Callable[..., Native]) -> None:
    """Categorical dtypes come back as they were fitted; a sample file carries them."""
    rows, model = categorical()
    from serving.models.sample import save_sample

    running_files = {}
    path = Path(save_sample(rows, Path("/tmp") / f"sample-{id(rows)}.json"))
    running_files["model.sample.json"] = path.read_text()
    path.unlink()
    running = served(model, files=running_files)
    expected = model.predict(rows[:40]).tolist()
    assert [int(x) for x in running.post(csv_of(rows[:40])).text.split()] == expected


def test_several_outputs(served: Callable[..., Native]) -> None:
    """A multi-output regressor: one line per row, one column per output."""
    targets = np.column_stack([CANCER_TARGET, ARRAY[:, 0]])
    model = multioutput.MultiOutputRegressor(linear_model.Ridge()).fit(ARRAY, targets)
    running = served(model)
    np.testing.assert_allclose(numbers(running.post(csv_of(ARRAY[:20])).text), model.predict(ARRAY[:20]), rtol=1e-12)


def test_sentences(served: Callable[..., Native]) -> None:
    """A text model takes one text per line, or one quoted cell, or a JSON list."""
    model = make_pipeline(TfidfVectorizer(), LinearSVC()).fit(
        SENTENCES, ["bad" if "bad" in s else "good" for s in SENTENCES]
    )
    running = served(model)
    assert running.post(b"a good film\nbad, bad\n", "text/plain", Accept="text/csv").text == "good\nbad\n"
    assert running.post(b'"a good, long film"\nbad\n').text == "good\nbad\n"
    body = json.dumps({"instances": ["a good film", "bad"]}).encode()
    assert running.post(body, "application/json").json() == {"predictions": ["good", "bad"]}


def test_a_gaussian_process(served: Callable[..., Native]) -> None:
    """Floats travel in their shortest form and come back bit for bit."""
    model = gaussian_process.GaussianProcessRegressor().fit(ARRAY[:50, :3], CANCER_TARGET[:50])
    running = served(model)
    assert numbers(running.post(csv_of(ARRAY[:20, :3])).text).tolist() == model.predict(ARRAY[:20, :3]).tolist()


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_boosted_trees_of_other_libraries(served: Callable[..., Native], library: str) -> None:
    """xgboost's and lightgbm's estimators, fitted on names."""
    if library == "xgboost":
        import xgboost

        model = xgboost.XGBClassifier(n_estimators=10).fit(CANCER, CANCER_TARGET)
    else:
        import lightgbm

        model = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(CANCER, CANCER_TARGET)
    running = served(model)
    assert [int(x) for x in running.post(csv_of(CANCER[:40])).text.split()] == model.predict(CANCER[:40]).tolist()


def test_a_raw_booster(serve: Serve, tmp_path: Path) -> None:
    """A Booster in xgboost's own format, through load_model and a transformation that builds the DMatrix."""
    import xgboost

    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(CANCER, CANCER_TARGET), 5)
    program = make_program(tmp_path, "raw_booster")
    (program / "model.pkl").unlink()
    booster.save_model(program / "model.json")
    running = serve(program=program, MODEL_SERVER_WORKERS="1").until_ready()
    answered = numbers(running.post(csv_of(CANCER[:20])).text)
    np.testing.assert_allclose(answered, booster.predict(xgboost.DMatrix(CANCER[:20])), rtol=1e-6)


def test_a_plain_class_by_cloudpickle(served: Callable[..., Native], tmp_path: Path, serve: Serve) -> None:
    """A class that only the pickle knows, by cloudpickle: what the request holds is what it gets."""
    import cloudpickle

    class Sum:
        def predict(self, rows):
            return [sum(row) for row in rows]

    program = make_program(tmp_path, model=cloudpickle.dumps(Sum()))
    running = serve(program=program, MODEL_SERVER_WORKERS="1").until_ready()
    assert (
        running.post(b"1,2,3\n4,5,6\n").text == "6\n15\n"
    )  # whole numbers stay whole: nothing says that the class wants others


def test_a_statsmodels_result(served: Callable[..., Native]) -> None:
    """A fitted OLS predicts an array."""
    import statsmodels.api

    model = statsmodels.api.OLS(CANCER_TARGET.to_numpy(), ARRAY[:, :5]).fit()
    running = served(model)
    answered = numbers(running.post(csv_of(ARRAY[:20, :5])).text)
    np.testing.assert_allclose(answered, model.predict(ARRAY[:20, :5]), rtol=1e-12)
