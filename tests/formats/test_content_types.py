"""Any rows in, any predictions out. Each docstring is one sentence of the data contract."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

import numpy as np
import orjson
import pandas as pd
import pytest

from bodies import encode
from running import KIT
from serving.errors import BadRequest, ModelFailed, NotAcceptable, PayloadTooLarge, ServingError, UnsupportedMediaType
from serving.formats import content_types, recordio
from serving.formats.budget import Bounds
from serving.formats.content_types import decode, negotiate
from serving.rows.cells import NA_WORDS
from serving.rows.signature import Column, Signature

LIMIT = Bounds(10_000_000, 20_000_000)
NUMBERS = Signature("array", tuple(Column(kind="number") for _ in range(3)))
NAMED = Signature("frame", tuple(Column(name, "number") for name in ("a", "b", "c")))
MIXED = Signature(
    "frame",
    (
        Column("age", "number"),
        Column("sex", "text", ("female", "male")),
        Column("zip", "text", ("007", "100")),
        Column("id", "integer"),
    ),
)
TEXTS = Signature("texts", (Column(kind="text"),))
ONE = Signature("array", (Column(kind="number"),))
UNKNOWN = Signature()


def rows(body, content_type="text/csv", signature=NUMBERS, encoding=None):
    body = body if isinstance(body, bytes) else body.encode()
    return decode(body, content_type, encoding, signature, LIMIT).rows


def refused(error, body, content_type="text/csv", signature=NUMBERS, **kwargs):
    with pytest.raises(error) as caught:
        rows(body, content_type, signature, **kwargs)
    assert json.loads(caught.value.body())["error"]["message"] == caught.value.message
    return caught.value


# ---- CSV -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "1,2,3\n4,5,6\n",
        "1,2,3\n4,5,6",
        "1,2,3\r\n4,5,6\r\n",
        "\n1,2,3\n\n\n4,5,6\n\n",
        "\ufeff1,2,3\n4,5,6",
        '"1","2",3\n4,5,"6"',
        "1, 2, 3\n 4,5,6 ",
        "1.,+2,3e0\n04,.5e1,6.0",
        "1,2,3\r4,5,6\r",
        "1,2,3\n   \n4,5,6\n",
    ],
)
@pytest.mark.parametrize("signature", [NUMBERS, UNKNOWN, NAMED])
def test_csv_layout(body, signature):
    """Line ends, byte order mark, blank lines, quotes and spaces do not change the rows."""
    assert np.array_equal(rows(body, signature=signature), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-16", "UTF-16LE", "windows-1252"])
def test_csv_charset(charset):
    """charset= is obeyed."""
    signature = Signature("frame", (Column("name", "text"), Column("größe", "number")))
    body = "name,größe\nJosé,1\n".encode(charset)
    frame = rows(body, f'text/csv; charset="{charset}"', signature)
    assert frame.to_dict("records") == [{"name": "José", "größe": 1.0}]


def test_csv_wrong_charset():
    """Bytes that are not the charset are a 400 that says where and what to do."""
    assert "line 2" in refused(BadRequest, "1,2,3\n1,é,3".encode("latin-1")).message
    refused(UnsupportedMediaType, "1,2,3", "text/csv; charset=zlib")
    refused(UnsupportedMediaType, "1,2,3", "text/csv; charset=punycode")


@pytest.mark.parametrize(
    "body",
    [
        "a,b,c\n1,2,3\n",
        "c,a,b\n3,1,2\n",
        "x,c,a,b\n9,3,1,2\n",
        '"b","a",c\n2,1,3',
        "x,c,a,b\nhello,3,1,2\n",
        " a, b ,c\n1,2,3",
    ],
)
def test_csv_header_by_name(body):
    """A first line of feature names is a header: columns are matched by name, in any order, extra ones ignored."""
    frame = rows(body, signature=NAMED)
    assert list(frame.columns) == ["a", "b", "c"]
    assert frame.to_numpy().tolist() == [[1, 2, 3]]


def test_csv_missing_columns():
    """Missing columns are a 400 that lists them."""
    error = refused(BadRequest, "a,z\n1,2\n", signature=NAMED)
    assert "Missing columns: b, c" in error.message
    assert error.details["column"] == "b"


def test_csv_header_parameter():
    """header=present and header=absent decide; without names the header is skipped."""
    assert rows("q,r,s\n1,2,3", "text/csv; header=present").tolist() == [[1, 2, 3]]
    assert rows("1,2,3\n4,5,6", "text/csv;header=present").tolist() == [[4, 5, 6]]
    refused(BadRequest, "a,b,c\n1,2,3", "text/csv; header=absent", NAMED)
    assert list(rows("p,q\n1,2", "text/csv; header=present", UNKNOWN).columns) == ["p", "q"]


def test_csv_values_that_are_names():
    """A row of texts is data even if one of its values is the name of a column."""
    signature = Signature("frame", (Column("color", "text", ("color", "red")), Column("shape", "text", ("round",))))
    assert rows("color,round\n", signature=signature).to_dict("records") == [{"color": "color", "shape": "round"}]


@pytest.mark.parametrize(
    "names", [("0", "1", "2"), ("2019", "2020", "2021"), ("size", "nan", "True"), ("1e3", "inf", "-1")]
)
def test_csv_header_that_looks_like_values(names):
    """A first line with all of the model's names is a header whatever it looks like, in any order, with others too."""
    signature = Signature("frame", tuple(Column(name, "number") for name in names))
    header = ",".join(reversed(names))
    for line, row in (
        (header, "3,4,5"),
        (header + ",extra", "3,4,5,6"),
        (f'"{names[2]}",{names[1]},{names[0]}', "3,4,5"),
    ):
        frame = rows(f"{line}\n{row}\n", signature=signature)
        assert frame.to_numpy().tolist() == [[5, 4, 3]]
        assert len(rows(f"{row}\n{row}\n", signature=signature)) == 2 if "6" not in row else True
    absent = "text/csv; header=absent"
    if all(name[0].isdigit() for name in names):
        assert len(rows(f"{header}\n3,4,5\n", absent, signature)) == 2
        assert len(rows(f"{names[0]},{names[1]},7\n3,4,5\n", signature=signature)) == 2


@pytest.mark.parametrize("given", [" Flow Duration", "Flow Duration", "Flow_Duration ", "Flow Duration  "])
@pytest.mark.parametrize("known", [" Flow Duration", "Flow_Duration", "Flow Duration"])
def test_names_are_compared_by_one_normal_form(known, given):
    """Outer blanks, and LightGBM's underscore for a blank, do not matter; in CSV, objects and split frames alike."""
    signature = Signature("frame", (Column(known, "number"), Column("Gr\u00f6\u00dfe", "number")))
    other = "Gro\u0308\u00dfe"  # the same name in another normal form of Unicode
    for body, kind in (
        (f"{other},{given}\n2,1\n", "text/csv"),
        (json.dumps([{other: 2, given: 1}]), "application/json"),
        (json.dumps({"columns": [other, given], "data": [[2, 1]]}), "application/json"),
        (json.dumps({other: [2], given: [1]}), "application/json"),
    ):
        frame = rows(body, kind, signature)
        assert (list(frame.columns), frame.to_numpy().tolist()) == ([known, "Gr\u00f6\u00dfe"], [[1, 2]])


@pytest.mark.parametrize("name", [" Flow Duration", "rate ", " a b "])
def test_lightgbm_writes_outer_blanks_as_underscores_too(name):
    """The header that it was fitted on is the one that it is asked with."""
    signature = Signature("frame", (Column(name.replace(" ", "_"), "number"),))
    assert rows(f"{name}\n2\n", signature=signature).to_numpy().tolist() == [[2]]
    assert rows(json.dumps([{name: 2}]), "application/json", signature).to_numpy().tolist() == [[2]]
    other = Signature("frame", (Column("id", "number"),))
    assert "id" in refused(BadRequest, json.dumps([{"_id": 2}]), "application/json", other).message


def test_an_exact_name_goes_before_a_similar_one():
    """Where the exact name is there, one that is only similar is another column; of two similar ones none is meant."""
    signature = Signature("frame", (Column("a b", "number"), Column("a_b", "number")))
    assert rows("a_b,a b\n2,1\n", signature=signature).to_numpy().tolist() == [[1, 2]]
    assert "Missing" in refused(BadRequest, " a b,a_b\n1,2\n", signature=signature).message
    one = Signature("frame", (Column("a", "number"),))
    assert rows("a, a\n1,2\n", signature=one).to_numpy().tolist() == [[1]]
    assert "twice" in refused(BadRequest, " a,a \n1,2\n", signature=one).message


def test_a_header_in_another_case_is_no_row():
    """Names in capitals are a header, so the missing names are told, also where every column takes texts."""
    words = Signature("frame", (Column("colour", "text"), Column("shape", "text")))
    assert refused(BadRequest, "COLOUR,Shape\nred,round\n", signature=words).details["column"] == "colour"


def test_csv_a_line_of_texts_over_numbers():
    """It is a header for a model that says nothing; where it may be a row, a 400 asks; never a row among numbers."""
    frame = rows("zip,n\n02139,1\n", signature=UNKNOWN)
    assert (list(frame.columns), frame.to_numpy().tolist()) == (["zip", "n"], [[2139, 1]])
    anything = Signature("array", (Column(), Column()))
    named = Signature("frame", (Column("a"), Column("b")))
    for body, signature in (("name,age\nann,3\n", UNKNOWN), ("q,r\n1,2\n", anything), ("q,r\n1,2\n", named)):
        assert "header=present" in refused(BadRequest, body, signature=signature).message
        assert len(rows(body, "text/csv; header=absent", signature)) == 2
    assert len(rows("ann,x\nbob,y\n", signature=UNKNOWN)) == 2
    assert len(rows("ann,x\n", signature=UNKNOWN)) == 1


def test_names_that_stand_there_twice():
    """Two columns of one name are a 400; a model that has two takes them in its own order only."""
    for signature in (NAMED, UNKNOWN, NUMBERS):
        assert "twice" in refused(BadRequest, "a,b,c,a\n1,2,3,4\n", "text/csv; header=present", signature).message
    twins = Signature("frame", (Column("a", "number"), Column("a", "number")))
    assert rows("a,a\n1,2\n", signature=twins).to_numpy().tolist() == [[1, 2]]
    assert "two columns" in refused(BadRequest, '{"a": 1}', "application/json", twins).message


def test_csv_quoted_text():
    """Quotes keep commas, line breaks and quotes inside a cell."""
    signature = Signature("frame", (Column("t", "text"), Column("n", "number")))
    frame = rows('"a ""b"", c\r\nd",1\n', signature=signature)
    assert frame["t"][0] == 'a "b", c\r\nd'


def test_csv_dtypes_follow_the_model():
    """Texts stay texts, zeros stay in front, integers beyond 2**53 keep their last digit."""
    frame = rows("22,male,007,9007199254740993\n", signature=MIXED)
    assert frame.iloc[0].tolist() == [22.0, "male", "007", 9007199254740993]
    assert frame.dtypes["id"] == "int64"
    assert frame.dtypes["age"] == "float64"


@pytest.mark.parametrize("word", sorted(NA_WORDS))
def test_csv_missing(word):
    """What pandas reads as missing is NaN, in numbers and in texts."""
    frame = rows(f"{word},{word},007,1\n", signature=MIXED)
    assert frame.isna().iloc[0].tolist() == [True, True, False, False]


def test_csv_missing_words_are_pandas_words():
    """The list of those words is pandas' list."""
    from pandas._libs.parsers import STR_NA_VALUES

    assert set(STR_NA_VALUES) == NA_WORDS


def test_csv_missing_word_that_is_a_category():
    """A word that the model knows as a category is not a missing value: NA may be Namibia."""
    signature = Signature("frame", (Column("country", "text", ("DE", "NA")), Column("n", "number")))
    assert rows("NA,1\n", signature=signature)["country"][0] == "NA"


def test_csv_booleans():
    """True and False are 1 and 0 to a numeric model, as a DataFrame of dummies writes them."""
    assert rows("True,FALSE,true\n").tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("cell", ["x", "1_0", "0x10", "١", "1e", "--1", "1 2", "1,5", "1;2", "TrUe", "9" * 2000, "[1]"])
def test_csv_not_a_number(cell):
    """What is not a number is a 400 that names row, column, what was expected and what came."""
    error = refused(BadRequest, f'1,2,3\n\n4,"{cell}",6\n', signature=NAMED)
    assert error.details == {"row": 2, "column": "b", "expected": "a number", "got": cell[:80]}


@pytest.mark.parametrize("row", ["1,2", "1,2,3,4", "1,2,3,", "1"])
@pytest.mark.parametrize("many", [1, 20_000])
@pytest.mark.parametrize("signature", [NUMBERS, NAMED])
def test_csv_ragged(row, many, signature):
    """A short or long row is a 400 that names the row, and is never padded, however large the file."""
    error = refused(BadRequest, "1.25,2.5,3.125\n" * many + row + "\n", signature=signature)
    assert error.details["row"] == many + 1
    assert error.details["got"] == row.count(",") + 1


def test_csv_open_quote():
    """A quote that is opened and not closed is a 400, and does not swallow the rows below."""
    assert refused(BadRequest, '1,2,3\n1,"2,3\n4,5,6\n').details["row"] == 2


def test_csv_wide_row():
    """10 000 columns work."""
    signature = Signature("array", tuple(Column(kind="number") for _ in range(10_000)))
    assert rows(",".join(["1.5"] * 10_000) + "\n", signature=signature).shape == (1, 10_000)


@pytest.mark.parametrize("count", [2, 100, 5000])
def test_csv_floats_are_exact(count):
    """A float written by repr() comes back bit for bit, whichever parser the size chooses."""
    values = np.random.default_rng(count).standard_normal((count, 3)) * 10.0 ** np.arange(-150, 150, 100)
    body = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    assert np.array_equal(rows(body), values)


@pytest.mark.parametrize("many", [1, 20_000])
def test_csv_minus_zero_and_empty_cells(many):
    """-0 keeps its sign and an empty cell is NaN, whichever parser the size chooses."""
    block = rows("-0,,-0.0\n,-0,\n" * many)
    assert np.array_equal(np.signbit(block[:, 0][::2]), [True] * many)
    assert np.isnan(block[1::2, [0, 2]]).all()


@pytest.mark.parametrize(("body", "count"), [("\n", 0), ("\r\n\n", 0), ("a,b,c\n", 0), ("  \n", 0)])
def test_csv_zero_rows(body, count):
    """Blank lines alone, or a header alone, are zero rows and no error."""
    decoded = decode(body.encode(), "text/csv", None, NAMED, LIMIT)
    assert decoded.count == count
    assert encode([], 0, None, "text/csv").body == b""


@pytest.mark.parametrize(
    "content_type", [None, "text/csv", "application/json", "application/x-npy", "application/x-parquet"]
)
def test_empty_body(content_type):
    """A body without a byte is a 400."""
    assert "no body" in refused(BadRequest, b"", content_type).message


def test_one_column_missing_value():
    """Blank lines are skipped for a model of one column too; there a missing value is written as "" or NA."""
    assert np.isnan(rows('1\n""\n\nNA\n2\n', signature=ONE)[:, 0]).tolist() == [False, True, True, False]


def test_texts():
    """A model of texts gets a list of strings, unchanged, from CSV, JSON, JSON Lines and text/plain."""
    wanted = ["NA", "007", "Hello, world"]
    assert rows('NA\n007\n\n"Hello, world"\n', signature=TEXTS) == wanted
    assert rows("NA\n007\r\n\nHello, world\n", "text/plain", TEXTS) == wanted
    for document in (wanted, {"instances": wanted}, [[text] for text in wanted], {"inputs": wanted}):
        assert rows(json.dumps(document), "application/json", TEXTS) == wanted
    assert rows('"NA"\n"007"\n["Hello, world"]', "application/jsonlines", TEXTS) == wanted
    assert rows('"one"', "application/json", TEXTS) == ["one"]
    assert "Quote" in refused(BadRequest, "Hello, world\n", signature=TEXTS).message
    refused(UnsupportedMediaType, "1,2,3", "text/plain", NUMBERS)
    refused(BadRequest, "[1, 2]", "application/json", TEXTS)


# ---- JSON ------------------------------------------------------------------------------------------------------------

ROW, OTHER = [1.5, 2, 3], [4, 5.25, 6]
COLUMNS = {"c": [3, 6], "a": [1.5, 4], "b": [2, 5.25]}
NAMED_ROWS = [dict(zip("cab", (3, 1.5, 2), strict=True)), {"a": 4, "b": 5.25, "c": 6, "extra": "x"}]


@pytest.mark.parametrize("signature", [NUMBERS, NAMED])
@pytest.mark.parametrize(
    "document",
    [
        [ROW, OTHER],
        {"instances": [ROW, OTHER]},
        {"inputs": [ROW, OTHER]},
        {"dataframe_records": [ROW, OTHER]},
        {"instances": [{"features": ROW}, {"features": OTHER}]},
        {"instances": [{"data": {"features": {"values": ROW}}}, {"data": {"features": {"values": OTHER}}}]},
        {"instances": [{"data": {"features": {"keys": [0, 1, 2], "shape": [3], "values": r}}} for r in (ROW, OTHER)]},
        {"dataframe_split": {"columns": ["a", "b", "c"], "data": [ROW, OTHER], "index": [0, 1]}},
        {"columns": ["a", "b", "c"], "data": [ROW, OTHER]},
        {"data": [ROW, OTHER]},
        {"inputs": {"data": [ROW, OTHER]}},
        {"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP64", "data": [*ROW, *OTHER]}]},
        {"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP64", "data": [ROW, OTHER]}], "id": "7"},
        {"inputs": [{"name": "x", "shape": [2, 3], "datatype": "fp64", "data": [ROW, OTHER]}]},
        {"inputs": {"input_1": [ROW, OTHER]}},
        {"instances": [{"input_1": ROW}, {"input_1": OTHER}]},
        {"instances": [ROW, OTHER], "parameters": {"threshold": 0.5}, "signature_name": "x"},
        {"features": [ROW, OTHER]},
        {"records": [ROW, OTHER]},
        {"dataframe_split": {"data": [ROW, OTHER]}},
        {"input_data": [ROW, OTHER]},
        {"input_data": {"columns": ["a", "b", "c"], "index": [0, 1], "data": [ROW, OTHER]}, "params": {}},
        {"Inputs": {"data": [ROW, OTHER]}, "GlobalParameters": 1.0},
        {"Inputs": {"WebServiceInput0": [ROW, OTHER]}, "GlobalParameters": {}},
        {"data": {"ndarray": [ROW, OTHER]}},
        {"meta": {}, "data": {"names": ["a", "b", "c"], "ndarray": [ROW, OTHER]}},
        {"data": {"names": ["a", "b", "c"], "tensor": {"shape": [2, 3], "values": [*ROW, *OTHER]}}},
        json.dumps([ROW, OTHER]),
        json.dumps({"data": [ROW, OTHER]}),
        {"inputs": json.dumps([ROW, OTHER])},
    ],
)
def test_json_shapes(document, signature):
    """Every shape that the built-in algorithms, TF Serving and MLflow take means the same rows."""
    assert np.array_equal(rows(json.dumps(document), "application/json", signature), [ROW, OTHER])


@pytest.mark.parametrize(
    "document",
    [
        NAMED_ROWS,
        {"instances": NAMED_ROWS},
        {"dataframe_records": NAMED_ROWS},
        {"inputs": NAMED_ROWS},
        {"inputs": {"c": [3, 6], "a": [1.5, 4], "b": [2, 5.25]}},
        {"c": [3, 6], "a": [1.5, 4], "b": [2, 5.25]},
        {"c": {"0": 3, "1": 6}, "a": {"0": 1.5, "1": 4}, "b": {"0": 2, "1": 5.25}},
        {"inputs": {"data": NAMED_ROWS}},
        {"schema": {"fields": []}, "data": NAMED_ROWS},
        {"inputs": [{"name": n, "shape": [2, 1], "datatype": "FP64", "data": v} for n, v in COLUMNS.items()]},
        {"columns": ["c", "x", "b", "a"], "data": [[3, "x", 2, 1.5], [6, None, 5.25, 4]]},
        {"columns": ["c", "x", "b", "a", "x"], "data": [[3, "x", 2, 1.5, 0], [6, None, 5.25, 4, 0]]},
        {"0": NAMED_ROWS[0], "1": NAMED_ROWS[1]},
        {"id-7": NAMED_ROWS[0], "id-9": NAMED_ROWS[1]},
        {"inputs": {name: [[value] for value in values] for name, values in COLUMNS.items()}},
        {"instances": [{name: [value] for name, value in row.items()} for row in NAMED_ROWS]},
        {"data": {"names": ["c", "b", "a"], "ndarray": [[3, 2, 1.5], [6, 5.25, 4]]}},
        {"Inputs": {"data": NAMED_ROWS}, "GlobalParameters": {"method": "predict"}},
        {"data": COLUMNS},
        {"data": {"c": {"0": 3, "1": 6}, "a": {"0": 1.5, "1": 4}, "b": {"0": 2, "1": 5.25}}},
        [{"\ufeffc": 3, "a ": 1.5, "b": 2}, {"\ufeffc": 6, "a ": 4, "b": 5.25}],
    ],
)
def test_json_by_name(document):
    """Objects are matched by name, in any order, extra names ignored."""
    frame = rows(json.dumps(document), "application/json", NAMED)
    assert list(frame.columns) == ["a", "b", "c"]
    assert np.array_equal(frame, [ROW, OTHER])


@pytest.mark.parametrize(
    "document",
    [
        *(ROW, [ROW], {"instances": ROW}, {"features": ROW}, {"data": ROW}, {"inputs": {"data": ROW}}),
        *({name: {"a": 1.5, "b": 2, "c": 3}} for name in ("data", "features", "instances", "input_data")),
        {"a": 1.5, "b": 2, "c": 3},
    ],
)
def test_json_one_row(document):
    """One row may come without the outer list."""
    assert np.array_equal(rows(json.dumps(document), "application/json", NAMED), [ROW])


def test_json_feature_called_data():
    """A feature may be called data, inputs or columns."""
    signature = Signature("frame", tuple(Column(name, "number") for name in ("columns", "data", "inputs")))
    body = '{"columns": 1, "data": 2, "inputs": 3}'
    assert rows(body, "application/json", signature).to_numpy().tolist() == [[1, 2, 3]]
    alone = Signature("frame", (Column("instances", "number"),))
    for body in (
        '{"instances": [[1], [2]]}',
        '{"instances": [1, 2]}',
        '{"instances": [{"instances": 1}, {"instances": 2}]}',
    ):
        assert rows(body, "application/json", alone).to_numpy().tolist() == [[1], [2]]


def test_json_names_that_are_envelopes_elsewhere():
    """A key that may be an envelope is a column or a value where another stands beside it."""
    frame = rows('{"data": [1, 2], "x": [3, 4]}', "application/json", UNKNOWN)
    assert frame.to_dict("list") == {"data": [1, 2], "x": [3, 4]}
    assert rows('{"data": {"k": 1}, "y": 2}', "application/json", UNKNOWN).to_dict("records") == [
        {"data": {"k": 1}, "y": 2}
    ]
    objects = Signature("objects")
    assert rows('{"data": ["a"], "o": 1}', "application/json", objects) == [{"data": ["a"], "o": 1}]
    one = Signature("frame", (Column("y", "number"),))
    assert "'y'" in refused(BadRequest, '[{"x": [1]}]', "application/json", one).message


@pytest.mark.parametrize("signature", [NUMBERS, NAMED, UNKNOWN])
def test_json_of_a_table_schema(signature):
    """to_json(orient="table") says what the index is; a model that has such a column gets it."""
    frame = pd.DataFrame([ROW, OTHER], columns=["a", "b", "c"])
    assert np.array_equal(rows(frame.to_json(orient="table"), "application/json", signature), [ROW, OTHER])
    indexed = Signature("frame", tuple(Column(name, "number") for name in ("index", "a")))
    assert rows(frame.to_json(orient="table"), "application/json", indexed).to_numpy().tolist() == [[0, 1.5], [1, 4]]


def test_json_that_was_written_twice():
    """A text that holds JSON is read for a model of columns, is a text for one of texts, and else asked about."""
    twice = json.dumps("[1, 2]")
    assert rows(twice, "application/json", TEXTS) == ["[1, 2]"]
    assert "twice" in refused(BadRequest, twice, "application/json", UNKNOWN).message
    message = refused(BadRequest, json.dumps("1,2,3"), "application/json", NUMBERS).message
    assert "without quotes" in message
    assert "send Content-Type" not in message


def test_json_types():
    """null, NaN and Infinity reach the model; numbers become texts where the model was fitted on texts."""
    frame = rows('[[null, "male", 100, 9007199254740993], [NaN, null, "007", 1]]', "application/json", MIXED)
    assert frame["zip"].tolist() == ["100", "007"]
    assert frame["id"].tolist() == [9007199254740993, 1]
    assert frame["age"].isna().all()
    assert frame["sex"].isna().tolist() == [False, True]
    assert rows("[[NaN, Infinity, -Infinity]]", "application/json")[0, 1:].tolist() == [np.inf, -np.inf]
    assert rows('[["NA", "male", "NA", 1]]', "application/json", MIXED)["zip"][0] == "NA"


@pytest.mark.parametrize(
    ("body", "row"),
    [
        ("[[1,2,3],[1,2]]", 2),
        ("[[1,2,3],[1,2,3,4]]", 2),
        ('[[1,2,3],[1,"x",3]]', 2),
        ("[[1,2,3],4]", 2),
        ("[[1,2,[3]]]", 1),
        ('[[1,2,{"a":1}]]', 1),
        ('[{"a":1,"b":2,"c":3},{"a":1,"b":2}]', 2),
        ("[[]]", 1),
        ('[{"a":1,"b":2,"c":3},[1,2,3]]', 2),
        ('[[1,2,3],{"a":1}]', 2),
        ('[["a","b","c"]]', 1),
    ],
)
def test_json_bad_row(body, row):
    """A row that does not fit is a 400 that names it."""
    assert refused(BadRequest, body, "application/json", NAMED).details["row"] == row


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "nonsense",
        "[1,2",
        "3",
        '"x"',
        "null",
        "true",
        '{"instances": 3}',
        '{"dataframe_split": []}',
        '{"columns":1,"data":2}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 5000 + "NaN" + "]" * 5000,
        "{}",
        '{"a":[1],"b":[1,2],"c":[1]}',
        "[[1,2,3]] x",
    ],
)
def test_json_malformed(body):
    """JSON that is broken, deep or no rows is a 400."""
    refused(BadRequest, body, "application/json", NAMED)


@pytest.mark.parametrize("signature", [NUMBERS, NAMED])
@pytest.mark.parametrize("body", ['{"rows": [[1,2,3],[4,5,6]]}', '{"row": [1,2,3]}', '{"x": [{"a": 1}], "id": 7}'])
def test_json_unknown_envelope(body, signature):
    """Rows under a name that nobody knows are a 400 that names the envelopes."""
    message = refused(BadRequest, body, "application/json", signature).message
    assert f"'{next(iter(json.loads(body)))}' is neither a column" in message
    assert "Envelopes are: instances, inputs, dataframe_split, dataframe_records, columns with data," in message
    assert "input_data" in message


def test_json_envelope_unlike():
    """Columns by name, rows with more than the model takes, and a model that takes anything: no envelope is missed."""
    assert len(rows('{"a": [1,2], "b": [1,2], "c": [1,2], "tags": [[1],[2]]}', "application/json", NAMED)) == 2
    assert len(rows('{"a": 1, "b": 2, "c": 3, "tags": [[1]]}', "application/json", NAMED)) == 1
    assert len(rows('{"x": [1,2]}', "application/json", ONE)) == 2
    assert rows('{"data": [[1,2],[3,4]]}', "application/json", UNKNOWN).tolist() == [[1, 2], [3, 4]]
    assert rows('{"tags": [[1,2],[3,4]]}', "application/json", UNKNOWN)["tags"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("body", [b"1;2;3\n", b"1,2,3\n1\t2\t3\n", b"1,5;2;3\n"])
def test_csv_of_another_separator(body):
    """Semicolons and tabs where commas should be are told."""
    assert "separated by commas, not by semicolons, tabs or bars" in refused(BadRequest, body).message
    assert "semicolons" not in refused(BadRequest, b"1,2\n").message


def test_json_lines():
    """JSON Lines take a list, an object or an envelope of one row per line, and skip blank lines."""
    body = '[1.5,2,3]\n\n{"a":4,"b":5.25,"c":6}\r\n'
    refused(BadRequest, body, "application/jsonlines", NAMED)  # lists and objects do not mix
    for body in (
        "[1.5,2,3]\n\n[4,5.25,6]\n",
        '{"c":3,"a":1.5,"b":2}\n{"a":4,"b":5.25,"c":6}',
        '{"features":[1.5,2,3]}\n{"features":[4,5.25,6]}',
    ):
        for name in ("application/jsonlines", "application/x-ndjson", "application/jsonl"):
            assert np.array_equal(rows(body, name, NAMED), [ROW, OTHER])
    assert refused(BadRequest, "[1,2,3]\n[1,2,\n", "application/jsonlines").details["row"] == 2
    assert refused(BadRequest, "[1,2,3]\n1,2\n", "application/jsonlines").details["row"] == 2
    assert decode(b"\n\n", "application/jsonlines", None, NUMBERS, LIMIT).count == 0


@pytest.mark.parametrize("body", ["[]", '{"instances": []}', '{"dataframe_split":{"columns":["a","b","c"],"data":[]}}'])
def test_json_zero_rows(body):
    """No rows in, no predictions out."""
    assert decode(body.encode(), "application/json", None, NAMED, LIMIT).count == 0
    assert encode([], 0, None, "application/json").body == b'{"predictions":[]}'


# ---- arrays and tables -----------------------------------------------------------------------------------------------


def npy(array, **kwargs):
    stream = io.BytesIO()
    np.save(stream, array, **kwargs)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "f4", "i8", "u1", "?", "U20", "S20"])
def test_npy(dtype):
    """Arrays of numbers or texts, in any byte order, C or Fortran, become writable rows."""
    array = np.array([[1, 0, 1], [1, 1, 0]]).astype(dtype)
    if dtype == "?":
        array = array.astype(bool)
    for order in ("C", "F"):
        block = rows(npy(np.asarray(array, order=order)), "application/x-npy")
        assert np.array_equal(block, [[1, 0, 1], [1, 1, 0]])
        block[0, 0] = 7
    assert rows(npy(np.array([1.0, 2, 3])), "application/x-npy").shape == (1, 3)
    assert rows(npy(np.array([1.0, 2, 3])), "application/x-npy", ONE).shape == (3, 1)


def test_npy_records():
    """A structured array is matched by name."""
    array = np.array([(3, 1, 2)], dtype=[("c", "i4"), ("a", "f8"), ("b", "f4")])
    assert rows(npy(array), "application/x-npy", NAMED).to_numpy().tolist() == [[1, 2, 3]]


def test_npz():
    """One array, a sparse matrix, or a 1-D array per feature."""
    import scipy.sparse

    assert rows(npz(x=np.eye(3)), "application/x-npz").tolist() == np.eye(3).tolist()
    frame = rows(npz(c=np.array([3]), a=np.array([1]), b=np.array([2])), "application/x-npz", NAMED)
    assert frame.to_numpy().tolist() == [[1, 2, 3]]
    for form in ("csr", "csc"):
        stream = io.BytesIO()
        scipy.sparse.save_npz(stream, scipy.sparse.eye_array(3, format=form))
        assert rows(stream.getvalue(), "application/x-npz").tolist() == np.eye(3).tolist()


def test_nothing_is_unpickled():
    """An array of objects is refused unread."""
    for body, name in ((npy(np.array([print], dtype=object)), "npy"), (npz(x=np.array([print], dtype=object)), "npz")):
        assert "unpickled" in refused(BadRequest, body, f"application/x-{name}").message


def header(shape, descr="<f8"):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


@pytest.mark.parametrize(
    "body",
    [
        header((10**12, 3)),
        header((10**12, 0)),
        header((-1, 3)),
        header((2**62, 2**62)),
        header((1, 3)) + b"12",
        header((1, 3), "|V0"),
        header((1, 1), "<M8[s]"),
        header((1,), "O"),
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00",
        b"PK\x03\x04",
        b"x",
        header("x" * 9000),
        header(((),) * 50),
        header((1, 3, 1)) + b"\0" * 24,
        header((0, 0)),
        header((1, 3), "<c16") + b"\0" * 48,
    ],
)
@pytest.mark.parametrize("name", ["npy", "npz"])
def test_arrays_that_lie(body, name):
    """Sizes that a header claims are not believed."""
    refused(BadRequest, body, f"application/x-{name}")


def test_zip_bomb():
    """A small npz or gzip that inflates beyond the limit is a 413 before it does."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header((2_500_000, 3)) + b"\0" * 60_000_000)
    refused(PayloadTooLarge, stream.getvalue(), "application/x-npz")
    refused(PayloadTooLarge, gzip.compress(b"1,2,3\n" * 5_000_000), encoding="gzip")
    shape = {"format": np.array(b"csr"), "shape": np.array([10**6, 10**6]), "data": np.array([1.0])}
    refused(PayloadTooLarge, npz(indices=np.array([0]), indptr=np.array([0, 1]), **shape), "application/x-npz")


def test_gzip():
    """Content-Encoding: gzip is undone; broken or unknown encodings are refused."""
    body = gzip.compress(b"1,2,3\n") + gzip.compress(b"4,5,6\n")
    assert rows(body, encoding="GZIP").tolist() == [[1, 2, 3], [4, 5, 6]]
    assert rows(b"1,2,3", encoding="identity").tolist() == [[1, 2, 3]]
    for broken in (body[:-9], b"1,2,3", gzip.compress(b"1,2,3\n" * 999)[:30]):
        refused(BadRequest, broken, encoding="gzip")
    refused(UnsupportedMediaType, b"1,2,3", encoding="br")


def parquet(frame):
    stream = io.BytesIO()
    frame.to_parquet(stream, engine="pyarrow")
    return stream.getvalue()


def test_parquet():
    """Parquet is matched by name, with the types of the model; a model without names takes the columns in order."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"c": [3, 6], "a": [1.5, np.nan], "x": ["x", None], "b": pd.array([2, None], dtype="Int64")})
    for name in ("application/x-parquet", "application/vnd.apache.parquet", None):
        got = rows(parquet(frame), name, NAMED)
        assert np.array_equal(got, [[1.5, 2, 3], [np.nan, np.nan, 6]], equal_nan=True)
    mixed = pd.DataFrame(
        {"age": [22.0], "sex": ["male"], "zip": pd.Categorical(["007"]), "id": [2**53 + 1]}, index=["i"]
    )
    assert rows(parquet(mixed), "application/x-parquet", MIXED).iloc[0].tolist() == [22.0, "male", "007", 2**53 + 1]
    assert rows(parquet(frame[["a", "b", "c"]][:1]), "application/x-parquet").tolist() == [[1.5, 2, 3]]
    for broken in (b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", parquet(frame)[:-20], b"x"):
        refused(BadRequest, broken, "application/x-parquet")


def test_parquet_bomb():
    """Parquet that inflates beyond the limit is a 413: many rows of one value, or one long word repeated."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    refused(PayloadTooLarge, parquet(pd.DataFrame({"a": np.zeros(3_000_000)})), "application/x-parquet", NAMED)
    signature = Signature("frame", (Column("t", "text"),))
    for many in (9, 50_000):
        stream = io.BytesIO()
        words = pa.DictionaryArray.from_arrays(pa.array([0] * many, pa.int32()), pa.array(["x" * 1_000_000]))
        pq.write_table(pa.table({"t": words}), stream, store_schema=False)
        if many == 9:
            assert (
                rows(stream.getvalue(), "application/x-parquet", signature)["t"].str.len().tolist() == [1_000_000] * 9
            )
    refused(PayloadTooLarge, stream.getvalue(), "application/x-parquet", signature)


def test_parquet_without_pyarrow(monkeypatch):
    """Without pyarrow Parquet is a 415 that says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "requirements.txt" in refused(UnsupportedMediaType, b"PAR1", "application/x-parquet").message


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def record(values, kind=2, keys=None, shape=None, name=b"values"):
    packed = (
        b"".join(varint(v % 2**64) for v in values)
        if kind == 7
        else np.array(values, "<f4" if kind == 2 else "<f8").tobytes()
    )
    tensor = field(1, packed)
    if keys is not None:
        tensor += field(2, b"".join(map(varint, keys))) + field(3, varint(shape))
    message = field(2, b"label") + field(1, field(1, name) + field(2, field(kind, tensor)))
    return struct.pack("<II", recordio.MAGIC, len(message)) + message + b"\0" * (-len(message) % 4)


def test_recordio():
    """RecordIO-protobuf takes float32, float64, int32 and sparse tensors."""
    name = "application/x-recordio-protobuf"
    assert rows(record([1.5, 2, 3]) + record([4, 5, 6]), name).tolist() == [[1.5, 2, 3], [4, 5, 6]]
    assert rows(record([1.1, 2, 3], kind=3), name, NAMED).to_numpy().tolist() == [[1.1, 2, 3]]
    assert rows(record([-1, 2, 3], kind=7), None).tolist() == [[-1, 2, 3]]
    assert rows(record([5], keys=[2], shape=3), name).tolist() == [[0, 0, 5]]
    bad = [
        b"x" * 7,
        record([1])[:-4],
        record([1], name=b"other"),
        record([5], keys=[3], shape=3),
        record([5], keys=[0], shape=2**40),
    ]
    for body in bad:
        refused(BadRequest, body, name)


# ---- media types -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", ["TEXT/CSV", "text/csv;charset=UTF-8", ' text/csv ; charset="utf-8" ', "text/csv;"]
)
def test_media_types_are_parsed(content_type):
    """Case, spaces, parameters and quotes do not matter."""
    assert rows("1,2,3", content_type).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("content_type", [None, "", "application/octet-stream"])
def test_no_content_type(content_type):
    """Without a type the body is looked at."""
    for body in (
        b"1,2,3",
        b" [[1,2,3]]",
        b'{"instances": [[1,2,3]]}',
        npy(np.array([[1, 2, 3]])),
        npz(x=np.array([[1, 2, 3]])),
    ):
        assert rows(body, content_type).tolist() == [[1, 2, 3]]


def test_unknown_type():
    """An unknown type is a 415 that lists the known ones."""
    error = refused(UnsupportedMediaType, "<x/>", "application/xml")
    assert error.details["expected"] == ", ".join(content_types.KINDS)
    assert "curl" in refused(UnsupportedMediaType, "1", "application/x-www-form-urlencoded").message


@pytest.mark.parametrize(
    ("accept", "request_type", "expected"),
    [
        (None, "text/csv", "text/csv; charset=utf-8"),
        ("", "application/jsonlines", "application/jsonlines"),
        (None, "application/x-npy", "application/json"),
        (None, "application/x-parquet", "application/json"),
        ("*/*", "text/csv", "text/csv; charset=utf-8"),
        ("*/*", "application/json", "application/json"),
        ("application/json", "text/csv", "application/json"),
        ("Application/JSON; charset=utf-8", "text/csv", "application/json"),
        ("text/csv;q=0.5, application/json", "text/csv", "application/json"),
        ("application/xml, text/csv;q=0.1", "application/json", "text/csv; charset=utf-8"),
        ("text/*", "application/json", "text/csv; charset=utf-8"),
        ("application/*", "text/csv", "application/json"),
        ("*/*;q=0.1, application/x-npy", "text/csv", "application/x-npy"),
        ("*/*, text/csv;q=0", "text/csv", "application/json"),
        ("application/x-ndjson", "text/csv", "application/x-ndjson"),
        ("*/*, application/x-npy", "text/csv", "application/x-npy"),
        ("text/csv, application/json", "application/json", "text/csv; charset=utf-8"),
    ],
)
def test_accept(accept, request_type, expected):
    """Quality first, then exactness, then order; without Accept like for like, else JSON."""
    assert negotiate(accept, request_type)[1] == expected


@pytest.mark.parametrize("accept", ["application/xml", "text/csv;q=0", "image/*", "text/csv;q=x", "application/x-npz"])
def test_not_acceptable(accept):
    """What cannot be produced is a 406 that lists what can."""
    with pytest.raises(NotAcceptable, match="application/json"):
        negotiate(accept, "text/csv")


# ---- the way out -----------------------------------------------------------------------------------------------------


def answers(predictions, count):
    return [
        encode(predictions, count, accept, "").body
        for accept in ("text/csv", "application/json", "application/jsonlines")
    ]


@dataclass
class Scored:
    label: str
    score: float


CASES = {
    "floats": (np.array([0.1, 1e-7, 1e300]), b"0.1\n1e-7\n1e+300\n", "[0.1,1e-7,1e+300]"),
    "float32": (np.array([0.1, 2], dtype="f4"), b"0.1\n2.0\n", "[0.1,2.0]"),
    "integers": (np.array([1, -2]), b"1\n-2\n", "[1,-2]"),
    "big-endian": (np.array([1.5, 2], dtype=">f8"), b"1.5\n2.0\n", "[1.5,2.0]"),
    "strided": (np.arange(6.0).reshape(2, 3)[:, ::2], b"0.0,2.0\n3.0,5.0\n", "[[0.0,2.0],[3.0,5.0]]"),
    "fortran": (np.asfortranarray(np.arange(4.0).reshape(2, 2)), b"0.0,1.0\n2.0,3.0\n", "[[0.0,1.0],[2.0,3.0]]"),
    "booleans": (np.array([True, False]), b"True\nFalse\n", "[true,false]"),
    "not finite": (np.array([np.nan, np.inf, -np.inf]), b"nan\ninf\n-inf\n", "[null,null,null]"),
    "labels": (np.array(["a", "b, c"], dtype=object), b'a\n"b, c"\n', '["a","b, c"]'),
    "unicode": (np.array(["é", 'q"']), 'é\n"q"""\n'.encode(), '["é","q\\""]'),
    "empty label": (np.array(["", None], dtype=object), b'""\n""\n', '["",null]'),
    "3-D": (np.arange(4).reshape(2, 1, 2), b'"[0,1]"\n"[2,3]"\n', "[[[0,1]],[[2,3]]]"),
    "list": ([1, 2.5], b"1\n2.5\n", "[1,2.5]"),
    "tuple": (("a", "b"), b"a\nb\n", '["a","b"]'),
    "numpy scalars": ([np.float64(0.5), np.int32(2)], b"0.5\n2\n", "[0.5,2]"),
    "lists": ([[1, "a"], [2, "b"]], b"1,a\n2,b\n", '[[1,"a"],[2,"b"]]'),
    "dicts": ([{"p": 0.5, "l": "x"}] * 2, b"0.5,x\n0.5,x\n", '[{"p":0.5,"l":"x"},{"p":0.5,"l":"x"}]'),
    "nested": ([{"p": [1, 2]}] * 2, b'"[1,2]"\n"[1,2]"\n', '[{"p":[1,2]},{"p":[1,2]}]'),
    "columns": (
        {"l": ["x", "y"], "p": np.array([0.5, np.nan])},
        b"x,0.5\ny,nan\n",
        '[{"l":"x","p":0.5},{"l":"y","p":null}]',
    ),
    "frame": (pd.DataFrame({"l": ["x", None], "n": [1, 2]}), b"x,1\nnan,2\n", '[{"l":"x","n":1},{"l":null,"n":2}]'),
    "series": (pd.Series([0.5, 1.5], index=[7, 8]), b"0.5\n1.5\n", "[0.5,1.5]"),
    "categories": (pd.Series(["a", "b"], dtype="category"), b"a\nb\n", '["a","b"]'),
    "nullable": (pd.Series([1, None], dtype="Int64"), b'1\n""\n', "[1,null]"),
    "dates": (np.array(["2024-05-31", "NaT"], dtype="M8[D]"), b'2024-05-31\n""\n', None),
    "timestamps": (
        pd.Series(pd.to_datetime(["2024-05-31", "2024-06-01"])),
        None,
        '["2024-05-31T00:00:00","2024-06-01T00:00:00"]',
    ),
    "huge": ([10**30, 1], b"1000000000000000000000000000000\n1\n", "[1000000000000000000000000000000,1]"),
    "bytes": ([b"a", b"b"], b"a\nb\n", '["a","b"]'),
    "bytearrays": ([bytearray(b"a"), np.bytes_(b"b")], b"a\nb\n", '["a","b"]'),
    "half floats": (np.array([0.1, 2], dtype="f2"), b"0.099975586\n2.0\n", "[0.099975586,2.0]"),
    "half scalars": ([np.float16(0.1), np.float16(2)], b"0.099975586\n2.0\n", "[0.099975586,2.0]"),
    "long doubles": (np.array([0.5, 2], dtype=np.longdouble), b"0.5\n2.0\n", "[0.5,2.0]"),
    "long scalars": ([np.longdouble(0.5), 2], b"0.5\n2\n", "[0.5,2]"),
    "float32 beside huge": (
        [{"p": np.float32(0.1), "n": 2**70}] * 2,
        None,
        f'[{{"p":0.1,"n":{2**70}}},{{"p":0.1,"n":{2**70}}}]',
    ),
    "durations": (np.array([90, "NaT"], "m8[ms]"), b"0.09\nnan\n", "[0.09,null]"),
    "timedeltas": ([np.timedelta64(90, "ns"), pd.Timedelta("1min")], b"9e-8\n60.0\n", "[9e-8,60.0]"),
    "nanoseconds": (
        np.array(["2024-05-31T00:00:00.000000001", "NaT"], "M8[ns]"),
        None,
        '["2024-05-31T00:00:00.000000001",null]',
    ),
    "NaT in a column": (
        {"t": np.array(["2024-05-31", "NaT"], "M8[D]")},
        b'2024-05-31\n""\n',
        '[{"t":"2024-05-31"},{"t":null}]',
    ),
    "NaT in dicts": ([{"t": np.datetime64("NaT", "D")}] * 2, b'""\n""\n', '[{"t":null},{"t":null}]'),
    "NaT in lists": ([np.array(["NaT"], "M8[ns]")] * 2, b'""\n""\n', "[[null],[null]]"),
    "NaT alone": ([np.datetime64("NaT", "D"), pd.NaT], b'""\n""\n', "[null,null]"),
    "far years": (
        np.array(["12024-01-01", "2024-01-01"], "M8[s]"),
        None,
        '["12024-01-01T00:00:00","2024-01-01T00:00:00"]',
    ),
    "periods": (
        pd.Series(pd.period_range("2024-01", periods=2, freq="M")),
        b"2024-01\n2024-02\n",
        '["2024-01","2024-02"]',
    ),
    "intervals": (pd.cut([1, 3], [0, 2, 4]), b'"(0, 2]"\n"(2, 4]"\n', '["(0, 2]","(2, 4]"]'),
    "paths": ([PurePosixPath("/a"), PurePosixPath("b")], b"/a\nb\n", '["/a","b"]'),
    "sets": ([{2, 1}, frozenset()], b'1,2\n""\n', "[[1,2],[]]"),
    "mixed sets": ([{1, "a"}, {"b"}], b"a,1\nb\n", '[["a",1],["b"]]'),
    "records": (
        [Scored("a", np.float32(0.1))] * 2,
        b"a,0.1\na,0.1\n",
        '[{"label":"a","score":0.1},{"label":"a","score":0.1}]',
    ),
    "read-only mappings": ([MappingProxyType({"a": 1})] * 2, b"1\n1\n", '[{"a":1},{"a":1}]'),
    "rows of series": ([pd.Series([1.5, None])] * 2, b"1.5,nan\n1.5,nan\n", "[[1.5,null],[1.5,null]]"),
    "frames": (
        [pd.DataFrame({"i": [1, 2]})] * 2,
        b'"{""i"":1}","{""i"":2}"\n' * 2,
        '[[{"i":1},{"i":2}],[{"i":1},{"i":2}]]',
    ),
    "ranges": ([range(2), range(0)], b'0,1\n""\n', "[[0,1],[]]"),
    "carriage return": (np.array(["a\rb", "c"]), b'"a\rb"\nc\n', '["a\\rb","c"]'),
    "structured": (
        np.array([(1, 0.5), (2, 1.5)], [("l", int), ("p", "f4")]),
        b"1,0.5\n2,1.5\n",
        '[{"l":1,"p":0.5},{"l":2,"p":1.5}]',
    ),
    "outputs": ([np.eye(2), np.zeros((2, 3))], None, "[[[1.0,0.0],[0.0,0.0,0.0]],[[0.0,1.0],[0.0,0.0,0.0]]]"),
}


@pytest.mark.parametrize("case", CASES)
def test_predictions(case):
    """Whatever transformation returns is written once per row, exactly."""
    predictions, csv, expected = CASES[case]
    as_csv, as_json, as_lines = answers(predictions, 2 if "not finite" not in case and case != "floats" else 3)
    if csv is not None:
        assert as_csv == csv
    assert as_csv.endswith(b"\n")
    assert b"\n\n" not in as_csv
    if expected is not None:
        assert as_json.decode() == f'{{"predictions":{expected}}}'
    parsed = orjson.loads(as_json)["predictions"]
    assert [orjson.loads(line) for line in as_lines.splitlines()] == parsed


def test_predictions_sparse():
    """A sparse matrix is written in full."""
    import scipy.sparse

    assert encode(scipy.sparse.eye_array(2, format="csr"), 2, "text/csv", "").body == b"1.0,0.0\n0.0,1.0\n"


def test_predictions_npy():
    """npy holds numbers or texts, never objects."""
    for predictions in (np.array([0.5, 1]), np.array(["a", "bc"], dtype=object), [[1, 2], [3, 4]]):
        body = encode(predictions, 2, "application/x-npy", "").body
        assert np.array_equal(np.load(io.BytesIO(body), allow_pickle=False), predictions)
    for predictions, array in (
        ([{"a": 1, "b": 2}, {"b": 4, "a": 3}], np.array([[1, 2], [3, 4]])),
        ([None, 1], np.array([np.nan, 1])),
        ([[1, pd.NA], np.ma.masked_array([3, 4], [True, False])], np.array([[1, np.nan], [np.nan, 4]])),
        (pd.Series([0.5, None], dtype="Float32"), np.array([0.5, np.nan])),
        (np.array(["a", "bc"], dtype=object), np.array(["a", "bc"])),
    ):
        body = encode(predictions, 2, "application/x-npy", "").body
        assert np.array_equal(np.load(io.BytesIO(body)), array, equal_nan=array.dtype.kind == "f")
    for predictions in (
        [{"a": "x"}, {"a": 1}],
        [["a", 0.5], ["b", 0.25]],
        ["a", None],
        [[1], [1, 2]],
        [2**70, 1],
        [2**53 + 1, 0.5],
        [2**63, -1],
        [None, True],
    ):
        with pytest.raises(NotAcceptable, match="not an array of numbers or of texts"):
            encode(predictions, 2, "application/x-npy", "")


@pytest.mark.parametrize(
    "predictions",
    [
        np.zeros(3),
        [1],
        np.float64(1),
        0.5,
        "setosa",
        {},
        {"a": 1},
        {"a": [1], "b": [1, 2]},
        np.zeros((1, 2)),
        object(),
    ],
)
def test_wrong_length(predictions):
    """Anything but one prediction per row is a 500 that says what came for how many rows."""
    with pytest.raises(ModelFailed, match="for 2 rows"):
        encode(predictions, 2, None, "application/json")


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (object(), "it holds a object; return numbers"),
        (1 + 2j, "it holds a complex; return numbers"),
        (np.complex128(1), "it holds a complex; return numbers"),
        (ValueError("no"), "it holds a ValueError; return"),
        (b"\xff", "it holds bytes that are not a text; return base64, or"),
        ("\ud800", "surrogates not allowed"),
        (int, "it holds a type; return"),
    ],
    ids=["object", "complex", "complex of NumPy", "exception", "bytes", "surrogate", "type"],
)
def test_unwritable(prediction, words):
    """A prediction that JSON and CSV cannot hold is a 500 that names its type, never an answer that is only like it."""
    for accept in ("application/json", "text/csv", "application/jsonlines"):
        with pytest.raises(ModelFailed, match=words):
            encode([prediction], 1, accept, "application/json")


def test_csv_header_out():
    """Accept: text/csv; header=present adds the names of a DataFrame or dict."""
    answer = encode({"l": ["x"], "p": [0.5]}, 1, "text/csv; header=present", "")
    assert answer == (b"l,p\nx,0.5\n", "text/csv; charset=utf-8; header=present")


@pytest.mark.parametrize("predictions", [np.zeros(2), [[1, 2], [3, 4]], ["a", "b"], [{"a": 1}, {"a": 2}]], ids=str)
@pytest.mark.parametrize("streamed", [False, True])
def test_the_content_type_says_whether_there_is_a_header(predictions, streamed):
    """Predictions without names have no header, and the Content-Type does not say that they had one."""
    returned = (item for item in predictions) if streamed else predictions
    body, content_type = encode(returned, 2, "text/csv; header=present", "")
    lines = (body if isinstance(body, bytes) else b"".join(body)).splitlines()
    assert len(lines) == 2 + ("header=present" in content_type)
    assert ("header=present" in content_type) == isinstance(predictions[0], dict)


def test_csv_columns_of_dicts():
    """Dicts are one column a name, whatever their order; a name that none but one knows is a 406."""
    rows = [{"b": 2}, {"a": 1, "b": 2}, {"b": 4, "a": 3}]
    assert encode(rows, 3, "text/csv; header=present", "").body == b"a,b\n,2\n1,2\n3,4\n"
    with pytest.raises(NotAcceptable, match="different names"):
        encode([{"a": 1}, {"b": 2}], 2, "text/csv", "")


def test_stream():
    """A generator is streamed, one prediction per item; an error before the first item still is an error."""
    for accept, expected in (
        ("text/csv", b"1\na\n"),
        ("application/json", b'{"predictions":[1,"a"]}'),
        ("application/jsonl", b'1\n"a"\n'),
    ):
        body = encode((item for item in (1, "a")), 2, accept, "").body
        assert not isinstance(body, bytes)
        assert b"".join(body) == expected

    def fails():
        raise KeyError("model")
        yield

    with pytest.raises(KeyError):
        encode(fails(), 1, "text/csv", "")
    for unwritable in ("\ud800", object()):
        for accept in ("text/csv", "application/json"):
            with pytest.raises(ModelFailed, match="cannot be written"):
                encode((item for item in [unwritable]), 1, accept, "")
    with pytest.raises(NotAcceptable):
        encode((i for i in (1,)), 1, "application/x-npy", "")


class Png:
    body, content_type = b"\x89PNG", "image/png"


@pytest.mark.parametrize("predictions", [Png(), (b"\x89PNG", "image/png")])
def test_own_bytes(predictions):
    """Bytes with a content type are passed on as they are."""
    assert encode(predictions, 5, "application/json", "text/csv") == (b"\x89PNG", "image/png")


# ---- batches ---------------------------------------------------------------------------------------------------------


def test_batch_key():
    """Rows that share a key can be joined; others differ in it."""

    def key(body, signature, content_type="text/csv"):
        return decode(body.encode(), content_type, None, signature, LIMIT).batch_key

    assert key("1,2,3", NUMBERS) == key("[[4,5,6],[7,8,9]]", NUMBERS, "application/json")
    assert key("1,2,3", NAMED) == key("b,a,c\n4,,6", NAMED)
    assert key("1,male,2,3", MIXED) == key("1,female,2,5", MIXED) != key("1,female,2,", MIXED)
    assert key("1,2", UNKNOWN) != key("1,2,3", UNKNOWN) != key("a,b,c", UNKNOWN)
    assert key("a", TEXTS) == key("b\nc", TEXTS)
    for body, signature in (("1,2,3", NUMBERS), ("1,male,2,3", MIXED), ("a", TEXTS), ("x,1", UNKNOWN)):
        hash(key(body, signature))


def test_million_blank_lines():
    """A million blank lines are zero rows."""
    assert decode(b"\n" * 1_000_000, "text/csv", None, NUMBERS, LIMIT).count == 0
    assert issubclass(BadRequest, ServingError)


NO_PANDAS = """
import sys
sys.modules["pandas"] = sys.modules["pyarrow"] = None
sys.path.insert(0, "model")
from serving.formats.content_types import decode, encode, negotiate
from serving.rows.signature import Column, Signature
import numpy as np
numbers = Signature("array", (Column(kind="number"),) * 2)
for body in (b"1,2\\n", b"1,2\\n" * 60_000, b"+1,2\\n\\n", b"NA,2\\n", b'{"instances": [[1, 2]]}', b"1,\\n" * 60_000):
    decoded = decode(body, None, None, numbers, 10**8)
    encode(decoded.rows[:, 0], decoded.count, negotiate(None, decoded.media_type))
assert decode(b"a\\n", "text/plain", None, Signature("texts"), 10**8).rows == ["a"]
mixed = Signature("array", (Column(kind="number"), Column(kind="text")))
assert decode(b"1,007\\n", "text/csv", None, mixed, 10**8).rows.tolist() == [[1.0, "007"]]
"""


def test_without_pandas():
    """Arrays and texts need no pandas, installed or not."""
    subprocess.run([sys.executable, "-c", NO_PANDAS], check=True, cwd=KIT)


def test_short_cut_imports_nothing():
    """Plain numbers to a model without names import neither pandas nor pyarrow."""
    code = NO_PANDAS.replace('sys.modules["pandas"] = sys.modules["pyarrow"] = None', "").replace("60_000", "100")
    code += 'assert not {"pandas", "pyarrow", "scipy"} & set(sys.modules), sorted(sys.modules)'
    subprocess.run([sys.executable, "-c", code], check=True, cwd=KIT)


@pytest.mark.parametrize("body", [b"[" + b"[]," * 2_100_000 + b"[]]", b"[[" + b"1," * 26_000_000 + b"1]]"])
def test_json_that_would_swell_in_memory_is_refused(body):
    """Millions of lists, or tens of millions of values: a 413 before they are parsed."""
    with pytest.raises(PayloadTooLarge):
        decode(body, "application/json", None, Signature(), Bounds(10**9, 50_000_000))
