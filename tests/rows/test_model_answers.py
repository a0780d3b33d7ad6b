"""What is served is the model's own answer on the rows that pandas reads from the same bytes.

Each draw is an estimator, how it was fitted, a content type and a form of the body. HYPOTHESIS_DRAWS says how many.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from serving.formats.content_types import decode
from serving.models.inspection import signature_of
from serving.models.sample import load_sample, save_sample
from serving.rows.signature import Signature

DRAWS = int(os.environ.get("HYPOTHESIS_DRAWS", "300"))
N = 24

NAMES = [
    *("a", " Flow Duration", "b ", "a b", "a_b", "0", "1", "2", "2019", "nan", "NA", "True", "1.5", "1e3", "-0", "inf"),
    *(
        "größe",
        "gro\u0308ße",
        "温度",
        "class",
        "a,b",
        'q"q',
        "x;y",
        "instances",
        "inputs",
        "data",
        "features",
        "columns",
    ),
    *("predictions", "dataframe_split", "A", "index", "__index__", "'", "#", "null"),
]
SIZES = (1e-8, 0.1, 1.0, 100.0, 1e8)
VALUES: dict[str, Any] = {
    "float": lambda rng: np.where(
        rng.random(N) < 0.3, rng.integers(-3, 3, N), rng.normal(size=N) * 10.0 ** rng.integers(-8, 9)
    ),
    "holes": lambda rng: np.where(rng.random(N) < 0.3, np.nan, rng.normal(size=N)),
    "whole": lambda rng: rng.integers(-5, 5, N),
    "flag": lambda rng: rng.random(N) < 0.5,
    "words": lambda rng: rng.choice(["acme", "x y", "é, ", 'q"', "N/A?"], N),
    "digits": lambda rng: rng.choice(["02139", "10115", "1", "1.0", "-0", "1e5"], N),
    "traps": lambda rng: rng.choice(["NA", "null", "True", "nan", "", "None"], N),
    "keys": lambda rng: rng.integers(2**53, 2**53 + 9, N),
    "category": lambda rng: pd.Categorical(rng.choice(["low", "mid", "high"], N), ["low", "mid", "high"]),
    "Int64": lambda rng: pd.array([None if hole else i for i, hole in enumerate(rng.random(N) < 0.3)], "Int64"),
    "boolean": lambda rng: pd.array([None if p < 0.3 else p < 0.6 for p in rng.random(N)], "boolean"),
    "string": lambda rng: pd.array(rng.choice(["a", "007", "z z"], N), "string"),
    "times": lambda rng: pd.to_datetime("2024-01-31 10:00") + pd.to_timedelta(rng.integers(0, 10**6, N), "s"),
}
"""Kind of column → N values of it."""

PLAIN = ("float", "whole", "flag")
TEXTS = ("words", "digits")


class Echo:
    """A class of somebody's own: it says nothing, and answers with the cells that it was given and their types."""

    def predict(self, rows: Any) -> list[Any]:
        table = rows.astype(object).to_numpy() if hasattr(rows, "columns") else rows
        return [[_cell(value) for value in row] for row in table.tolist()]


def _cell(value: Any) -> tuple[str, Any]:
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return ("missing", None)
    return (type(value).__name__, value)


def mixed(frame: pd.DataFrame, encoder: Any, final: Any) -> Any:
    texts = [name for name in frame if frame[name].dtype.kind not in "fiub"]
    numbers = [name for name in frame if name not in texts]
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(make_column_transformer((encoder, texts), (scaled, numbers)), final)


ESTIMATORS: dict[str, tuple[tuple[str, ...], Any]] = {
    "logistic": (PLAIN, lambda frame: make_pipeline(StandardScaler(), LogisticRegression())),
    "forest": (PLAIN, lambda frame: RandomForestClassifier(3, max_depth=3, random_state=0)),
    "neighbours": (PLAIN, lambda frame: KNeighborsClassifier(3)),
    "imputed": ((*PLAIN, "holes"), lambda frame: make_pipeline(SimpleImputer(), LogisticRegression())),
    "boosting": ((*PLAIN, "holes"), lambda frame: HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2)),
    "categories": (
        (*PLAIN, "holes", "category"),
        lambda frame: HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2, categorical_features="from_dtype"),
    ),
    "one-hot": (
        (*PLAIN, "holes", *TEXTS),
        lambda frame: mixed(frame, OneHotEncoder(handle_unknown="ignore"), LogisticRegression()),
    ),
    "ordinal": (
        (*PLAIN, *TEXTS, "traps"),
        lambda frame: mixed(frame, OrdinalEncoder(), RandomForestClassifier(3, random_state=0)),
    ),
    "words alone": (TEXTS, lambda frame: make_pipeline(OneHotEncoder(), LogisticRegression())),
    "a search": (
        (*PLAIN, *TEXTS),
        lambda frame: GridSearchCV(
            mixed(frame, OneHotEncoder(handle_unknown="ignore"), LogisticRegression()), {}, cv=2
        ),
    ),
    "a bag": (
        TEXTS,
        lambda frame: BaggingClassifier(make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()), 2),
    ),
    "own, with a sample": (tuple(VALUES), None),
    "own, silent": (("float", "whole", "flag", "holes", "words", "digits", "traps", "keys"), None),
}
"""Name → the kinds of columns that it takes, and how it is made for a frame."""


@dataclass(frozen=True)
class Fitted:
    frame: pd.DataFrame
    model: Any
    signature: Signature
    named: bool


@st.composite
def fitted(draw: Any) -> Fitted:
    name = draw(st.sampled_from(list(ESTIMATORS)))
    kinds, make = ESTIMATORS[name]
    event(name)
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=len(chosen), max_size=len(chosen), unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    frame = pd.DataFrame({column: VALUES[kind](rng) for column, kind in zip(names, chosen, strict=True)})
    if make is None:
        said = Signature() if name.endswith("silent") else load_sample(save_sample(frame, _sample_file()))
        return Fitted(frame, Echo(), said, True)
    target = np.arange(N) % 2
    by_name = name in ("one-hot", "ordinal", "a search", "categories")
    as_array = not by_name and set(chosen) <= {"float", "whole", "holes"} and draw(st.booleans())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make(frame).fit(frame.to_numpy(dtype=float) if as_array else frame, target)
    return Fitted(frame, model, signature_of(model), not as_array)


@cache
def _sample_file() -> str:
    import tempfile

    return tempfile.mkdtemp()


# ---- forms: (bytes, content type, what pandas reads of them) ---------------------------------------------------------


def dtypes_of(fit: Fitted) -> dict[str, Any]:
    """Those of the frame, where the model was fitted on them or a sample tells; none for a model that says nothing."""
    return {} if fit.signature.form == "unknown" else {n: d for n, d in fit.frame.dtypes.items() if d.kind != "M"}


def read_csv(fit: Fitted, body: str, columns: list[str], header: bool) -> pd.DataFrame:
    known, options = dtypes_of(fit), {}
    closed = {c.name: c.categories for c in fit.signature.columns or () if c.categories}
    if known:  # a missing word that is a category of the model is that word
        texts = [n for n in known if n in closed]
        words = ["", "NA", "null", "nan", "None"]
        options = {
            "keep_default_na": False,
            "na_values": {n: [w for w in words if n not in texts or w not in closed[n]] for n in columns},
        }
        known = {n: d for n, d in known.items() if d.kind != "i"}
    names = None if header else columns
    frame = pd.read_csv(io.StringIO(body), header=0 if header else None, names=names, dtype=known, **options)
    return typed(fit, frame)


def typed(fit: Fitted, frame: pd.DataFrame) -> pd.DataFrame:
    """In the frame's order and dtypes, where the model knows them."""
    if fit.signature.form == "unknown":
        return frame
    frame = frame[list(fit.frame.columns)]
    for name, dtype in fit.frame.dtypes.items():
        if dtype.kind == "M":
            frame = frame.assign(**{name: pd.to_datetime(frame[name], format="ISO8601").astype(dtype)})
        elif frame[name].dtype != dtype and not (dtype.kind == "f" and frame[name].dtype == dtype):
            frame = frame.assign(**{name: frame[name].astype(dtype)})
    return frame


def a_csv(draw: Any, fit: Fitted, rows: pd.DataFrame) -> tuple[bytes, str, Any]:
    header = fit.named and draw(st.booleans())
    if header and fit.signature.form != "unknown":
        rows = rows[draw(st.permutations(list(rows.columns)))]
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    body = rows.to_csv(index=False, header=header, lineterminator=ends)
    first = next(
        iter(pd.read_csv(io.StringIO(body), header=None, dtype=str, keep_default_na=False, nrows=1).to_numpy().tolist())
    )
    says = fit.signature.form == "unknown" or (not header and set(first) & set(fit.frame.columns))
    content_type = "text/csv" + (f"; header={'present' if header else 'absent'}" if says else "")
    return body.encode(), content_type, read_csv(fit, body, list(rows.columns), header)


def plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Records as JSON's values; a missing value is null, a time is a text."""
    return [{name: _json(value) for name, value in row.items()} for row in rows.astype(object).to_dict("records")]


def _json(value: Any) -> Any:
    value = _cell(value)[1]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def a_json(draw: Any, fit: Fitted, rows: pd.DataFrame) -> tuple[bytes, str, Any]:
    records = plain(rows)
    lists = [list(record.values()) for record in records]
    forms: dict[str, Any] = {"instances": {"instances": lists}, "lists": lists}
    if fit.named:
        forms |= {
            "records": records,
            "split": {"dataframe_split": {"columns": list(rows.columns), "data": lists}},
            "instances of objects": {"instances": records},
            "lines": "\n".join(map(json.dumps, records)),
        }
        if fit.signature.form != "unknown":  # whose columns may be called instances
            forms["columns"] = {name: [record[name] for record in records] for name in rows.columns}
            forms["default orientation"] = {n: {str(i): r[n] for i, r in enumerate(records)} for n in rows.columns}
    form = draw(st.sampled_from(sorted(forms)))
    event(form)
    body = forms[form] if form == "lines" else json.dumps(forms[form])
    theirs = pd.DataFrame(records, columns=list(rows.columns))
    return body.encode(), "application/jsonlines" if form == "lines" else "application/json", typed(fit, theirs)


def a_parquet(draw: Any, fit: Fitted, rows: pd.DataFrame) -> tuple[bytes, str, Any]:
    stream = io.BytesIO()
    rows.to_parquet(stream)
    return stream.getvalue(), "application/x-parquet", typed(fit, pd.read_parquet(io.BytesIO(stream.getvalue())))


def an_npy(draw: Any, fit: Fitted, rows: pd.DataFrame) -> tuple[bytes, str, Any]:
    array = rows.to_numpy()
    if array.dtype == object:
        return a_json(draw, fit, rows)
    stream = io.BytesIO()
    np.save(stream, array)
    theirs = np.load(io.BytesIO(stream.getvalue()))
    known = fit.signature.form == "frame"
    return (
        stream.getvalue(),
        "application/x-npy",
        typed(fit, pd.DataFrame(theirs, columns=rows.columns)) if known else theirs,
    )


@pytest.mark.slow
@settings(max_examples=DRAWS, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), fitted(), st.sampled_from([a_csv, a_json, a_parquet, an_npy]), st.integers(1, 4))
def test_what_is_served_is_the_models_own_answer(data: st.DataObject, fit: Fitted, form: Any, count: int) -> None:
    """For every estimator, way of fitting, content type and form of the body."""
    start = data.draw(st.integers(0, N - count))
    rows = fit.frame.iloc[start : start + count].reset_index(drop=True)
    body, content_type, theirs = form(data.draw, fit, rows)
    note(f"{content_type} {body[:300]!r}")
    ours = decode(body, content_type, None, fit.signature, 10**8).rows
    if fit.signature.form == "array" and hasattr(theirs, "columns"):
        theirs = theirs.to_numpy(dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got, expected = fit.model.predict(ours), fit.model.predict(theirs)
        assert (
            list(map(_loose, got)) == list(map(_loose, expected))
            if not hasattr(ours, "columns")
            else list(got) == list(expected)
        )
        if hasattr(fit.model, "predict_proba"):
            # the last bit of a matrix product depends on whether an array lies by rows or by columns
            assert np.allclose(fit.model.predict_proba(ours), fit.model.predict_proba(theirs), rtol=1e-12, atol=0)


def _loose(row: Any) -> Any:
    """An array of numbers has one type, where pandas has one a column."""
    return (
        [(float(value) if isinstance(value, int | float) else value) for _, value in row]
        if isinstance(row, list)
        else row
    )
