"""Bad records among good ones: each gets a mark in its place, order and count are kept."""

from __future__ import annotations

import gzip
import json
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serving.batching import bad_records
from serving.batching.answering import answer
from serving.batching.messages import Reply, Request
from serving.errors import BadRequest
from serving.models import inspection
from serving.models.loaded import LoadedModel
from serving.rows.signature import Column, Signature

ARRAY = Signature("array", (Column(kind="number"), Column(kind="number")))
MIXED = Signature("frame", (Column("a", "number"), Column("b", "text")))
MAX_BYTES = 10**7


class Asked:
    """A model that answers its first column, and counts the requests that the marking takes."""

    def __init__(self, signature: Signature = ARRAY, transformation: Callable[[Any], Any] | None = None) -> None:
        self.model = LoadedModel(
            None, lambda _, rows: (transformation or self.first)(rows), signature, Path("model.pkl")
        )
        self.calls = 0

    @staticmethod
    def first(rows: Any) -> Any:
        return np.asarray(rows)[:, 0] if isinstance(rows, np.ndarray) else rows.iloc[:, 0]

    def answer(self, request: Request) -> Reply:
        self.calls += 1
        return answer(self.model, [request], MAX_BYTES)[0]

    def __call__(self, body: bytes, content_type: str | None = "text/csv", **options: Any) -> Reply:
        request = Request(body, content_type, **options)
        refused = self.answer(request)
        assert refused.status == 400, refused
        found = bad_records.cut(request, self.model.signature, MAX_BYTES)
        return bad_records.marked(request, refused, *found, lambda some: [self.answer(one) for one in some])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1,2\nx,2\n3,4\n", "1.0 ERROR 3.0"),
        (b"1,2\n3\n5,6", "1.0 ERROR 5.0"),
        (b"1,2,3\n4,5\n", "ERROR 4.0"),
        (b"x\n", "ERROR"),
        (b"x\ny\n", "ERROR ERROR"),
        (b"1,2\r\nx,2\r\n3,4\r\n", "1.0 ERROR 3.0"),
        (b"\xef\xbb\xbf1,2\n\n\nx,2\n \n3,4\n\n", "1.0 ERROR 3.0"),
        (b'1,2\n3,"4\n5,6\n7,8\n', "1.0 ERROR 5.0 7.0"),
        (b'1,2\n3,"4\n5,6\n7,"8\n9,10\n', "1.0 ERROR 5.0 ERROR 9.0"),
        (b"1,2\n\xff,4\n5,6\n", "1.0 ERROR 5.0"),
    ],
)
def test_each_bad_csv_record_becomes_a_mark(body: bytes, expected: str) -> None:
    """A word, a short or long row, a broken quote, a byte that is not UTF-8: ERROR on its line, and a line each."""
    reply = Asked()(body)
    assert (reply.status, reply.content_type) == (200, "text/csv; charset=utf-8")
    assert reply.body == "".join(f"{word}\n" for word in expected.split()).encode()


def test_a_record_whose_types_follow_from_the_others_is_not_asked_alone() -> None:
    """CSV is guessed by column: 02139 by itself would be 2139, and another prediction. JSON says what it is."""
    words = Asked(Signature("frame", (Column("zip"), Column("n", "number"))), lambda rows: rows["zip"].map(repr))
    assert words(b"02139,1\nAB,2\n10115,y\n").status == 400
    marked = words(b'["02139",1]\n["AB",2]\n["10115","y"]\n', "application/jsonlines")
    assert [line[:8] for line in marked.body.splitlines()] == [b"\"'02139'", b"\"'AB'\"", b'{"error"']
    unused = Asked(Signature("frame", (Column("note", used=False), Column("n", "number"))), lambda rows: rows["n"])
    assert unused(b"a,1\n1,y\n").body == b"1.0\nERROR\n"


def test_a_text_of_several_lines_is_one_record() -> None:
    """A line end inside quotes ends no record; a quote that is not closed spoils its own line alone."""
    body = b'1,"two\nlines"\nx,"a, b"\n3,"""open\n4,"5"" screen"\n5,"three\n\nlines"\n'
    assert Asked(MIXED)(body).body == b"1.0\nERROR\nERROR\n4.0\n5.0\n"


@pytest.mark.parametrize("content_type", ["text/csv", "text/csv; header=present"])
def test_the_header_goes_with_each_part(content_type: str) -> None:
    """Columns are matched by name in every part, and the header gets no line."""
    assert Asked(MIXED)(b"b,a\nt,1\nt,x\nt,3\nt,4\n", content_type).body == b"1.0\nERROR\n3.0\n4.0\n"


def test_a_bad_header_is_no_bad_record() -> None:
    """A header without one of the columns spoils the request, not its rows: it stays a 400."""
    asked = Asked(MIXED)
    reply = asked(b"a,c\n1,t\n2,t\n")
    assert (reply.status, asked.calls) == (400, 2)


def test_json_lines_say_what_was_wrong() -> None:
    """The mark is an error object with the record's number in the request."""
    reply = Asked()(b'[1, 2]\n\n[3]\n{"a": \n[5, 6]\n', "application/jsonlines")
    first, second, third, fourth = map(json.loads, reply.body.splitlines())
    assert (first, fourth) == (1.0, 5.0)
    assert second["error"]["code"] == third["error"]["code"] == "bad_request"
    assert (second["error"]["row"], third["error"]["row"]) == (2, 3)
    assert "Row 3 is not valid JSON" in third["error"]["message"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"accept": "application/jsonlines"}, b'1.0\n{"error":'),
        ({"content_type": None}, b"1.0\nERROR\n"),
        ({"content_type": "text/csv; charset=cp1252"}, b"1.0\nERROR\n"),
    ],
)
def test_the_answers_type_decides_the_mark(options: dict[str, Any], expected: bytes) -> None:
    """CSV that asks for JSON Lines gets JSON's marks; a body without a type is looked at as ever."""
    assert Asked()(b"1,2\nx,2\n", **options).body.startswith(expected)


def test_gzip_is_marked_too() -> None:
    """The records are those of the inflated body."""
    assert Asked()(gzip.compress(b"1,2\nx,2\n"), content_encoding="gzip").body == b"1.0\nERROR\n"


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (b"", {}),
        (b"[[1, 2], [3]]", {"content_type": "application/json"}),
        (b"1,2\nx,2\n", {"accept": "application/json"}),
        (b"1,2\nx,2\n", {"accept": "text/csv; header=present"}),
        ("1,2\nx,2\n".encode("utf-16"), {"content_type": "text/csv; charset=utf-16"}),
        (b"no gzip", {"content_encoding": "gzip"}),
    ],
)
def test_everything_else_stays_refused(body: bytes, options: dict[str, Any]) -> None:
    """No records, no line format on the way in or out: the 400 stays."""
    assert Asked()(body, **options).status == 400


def test_a_model_of_any_width_is_left_alone() -> None:
    """A short record by itself would be a good one for it, and its prediction a wrong one."""
    assert Asked(Signature("unknown", None))(b"1,2\n3\n").status == 400


def test_objects_for_a_model_without_names_are_left_alone() -> None:
    """Their order of names is the first one's. A record that was asked by itself would be read by its own."""
    lines = b'{"a": 1, "b": 2}\n{"b": 20, "a": 10}\n{"a": 1}\n'
    assert Asked()(lines, "application/jsonlines").status == 400


def test_a_record_that_the_model_refuses_is_bad_too() -> None:
    """What transformation itself answers with a 400 is found among the others."""

    def picky(rows: Any) -> Any:
        if 3 in np.asarray(rows)[:, 0]:
            raise BadRequest("3 is not known.")
        return Asked.first(rows)

    assert Asked(transformation=picky)(b"1,2\n3,4\n5,6\n").body == b"1.0\nERROR\n5.0\n"


def test_a_missing_category_is_a_bad_record() -> None:
    """An empty cell that a strict encoder has never seen costs its own record alone."""
    frame = pd.DataFrame({"sex": ["female", "male"] * 4})
    model = make_pipeline(make_column_transformer((OneHotEncoder(), ["sex"])), LogisticRegression())
    model.fit(frame, [0, 1] * 4)
    asked = Asked(inspection.signature_of(model), model.predict)
    assert asked(b'male\n""\nfemale\n').body == b"1\nERROR\n0\n"


def test_an_error_of_the_server_stays_one() -> None:
    """A bug in transformation is a 500 for the request, not a mark: nobody else's file shows it."""

    def buggy(rows: Any) -> Any:
        if np.asarray(rows)[0, 0] == 5:
            raise KeyError("bug")
        return Asked.first(rows)

    assert Asked(transformation=buggy)(b"1,2\nx,4\n5,6\n").status == 500


def test_order_and_count_are_kept_whatever_is_bad() -> None:
    """Some thousand records with bad ones anywhere: line n is record n's."""
    draw = random.Random(7)
    for share in (0.001, 0.1, 0.9):
        bad = [draw.random() < share for _ in range(3000)]
        bad[draw.randrange(3000)] = True
        body = b"".join(b"x,1\n" if is_bad else b"%d,1\n" % number for number, is_bad in enumerate(bad))
        expected = [b"ERROR" if is_bad else b"%.1f" % number for number, is_bad in enumerate(bad)]
        assert Asked()(body).body.splitlines() == expected


def test_one_bad_record_costs_its_chunk() -> None:
    """The chunks are asked, and the records of the one that has it."""
    asked = Asked()
    asked(b"1,2\n" * 4500 + b"x,2\n" + b"1,2\n" * 4500)
    assert asked.calls == 1 + 10 + 1000


@pytest.mark.parametrize("records", [2000, 8000])
def test_the_worst_case_is_linear(records: int) -> None:
    """Each record is asked once, and each chunk, whatever is bad; no number of bad ones is too many."""
    asked = Asked()
    assert asked(b"x,2\n" * records).body == b"ERROR\n" * records
    assert asked.calls == 1 + records + records // 1000


def test_one_line_of_the_log_tells(caplog: pytest.LogCaptureFixture) -> None:
    """How many, which is the first, and why."""
    with caplog.at_level(logging.WARNING):
        Asked()(b"1,2\n3\nx,2\n", request_id="abc")
    assert [record.getMessage() for record in caplog.records] == [
        "request abc: 2 of 3 records are bad and marked; the first is record 2: Row 2 has 1 value; expected 2."
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"1,2\nx,2\n3,4\n", "record 2: Row 2, column 1: expected a number, got '...'."),
        (b"x,2\n3,4\n", "model's; send text/csv; header=present."),
        (b"1,2\n3,4\n5,x\n", "record 3: Row 3, column 2: expected a number, got '...'."),
    ],
)
def test_the_log_counts_as_the_caller_does(caplog: pytest.LogCaptureFixture, body: bytes, said: str) -> None:
    """The row is the one in the request, whatever the complaint; only the first line could be a header."""
    with caplog.at_level(logging.WARNING):
        Asked()(body)
    assert caplog.records[0].getMessage().endswith(said)


def test_only_the_first_line_may_be_a_header() -> None:
    """A record further down whose texts are the names of columns is a record."""
    texts = Signature("frame", (Column("a", "text"), Column("b", "text")))
    assert Asked(texts)(b"s,t\nu\na,b\nv,w\n").body == b"s\nERROR\na\nv\n"


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (b"0,1\n0.5,1.5\n3\n4.5,5.5\n", ARRAY),
        (b"sep=,\n0,1\n0.5,1.5\n\xff,5.5\n", ARRAY),
        (b"q,r\n1,2\n3\n4,5\n", Signature("array", (Column(), Column()))),
        (b",r\n1,2\n3\n4,5\n", Signature("frame", (Column("a"), Column("b")))),
        (b"text\ngood film\na,b\n", Signature("texts", (Column(kind="text"),))),
    ],
)
def test_a_line_that_may_be_a_header_is_not_predicted(body: bytes, signature: Signature) -> None:
    """By itself it would be a good record: nothing is marked, and the whole is refused."""
    asked = Asked(signature, lambda rows: ["?"] * len(rows))
    assert asked(body).status == 400
    assert asked.calls == 1
    reply = asked(body, "text/csv; header=absent")
    if signature.guesses_csv:
        assert reply.status == 400
        return
    assert isinstance(reply.body, bytes)
    lines = body.removeprefix(b"sep=,\n").count(b"\n")
    assert (reply.status, reply.body.count(b"\n"), reply.body.count(b"ERROR")) == (200, lines, 1)
