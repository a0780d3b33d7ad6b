"""The core as a function: requests in, replies out; a batch answers what each request alone would get."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from serving.batching.answering import answer, for_the_log, prepare, replies
from serving.batching.messages import Reply, Request
from serving.errors import ModelNotUsable, ServingError
from serving.models.inspection import signature_of
from serving.models.loaded import LoadedModel
from serving.monitoring import logs
from serving.rows.signature import Column, Signature

ARRAY = Signature("array", (Column(kind="number"), Column(kind="number")))
FRAME = Signature("frame", (Column("a", "number"), Column("b", "number")))
MIXED = Signature("frame", (Column("a", "number"), Column("b", "text")))
TEXTS = Signature("texts", (Column(kind="text"),))


def model(transformation: Callable[[Any], Any], signature: Signature = ARRAY) -> LoadedModel:
    return LoadedModel(None, lambda model, rows: transformation(rows), signature, Path("model.pkl"))


def ask(loaded: LoadedModel, *bodies: str, content_type: str = "text/csv", **options: Any) -> list[Reply]:
    return answer(loaded, [Request(body.encode(), content_type) for body in bodies], 10**6, **options)


def first(rows: Any) -> Any:
    return np.asarray(rows)[:, 0]


FORMS: dict[str, Callable[[Any], Any]] = {
    "vector": first,
    "matrix": lambda rows: np.asarray(rows) * 2,
    "cube": lambda rows: np.asarray(rows).reshape(-1, 2, 1),
    "texts": lambda rows: np.array([f"row, {value}" for value in first(rows)]),
    "list": lambda rows: [str(value) for value in first(rows)],
    "list of dicts": lambda rows: [{"score": value} for value in first(rows)],
    "tuple": lambda rows: tuple(first(rows)),
    "series": lambda rows: pd.Series(first(rows), index=range(7, 7 + len(rows))),
    "frame": lambda rows: pd.DataFrame({"label": "x", "score": first(rows)}),
    "sorted": lambda rows: pd.DataFrame({"score": first(rows)}).sort_values("score", ascending=False),
    "sparse": lambda rows: scipy.sparse.csr_matrix(np.asarray(rows)),
    "columns": lambda rows: {"label": ["x"] * len(rows), "score": first(rows)},
    "outputs": lambda rows: [np.asarray(rows), np.asarray(rows) * 3],
    "categorical": lambda rows: pd.Categorical([f"{value}" for value in first(rows)]),
}


@pytest.mark.parametrize("signature", [ARRAY, FRAME], ids=["array", "frame"])
@pytest.mark.parametrize("transformation", FORMS.values(), ids=FORMS)
def test_a_batch_answers_what_each_request_alone_would_get(transformation, signature) -> None:
    """Whatever transformation returns: three requests in one call get the bytes that each would get alone."""
    calls = []
    loaded = model(lambda rows: calls.append(len(rows)) or transformation(rows), signature)
    bodies = ["1,2\n", "3,4\n5,6\n7,8\n", "9,10\n"]
    together = ask(loaded, *bodies)
    assert calls == [5]
    assert [reply.status for reply in together] == [200] * 3, together
    assert together == [ask(loaded, body)[0] for body in bodies]


def test_rows_with_texts_are_joined_as_frames() -> None:
    """DataFrames of mixed columns are joined; each request gets its own rows' predictions."""
    loaded = model(lambda rows: rows["b"] + rows["a"].astype(str), MIXED)
    assert [r.body for r in ask(loaded, "1,x\n", "2,y\n3,z\n")] == [b"x1.0\n", b"y2.0\nz3.0\n"]


def test_texts_are_joined_as_lists() -> None:
    """Models of texts get one list."""
    loaded = model(lambda rows: [len(text) for text in rows], TEXTS)
    replies = ask(loaded, "one\n", "three\nfour\n", content_type="text/plain")
    assert [json.loads(r.body) for r in replies] == [{"predictions": [3]}, {"predictions": [5, 4]}]


def test_each_request_has_its_own_fate() -> None:
    """Good, malformed, failing and empty requests in one list: each its own status, in order."""

    def picky(rows: Any) -> Any:
        if (rows < 0).any():
            raise ValueError("negative")
        return first(rows)

    replies = ask(model(picky), "1,2\n", "1,2,3\n", "-1,2\n", "", "\n", "5,6\n")
    assert [r.status for r in replies] == [200, 400, 500, 400, 200, 200]
    assert [replies[i].body for i in (0, 4, 5)] == [b"1.0\n", b"", b"5.0\n"]
    assert "ValueError: negative" in json.loads(replies[2].body)["error"]["message"]
    assert b"Traceback" not in replies[2].body


def test_a_wrong_length_is_an_error_and_never_split() -> None:
    """Predictions that are not one per row are a 500 that says what came for how many rows."""
    loaded = model(lambda rows: first(rows)[:1])
    replies = ask(loaded, "1,2\n3,4\n", "5,6\n7,8\n")
    assert [r.status for r in replies] == [500, 500]
    assert "1 prediction (ndarray of shape (1,)) for 2 rows" in json.loads(replies[0].body)["error"]["message"]


def test_a_stream_belongs_to_one_request() -> None:
    """A generator is never shared: each request streams its own."""
    loaded = model(lambda rows: (value for value in first(rows)))
    replies = ask(loaded, "1,2\n", "3,4\n5,6\n")
    assert [b"".join(r.body) for r in replies] == [b"1.0\n", b"3.0\n5.0\n"]


def test_a_limit_of_1_calls_each_request_alone() -> None:
    """MODEL_SERVER_BATCH_ROWS=1: rows of different requests never meet."""
    sizes = []
    loaded = model(lambda rows: sizes.append(len(rows)) or first(rows))
    ask(loaded, "1,2\n", "3,4\n5,6\n", "7,8\n", limit=1)
    assert sizes == [1, 2, 1]


def test_accept_is_judged_before_anything_is_computed() -> None:
    """A 406 costs no prediction."""
    calls = []
    loaded = model(lambda rows: calls.append(1) or first(rows))
    assert answer(loaded, [Request(b"1,2", "text/csv", accept="image/png")], 10**6)[0].status == 406
    assert calls == []


def test_a_missing_value_that_the_model_refuses_is_the_callers_error() -> None:
    """A 400 that names row and column, not the estimator's words."""
    from sklearn.linear_model import LinearRegression

    estimator = LinearRegression().fit([[0, 1], [1, 0]], [0, 1])
    loaded = LoadedModel(estimator, lambda m, rows: m.predict(rows), signature_of(estimator), Path("model.pkl"))
    [reply] = ask(loaded, "1,2\n3,\n")
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["row"], error["column"]) == (400, 2, 2)


def raises(error: Exception) -> Callable[[Any], Any]:
    def transformation(rows: Any) -> Any:
        raise error

    return transformation


class Unwritable:
    """What no format writes; its text has a value."""

    def __repr__(self) -> str:
        return "<Zebra 4711>"


LEAKS = {
    "an exception's text": raises(ValueError("could not place Zebra, 4711")),
    "one behind another": raises(KeyError("Zebra 4711")),
    "what cannot be written": lambda rows: [Unwritable() for _ in rows],
    "a number that cannot": lambda rows: [{"Zebra": 4711j} for _ in rows],
    "a cell": lambda rows: first(rows),
}


@pytest.mark.parametrize("echoes", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("leak", LEAKS)
def test_values_stay_where_they_may_be(leak: str, echoes: bool, caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request log never has one; with MODEL_SERVER_ECHO_VALUES=off neither the answer nor the log."""
    monkeypatch.setattr(ServingError, "echoes_values", echoes)
    rows = "Zebra,4711\n" if leak == "a cell" else "1,4711\n"
    (reply,) = ask(model(LEAKS[leak]), rows)
    logged = "\n".join(logs.Formatter().format(record) for record in caplog.records)
    assert reply.status in (400, 406, 500)
    assert isinstance(reply.body, bytes)
    for text in [reply.reason] if echoes else [reply.reason, reply.body.decode(), logged]:
        assert "Zebra" not in text
        assert "4711" not in text


def test_an_exceptions_text_is_kept_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """With those that it came of; where it happened stays."""
    with pytest.raises(ValueError, match="Zebra") as raised:
        raise ValueError("Zebra") from KeyError("Zebra")
    assert for_the_log(raised.value) is raised.value
    monkeypatch.setattr(ServingError, "echoes_values", False)
    told = for_the_log(raised.value)
    assert "Zebra" not in repr((told, told.__cause__, told.__context__))
    assert told.__traceback__ is not None


@pytest.mark.parametrize(
    "form",
    [np.asarray, lambda buffer: {"p": buffer}, lambda buffer: [buffer, buffer]],
    ids=["array", "dict", "outputs"],
)
def test_a_buffer_that_the_next_call_overwrites(form: Callable[[Any], Any]) -> None:
    """An answer is written before the model is called again: a model may use one array for all its answers."""
    buffer = np.empty((9, 1))

    def reused(rows: Any) -> Any:
        if (rows < 0).any():
            raise ValueError("negative")
        buffer[: len(rows), 0] = first(rows)
        return form(buffer[: len(rows)])

    bodies = ["1,2\n", "2,2\n3,2\n", "-1,2\n", "5,2\n"]
    replies = ask(model(reused), *bodies)
    assert [reply.status for reply in replies] == [200, 200, 500, 200]
    assert [replies[i].body for i in (0, 1, 3)] == [ask(model(reused), bodies[i])[0].body for i in (0, 1, 3)]


def test_a_tuple_that_is_ambiguous_for_a_batch_alone() -> None:
    """Of two rows, (mean, std) could mean either: two requests are answered alone, and batching stays on."""
    loaded = model(lambda rows: (first(rows), first(rows) / 2))
    jobs = [prepare(loaded, Request(body, "text/csv"), 10**6) for body in (b"1,2\n", b"3,4\n")]
    said: list[str] = []
    assert [reply.body for reply in replies(loaded, jobs, said.append)] == [b"1.0,0.5\n", b"3.0,1.5\n"]
    assert said == []
    [both] = ask(loaded, "1,2\n3,4\n")
    assert both.status == 500
    assert b"a tuple of 2 results of length 2 for 2 rows" in both.body


@pytest.mark.parametrize("results", [1, 2, 3, 4])
@pytest.mark.parametrize("form", [list, np.array], ids=["list", "array"])
def test_results_for_all_rows_are_refused_at_the_start(results: int, form: Callable[[Any], Any]) -> None:
    """A list of results for all rows looks like a prediction a row where there are as many: it never becomes ready."""
    loaded = model(lambda rows: form([first(rows) + n for n in range(results)]))
    with pytest.raises(ModelNotUsable, match=f"returned {results} prediction"):
        loaded.warm_up()


def test_a_stream_that_fails_at_once_is_found_at_the_start() -> None:
    """A generator computes nothing before its first item: the warm-up asks for that one."""
    asked = []

    def stream(rows: Any) -> Any:
        for value in first(rows):
            asked.append(value)
            yield 1 / (len(asked) < 3)

    loaded = model(stream)
    loaded.warm_up()
    assert len(asked) == 2
    with pytest.raises(ModelNotUsable, match="ZeroDivisionError"):
        loaded.warm_up()
