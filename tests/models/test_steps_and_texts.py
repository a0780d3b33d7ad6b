"""What is told by what stands behind other steps, and by models that take no columns.

Libraries that are not installed here are stood in for by classes with the same public attributes.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import CategoricalNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from serving.errors import BadRequest
from serving.formats.content_types import decode
from serving.models.inspection import signature_of
from serving.rows.made_up import sample_rows
from serving.rows.signature import Signature

N = 24
TEXTS = ["good film, really", "bad, bad story", "a great evening", "1984"] * 6
LABELS = ["pos", "neg"] * 12
FORMS = {
    "text/plain": "\n".join(TEXTS),
    "application/json": json.dumps([[text] for text in TEXTS]),
    "text/csv": "".join(f'"{text}"\n' for text in TEXTS),
}


def rows(body: str, content_type: str, signature: Signature) -> Any:
    return decode(body.encode(), content_type, None, signature, 10**8).rows


class Cleaner(BaseEstimator, TransformerMixin):  # type: ignore[misc]
    """As tutorials write it: it notes nothing when it is fitted."""

    def fit(self, x: Any, y: Any = None) -> Cleaner:
        return self

    def transform(self, x: Any) -> Any:
        return [text.lower() for text in x]


class Lengths(Cleaner):
    def transform(self, x: Any) -> Any:
        return np.array([[len(text), text.count("a")] for text in x], dtype=float)


class Pick(Cleaner):
    def transform(self, x: Any) -> Any:
        return x["text"]


def lowered(series: Any) -> Any:
    return series.str.lower()


WORDS = TfidfVectorizer()
OF_TEXTS = {
    "a cleaner": make_pipeline(Cleaner(), WORDS, LogisticRegression()),
    "an embedding": make_pipeline(Lengths(), StandardScaler(), LogisticRegression()),
    "a union": make_pipeline(FeatureUnion([("words", WORDS), ("lengths", Lengths())]), LogisticRegression()),
    "a function of a Series": make_pipeline(FunctionTransformer(lowered), WORDS, LogisticRegression()),
}


@pytest.mark.parametrize("name", OF_TEXTS)
@pytest.mark.parametrize("content_type", FORMS)
def test_a_text_a_row_reaches_the_vectorizer_behind_steps_of_ones_own(name: str, content_type: str) -> None:
    """A step that makes something of two texts takes texts, as a list or as a Series."""
    model = OF_TEXTS[name].fit(pd.Series(TEXTS), LABELS)
    found = signature_of(model)
    assert found.form == "texts"
    got = rows(FORMS[content_type], content_type, found)
    assert model.predict(got).tolist() == model.predict(pd.Series(TEXTS)).tolist()


def test_a_step_that_picks_a_column_takes_no_texts() -> None:
    frame = pd.DataFrame({"text": TEXTS, "n": 1})
    assert signature_of(make_pipeline(Pick(), WORDS, LogisticRegression()).fit(frame, LABELS)).form == "unknown"


def words_of(row: Any) -> Any:
    return row


@pytest.mark.parametrize(
    ("first", "values"),
    [
        (CountVectorizer(analyzer=words_of), [text.split() for text in TEXTS]),
        (FeatureHasher(8, input_type="string"), [text.split() for text in TEXTS]),
        (FeatureHasher(8, input_type="pair"), [[[word, 1.0] for word in text.split()] for text in TEXTS]),
    ],
)
def test_values_of_json_are_handed_over_as_they_are(first: Any, values: Any) -> None:
    model = make_pipeline(first, LogisticRegression()).fit(values, LABELS)
    found = signature_of(model)
    assert found.form == "values"
    for body in (values, {"instances": values}):
        assert rows(json.dumps(body), "application/json", found) == values


def test_a_column_of_texts_behind_a_pipeline() -> None:
    """A transformer that is given one column by its name gets its texts, whatever stands before the vectorizer."""
    frame = pd.DataFrame({"review": TEXTS, "n": np.arange(N)})
    columns = make_column_transformer(
        (make_pipeline(WORDS, FunctionTransformer()), "review"), (StandardScaler(), ["n"])
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, LABELS)
    assert [c.kind for c in signature_of(model).columns or ()] == ["text", "number"]


def test_what_a_later_step_says_of_a_column_that_comes_as_it_is() -> None:
    """Behind a transformer that hands a column on, in whatever place, and behind an imputer or np.log1p."""
    frame = pd.DataFrame({"zip": ["02139", "10115"] * 12, "n": np.arange(N) + 1.0})
    first = make_column_transformer((SimpleImputer(), ["n"]), ("passthrough", ["zip"]))
    second = make_column_transformer((OneHotEncoder(), [1]), remainder="passthrough")
    model = make_pipeline(first, second, LogisticRegression()).fit(frame, LABELS)
    zips, numbers = signature_of(model).columns or ()
    assert (zips.kind, zips.categories, zips.closed) == ("text", ("02139", "10115"), True)
    assert numbers.kind == "number"
    logs = make_pipeline(FunctionTransformer(np.log1p), SimpleImputer(), LogisticRegression()).fit(frame[["n"]], LABELS)
    assert [(c.kind, c.missing) for c in signature_of(logs).columns or ()] == [("number", True)]


def test_a_text_that_an_imputer_replaces_is_that_text_in_csv() -> None:
    """An empty cell is what SimpleImputer(missing_values="") looks for."""
    frame = pd.DataFrame({"a": ["x", "", "y", "x"] * 6}, dtype=object)
    imputer = SimpleImputer(missing_values="", strategy="most_frequent")
    model = make_pipeline(imputer, OneHotEncoder(), LogisticRegression()).fit(frame, LABELS)
    got = rows('a\nx\n""\ny\n', "text/csv", signature_of(model))
    assert model.predict(got).tolist() == model.predict(frame[:3]).tolist()


def test_a_table_of_counts_is_warmed_up_inside_its_bounds() -> None:
    model = CategoricalNB().fit(np.array([[0, 1], [1, 0]] * 12), LABELS)
    assert len(model.predict(sample_rows(signature_of(model), 3))) == 3


class Encoder:
    """As feature_engine's: it works on some columns, by name."""

    __module__ = "feature_engine.encoding"
    feature_names_in_, n_features_in_, variables_ = ["zip", "n"], 2, ["zip"]
    encoder_dict_, unseen, missing_values = {"zip": {"02139": 0, "NA": 1}}, "raise", "raise"


def test_encoders_that_work_by_name() -> None:
    zips, other = signature_of(Encoder()).columns or ()
    assert (zips.kind, zips.categories, zips.missing, zips.closed) == ("text", ("02139", "NA"), False, True)
    assert other.kind == "any"


def test_levels_and_splines_of_formulas_are_warmed_up_inside_their_bounds() -> None:
    """C(…) of numbers takes the levels that it has seen; bs(…) nothing beyond its knots."""
    smf = pytest.importorskip("statsmodels.formula.api")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"shop": rng.choice([4, 7, 9], N), "x": rng.normal(50, 1, N), "on": rng.random(N) < 0.5})
    frame["y"] = frame["x"] * 2 + frame["shop"]
    model = smf.ols("y ~ C(shop) + bs(x, df=4) + on", data=frame).fit()
    found = signature_of(model)
    assert [c.kind for c in found.columns or ()] == ["number", "number", "boolean"]
    assert np.isfinite(model.predict(sample_rows(found, 3))).all()


def test_a_booster_inside_a_search_tells_its_categories() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    from sklearn.model_selection import GridSearchCV

    frame = pd.DataFrame({"shop": pd.Categorical(["a", "b"] * 12), "n": np.arange(N)})
    booster = lightgbm.LGBMClassifier(n_estimators=2, min_child_samples=2, verbose=-1)
    for model in (GridSearchCV(booster, {"max_depth": [2]}, cv=2), make_pipeline("passthrough", booster)):
        model.fit(frame, LABELS)
        found = signature_of(model)
        assert [c.kind for c in found.columns or ()] == ["category", "number"]
        got = rows(frame.to_csv(index=False), "text/csv", found)
        assert model.predict(got).tolist() == model.predict(frame).tolist()


class Embedded:
    """As catboost's, fitted on a column of numbers and one of lists of numbers."""

    feature_names_ = ("n", "vector")

    def get_cat_feature_indices(self) -> list[int]:
        return []

    def get_embedding_feature_indices(self) -> list[int]:
        return [1]


def test_embeddings_are_lists_of_numbers() -> None:
    """In JSON, and in CSV as JSON writes them; another value is refused with its place."""
    found = signature_of(Embedded())
    body = [{"n": 1.0, "vector": [0.5, 2]}, {"n": 2.0, "vector": [1, 1]}]
    for text, kind in ((json.dumps(body), "application/json"), ('1,"[0.5, 2]"\n2,"[1, 1]"\n', "text/csv")):
        assert rows(text, kind, found)["vector"].tolist() == [[0.5, 2.0], [1.0, 1.0]]
    for strange in (3, None, "near", ["near"]):
        with pytest.raises(BadRequest, match="column 'vector': expected a list of numbers"):
            rows(json.dumps([{"n": 1.0, "vector": strange}]), "application/json", found)
