"""A model that does not say which rows it expects is checked all the same: what it is, what is inside, what to do."""

from __future__ import annotations

import gzip
import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import DBSCAN
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, LabelEncoder, OneHotEncoder, OrdinalEncoder, StandardScaler

from serving.batching.answering import answer
from serving.batching.messages import Request
from serving.errors import ModelNotUsable
from serving.models import diagnosis, inspection, methods, warm_up
from serving.models.loaded import LoadedModel
from serving.rows.signature import Signature

X = np.arange(20.0).reshape(10, 2)
Y = np.array([0, 1] * 5)
NAMED = pd.DataFrame(X, columns=["a", "b"])
MODEL, SCALER = LogisticRegression().fit(X, Y), StandardScaler().fit(X)


class Own:
    """Somebody's class around fitted parts."""

    def __init__(self, **parts: Any) -> None:
        vars(self).update(parts)


class Runs(Own):
    def run(self, rows: Any) -> Any:
        return rows


class Called(Own):
    def __call__(self, rows: Any) -> Any:
        return rows


class OwnEstimator(ClassifierMixin, BaseEstimator):
    """It has learned nothing before fit, and says so by an AttributeError."""

    def fit(self, rows: Any, y: Any) -> OwnEstimator:
        self.model_ = LogisticRegression().fit(rows, y)
        return self

    def predict(self, rows: Any) -> Any:
        return self.model_.predict(rows)


class OfParameters:
    """As statsmodels has it: fit gives another object, and predict takes parameters first."""

    def fit(self) -> None: ...

    def predict(self, params: Any, exog: Any = None) -> Any:
        return params


OF_PARTS = [
    ({"model": MODEL, "scaler": SCALER}, "a dict of model (LogisticRegression), scaler (StandardScaler). Say in that "
     "line what is asked of its parts, such as: return model['model'].predict(model['scaler'].transform(rows))"),
    ({"a": {"model": MODEL}, "v": 1}, "a dict of a (dict of model (LogisticRegression)), v (int). Say in that line "
     "what is asked of its parts, such as: return model['a']['model'].predict(rows)"),
    ([{"fold": 0, "m": MODEL}], "a list of dict of fold (int), m (LogisticRegression). Say in that line what is asked "
     "of its parts, such as: return model[0]['m'].predict(rows)"),
    ({"model": MODEL, "labels": LabelEncoder().fit(["a", "b"])},
     "return model['labels'].inverse_transform(model['model'].predict(rows))"),
    (types.SimpleNamespace(model=MODEL, limit=0.5),
     "a SimpleNamespace with model (LogisticRegression), limit (float). Say in that line what is asked of its parts, "
     "such as: return model.model.predict(rows)"),
    (Own(model=MODEL), "an Own with model (LogisticRegression). Say in that line"),
    (Runs(model=MODEL), "a Runs with model (LogisticRegression). It has run: call it in that line."),
    (Called(model=MODEL), "Call it in that line: return model(rows)"),
    (MODEL.predict, "Call it in that line: return model(rows)"),
    ({"C": 1.0}, "a dict of C (float). Save the fitted model itself"),
    (NAMED, "a DataFrame of shape (10, 2). Save the fitted model itself"),
    (X, "a ndarray of shape (10, 2). Save the fitted model itself"),
    ({"w": X}, "a dict of w (ndarray). Save the fitted model itself"),
    ("s3://bucket/model.pkl", "a str: 's3://bucket/model.pkl'. Save"),
    (0.93, "a float: 0.93. Save"),
    (pickle, "a module. Save the fitted model itself"),
    (pickle.dumps(1), "Perhaps it was pickled twice"),
    (DBSCAN().fit(X), "It has fit_predict, which says nothing of rows that it was not fitted on."),
    (LocalOutlierFactor(3).fit(X), "Use novelty=True"),
    (GridSearchCV(LogisticRegression(), {"C": [1]}, refit=False).fit(X, Y), "refit=False"),
    *((step, "It has transform: set MODEL_SERVER_PREDICT_METHOD=transform") for step in (
        SCALER, OneHotEncoder().fit(X), OrdinalEncoder().fit(X), KBinsDiscretizer(2).fit(X),
        TfidfVectorizer().fit(["a word"]))),
]  # fmt: skip


@pytest.mark.parametrize(("model", "said"), OF_PARTS, ids=range(len(OF_PARTS)))
def test_what_cannot_predict_is_told_with_what_it_is_and_what_to_do(model: Any, said: str) -> None:
    """The stock predictor calls predict, and this object has none."""
    assert not methods.has(model, "predict")
    told = methods.of_no_method(model, "predict", 21)
    assert told.startswith("predictor.py, line 21, calls model.predict, which the model does not have: it is a")
    assert said in told


def test_a_class_is_not_a_model() -> None:
    """It has predict, but of nobody. One with a method of its own is taken as it is."""

    class Static:
        @classmethod
        def predict(cls, rows: Any) -> Any:
            return rows

    assert not methods.has(RandomForestClassifier, "predict")
    assert methods.has(Static, "predict")
    told = methods.of_no_method(RandomForestClassifier, "predict", 21)
    assert "the model is the class RandomForestClassifier itself, not an object of it" in told


def predict(model: Any, rows: Any) -> Any:
    return model.predict(rows)


def part(model: Any, rows: Any) -> Any:
    return model["model"].predict(rows)


UNFITTED: list[tuple[Any, Callable[..., Any]]] = [
    *((model, predict) for model in (
        xgboost.XGBClassifier(), lightgbm.LGBMClassifier(), GridSearchCV(lightgbm.LGBMClassifier(), {}),
        make_pipeline(StandardScaler(), xgboost.XGBClassifier()), OwnEstimator(), OfParameters(),
        RandomForestClassifier())),
    ({"model": LogisticRegression(), "scaler": SCALER}, part),
]  # fmt: skip


@pytest.mark.parametrize(("model", "asked"), UNFITTED, ids=range(len(UNFITTED)))
def test_what_was_never_fitted_is_refused(model: Any, asked: Callable[..., Any]) -> None:
    """Whatever library it is of, and also a part of a dict: it says so itself when it is asked."""
    with pytest.raises(ModelNotUsable, match="is not fitted"):
        LoadedModel(model, asked, Signature(), Path("model.pkl")).warm_up()


def fails(error: Exception) -> Callable[..., Any]:
    def transformation(model: Any, rows: Any) -> Any:
        raise error

    return transformation


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda model, rows: __import__("no_such_module"), "no_such_module to model/requirements.txt"),
        (lambda model, rows: model.predikt(rows), "Did you mean predict"),
    ],
)
def test_what_fails_with_any_rows_is_refused(asked: Callable[..., Any], said: str) -> None:
    """A module that is not installed, and what the model does not have, do not depend on the rows."""
    with pytest.raises(ModelNotUsable, match=said):
        LoadedModel(OwnEstimator().fit(X, Y), asked, Signature(), Path("model.pkl")).warm_up()


@pytest.mark.parametrize(
    "error",
    [ValueError("X has 1 features"), KeyError("age"), IndexError(), TypeError(), AttributeError("columns"),
     UnboundLocalError("x"), SystemExit(3), ZeroDivisionError()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_what_may_be_the_rows_fault_is_not_refused(error: Exception) -> None:
    """The rows were as good as any: what fails because of them says nothing about the model."""
    LoadedModel({"model": MODEL}, fails(error), Signature(), Path("model.pkl")).warm_up()


def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A KeyError of the user's own line about the dict itself; a column that is not there is another matter."""
    path = tmp_path / "predictor.py"
    path.write_text("def transformation(model, rows):\n    return model['modle'].predict(rows)\n")
    namespace: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    with pytest.raises(ModelNotUsable, match=r"'modle' .*The model is a dict of model, scaler"):
        LoadedModel({"model": MODEL, "scaler": SCALER}, namespace["transformation"], Signature(), path).warm_up()


def test_a_booster_takes_a_matrix_of_its_own() -> None:
    """The remedy works as it stands."""
    booster = xgboost.train({}, xgboost.DMatrix(X, Y), 2)
    signature = inspection.signature_of(booster)
    with pytest.raises(ModelNotUsable, match="MODEL_SERVER_PREDICT_METHOD=inplace_predict"):
        LoadedModel(booster, predict, signature, Path("model.pkl")).warm_up()
    LoadedModel(booster, lambda model, rows: model.inplace_predict(rows), signature, Path("model.pkl")).warm_up()


@pytest.mark.parametrize("whole", [
    {"a": {"model": LinearRegression().fit(NAMED, Y)}, "features": ["a", "b"]},
    [{"model": LinearRegression().fit(NAMED, Y)}],
    Own(parts={"scaler": StandardScaler().fit(NAMED), "models": [LinearRegression().fit(NAMED, Y)]}),
], ids=range(3))  # fmt: skip
def test_parts_tell_their_columns_however_deep(whole: Any) -> None:
    """Dicts and lists inside dicts, lists and objects of somebody's own class."""
    assert inspection.signature_of(whole).names == ("a", "b")


def test_another_version_of_scikit_learn_is_told_where_it_fails(tmp_path: Path) -> None:
    """A pickle loads, and its estimator lacks what this version asks for: that is not an error of predictor.py."""
    state = {"_sklearn_version": "1.2.2"}
    path = tmp_path / "model.pkl"
    path.write_bytes(gzip.compress(pickle.dumps(_Stated(state))))
    broken = LogisticRegression().fit(X, Y)
    del broken.__dict__["intercept_"]
    with pytest.raises(AttributeError) as caught:
        broken.predict(X)
    told = warm_up.of_warm_up(caught.value, broken, Signature(), path)
    assert "put scikit-learn==1.2.2 into model/requirements.txt" in told


class _Stated:
    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return types.SimpleNamespace, (), self.state


def test_an_estimator_that_lacks_a_parameter_is_inspected(tmp_path: Path) -> None:
    """Pickles of an older scikit-learn lack parameters, so that get_params fails: no reason to fail here."""
    old = make_pipeline(StandardScaler(), LogisticRegression()).fit(NAMED, Y)
    del old.__dict__["transform_input"]
    with pytest.raises(AttributeError):
        old.get_params(deep=False)
    assert inspection.signature_of(old).names == ("a", "b")


def test_a_part_of_scikit_learn_is_not_a_package(tmp_path: Path) -> None:
    """Compiled parts of it pickle under a bare name: `_loss`."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(_Stated({"_sklearn_version": "1.5.2"})))
    told = diagnosis.of_loading(ModuleNotFoundError("No module named '_loss'", name="_loss"), path)
    assert "needs _loss, a part of scikit-learn that scikit-learn" in told
    assert "put scikit-learn==1.5.2 into" in told


class Churn:
    """An encoder that has seen one of the columns, and what is made of the rows by hand."""

    def __init__(self, *asked: str) -> None:
        self.encoder, self.asked = OneHotEncoder().fit(pd.DataFrame({"zip": ["02139", "10115"]})), list(asked)

    def predict(self, rows: Any) -> Any:
        return self.encoder.transform(rows[["zip"]]).toarray()[:, 0] + sum(rows[name] for name in self.asked)


def test_a_part_that_knows_some_of_the_columns_does_not_speak_for_all() -> None:
    """Where transformation asks for others, rows come as they are sent; a name that is misspelt is refused."""

    def loaded(*asked: str) -> LoadedModel:
        churn = Churn(*asked)
        return LoadedModel(
            churn, lambda model, rows: model.predict(rows), inspection.signature_of(churn), Path("model.pkl")
        )

    whole, other, misspelt = loaded(), loaded("age"), loaded("zipp")
    whole.warm_up()
    assert whole.signature.names == ("zip",)
    other.warm_up()
    assert other.signature == Signature()
    body = b'[{"zip": "02139", "age": 3}]'
    [reply] = answer(other, [Request(body, "application/json")], 10**6)
    assert reply.body == b'{"predictions":[4.0]}'
    with pytest.raises(ModelNotUsable, match="Did you mean zip"):
        misspelt.warm_up()
