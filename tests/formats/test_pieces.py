"""What is read in pieces is what would be read as a whole: with pieces so small that every cut is tried."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.errors import ServingError
from serving.formats import csv_numbers, json_pieces, json_rows, pieces
from serving.formats.budget import Bounds
from serving.formats.content_types import decode
from serving.formats.json_pieces import Long
from serving.rows.signature import Column, Signature

BOUNDED = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
BOUNDS = Bounds(2**26, 2**30)
SIGNATURES = {
    "silent": Signature(),
    "numbers": Signature("frame", (Column("a", "number"), Column("b", "number"))),
    "mixed": Signature("frame", (Column("a", "integer"), Column("b", "text"))),
    "texts": Signature("texts", (Column(kind="text"),)),
    "array": Signature("array", (Column(kind="number"), Column(kind="any"))),
}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes to a piece."""
    for module in (pieces, json_pieces, json_rows, csv_numbers):
        monkeypatch.setattr(module, "PIECE", 24)
    monkeypatch.setattr(json_pieces, "LONG", 4)
    monkeypatch.setattr(pieces, "BATCH_CELLS", 4)


def answer(body: bytes, content_type: str, signature: Signature) -> Any:
    """The rows as plain values with their types, or the status of the refusal: of two faults either may be named."""
    try:
        rows = decode(body, content_type, None, signature, BOUNDS).rows
    except ServingError as exc:
        return exc.status
    if isinstance(rows, pd.DataFrame):
        return [str(t) for t in rows.dtypes], list(map(str, rows.columns)), plain(rows.to_numpy(dtype=object).tolist())
    return getattr(rows, "dtype", None), plain(rows.tolist() if isinstance(rows, np.ndarray) else rows)


def plain(rows: Any) -> Any:
    return [
        [None if isinstance(c, float) and math.isnan(c) else c for c in r] if isinstance(r, list) else r for r in rows
    ]


CELLS = ["1", "2.5", "ab", "é€", '"a,b"', '"x\ny"', '"a\r\nb"', "", "NA"]
values = (
    st.none()
    | st.booleans()
    | st.integers(-300, 300)
    | st.floats(-9, 9).map(lambda f: round(f, 2))
    | st.text(max_size=4)
)
lists = st.lists(st.lists(values, min_size=2, max_size=2), min_size=1, max_size=12)
objects = st.lists(st.fixed_dictionaries({"a": values, "b": values}, optional={"c": values}), min_size=1, max_size=12)
columns = st.integers(1, 12).flatmap(
    lambda n: st.fixed_dictionaries({name: st.lists(values, min_size=n, max_size=n) for name in "ab"})
)
documents = st.one_of(
    lists,
    objects,
    columns,
    st.lists(st.text(max_size=6), min_size=1, max_size=12),
    lists.map(lambda rows: {"instances": rows}),
    objects.map(lambda rows: {"instances": rows}),
    lists.map(lambda rows: {"columns": ["a", "b"], "data": rows}),
    lists.map(lambda rows: {"dataframe_split": {"index": [1], "columns": ["b", "a"], "data": rows}}),
    objects.map(lambda rows: {"dataframe_records": rows}),
    lists.map(lambda rows: {"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}, *rows]}),
    st.recursive(values, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=3), v, max_size=3)),
)


def both(body: bytes, content_type: str, signature: Signature) -> tuple[Any, Any]:
    """In small pieces, and as a whole."""
    in_pieces = answer(body, content_type, signature)
    with pytest.MonkeyPatch.context() as patch:
        for module in (pieces, json_pieces, json_rows, csv_numbers):
            patch.setattr(module, "PIECE", 2**19)
        return in_pieces, answer(body, content_type, signature)


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@pytest.mark.usefixtures("small_pieces")
@BOUNDED
@given(document=documents, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_json(signature: Signature, document: Any, ascii_only: bool, indent: int | None) -> None:
    """A JSON document of any shape."""
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    in_pieces, whole = both(body, "application/json", signature)
    assert in_pieces == whole


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@pytest.mark.usefixtures("small_pieces")
@BOUNDED
@given(rows=lists | objects | st.lists(values, max_size=9), end=st.sampled_from(["\n", "\r\n", "\n\n", "\r"]))
def test_json_lines(signature: Signature, rows: list[Any], end: str) -> None:
    """JSON Lines with any line end."""
    body = "".join(json.dumps(row) + end for row in rows).encode()
    in_pieces, whole = both(body, "application/jsonlines", signature)
    assert in_pieces == whole


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@pytest.mark.usefixtures("small_pieces")
@BOUNDED
@given(
    rows=st.lists(st.lists(st.sampled_from(CELLS), max_size=3)),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)  # fmt: skip
def test_csv(signature: Signature, rows: list[list[str]], end: str) -> None:
    """A CSV with any line end, also within quotes."""
    body = "".join(",".join(row) + end for row in rows).encode()
    in_pieces, whole = both(body, "text/csv", signature)
    assert in_pieces == whole


@pytest.mark.usefixtures("small_pieces")
@BOUNDED
@given(
    rows=st.lists(st.lists(st.sampled_from(["1", "-2.5", "", "NA", " 7"]), min_size=1, max_size=3), min_size=1),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    last=st.booleans(),
)
def test_csv_of_numbers(rows: list[list[str]], end: str, last: bool) -> None:
    """Numbers for a frame, whose columns are filled window by window."""
    body = end.join(",".join(row) for row in rows).encode() + end.encode() * last
    for signature in (SIGNATURES["numbers"], Signature("frame", (Column("a", "number"),))):
        in_pieces, whole = both(body, "text/csv", signature)
        assert in_pieces == whole


@pytest.mark.usefixtures("small_pieces")
@BOUNDED
@given(
    document=documents,
    edits=st.lists(st.tuples(st.integers(0, 400), st.sampled_from(list(b'[]{}",:1 \\'))), min_size=1, max_size=3),
)
def test_what_is_no_json_is_refused(document: Any, edits: list[tuple[int, int]]) -> None:
    """A damaged document is refused exactly if it is refused as a whole: no cut makes it valid."""
    body = bytearray(json.dumps(document).encode())
    for place, byte in edits:
        body[place % len(body)] = byte
    text = bytes(body)
    try:
        expected = orjson.loads(text)
    except orjson.JSONDecodeError:
        with pytest.raises((orjson.JSONDecodeError, json_pieces.Broken)):
            in_memory(json_pieces.document(text, orjson.loads))
    else:
        assert in_memory(json_pieces.document(text, orjson.loads)) == expected


def in_memory(value: Any) -> Any:
    if isinstance(value, Long):
        return [in_memory(item) for item in value]
    return {key: in_memory(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_a_long_list_is_a_list() -> None:
    """It has the length, the truth and the first item of what it stands for, and is read anew each time."""
    long = Long(lambda: iter([[1, 2], [3]]))
    assert (len(long), bool(long), long[0], list(long), list(long)) == (3, True, 1, [1, 2, 3], [1, 2, 3])
    assert list(long.mapped(lambda item: -item)) == [-1, -2, -3]
    assert not Long(lambda: iter([]))


def test_equal_texts_are_one_object() -> None:
    """Short texts that repeat are kept once; long ones, and other values, are left as they are."""
    words = pieces.Words()
    one, two = words.shared(["".join(["a", "b"]), 1, True, 1.0, ["x"]]), words.shared(["".join(["a", "b"])])
    assert one[0] is two[0]
    assert list(map(type, one)) == [str, int, bool, float, list]
