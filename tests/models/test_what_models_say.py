"""What all kinds of models tell of the rows they take, and what is said of those that cannot serve as they are.

Libraries that are not installed here are stood in for by classes with the same public attributes.
"""

from __future__ import annotations

import io
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import RFE
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier, OutputCodeClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from running import KIT
from serving.batching.answering import answer
from serving.batching.messages import Request
from serving.errors import ModelNotUsable
from serving.formats.content_types import decode
from serving.models import loading
from serving.models.inspection import signature_of
from serving.models.loaded import LoadedModel
from serving.models.sample import load_sample, save_sample
from serving.rows.signature import Signature

RNG = np.random.default_rng(0)
N = 60
FRAME = pd.DataFrame({"zip": RNG.choice(["02139", "10115"], N), "brand": RNG.choice(["acme", "NA"], N)})
Y = np.where(FRAME["zip"] == "02139", "east", "west")
NUMBERS = pd.DataFrame(RNG.normal(size=(N, 2)), columns=["age", "debt"])
TEXTS = ["good film, really", "bad, bad story", "a great evening", "boring and long"] * 6
LABELS = ["pos", "neg"] * 12


def rows(body: Any, content_type: str, signature: Signature) -> Any:
    body = body if isinstance(body, str) else json.dumps(body)
    return decode(body.encode(), content_type, None, signature, 10**8).rows


def loaded(model: Any, tmp_path: Path) -> LoadedModel:
    """As the server loads it, with the stock predictor."""
    (tmp_path / "predictor.py").write_text((KIT / "model/predictor.py").read_text())
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    return loading.load(tmp_path, program_dir=tmp_path)


# ---- texts and objects -----------------------------------------------------------------------------------------------


def shortened(texts: list[str]) -> list[str]:
    return [text[:20] for text in texts]


WORDS, LETTERS = TfidfVectorizer(), TfidfVectorizer(analyzer="char")
TEXT_MODELS = {
    "union": make_pipeline(FeatureUnion([("w", WORDS), ("c", LETTERS)]), LogisticRegression()),
    "function": make_pipeline(FunctionTransformer(shortened), WORDS, LogisticRegression()),
    "function in a union": make_pipeline(
        FeatureUnion([("w", make_pipeline(FunctionTransformer(shortened), WORDS)), ("c", LETTERS)]),
        LogisticRegression(),
    ),
    "search": GridSearchCV(make_pipeline(WORDS, LogisticRegression()), {"logisticregression__C": [1]}, cv=2),
    "one against the rest": OneVsRestClassifier(make_pipeline(WORDS, LogisticRegression())),
    "output code": OutputCodeClassifier(make_pipeline(WORDS, LogisticRegression()), random_state=0),
}


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_models_of_texts(name: str) -> None:
    """A vectorizer is found behind functions, in unions, and in wrappers; every form of texts gives a text a row."""
    model = clone(TEXT_MODELS[name]).fit(TEXTS, LABELS)
    found = signature_of(model)
    assert found.form == "texts"
    for body, kind in (
        ("\n".join(TEXTS), "text/plain"),
        ({"instances": TEXTS}, "application/json"),
        ([[text] for text in TEXTS], "application/json"),
        ("".join(f'"{text}"\n' for text in TEXTS), "text/csv"),
    ):
        assert model.predict(rows(body, kind, found)).tolist() == model.predict(TEXTS).tolist()


def column(frame: pd.DataFrame) -> Any:
    return frame["text"]


def test_a_function_that_picks_a_column_takes_a_frame() -> None:
    """It was fitted on columns, so it is not a function of texts."""
    frame = pd.DataFrame({"text": TEXTS, "n": 1})
    model = make_pipeline(FunctionTransformer(column), TfidfVectorizer(), LogisticRegression()).fit(frame, LABELS)
    found = signature_of(model)
    assert (found.form, found.names) == ("frame", ("text", "n"))
    got = rows(frame.to_dict("records"), "application/json", found)
    assert model.predict(got).tolist() == model.predict(frame).tolist()


def test_models_of_objects() -> None:
    """DictVectorizer gets objects as they are, each with its own keys."""
    objects = [{"city": "Berlin", "t": 3.0}, {"city": "Rome"}, {"tags": ["a", "b"]}, {"t": 1}] * 5
    model = make_pipeline(DictVectorizer(), LogisticRegression()).fit(objects, [1, 0, 1, 0] * 5)
    found = signature_of(model)
    assert found.form == "objects"
    assert model.predict(rows(objects, "application/json", found)).tolist() == model.predict(objects).tolist()


# ---- wrappers --------------------------------------------------------------------------------------------------------


class Own(BaseEstimator, ClassifierMixin):
    """A wrapper of somebody's own, as tutorials write it."""

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator

    def fit(self, x: Any, y: Any) -> Own:
        self.classes_ = np.unique(y)
        self.model_ = clone(self.estimator).fit(x, y)
        return self

    def predict(self, x: Any) -> Any:
        return self.model_.predict(x)


ENCODED = make_pipeline(OneHotEncoder(handle_unknown="ignore"), DecisionTreeClassifier(random_state=0))
WRAPPERS = {
    "own": Own(ENCODED),
    "own in a search": GridSearchCV(Own(ENCODED), {"estimator__decisiontreeclassifier__max_depth": [3]}, cv=2),
    "bag": BaggingClassifier(ENCODED, n_estimators=3, random_state=0),
    "output code": OutputCodeClassifier(ENCODED, random_state=0),
    "one against the rest": OneVsRestClassifier(ENCODED),
    "dummy": DummyClassifier(),
}


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("content_type", ["application/json", "text/csv"])
def test_wrappers_around_models_of_texts_and_numbers(name: str, content_type: str) -> None:
    """A column of digits in quotes stays one of texts inside every wrapper, or is unknown; it is never a number."""
    model = clone(WRAPPERS[name]).fit(FRAME, Y)
    found = signature_of(model)
    assert not any(c.kind == "number" for c in found.columns or ())
    body = FRAME.to_csv(index=False) if content_type == "text/csv" else FRAME.to_dict("records")
    assert model.predict(rows(body, content_type, found)).tolist() == model.predict(FRAME).tolist()


def test_a_bag_whose_estimators_see_other_columns_says_nothing_of_them() -> None:
    """Each estimator of such a bag was fitted on columns of its own."""
    numbers = pd.DataFrame(RNG.normal(size=(N, 4)))
    bag = BaggingClassifier(ENCODED, n_estimators=2, max_features=2, random_state=0).fit(numbers.to_numpy().round(), Y)
    assert {c.kind for c in signature_of(bag).columns or ()} == {"any"}


@pytest.mark.parametrize("wrapper", ["a bag", "calibrated"])
def test_categories_that_one_estimator_inside_has_not_seen_are_the_models(wrapper: str) -> None:
    """Each of these is fitted on some of the rows; a word such as NA is a value where any of them knows it."""
    frame = pd.DataFrame({"country": ["NA", *["FR", "DE"] * 12]})
    wrapped = CalibratedClassifierCV(ENCODED, cv=2) if wrapper == "calibrated" else BaggingClassifier(ENCODED, 9)
    model = wrapped.set_params(**({} if wrapper == "calibrated" else {"random_state": 0})).fit(frame, Y[:25])
    read = rows("country\nNA\nFR\n", "text/csv", signature_of(model))
    assert read["country"].tolist() == ["NA", "FR"]
    assert sorted((signature_of(model).columns or ())[0].categories or ()) == ["DE", "FR", "NA"]


@pytest.mark.parametrize("names", [["zip", "brand"], [2019, 2020]])
def test_a_sample_does_not_hide_what_the_model_refuses(names: list[Any], tmp_path: Path) -> None:
    """An unknown category and a missing value are the caller's fault with model.sample.json, too; NA is a category."""
    frame = FRAME.set_axis(names, axis=1)
    save_sample(frame, tmp_path)
    served = loaded(make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, Y), tmp_path)
    wrong = ["99999,NA", "02139,"]
    replies = answer(served, [Request(f"{line}\n".encode(), "text/csv") for line in ["02139,NA", *wrong]], 10**8)
    assert [reply.status for reply in replies] == [200, 400, 400]
    assert b"99999" in replies[1].body
    assert b"no value" in replies[2].body


def test_an_imputer_that_looks_for_none_gets_none_with_a_sample(tmp_path: Path) -> None:
    """A sample tells types; what stands for a missing value, the model tells."""
    frame = pd.DataFrame({"city": pd.Series(["Rome", "Oslo", None] * 8, dtype=object)})
    imputer = SimpleImputer(missing_values=None, strategy="constant", fill_value="Oslo")
    model = make_pipeline(imputer, OneHotEncoder(), LogisticRegression()).fit(frame, ["a", "b", "b"] * 8)
    found = signature_of(model, save_sample(frame, tmp_path))
    assert model.predict(rows([{"city": None}, {"city": "Rome"}], "application/json", found)).tolist() == ["b", "a"]


def test_wrappers_around_models_of_numbers_take_numbers() -> None:
    """Where nothing inside takes texts, numbers are wanted, and missing values refused."""
    for model in (AdaBoostClassifier(n_estimators=2), RFE(LogisticRegression(), n_features_to_select=1)):
        columns = signature_of(model.fit(NUMBERS, Y)).columns or ()
        assert [c.kind for c in columns] == ["number", "number"]


def test_an_imputer_that_looks_for_none_gets_none() -> None:
    """SimpleImputer(missing_values=None) does not know NaN; null and an empty cell arrive as None."""
    frame = pd.DataFrame({"a": ["x", None, "y", "x"] * 5}, dtype=object)
    imputer = SimpleImputer(missing_values=None, strategy="constant", fill_value="?")
    model = make_pipeline(imputer, OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1, 1, 0] * 5)
    found = signature_of(model)
    for body, kind in ((frame.to_dict("records"), "application/json"), ('a\nx\n""\ny\nx\n' * 1, "text/csv")):
        got = rows(body, kind, found)
        assert model.predict(got).tolist() == model.predict(frame[: len(got)]).tolist()


# ---- parts -----------------------------------------------------------------------------------------------------------


class Churn:
    """A class of the user's own around fitted parts."""

    def __init__(self, **parts: Any) -> None:
        vars(self).update(parts)

    def predict(self, frame: Any) -> Any:
        return self.model.predict(self.scaler.transform(frame))  # type: ignore[attr-defined]


SCALER = StandardScaler().fit(NUMBERS)
MODEL = LogisticRegression().fit(SCALER.transform(NUMBERS), Y)


@pytest.mark.parametrize(
    "whole", [{"model": MODEL, "scaler": SCALER}, (SCALER, MODEL), Churn(model=MODEL, scaler=SCALER)]
)
def test_parts_that_know_their_columns(whole: Any) -> None:
    """A part that was fitted on named columns tells what the whole takes."""
    found = signature_of(whole)
    assert (found.form, found.names) == ("frame", ("age", "debt"))


def test_parts_that_do_not_agree_or_know_no_names() -> None:
    """Nothing is said where parts were fitted on different columns, or on arrays; text vectorizers say: texts."""
    other = StandardScaler().fit(NUMBERS.rename(columns={"age": "years"}))
    assert signature_of({"a": SCALER, "b": other}) == Signature()
    assert signature_of({"model": MODEL, "columns": ["age", "debt"], "class": StandardScaler}) == Signature()
    words = TfidfVectorizer().fit(TEXTS)
    assert (
        signature_of({"words": words, "model": LogisticRegression().fit(words.transform(TEXTS), LABELS)}).form
        == "texts"
    )


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"model": MODEL, "scaler": SCALER}, ["a dict of model (LogisticRegression)", "model['model'].predict"]),
        ((SCALER, MODEL), ["a tuple of StandardScaler, LogisticRegression", "model[1].predict"]),
        (NUMBERS, ["a DataFrame of shape (60, 2)", "fitted model"]),
        (np.zeros(3), ["a ndarray of shape (3,)", "fitted model"]),
        ("text", ["a str", "fitted model"]),
        (SCALER, ["a StandardScaler", "MODEL_SERVER_PREDICT_METHOD=transform"]),
    ],
)
def test_what_has_no_predict_is_refused_with_what_it_is(model: Any, says: list[str], tmp_path: Path) -> None:
    """With the stock predictor nothing of it could be answered: what it is, what is inside, and what to do."""
    with pytest.raises(ModelNotUsable) as caught:
        loaded(model, tmp_path)
    assert all(words in str(caught.value) for words in says), caught.value


# ---- other libraries, by stand-ins -----------------------------------------------------------------------------------


class CatBoostLike:
    """The public attributes of a catboost model."""

    def __init__(self, names: list[str], categorical: list[int], texts: list[int]) -> None:
        self.feature_names_, self._categorical, self._texts = names, categorical, texts

    def get_cat_feature_indices(self) -> list[int]:
        return self._categorical

    def get_text_feature_indices(self) -> list[int]:
        return self._texts


def test_catboost() -> None:
    """Its categorical columns and texts are texts, digits too; columns of an array have no names."""
    found = signature_of(CatBoostLike(["zip", "note", "price"], [0], [1]))
    assert [(c.name, c.kind, c.missing) for c in found.columns or ()] == [
        *(("zip", "text", False), ("note", "text", False), ("price", "number", True))
    ]
    got = rows("02139,NA?,1\n", "text/csv", found)
    assert got.iloc[0].tolist() == ["02139", "NA?", 1.0]
    array = signature_of(CatBoostLike(["0", "1"], [0], []))
    assert array.form == "array"
    assert rows([["007", 1]], "application/json", array).tolist() == [["007", 1.0]]


class OrdinalLike:
    """The public attributes of an encoder of category_encoders."""

    use_default_cols = False

    def __init__(self, *others: str) -> None:
        self.cols, self.feature_names_in_ = ["zip"], ["zip", "n"]
        seen = ["02139", "10115", *others, np.nan]
        self.mapping = [{"col": "zip", "mapping": pd.Series(range(len(seen)), index=seen)}]

    def transform(self, frame: Any) -> Any:
        return frame.assign(zip=frame["zip"].map(self.mapping[0]["mapping"]))


def test_category_encoders() -> None:
    """The columns that it encodes have the type of the values that it has seen."""
    found = signature_of(OrdinalLike())
    assert [c.kind for c in found.columns or ()] == ["text", "any"]
    assert rows("02139,1\n", "text/csv", found)["zip"].tolist() == ["02139"]


@pytest.mark.parametrize("others", [0, 5000])
def test_what_category_encoders_have_seen_is_not_missing(others: int) -> None:
    """Of very many values those are told that CSV has for a missing one."""
    found = signature_of(OrdinalLike("NA", "None", *map(str, range(others))))
    assert rows("NA,1\nNone,1\nnull,1\n", "text/csv", found)["zip"].fillna("-").tolist() == ["NA", "None", "-"]
    assert len((found.columns or ())[0].categories or ()) <= 1000


def test_statsmodels_formulas_and_series() -> None:
    """Names in Q("…") are columns; results of a time series have none."""
    smf = pytest.importorskip("statsmodels.formula.api")
    from statsmodels.tsa.arima.model import ARIMA

    frame = pd.DataFrame({"Sprout Length": RNG.normal(size=N), "1st dose": RNG.choice(["low", "high"], N), "day": 2.0})
    frame["y"] = frame["Sprout Length"] * 2
    model = smf.ols("y ~ Q(\"Sprout Length\") + C(Q('1st dose')) + np.exp(day)", data=frame).fit()
    assert signature_of(model).names == ("Sprout Length", "1st dose", "day")
    series = signature_of(ARIMA(frame["y"], order=(1, 0, 0)).fit())
    assert (series.form, series.columns) == ("unknown", None)
    assert "steps" in series.lacking


def test_xgboost_without_pyarrow_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Categories cannot be told or read without pyarrow: the stock predictor could answer nothing."""
    xgboost = pytest.importorskip("xgboost", minversion="3.1")
    frame = pd.DataFrame({"c": pd.Categorical(FRAME["brand"]), "n": NUMBERS["age"]})
    model = xgboost.XGBClassifier(n_estimators=2, enable_categorical=True).fit(frame, (Y == "east").astype(int))
    monkeypatch.setattr("serving.models.libraries.is_installed", lambda package: package != "pyarrow")
    monkeypatch.setattr("serving.models.libraries.xgboost_categories", lambda booster: {})
    with pytest.raises(ModelNotUsable, match="pyarrow"):
        loaded(model, tmp_path).warm_up()


# ---- save_sample -----------------------------------------------------------------------------------------------------

KEPT = pd.DataFrame(
    {
        "i": pd.array([1, None, 3], dtype="Int64"),
        "b": pd.array([True, None, False], dtype="boolean"),
        "s": pd.array(["a", None, "007"], dtype="string"),
        "f": pd.array([0.5, None, 2.0], dtype="Float64"),
        "u": pd.array([1, 2, 3], dtype="uint8"),
        "c": pd.Categorical(["x", "y", None], categories=["y", "x", "z"], ordered=True),
        "k": pd.Categorical([10, 20, 10]),
        "t": pd.Categorical(pd.to_datetime(["2024-01-01", "2024-01-02", None])),
        "e": pd.array([1.5, 2.5, 3.5], dtype="float32"),
        "d": pd.to_datetime(["2024-01-31 10:00", None, "2024-12-24 00:00"]),
        "z": pd.to_datetime(["2024-01-31 10:00", None, "2023-07-02 22:30"]).tz_localize("Europe/Berlin"),
        "o": pd.Series(["a", None, "NA?"]),
    }
)


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("picked", [slice(0, 3), slice(1, 2), slice(0, 1)], ids=["all", "missing", "first"])
def test_a_sample_keeps_every_dtype(form: str, picked: slice, tmp_path: Path) -> None:
    """Rows have the dtypes of the frame that was saved, whichever of their values are missing."""
    found = load_sample(save_sample(KEPT, tmp_path))
    frame = KEPT[picked].reset_index(drop=True)
    if form == "csv":
        got = rows(frame.to_csv(index=False), "text/csv", found)
    else:
        got = rows(json.loads(frame.to_json(orient="records", date_format="iso")), "application/json", found)
    pd.testing.assert_frame_equal(got, frame, check_freq=False, check_index_type=False)


@pytest.mark.parametrize(
    ("rows_", "says"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Two columns are called 'a'"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])), "2 levels"),
        (pd.DataFrame([[1, 2]], columns=[("a", "x"), ("a", "y")]), "2 levels"),
        (pd.DataFrame({"a": pd.cut([1, 5], [0, 2, 9])}), "Interval"),
        ([1, 2], "two-dimensional"),
    ],
)
def test_what_a_sample_cannot_hold(rows_: Any, says: str, tmp_path: Path) -> None:
    """A sentence with what to do, and no file."""
    with pytest.raises(ValueError, match=re.escape(says)):
        save_sample(rows_, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_sample_is_written_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place it goes beside predictor.py; a place that is not there is named."""
    monkeypatch.setattr("save_model.HERE", tmp_path)
    monkeypatch.chdir("/")
    assert save_sample(NUMBERS) == tmp_path / "model.sample.json"
    with pytest.raises(ValueError, match="nowhere"):
        save_sample(NUMBERS, tmp_path / "nowhere")


def test_save_sample_needs_numpy_and_pandas_alone() -> None:
    """It runs where the model is trained: no package of the server's is imported, from either of its addresses."""
    import subprocess
    import sys

    code = (
        "import sys\nfor name in ('orjson', 'flask', 'gevent', 'gunicorn', 'sklearn'): sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(KIT / 'model')!r})\n"
        "from serving.models.sample import save_sample\nfrom serving.signature import save_sample as old\n"
        "assert old is save_sample"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


def test_a_stale_sample_is_named(tmp_path: Path) -> None:
    """When the warm-up fails on a row of the sample, the reason names the file."""
    save_sample(NUMBERS.rename(columns={"age": "years"}), tmp_path)
    with pytest.raises(ModelNotUsable, match=r"model\.sample\.json"):
        loaded(LogisticRegression().fit(NUMBERS, Y), tmp_path).warm_up()


def test_integers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """300 in a column of uint8 is a 400, and not 44."""
    from serving.errors import BadRequest

    found = load_sample(save_sample(pd.DataFrame({"u": np.array([1, 2], "uint8")}), tmp_path))
    with pytest.raises(BadRequest, match="from 0 to 255"):
        rows([{"u": 300}], "application/json", found)


def test_parquet_of_a_sample(tmp_path: Path) -> None:
    """What pandas writes to Parquet of the frame that was saved comes back with its dtypes."""
    pytest.importorskip("pyarrow")
    frame = KEPT.drop(columns="t")
    found = load_sample(save_sample(frame, tmp_path))
    stream = io.BytesIO()
    frame.to_parquet(stream)
    got = decode(stream.getvalue(), "application/x-parquet", None, found, 10**8).rows
    pd.testing.assert_frame_equal(got, frame, check_index_type=False)
