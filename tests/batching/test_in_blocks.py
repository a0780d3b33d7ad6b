"""What is asked block by block is answered as the whole would be: with blocks so small that every cut is tried."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.batching import bad_records, in_blocks
from serving.batching.answering import answer
from serving.batching.in_blocks import Refused
from serving.batching.messages import Reply, Request
from serving.errors import ModelFailed
from serving.formats import array_blocks, blocks, joining, json_blocks, npy, streams
from serving.formats.budget import Bounds
from serving.formats.joining import NotOurs
from serving.formats.streams import Block
from serving.models.loaded import LoadedModel
from serving.rows.signature import Column, Signature

sys.path.append(str(Path(__file__).parent.parent / "formats"))
from recordio_bodies import dense_record, sparse_record

BOUNDED = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
BOUNDS = Bounds(2**26, 2**30)
NUMBERS = Signature("frame", (Column("a", "number"), Column("b", "number")))
SIGNATURES = {
    "numbers": NUMBERS,
    "mixed": Signature("frame", (Column("a", "number"), Column("b", "text"))),
    "texts": Signature("texts", (Column(kind="text"),)),
    "array": Signature("array", (Column(kind="number"), Column(kind="number"))),
    "one": Signature("array", (Column(kind="number"),)),
    "objects": Signature("objects"),
    "silent": Signature(),
    "any": Signature("array", (Column(kind="any"), Column(kind="any"))),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some bytes to a block."""
    for module in (streams, blocks, json_blocks, array_blocks):
        monkeypatch.setattr(module, "BLOCK", 30)
    monkeypatch.setattr(streams, "MOST", 10_000)
    monkeypatch.setattr(streams, "ROWS", 3)


def said(model: Any, rows: Any) -> list[Any]:
    """A prediction that tells all of its row."""
    if isinstance(rows, list):
        return [json.dumps(row, default=str) for row in rows]
    values = rows.to_numpy(dtype=object) if isinstance(rows, pd.DataFrame) else rows
    return [" ".join(map(repr, row)) for row in values.tolist()]


def model_of(signature: Signature, transformation: Callable[[Any, Any], Any] = said) -> LoadedModel:
    return LoadedModel(None, transformation, signature, Path("model.pkl"))


class Both:
    """The answers of one model to a body, as a whole and in blocks; `mark`: bad records are marked."""

    def __init__(self, signature: Signature, mark: bool = False, transformation: Callable[..., Any] = said) -> None:
        self.model, self.mark, self.count = model_of(signature, transformation), mark, 0

    def ask(self, request: Request, before: int = 0) -> Reply:
        self.count += 1
        many = lambda requests: answer(self.model, requests, BOUNDS)  # noqa: E731
        [reply] = many([request])
        if reply.status != 400 or not self.mark:
            return reply
        return bad_records.marked(request, reply, *bad_records.cut(request, self.model.signature, BOUNDS), many, before)

    def whole(self, body: bytes, content_type: str | None, accept: str | None = None) -> tuple[int, str, bytes]:
        reply = self.ask(Request(body, content_type, accept=accept, request_id=""))
        return reply.status, reply.content_type, reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)

    def in_blocks(self, body: bytes, content_type: str | None, accept: str | None = None) -> tuple[int, str, bytes]:
        self.count = 0
        request = Request(b"", content_type, accept=accept, request_id="")
        found: list[in_blocks.Answered] = []
        try:
            cut = blocks.cut(io.BytesIO(body), content_type, self.model.signature, BOUNDS.body)
            found += in_blocks.answers(request, cut, self.ask)
        except Refused as exc:
            return exc.reply.status, exc.reply.content_type, bytes(exc.reply.body)  # type: ignore[arg-type]
        return 200, found[-1].content_type, b"".join(piece.body for piece in found)


def same(both: Both, body: bytes, content_type: str | None, accept: str | None = None) -> None:
    """Equal bytes, or a refusal of the same status. Which of several bad cells is told depends on who looks first."""
    whole, cut = both.whole(body, content_type, accept), both.in_blocks(body, content_type, accept)
    if whole[0] == 200 or cut[0] == 200:
        assert cut == whole
    else:
        assert cut[0] == whole[0], (cut, whole)


def row_of(error: bytes) -> Any:
    return json.loads(error)["error"].get("row")


# ---- CSV -------------------------------------------------------------------------------------------------------------

CELLS = ["1", "2.5", "-3e-4", "ab", "é€", '"a,b"', '"x\ny"', '"a\r\nb"', '"say ""hi"""', '""', "", "NA", 'a"b', "PAR1"]
csv_rows = st.lists(st.tuples(st.sampled_from(CELLS), st.sampled_from(CELLS)), min_size=1, max_size=40)


@pytest.mark.parametrize("mark", [False, True], ids=["refuse", "mark"])
@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@BOUNDED
@given(
    rows=csv_rows,
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    header=st.sampled_from(["", "a,b", "b,a", '"a",b']),
    before=st.sampled_from(["", "\ufeff", "sep=,\n", "\n\n"]),
    more=st.sampled_from(["", "; header=present", "; header=absent", "; charset=utf-8"]),
    last=st.booleans(),
)
def test_csv(
    signature: Signature, mark: bool, rows: list[Any], end: str, header: str, before: str, more: str, last: bool
) -> None:
    """Quotes, line ends in quotes, any line end, headers, marks of byte order, blank lines."""
    lines = ([header] if header else []) + [",".join(row) for row in rows]
    body = (before + end.join(lines) + (end if last else "")).encode()
    same(Both(signature, mark), body, "text/csv" + more)


@pytest.mark.parametrize("mark", [False, True], ids=["refuse", "mark"])
@BOUNDED
@given(values=st.lists(st.lists(st.floats(), min_size=2, max_size=2), min_size=1, max_size=60), header=st.booleans())
def test_csv_of_numbers(mark: bool, values: list[list[float]], header: bool) -> None:
    """The short cuts for numbers, in blocks and as a whole; a prediction that is not a number is written as ever."""
    body = ("b,a\n" if header else "") + "".join(f"{a!r},{b!r}\n" for a, b in values)
    transformation = lambda model, rows: np.asarray(rows)[:, 0] * 1e20  # noqa: E731
    for accept in (None, "application/json", "application/jsonlines", "application/x-npy"):
        same(Both(NUMBERS, mark, transformation), body.encode(), "text/csv", accept)


@pytest.mark.parametrize("mark", [False, True], ids=["refuse", "mark"])
def test_a_quote_that_is_never_closed(mark: bool) -> None:
    """Its row is named, or marked, as in the whole; the rows after it are found."""
    rows = [f"{i},text {i}" for i in range(50)]
    rows[20] = '20,"open'
    body = "\n".join(rows).encode()
    both = Both(SIGNATURES["mixed"], mark)
    if mark:
        same(both, body, "text/csv")
        assert both.in_blocks(body, "text/csv")[2].count(b"ERROR\n") == 1
    else:
        status, _, told = both.in_blocks(body, "text/csv")
        assert (status, row_of(told), b"a quote is opened and not closed" in told) == (400, 21, True)


# ---- JSON ------------------------------------------------------------------------------------------------------------

values = st.none() | st.integers(-300, 300) | st.floats(-9, 9) | st.sampled_from(['a"]},[{', "\\", "é", "x\\\\"])
lists = st.lists(st.lists(values, min_size=2, max_size=2), min_size=1, max_size=30)
objects = st.lists(st.fixed_dictionaries({"b": values, "a": values}, optional={"c": values}), min_size=1, max_size=30)
either = st.lists(st.one_of(lists.map(lambda r: r[0]), objects.map(lambda r: r[0]), values), min_size=1, max_size=30)
features = lists.map(lambda rows: [{"features": row} for row in rows])
ROWS = st.one_of(lists, objects, either, features, st.lists(values, min_size=1, max_size=30))
documents = st.one_of(
    ROWS,
    *(
        ROWS.map(lambda rows, key=key: {key: rows})
        for key in ("instances", "inputs", "dataframe_records", "predictions")
    ),
    ROWS.map(lambda rows: {"instances": rows, "signature_name": "x"}),
    ROWS.map(lambda rows: {"columns": ["a", "b"], "data": rows}),
    st.integers(1, 30).map(
        lambda n: {"inputs": [{"name": "a", "shape": [n, 2], "datatype": "FP64", "data": [1.5] * 2 * n}]}
    ),
)


def refuses_more(cut: tuple[int, str, bytes]) -> bool:
    """In a document that is cut, nothing but its end may follow the rows."""
    return cut[0] == 400 and (b"follows the rows" in cut[2] or b"Some rows are objects" in cut[2])


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@BOUNDED
@given(
    document=documents,
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    accept=st.sampled_from([None, "text/csv"]),
)
def test_json(signature: Signature, document: Any, ascii_only: bool, indent: int | None, accept: str | None) -> None:
    """A list of rows, an envelope, texts that hold brackets; what cannot be cut is read whole."""
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    both = Both(signature)
    cut = both.in_blocks(body, "application/json", accept)
    if not refuses_more(cut):
        agree_or_mixed(both, cut, both.whole(body, "application/json", accept))


def agree_or_mixed(both: Both, cut: tuple[int, str, bytes], whole: tuple[int, str, bytes]) -> None:
    """Rows of both kinds are refused as a whole; by names, each block alone is read right."""
    if cut[0] == 200 and whole[0] == 400:
        assert b"expected a" in whole[2]
        assert both.model.signature.names is not None
    elif cut[0] == 200 or whole[0] == 200:
        assert cut == whole
    else:
        assert cut[0] == whole[0]


def test_what_follows_the_rows_may_not_say_that_they_are_none() -> None:
    """As a whole the last envelope would count."""
    rows = [[i, 2] for i in range(50)]
    for more in ({"instances": [[1, 2]]}, {"a": 1}, {"data": [[1, 2]]}):
        refused = Both(NUMBERS).in_blocks(json.dumps({"inputs": rows, **more}).encode(), "application/json")
        assert refuses_more(refused)


@pytest.mark.parametrize(
    "body", [b"[[1,2],%s,]", b"[[1,2],,%s]", b"[[1,2],%s", b"[[1,2],%s]]", b"[[1,2],%s] x", b"[[1,2],%s}"]
)
def test_json_that_is_broken_is_refused(body: bytes) -> None:
    """Wherever it is broken."""
    rows = b",".join(b"[%d,4]" % i for i in range(50))
    same(Both(NUMBERS), body % rows, "application/json")


def test_a_broken_row_of_json_is_placed_in_the_whole() -> None:
    """By its byte."""
    body = b"[" + b"[1,2]," * 40 + b'["\xc3\xa9",2],[3,;],' + b"[1,2]," * 40 + b"[1,2]]"
    _, _, told = Both(SIGNATURES["mixed"]).in_blocks(body, "application/json")
    place = re.search(r"byte (\d+)", json.loads(told)["error"]["message"])
    assert place
    assert body[int(place[1]) - 1 :][:1] == b";"


@pytest.mark.parametrize("mark", [False, True], ids=["refuse", "mark"])
@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@BOUNDED
@given(rows=ROWS, end=st.sampled_from([b"\n", b"\r\n", b"\n\n"]), broken=st.booleans())
def test_json_lines(signature: Signature, mark: bool, rows: list[Any], end: bytes, broken: bool) -> None:
    """A row a line."""
    body = end.join(json.dumps(row).encode() for row in rows) + (end + b"[1, 2" if broken else end)
    both = Both(signature, mark)
    cut = both.in_blocks(body, "application/jsonlines")
    mixed = mark and len({type(row) for row in rows}) > 1  # no record is to blame, and so it is refused
    if not refuses_more(cut) and not mixed:
        agree_or_mixed(both, cut, both.whole(body, "application/jsonlines"))


# ---- the others ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@pytest.mark.parametrize("dtype", ["f8", ">f4", "i1", "u8", "U2", "S2", "M8[s]", "a:f8,b:i4", "a:U2,b:f4"])
@pytest.mark.parametrize("shape", [(1,), (50,), (50, 1), (50, 2), (4, 30)])
def test_npy(signature: Signature, dtype: str, shape: tuple[int, ...]) -> None:
    """Rows one after another; all else is read whole."""
    kind = np.dtype([tuple(part.split(":")) for part in dtype.split(",")] if ":" in dtype else dtype)
    array = np.zeros(shape[:1] if kind.names else shape, kind)
    for order in ("C", "F"):
        out = io.BytesIO()
        np.save(out, np.asarray(array, order=order))  # type: ignore[call-overload]
        for body in (out.getvalue(), out.getvalue()[:-1], out.getvalue() + b"x"):
            same(Both(signature), body, "application/x-npy")


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_recordio(signature: Signature) -> None:
    """Whole records; a broken one is named by its number."""
    records = [dense_record([1.0, float(i)]) if i % 2 else sparse_record(2, {1: float(i)}) for i in range(30)]
    for body in (
        b"".join(records),
        b"".join(records)[:-3],
        b"".join([*records, b"xx"]),
        b"".join([*records, dense_record([1.0])]),
    ):
        same(Both(signature), body, "application/x-recordio-protobuf")


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_parquet(signature: Signature) -> None:
    """Batches of rows, of whatever row groups; missing values and texts."""
    frame = pd.DataFrame({"b": ["x", None, "é"] * 20, "a": [1.5, None, 3.0] * 20})
    for given_frame in (
        frame,
        frame.fillna({"a": 0, "b": "y"}),
        frame[["a"]],
        frame.assign(b=range(60)).set_index("a"),
        frame.assign(deep=[[1]] * 60),
    ):
        out = io.BytesIO()
        given_frame.to_parquet(out, row_group_size=7)
        for body in (out.getvalue(), out.getvalue()[:-9]):
            same(Both(signature), body, "application/x-parquet")


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_plain_text(signature: Signature) -> None:
    """A text a line, whatever the first of a block begins with."""
    body = "\r\n".join(["PAR1", "sep=;", "a\rb", "", "ü\u2028x", "PK\x03\x04"] * 9).encode()
    same(Both(signature), body[6:], "text/plain")


# ---- joining and refusing --------------------------------------------------------------------------------------------

MANY = b"".join(b"%d,2\n" % i for i in range(60))


@pytest.mark.parametrize("accept", ["text/csv; header=present", "application/json", "application/jsonlines", "text/*"])
@pytest.mark.parametrize(
    "transformation",
    [
        lambda model, rows: [{"x": 1, "y": row[0]} for row in np.asarray(rows)],
        lambda model, rows: pd.DataFrame({"mean": np.asarray(rows)[:, 0], "std": "a,b"}),
        lambda model, rows: np.asarray(rows)[:, :2],
        lambda model, rows: (item for item in np.asarray(rows)[:, 0]),
    ],
    ids=["objects", "frame", "matrix", "stream"],
)
def test_answers_are_joined(accept: str, transformation: Callable[..., Any]) -> None:
    """One header, one document."""
    same(Both(NUMBERS, transformation=transformation), MANY, "text/csv", accept)


@pytest.mark.parametrize("second", [np.array([1.5]), np.zeros((1, 2))], ids=["numbers", "wider"])
def test_arrays_of_blocks_are_of_one_kind(second: np.ndarray) -> None:
    """Texts and numbers are not made texts, and no column is made up."""
    joined = joining.Npy()
    for array in (np.array(["a"]), second):
        joined.add(npy.to_npy(array, {}))
    with pytest.raises(ModelFailed, match=r"some rows are texts|are not one array"):
        joined.end()


def test_an_answer_of_the_users_own_is_not_joined() -> None:
    """Its type is not one that we write; a short body gets it as it is."""
    both = Both(NUMBERS, transformation=lambda model, rows: (b"<x/>", "text/xml"))
    assert both.in_blocks(b"1,2\n", "text/csv") == (200, "text/xml", b"<x/>")
    with pytest.raises(NotOurs, match="cannot be joined"):
        both.in_blocks(MANY, "text/csv")


def test_places_are_those_of_the_whole() -> None:
    """Row, byte and line."""
    both = Both(SIGNATURES["mixed"])
    for bad in (b"x,2\n", b"1\n", b"1,\xff\n"):
        for header in (b"", b"a,b\n", b"\xef\xbb\xbf"):
            body = header + MANY + bad + MANY
            assert both.in_blocks(body, "text/csv") == both.whole(body, "text/csv")


def test_what_was_answered_before_a_refusal_stays() -> None:
    """Blocks are answered one by one."""
    found: list[in_blocks.Answered] = []
    cut = blocks.cut(io.BytesIO(MANY + b"x,1\n"), "text/csv", NUMBERS, 99)
    with pytest.raises(Refused):
        found.extend(in_blocks.answers(Request(b"", "text/csv"), cut, Both(NUMBERS).ask))
    assert 0 < found[-1].rows <= 60
    assert sum(piece.body.count(b"\n") for piece in found) == found[-1].rows


def test_a_record_without_an_end_is_refused() -> None:
    """Memory stays bounded: a 413 before all of it is read."""
    status, _, told = Both(NUMBERS).in_blocks(b"1" * 100_000, "text/csv")
    assert (status, b"A record does not end" in told) == (413, True)


def test_what_cannot_be_cut_is_bounded_too() -> None:
    """With the reason why it cannot."""
    with pytest.raises(Exception, match="guessed from all rows"):
        list(blocks.cut(io.BytesIO(MANY), "text/csv", Signature(), 50))


def test_blocks_are_about_as_large_as_they_should_be() -> None:
    """And none is empty."""
    cut: list[Block] = list(blocks.cut(io.BytesIO(MANY), "text/csv", NUMBERS, 99))
    assert all(0 < len(block.body) <= 30 for block in cut)
    assert len(cut) < 20
    rows = [row for block in cut for row in csv.reader(io.StringIO(block.body.decode()))]
    assert len(rows) == 60
