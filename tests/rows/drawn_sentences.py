"""Models of texts and of objects, and bodies for them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from drawn_arrays import saved
from drawn_models import Echo, Fitted, forest, sample_of, served_as
from drawn_rows import Body, encoded, zipped
from hypothesis import event
from hypothesis import strategies as st
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from serving.models.inspection import signature_of

SENTENCES = [
    "good movie",
    "bad, film",
    'so "good"',
    "é à",
    "02139",
    "NA",
    "never again",
    "two\nlines",
    "温度 good",
    "1",
]
OBJECTS = [{"city": "Rome", "n": 1}, {"n": 2.5}, {"city": "02139", "flag": True}, {"city": "NA", "n": 2**53 + 1}]


def characters() -> Any:
    return CountVectorizer(analyzer="char")


FAMILIES: dict[str, tuple[str, Callable[[], Any]]] = {
    "tf-idf": ("texts", lambda: make_pipeline(TfidfVectorizer(token_pattern=r"\w+"), LogisticRegression())),
    "characters": ("texts", lambda: make_pipeline(characters(), forest())),
    "hashes": ("texts", lambda: make_pipeline(HashingVectorizer(n_features=16), LogisticRegression())),
    "a union": ("texts", lambda: make_pipeline(make_union(characters(), TfidfVectorizer()), LogisticRegression())),
    "own texts": ("texts", Echo),
    "dicts": ("objects", lambda: make_pipeline(DictVectorizer(), LogisticRegression())),
    "own objects": ("objects", Echo),
}


@st.composite
def fitted_on_others(draw: Any) -> Fitted:
    """A model of texts, or one of objects."""
    name = draw(st.sampled_from(sorted(FAMILIES)))
    event(name)
    form, make = FAMILIES[name]
    rows: list[Any] = SENTENCES if form == "texts" else OBJECTS
    model = make() if make is Echo else make().fit(rows, np.arange(len(rows)) % 2)
    sampled = make is Echo or draw(st.booleans())
    signature = signature_of(model, sample_of(rows) if sampled else None)
    return Fitted(pd.DataFrame(), model, served_as(model, signature, "predict", False), form)


def a_body(draw: Any, fit: Fitted) -> Body:
    forms = texts(draw) if fit.form == "texts" else objects(draw)
    form = draw(st.sampled_from(sorted(forms)))
    event(f"{fit.form} as {form}")
    content_type, body, rows = forms[form]
    if isinstance(body, bytes):
        return Body(body, content_type, rows)
    return zipped(draw, *encoded(draw, body, content_type), rows)


Forms = dict[str, tuple[str, str | bytes, Callable[[], Any]]]


def texts(draw: Any) -> Forms:
    rows = draw(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=5))
    lists = [[row] for row in rows]
    lines = [row for row in rows if "\n" not in row]
    stream, table = io.StringIO(), io.BytesIO()
    csv.writer(stream, quoting=draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))).writerows(lists)
    pd.DataFrame({"text": rows}).to_parquet(table)
    quoted = stream.getvalue()
    return {
        "CSV": ("text/csv", quoted, lambda: column_of(quoted)),
        "plain lines": ("text/plain", "\r\n".join(lines) or "a", lambda: lines or ["a"]),
        "npy": ("application/x-npy", saved(np.array(rows)), lambda: rows),
        "a column of npy": ("application/x-npy", saved(np.array(lists)), lambda: rows),
        "Parquet": ("application/x-parquet", table.getvalue(), lambda: rows),
        **{
            f"JSON {name}": ("application/json", json.dumps(value), lambda: rows)
            for name, value in {"list": rows, "lists": lists, "in instances": {"instances": rows}}.items()
        },
        "JSON lines": ("application/jsonlines", "\n".join(map(json.dumps, rows)), lambda: rows),
        "JSON lines of lists": ("application/jsonlines", "\n".join(map(json.dumps, lists)), lambda: rows),
    }


def column_of(text: str) -> list[str]:
    return list(pd.read_csv(io.StringIO(text), header=None, dtype=str, keep_default_na=False)[0])


def objects(draw: Any) -> Forms:
    rows = draw(st.lists(st.sampled_from(OBJECTS), min_size=1, max_size=5))
    table = pd.DataFrame([{"city": row.get("city", "none"), "n": row.get("n", 0)} for row in rows])
    text = table.to_csv(index=False)
    return {
        "CSV": ("text/csv; header=present", text, lambda: pd.read_csv(io.StringIO(text)).to_dict("records")),
        "JSON": ("application/json", json.dumps(rows), lambda: rows),
        "JSON in instances": ("application/json", json.dumps({"instances": rows}), lambda: rows),
        "JSON lines": ("application/jsonlines", "\n".join(map(json.dumps, rows)), lambda: rows),
    }
