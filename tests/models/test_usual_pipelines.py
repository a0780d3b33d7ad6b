"""Pipelines and predictors as people build them, asked in every form of a table: the answers are the model's own."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from running import KIT
from serving.batching.answering import answer
from serving.batching.messages import Request
from serving.models import loading
from serving.models.loaded import LoadedModel

RNG = np.random.default_rng(0)
NUMBERS = pd.DataFrame(RNG.normal(size=(80, 3)), columns=["a", "b", "c"])
WORDS = pd.DataFrame({"zip": RNG.choice(["02139", "10115"], 80), "brand": RNG.choice(["acme", "zeta"], 80)})


@pytest.fixture(autouse=True)
def own_predictor() -> Iterator[None]:
    """A predictor.py is there for one test."""
    kept, path = sys.modules.pop("predictor", None), list(sys.path)
    yield
    sys.modules.pop("predictor", None)
    if kept:
        sys.modules["predictor"] = kept
    sys.path[:] = path


def loaded(model: Any, tmp_path: Path, predictor: str = "") -> LoadedModel:
    (tmp_path / "predictor.py").write_text(predictor or (KIT / "model/predictor.py").read_text())
    (tmp_path / "model.pkl").write_bytes(cloudpickle.dumps(model))
    return loading.load(tmp_path, program_dir=tmp_path)


def asked(served: LoadedModel, body: bytes, content_type: str, accept: str = "application/json") -> str:
    reply = answer(served, [Request(body, content_type, accept=accept)], 10**8)[0]
    assert reply.status == 200, reply.body
    assert isinstance(reply.body, bytes)
    return reply.body.decode()


def bodies(frame: pd.DataFrame) -> dict[str, tuple[bytes, str]]:
    stream = io.BytesIO()
    if all(dtype.kind == "f" for dtype in frame.dtypes):
        np.save(stream, frame.to_numpy())
    found = {
        "by position": (frame.to_csv(index=False, header=False).encode(), "text/csv"),
        "with its header": (frame.to_csv(index=False).encode(), "text/csv"),
        "shuffled": (frame[frame.columns[::-1]].to_csv(index=False).encode(), "text/csv"),
        "records": (json.dumps(frame.to_dict("records")).encode(), "application/json"),
        "npy": (stream.getvalue(), "application/x-npy"),
    }
    return {name: body for name, body in found.items() if body[0]}


def ratio(frame: pd.DataFrame) -> pd.DataFrame:
    """A step that asks for names."""
    return frame.assign(r=frame["a"] / (frame["b"].abs() + 1))


@pytest.mark.parametrize("fitted_on", ["a frame", "an array"])
def test_a_later_step_finds_names_with_set_output(fitted_on: str, tmp_path: Path) -> None:
    names = FunctionTransformer(ratio) if fitted_on == "a frame" else FunctionTransformer(lambda rows: rows[["x0"]])
    model = make_pipeline(StandardScaler(), names, LogisticRegression()).set_output(transform="pandas")
    given = NUMBERS if fitted_on == "a frame" else NUMBERS.to_numpy()
    model.fit(given, np.where(NUMBERS["a"] > NUMBERS["b"], "x", "y"))
    served = loaded(model, tmp_path)
    expected = model.predict(given[:7]).tolist()
    sent = bodies(NUMBERS[:7])
    for form, (body, content_type) in sent.items():
        if fitted_on == "a frame" or form in ("by position", "npy"):
            assert json.loads(asked(served, body, content_type))["predictions"] == expected, form


class Oversampling(BaseEstimator):
    """Works in fit alone, as the samplers of imbalanced-learn do."""

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        return pd.concat([X, X]), np.concatenate([y, y])

    def fit(self, X: Any, y: Any = None) -> Oversampling:
        return self


class SamplingPipeline(Pipeline):
    """imbalanced-learn's pipeline goes around its samplers when it predicts."""

    def fit(self, X: Any, y: Any) -> SamplingPipeline:
        (_, encoder), (_, sampler), (_, last) = self.steps
        encoded = pd.DataFrame(encoder.fit_transform(X).toarray())
        last.fit(*sampler.fit_resample(encoded, y))
        return self

    def predict(self, X: Any) -> Any:
        return self.steps[-1][1].predict(pd.DataFrame(self.steps[0][1].transform(X).toarray()))


def test_a_sampler_inside_a_pipeline_hides_nothing_of_the_columns(tmp_path: Path) -> None:
    steps = [("encoder", OneHotEncoder()), ("sampler", Oversampling()), ("last", LogisticRegression())]
    model = SamplingPipeline(steps).fit(WORDS, np.where(WORDS["zip"] == "02139", "east", "west"))
    served = loaded(model, tmp_path)
    expected = model.predict(WORDS[:7]).tolist()
    for form, (body, content_type) in bodies(WORDS[:7]).items():
        assert json.loads(asked(served, body, content_type))["predictions"] == expected, form


def test_a_label_and_a_score_are_two_columns_or_two_names(tmp_path: Path) -> None:
    """What SageMaker Clarify reads: an object a line, or columns of CSV."""
    predictor = """
def transformation(model, rows):
    score = model.predict_proba(rows)[:, 1]
    return {"predicted_label": (score > 0.5).astype(int), "score": score}
"""
    model = LogisticRegression().fit(NUMBERS, np.where(NUMBERS["a"] > NUMBERS["c"], 1, 0))
    served = loaded(model, tmp_path, predictor)
    scores = model.predict_proba(NUMBERS[:4])[:, 1]
    expected = [{"predicted_label": int(score > 0.5), "score": score} for score in scores]
    body = NUMBERS[:4].to_csv(index=False, header=False).encode()
    rows = pd.read_csv(io.StringIO(asked(served, body, "text/csv", "text/csv")), header=None)
    assert rows.to_numpy().tolist() == [list(map(float, row.values())) for row in expected]
    features = "\n".join(json.dumps({"features": row}) for row in NUMBERS[:4].to_numpy().tolist()).encode()
    lines = asked(served, features, "application/jsonlines", "application/jsonlines").splitlines()
    assert [json.loads(line) for line in lines] == expected


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[0.5, 2.5, 3]", "application/json"),
        (b"[[0.5], [2.5], [3]]", "application/json"),
        (b"0.5\n2.5\n3\n", "text/csv"),
    ],
)
def test_a_model_of_one_dimension_takes_one_number_a_row(body: bytes, content_type: str, tmp_path: Path) -> None:
    model = IsotonicRegression(out_of_bounds="clip").fit([1.0, 2, 3, 4], [1, 3, 2, 5])
    found = json.loads(asked(loaded(model, tmp_path), body, content_type))["predictions"]
    assert found == model.predict([0.5, 2.5, 3]).tolist()


@pytest.mark.parametrize("form", ["array", "frame"])
@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans, BisectingKMeans])
@pytest.mark.parametrize("scaled", [False, True])
def test_clusters_of_float32_are_asked_with_float32(kind: type, form: str, scaled: bool, tmp_path: Path) -> None:
    """k-means takes no other rows than those of the dtype that it was fitted on."""
    given = NUMBERS.astype("f4") if form == "frame" else NUMBERS.to_numpy("f4")
    clusters = kind(n_clusters=3, random_state=0)
    model = (make_pipeline(StandardScaler(), clusters) if scaled else clusters).fit(given)
    served = loaded(model, tmp_path)
    served.warm_up()
    sent = bodies(NUMBERS.astype("f4")[:7])
    for name in ("by position", "npy", "records") if form == "frame" else ("by position", "npy"):
        body, content_type = sent[name]
        assert json.loads(asked(served, body, content_type))["predictions"] == model.predict(given[:7]).tolist()
