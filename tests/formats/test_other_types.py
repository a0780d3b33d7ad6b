"""A body that is not what its Content-Type says: the refusal names the type that it seems to be of."""

from __future__ import annotations

import json

import numpy as np
import pytest

from serving.errors import NotAcceptable, ServingError, UnsupportedMediaType
from serving.formats import content_types
from serving.formats.content_types import CONTENT_TYPES, decode, negotiate
from serving.rows.signature import Column, Signature

NUMBERS = Signature("array", tuple(Column(kind="number") for _ in range(4)))
FRAME = Signature("frame", (Column("a", "number"), Column("b", "text"), Column("c", "number"), Column("d", "number")))
SILENT = Signature()
TEXTS = Signature("texts", (Column(kind="text"),))

CSV = b"5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2\n"
HEADER = b"a,b,c,d\n1,x,3,4\n"
LIST = b"[[5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2]]"
ENVELOPE = json.dumps({"instances": json.loads(LIST)}, indent=2).encode()
OBJECTS = b'[{"a": 1, "b": "x", "c": 3, "d": 4}]'
LINES = b"[5.1, 3.5, 1.4, 0.2]\n[4.9, 3.0, 1.4, 0.2]\n"
BROKEN = b'[{"a": 1, "b": "x", "c": 3, "d": 4},]'
EXAMPLE = {"text/csv": CSV, "application/json": ENVELOPE, "application/jsonlines": LINES}


def refusal(body: bytes, content_type: str, signature: Signature) -> ServingError:
    with pytest.raises(ServingError) as caught:
        decode(body, content_type, None, signature, 10**7)
    return caught.value


@pytest.mark.parametrize("signature", [NUMBERS, FRAME, SILENT, TEXTS], ids=["numbers", "frame", "silent", "texts"])
@pytest.mark.parametrize("body", [LIST, ENVELOPE, OBJECTS, BROKEN], ids=["list", "envelope", "objects", "broken"])
def test_json_that_is_said_to_be_csv(body: bytes, signature: Signature) -> None:
    """It is never taken for texts, and the remedy is one header."""
    if body is BROKEN and signature.form in ("texts", "unknown"):
        return  # it is not JSON, and a text may be anything
    refused = refusal(body, "text/csv", signature)
    assert refused.message.endswith("The body looks like JSON: send Content-Type: application/json.")
    assert refused.quiet.endswith(refused.message[-62:])


@pytest.mark.parametrize("signature", [NUMBERS, FRAME, SILENT], ids=["numbers", "frame", "silent"])
@pytest.mark.parametrize("body", [CSV, HEADER], ids=["rows", "header"])
@pytest.mark.parametrize("said", [name for name in CONTENT_TYPES if not name.startswith("text")])
def test_csv_that_is_said_to_be_another_type(body: bytes, said: str, signature: Signature) -> None:
    """Also where the type is one of bytes."""
    assert "The body looks like CSV: send Content-Type: text/csv." in refusal(body, said, signature).message


@pytest.mark.parametrize("said", ["application/json", "text/csv"])
def test_json_lines_that_are_said_to_be_another_type(said: str) -> None:
    """A value on each line is not one document."""
    assert "send Content-Type: application/jsonlines." in refusal(LINES, said, NUMBERS).message


@pytest.mark.parametrize("body", [ENVELOPE, LIST], ids=["envelope", "list"])
@pytest.mark.parametrize("said", ["application/jsonlines", "application/x-ndjson", "application/jsonl"])
def test_json_that_is_said_to_be_lines(body: bytes, said: str) -> None:
    """A document over several lines, or one that holds all rows."""
    assert "The body looks like JSON: send" in refusal(body, said, NUMBERS).message


@pytest.mark.parametrize("name", EXAMPLE)
@pytest.mark.parametrize("change", [(b"1.4", b'"x"'), (b"0.2", b"1, 2")], ids=["a text", "a value more"])
def test_a_bad_body_of_the_right_type_is_not_called_another(name: str, change: tuple[bytes, bytes]) -> None:
    """Its own fault is all that is said."""
    assert "looks like" not in refusal(EXAMPLE[name].replace(*change), name, NUMBERS).message


@pytest.mark.parametrize(
    ("body", "said", "signature"),
    [
        (b"\x89PNG\r\n,\x00\n", "application/json", NUMBERS),
        (b"<html>, yes\n</html>", "application/json", NUMBERS),
        (b'{"a": 1}\n', "application/jsonlines", FRAME),
        (b"[sic], he said\n", "text/csv", TEXTS),
        (b"one word", "application/json", NUMBERS),
    ],
    ids=["picture", "page", "a line", "a text", "a word"],
)
def test_nothing_is_guessed_where_nothing_is_told(body: bytes, said: str, signature: Signature) -> None:
    """Bytes, pages, and what may be of the type that it is said to be."""
    assert "looks like" not in refusal(body, said, signature).message


def test_texts_that_begin_as_json_does() -> None:
    """A text is one as long as it is not JSON, or is quoted as CSV quotes."""
    for body, text in ((b"[sic] good film\n", "[sic] good film"), (b'"{""a"": 1}"\n', '{"a": 1}')):
        assert decode(body, "text/csv", None, TEXTS, 10**6).rows == [text]


def test_an_unknown_type_is_refused_in_a_line() -> None:
    """The types that most callers need are in the message, all others once in `expected`."""
    refused = refusal(CSV, "image/png", NUMBERS)
    assert isinstance(refused, UnsupportedMediaType)
    assert refused.message == "The Content-Type 'image/png' is not known. Send text/csv or application/json."
    listed = str(refused.details["expected"]).split(", ")
    assert len(set(listed)) == len(listed)
    assert {CONTENT_TYPES[name].decode for name in listed} == {kind.decode for kind in CONTENT_TYPES.values()}
    assert len(listed) == len({kind.decode for kind in CONTENT_TYPES.values()})
    with pytest.raises(NotAcceptable) as caught:
        negotiate("image/png", "text/csv")
    assert "'image/png'" in caught.value.message
    assert len(caught.value.message) < 120
    assert set(str(caught.value.details["expected"]).split(", ")) <= set(content_types.WRITABLE)


def test_text_plain_for_a_model_of_numbers() -> None:
    """What to send instead is said."""
    assert "Send text/csv or application/json." in refusal(CSV, "text/plain", NUMBERS).message
    assert np.asarray(decode(CSV, "text/csv", None, NUMBERS, 10**6).rows).shape == (2, 4)


ROW = b"5.1,3.5,1.4,0.2\n"
DOCUMENT = b'{"instances": [[1, 2, 3, 4], [5, 6, 7, 8]]}'
NAMED = Signature("frame", tuple(Column(name, "number") for name in ("a", "b", "c", "d")))


@pytest.mark.parametrize(
    ("body", "said", "says"),
    [
        (b"5,1;3,5;1,4;0,2\n", "text/csv", "not by semicolons, tabs or bars, and decimals have a point."),
        (b"5.1\t3.5\t1.4\t0.2\n", "text/csv", "not by semicolons, tabs or bars"),
        (b"a|b|c|d\n5.1|3.5|1.4|0.2\n", "text/csv", "not by semicolons, tabs or bars"),
        (b'"a";"b";"c";"d"\n5,1;3,5;1,4;0,2\n', "text/csv", "not by semicolons, tabs or bars"),
        (b'a,b,c,d\n"a \\"b\\"",3.5,1.4,0.2\n', "text/csv", "a quote inside a cell is written twice"),
        (b"[[1, None, 3, 4]]", "application/json", "JSON has null, true and false where Python has None"),
        (b"[[1, nan, 3, 4], [1, 2, 3, 4]]", "application/json", "json.dumps writes them"),
        (b'{"a": True, "b": 1, "c": 1, "d": 1}', "application/json", "json.dumps writes them"),
        (b"5.1,3.5,1.4,0.2,1\n", "text/csv", "Is the label still among them?"),
        (b"[[[5.1, 3.5, 1.4, 0.2]]]", "application/json", "more brackets than in [[…], […]]."),
        (b'["5.1,3.5,1.4,0.2"]', "application/json", "a row is a list of values."),
        (b"{'instances': [[5.1, 3.5, 1.4, 0.2]]}", "application/json", "have double quotes in JSON"),
        (b"A,B,C,D\n" + ROW, "text/csv", "Capital letters must be the same."),
        (ROW.decode().encode("utf-16-le"), "text/csv", "charset=utf-16-le."),
        (ROW.decode().encode("utf-16-be"), "text/csv", "charset=utf-16-be."),
        (ROW, "text/csv; charset=klingon", "Send UTF-8."),
        (b"\x89PNG\r\n\x1a\n", "text/csv", "but a picture."),
        (b"\x80\x04K\x01.", "application/octet-stream", "but a pickle: send its rows as CSV."),
        (DOCUMENT, "application/jsonlines", "send Content-Type: application/json."),
    ],
    ids=[
        *("decimal commas", "tabs", "bars", "quoted names", "backslashes", "None", "nan", "True"),
        *("label", "brackets", "text", "quotes", "capitals", "little", "big", "charset"),
        *("picture", "pickle", "document on a line"),
    ],
)  # fmt: skip
def test_usual_slips_have_their_remedy(body: bytes, said: str, says: str) -> None:
    """What was meant is told from what was sent."""
    refused = refusal(body, said, NAMED)
    assert says in refused.message
    assert "label" in says or "label" not in refused.message


def test_one_text_among_numbers_is_not_a_header() -> None:
    """The remedy for a header is given where the whole first line could be one."""
    assert "header" not in refusal(b"5.1,abc,1.4,0.2\n", "text/csv", NAMED).message
    assert "header" in refusal(b"w,x,y,z\n" + ROW, "text/csv", NAMED).message


def test_zeros_are_text_where_their_charset_is_said() -> None:
    """UTF-16 by its name, and texts with a zero in them."""
    body = ROW.decode().encode("utf-16-le")
    assert decode(body, "text/csv; charset=utf-16-le", None, NAMED, 10**6).rows.shape == (1, 4)
    assert decode(b"a\x00b c\n", "text/plain", None, TEXTS, 10**6).rows == ["a\x00b c"]
