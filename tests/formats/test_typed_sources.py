"""A source that says what a value is, is taken at its word; CSV alone is guessed, as pandas.read_csv guesses."""

import datetime
import decimal
import io
import json
import math
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recordio_bodies import dense_record, sparse_record

from serving.errors import BadRequest
from serving.formats.content_types import decode
from serving.rows.signature import Column, Signature

UNKNOWN, TEXTS, OBJECTS = Signature(), Signature("texts", (Column(kind="text"),)), Signature("objects")
NUMBERS = Signature("array", (Column(kind="number"),) * 3)
DAYS = Signature("frame", (Column("day", "datetime", dtype="datetime64[us]"),))
RECORDIO = "application/x-recordio-protobuf"
BERLIN = Signature("frame", (Column("day", "datetime", dtype="datetime64[us, Europe/Berlin]"),))


def rows(body, content_type="application/json", signature=UNKNOWN):
    body = body if isinstance(body, bytes | str) else json.dumps(body)
    return decode(body if isinstance(body, bytes) else body.encode(), content_type, None, signature, 10**8).rows


def refused(*args):
    with pytest.raises(BadRequest) as caught:
        rows(*args)
    return caught.value


def cells(frame):
    """Each cell with its type; a missing value is None."""
    table = frame.astype(object).to_numpy().tolist() if hasattr(frame, "columns") else frame.tolist()
    return [[None if v is None or v != v else (type(v).__name__, v) for v in row] for row in table]


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def parquet(**columns):
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


VALUES = [
    "02139",
    "NA",
    "",
    "True",
    "1.0",
    "nan",
    "2024-02-01",
    " x ",
    7,
    2**53 + 1,
    10**20 + 1,
    0.5,
    True,
    None,
    ["a"],
    {"b": 1},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_json_values_stay_what_they_are(value):
    """In every envelope a value comes out as the type and the value that JSON gave it; null is missing."""
    expected = [[None if value is None else (type(value).__name__, value), ("str", "x")]]
    for document in (
        [{"v": value, "w": "x"}],
        {"instances": [{"v": value, "w": "x"}]},
        {"dataframe_split": {"columns": ["v", "w"], "data": [[value, "x"]]}},
        {"columns": ["v", "w"], "data": [[value, "x"]]},
        {"v": {"0": value}, "w": {"0": "x"}},
        {"v": [value], "w": ["x"]},
        [[value, "x"]],
        {"instances": [[value, "x"]]},
    ):
        assert cells(rows(document)) == expected, document
    assert cells(rows(json.dumps({"v": value, "w": "x"}), "application/jsonlines")) == expected


def test_a_null_beside_texts_or_alone_makes_no_number():
    """A column of nulls is objects in a frame, so that a text function still works; among numbers alone it is NaN."""
    frame = rows([{"note": None, "n": 1}])
    assert frame["note"].fillna("").str.len().tolist() == [0]
    assert rows([{"note": None}, {"note": "a"}])["note"].isna().tolist() == [True, False]
    array = rows([[1, None], [2, None]])
    assert (array.dtype, np.isnan(array).tolist()) == (np.float64, [[False, True], [False, True]])


@pytest.mark.parametrize(
    ("document", "dtype"),
    [
        ([[1, 2], [3, 4]], "int64"),
        ([[2**53 + 1, 2]], "int64"),
        ([[2**63, 2**64 - 1]], "uint64"),
        ([[1, 2.5]], "float64"),
        ([[1, None]], "float64"),
        ({"instances": [[1.0, 2.0]]}, "float64"),
        ({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}, "float32"),
        ({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "INT64", "data": [2**53 + 1, 2]}]}, "int64"),
    ],
)
def test_lists_of_numbers_are_one_array(document, dtype):
    """Integers stay integers, and floats floats; the values are those that were sent."""
    array = rows(document)
    assert array.dtype == dtype
    assert array.flags.writeable
    wanted = (
        document
        if isinstance(document, list)
        else document.get("instances", [[*document.get("inputs", [{}])[0].get("data", [])]])
    )
    assert [[None if v != v else v for v in row] for row in array.tolist()] == wanted


def test_large_integers_beside_floats_keep_their_digits():
    """What no single array of numbers can hold becomes a DataFrame, a type for each column."""
    assert cells(rows([[2**63, 2]])) == [[("int", 2**63), ("int", 2)]]
    assert cells(rows([[2**53 + 1, 0.5]])) == [[("int", 2**53 + 1), ("float", 0.5)]]
    assert cells(rows("9007199254740993,0.5\n", "text/csv")) == [[("int", 2**53 + 1), ("float", 0.5)]]


NEVER_EXACT = 2**53 + 1
DECIMALS = pa.array([decimal.Decimal(NEVER_EXACT), None], pa.decimal128(38, 0))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ([{"id": NEVER_EXACT}, {"id": None}], "application/json"),
        ([[NEVER_EXACT], [None]], "application/json"),
        ({"columns": ["id"], "data": [[NEVER_EXACT], [None]]}, "application/json"),
        ({"id": [NEVER_EXACT, None]}, "application/json"),
        (f'{{"id": {NEVER_EXACT}}}\n{{"id": null}}\n', "application/jsonlines"),
        (parquet(id=pa.array([NEVER_EXACT, None])), "application/x-parquet"),
        (parquet(id=DECIMALS), "application/x-parquet"),
        (parquet(id=pd.array([NEVER_EXACT, None], "Int64")), "application/x-parquet"),
    ],
    ids=["objects", "lists", "split", "columns", "lines", "int64", "decimal", "Int64"],
)
def test_large_integers_beside_missing_values_keep_their_digits(body, content_type):
    """float64 would make another number of them: the column is one of objects, also for a sample of int64."""
    ids = Signature("frame", (Column("id", "integer", dtype="int64"),))
    for signature in (UNKNOWN, ids):
        frame = rows(body, content_type, signature)
        assert frame.iloc[:, 0].dtype == object
        assert [row[0] for row in cells(frame)] == [("int", NEVER_EXACT), None]
    assert cells(rows([{"id": NEVER_EXACT, "x": 1}, {"x": 1}]))[1] == [None, ("int", 1)]
    assert rows([{"id": 2**53}, {"id": None}])["id"].dtype == np.float64


def test_integers_of_a_sample():
    """A uint64 of all its bits; what does not fit into the column's type is a 400, also beside a missing value."""
    ids = Signature("frame", (Column("id", "integer", dtype="uint64"),))
    for body, kind in (([{"id": 2**64 - 1}], "application/json"), (f"id\n{2**64 - 1}\n", "text/csv")):
        frame = rows(body, kind, ids)
        assert (frame["id"].dtype, frame["id"][0]) == (np.uint64, 2**64 - 1)
    small = Signature("frame", (Column("id", "integer", dtype="uint8"),))
    for values in ([300], [300, None], [300.0, None], [0, 10**20, None]):
        assert "from 0 to 255" in refused([{"id": v} for v in values], "application/json", small).message
    assert rows([{"id": 0.5}, {"id": None}], "application/json", small)["id"].dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8", "int8", ">i4", ">f8", "bool"])
def test_npy_keeps_its_dtype(dtype):
    """A model that says nothing gets the array that was saved; one of numbers gets float64."""
    array = np.arange(6).reshape(2, 3).astype(dtype)
    got = rows(npy(array), "application/x-npy")
    assert got.dtype == np.dtype(dtype).newbyteorder("=")
    assert got.flags.writeable
    assert got.tolist() == array.tolist()
    assert rows(npy(array), "application/x-npy", NUMBERS).dtype == np.float64


@pytest.mark.parametrize(("kind", "dtype"), [("float32", "float32"), ("int32", "int64")])
def test_recordio_keeps_its_type(kind, dtype):
    """A model that says nothing gets the numbers of the tensor's type, dense or sparse; one of numbers gets float64."""
    body = dense_record([1, 2, 3], kind) * 2
    assert rows(body, RECORDIO).dtype == dtype
    assert rows(body, RECORDIO).tolist() == [[1, 2, 3]] * 2
    assert rows(body, RECORDIO, NUMBERS).dtype == np.float64
    assert rows(sparse_record(3, {1: 0.5}), RECORDIO).dtype == np.float32
    mixed = rows(body + dense_record([0.5, 1, 2], "int32" if kind == "float32" else "float32") + body, RECORDIO)
    assert (mixed.dtype, mixed[:, 1:].tolist()) == (np.float64, [[2, 3], [2, 3], [1, 2], [2, 3], [2, 3]])


def test_times_of_npy():
    """They are times in a frame; what pandas has no place for is a 400."""
    days = np.array([("2024-02-01", 1), ("NaT", 2)], dtype=[("day", "M8[D]"), ("n", "i8")])
    frame = rows(npy(days), "application/x-npy")
    assert frame["day"].dtype.kind == "M"
    assert frame["day"].tolist()[0] == pd.Timestamp("2024-02-01")
    assert frame["day"].isna().tolist() == [False, True]
    text = Signature("frame", (Column("day", "text"), Column("n", "number")))
    assert rows(npy(days), "application/x-npy", text)["day"].tolist()[0] == "2024-02-01"
    assert "number" in refused(npy(days), "application/x-npy", Signature("frame", (Column("day", "number"),))).message
    assert "UTF-8" in refused(npy(np.array([[b"\xff", b"a"]])), "application/x-npy").message


def test_flat_lists():
    """A flat list of texts is a text a row, also for a model that says nothing; one of numbers is a row."""
    texts = ["this is bad", "02139", ""]
    for signature in (UNKNOWN, TEXTS):
        for document in (texts, {"instances": texts}, {"inputs": texts}):
            assert rows(document, "application/json", signature) == texts
        assert rows("\n".join(map(json.dumps, texts)), "application/jsonlines", signature) == texts
        assert rows(json.dumps("one text"), "application/json", signature) == ["one text"]
        assert rows({"inputs": "one text"}, "application/json", signature) == ["one text"]
    assert rows(npy(np.array(texts)), "application/x-npy") == texts
    tensor = {"inputs": [{"name": "t", "shape": [3], "datatype": "BYTES", "data": texts}]}
    assert rows(tensor) == texts
    assert rows([1, 2, 3]).tolist() == [[1, 2, 3]]
    assert cells(rows(["a", 1])) == [[("str", "a"), ("int", 1)]]
    assert cells(rows([["a", None]])) == [[("str", "a"), None]]
    for document in (["a", None], {"instances": ["a", None]}):  # a row of two cells, or two texts?
        assert "Value 2 of a list of texts is null" in refused(document).message


def test_objects_of_different_keys():
    """For a model that says nothing the columns are those of all rows, and what any row lacks is missing."""
    frame = rows([{"a": 1}, {"b": "x", "a": 2}, {"c": True}])
    assert list(frame.columns) == ["a", "b", "c"]
    assert cells(frame) == [
        [("float", 1.0), None, None],
        [("float", 2.0), ("str", "x"), None],
        [None, None, ("bool", True)],
    ]
    named = Signature("frame", (Column("a", "number"), Column("b", "number")))
    message = refused(
        [{"a": 1, "b": 2}, {"a": 1, "bb": 2, "c": 0}, {"a": 1, "bb": 2}], "application/json", named
    ).message
    assert message.startswith("Row 2 has no 'b'. The model does not know: bb, c.")


def test_objects_pass_as_they_are():
    """A model of objects (DictVectorizer) gets each with its own keys, from CSV with the types that read_csv infers."""
    documents = [{"city": "Berlin", "t": 3}, {"tags": ["a", "b"]}]
    for body, kind in (
        (documents, "application/json"),
        ({"instances": documents}, "application/json"),
        ("\n".join(map(json.dumps, documents)), "application/jsonlines"),
    ):
        assert rows(body, kind, OBJECTS) == documents
    assert rows({"tags": ["a", "b"]}, "application/json", OBJECTS) == [{"tags": ["a", "b"]}]
    assert rows("city,t\nBerlin,3\n", "text/csv; header=present", OBJECTS) == [{"city": "Berlin", "t": 3}]
    assert "names" in refused("Berlin,3\n", "text/csv", OBJECTS).message
    assert "object" in refused([[1, 2]], "application/json", OBJECTS).message


CSV = [
    *("1,007\n2,5\n", "1,\n2,x\n", "1,TRUE\n0,false\n", "1,TRUE\n0,2\n", "9223372036854775808,1\n"),
    *("99999999999999999999,1\n", "99999999999999999999,1\n,2\n", "99999999999999999999,1\n-1,2\n", "-0,1.5\n"),
    *("9007199254740993,1\n", "1e400,1\n", "NA,1\nnull,2\n", " 5, x\n", "1.5,2024-01-01\n", "True,\nFalse,1\n"),
    *("1,1\n,9007199254740993\n", "+7,0x10\n", "-9223372036854775808,-1\n"),
]


@pytest.mark.parametrize("text", CSV)
def test_csv_is_guessed_as_pandas_guesses(text):
    """With a header, the columns of a model that says nothing have the values and the types of read_csv."""
    theirs = pd.read_csv(io.StringIO("a,b\n" + text))
    ours = rows("a,b\n" + text, "text/csv; header=present")
    assert cells(ours) == cells(theirs)
    assert [d.kind for d in ours.dtypes if d.kind in "iufb"] == [d.kind for d in theirs.dtypes if d.kind in "iufb"]


# ---- Parquet ---------------------------------------------------------------------------------------------------------


def test_parquet_types_stay():
    """Texts, integers, decimals, times and truth values of Parquet are those of the DataFrame, missing values too."""
    moment = datetime.datetime(2024, 1, 31, 10, 0)
    body = parquet(
        zip=["02139", "NA"], n=[2**53 + 1, 2], f=pa.array([0.5, None], pa.float32()), b=[True, False],
        d=pa.array([decimal.Decimal("353.69"), None], pa.decimal128(13, 4)), t=pa.array([moment, None]),
        z=pa.array([moment, moment], pa.timestamp("us", tz="UTC")), h=pa.array(np.float16([1, 2])),
        raw=pa.array([b"caf\xc3\xa9", b""]),
    )  # fmt: skip
    frame = rows(body, "application/x-parquet")
    assert [str(dtype) for dtype in frame.dtypes] == [
        *("str", "int64", "float32", "bool", "float64", "datetime64[us]", "datetime64[us, UTC]", "float16", "str"),
    ]
    assert frame["n"][0] == 2**53 + 1
    assert frame["d"][0] == 353.69
    assert frame["raw"].tolist() == ["café", ""]


def test_an_index_that_pandas_wrote_is_no_column():
    """It is one for pandas.read_parquet, too; but a model may have a column of that name."""
    frame = pd.DataFrame({"a": [1], "b": ["x"]}, index=pd.Index([7], name="id"))
    for index in (frame.index, pd.MultiIndex.from_tuples([(7, 8)], names=["id", None]), pd.RangeIndex(1, name="id")):
        assert list(rows(frame.set_axis(index).to_parquet(), "application/x-parquet").columns) == ["a", "b"]
    known = Signature("frame", (Column("id", "number"), Column("a", "number")))
    assert rows(frame.to_parquet(), "application/x-parquet", known).to_numpy().tolist() == [[7, 1]]


def test_bytes_that_are_no_text():
    """A column of them is named."""
    assert "'img'" in refused(parquet(n=[1], img=pa.array([b"\xff\xd8"])), "application/x-parquet").message


# ---- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["2024-01-31T10:00:00Z", "2024-01-31T11:00:00+01:00", "2024-01-31 10:00", "20240131T10"]
)
def test_times_of_a_column_without_a_zone(text):
    """A time with an offset is converted to UTC; without one it is taken as it is; both may stand in one column."""
    for body, kind in (
        ([{"day": text}, {"day": "2024-01-31T10:00"}], "application/json"),
        (f"day\n{text}\n", "text/csv"),
    ):
        frame = rows(body, kind, DAYS)
        assert str(frame["day"].dtype) == "datetime64[us]"
        assert frame["day"][0] == pd.Timestamp("2024-01-31 10:00")


def test_times_of_a_column_with_a_zone():
    """They need an offset: 10:00 may be meant in the zone, or in UTC."""
    frame = rows([{"day": "2024-01-31T10:00:00Z"}, {"day": None}], "application/json", BERLIN)
    assert frame["day"][0].isoformat() == "2024-01-31T11:00:00+01:00"
    assert frame["day"].isna().tolist() == [False, True]
    for naive in ("2024-01-31T10:00", "2024-01-31"):
        assert "offset" in refused([{"day": naive}], "application/json", BERLIN).message


@pytest.mark.parametrize("value", [1706695200000, 1706695200, 0.5, True, "24/12/2024", "1706695200000", "x"])
@pytest.mark.parametrize("signature", [DAYS, BERLIN], ids=["plain", "zone"])
def test_what_is_no_time(value, signature):
    """A number is not a time, since its unit is not known; a 400 tells row and column."""
    error = refused([{"day": None}, {"day": value}], "application/json", signature)
    assert (error.details["row"], error.details["column"]) == (2, "day")


# ---- what clients send by mistake ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"PK\x03\x04" + b"\x14\x00" * 30, ".xlsx"),
        (b"\xd0\xcf\x11\xe0" + b"\x00" * 30, ".xls"),
        (b"\x1f\x8b\x08\x00", "Content-Encoding"),
        (npy(np.zeros((1, 3))), "npy"),
        ("sep=;\n1;2;3\n", "semicolons"),
        ("1,2,34,5,67,8,9", "--data-binary"),
        ("1;2;3", "semicolons"),
    ],
)
def test_what_is_no_csv(body, says):
    """A body of another kind is called what it is."""
    assert says in refused(body, "text/csv", NUMBERS).message


def test_lines_that_curl_has_joined():
    """JSON Lines without their ends are told from a broken one."""
    for body in ("[1,2,3][4,5,6]", '{"a":1}{"a":2}'):
        assert "--data-binary" in refused(body, "application/jsonlines", NUMBERS).message
    assert "--data-binary" not in refused("[1,2,", "application/jsonlines", NUMBERS).message


def test_an_xlsx_workbook_without_a_content_type():
    """A zip file without a word is taken for npz; a workbook is called one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    assert "workbook" in refused(stream.getvalue(), None, NUMBERS).message


def test_texts_of_excel():
    """UTF-16 with its mark, and the line sep=, are read."""
    assert rows("1,2,3\r\n".encode("utf-16"), "text/csv", NUMBERS).tolist() == [[1, 2, 3]]
    assert rows("sep=,\r\n1,2,3\r\n", "text/csv", NUMBERS).tolist() == [[1, 2, 3]]


def test_npy_version_3():
    """Names beyond Latin-1 make NumPy write version 3 of its format."""
    array = np.array([(1.5, 2)], dtype=[("größe", "f8"), ("温度", "i8")])
    frame = rows(npy(array), "application/x-npy")
    assert (list(frame.columns), frame.to_numpy().tolist()) == (["größe", "温度"], [[1.5, 2]])


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        ({"shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3]}, "4"),
        ({"shape": [1, 2], "datatype": "FP8", "data": [1, 2]}, "FP8"),
        ({"shape": [1, 1, 2], "datatype": "FP32", "data": [1, 2]}, "shape"),
        ({"shape": [1, 2], "datatype": "INT8", "data": [1, 300]}, "INT8"),
        ({"shape": [1, 2], "datatype": "INT64", "data": [1, 1.5]}, "1.5, which is not INT64"),
        ({"shape": [1, 2], "datatype": "INT64", "data": [1, "2"]}, "'2', which is not INT64"),
        ({"shape": [1, 2], "datatype": "INT64", "data": [1, None]}, "None, which is not INT64"),
        ({"shape": [1, 2], "datatype": "INT64", "data": [1, True]}, "True, which is not INT64"),
        ({"shape": [1, 2], "datatype": "UINT8", "data": [1, -1]}, "-1, which is not UINT8"),
        ({"shape": [1, 2], "datatype": "BOOL", "data": [True, "False"]}, "'False', which is not BOOL"),
        ({"shape": [1, 2], "datatype": "BOOL", "data": [True, None]}, "None, which is not BOOL"),
        ({"shape": [1, 2], "datatype": "BOOL", "data": [True, 2]}, "2, which is not BOOL"),
        ({"shape": [1, 2], "datatype": "FP32", "data": [1, "2"]}, "'2', which is not FP32"),
        ({"shape": [1, 2], "datatype": "FP32", "data": [1, 1e39]}, "1e+39, which is not FP32"),
        ({"shape": [1, 2], "datatype": "FP16", "data": [1, 70000]}, "70000, which is not FP16"),
        ({"shape": [1, 2], "datatype": "BYTES", "data": ["a", 1]}, "1, which is not BYTES"),
        ({"shape": [-1, 2], "datatype": "FP32", "data": []}, "shape"),
    ],
)
def test_tensors_that_lie(tensor, says):
    """A tensor whose shape, datatype and data do not fit is a 400."""
    assert says in refused({"inputs": [{"name": "x", **tensor}]}, "application/json", NUMBERS).message


def test_values_of_tensors():
    """The largest float32 as JSON writes it, integers that JavaScript wrote as floats, truth as 0 and 1, null."""
    for datatype, data, dtype in (
        ("FP32", [3.4028235e38, None, math.inf], "float32"),
        ("INT8", [1.0, -128, 127], "int8"),
        ("UINT64", [2**64 - 1, 0, 1], "uint64"),
        ("BOOL", [1, 0, True], "bool"),
    ):
        array = rows({"inputs": [{"name": "x", "shape": [1, 3], "datatype": datatype, "data": data}]})
        assert array.dtype == dtype
        assert array.tolist()[0] == pytest.approx([math.nan if v is None else v for v in data], nan_ok=True)
    frame = rows(
        {
            "inputs": [
                {"name": "zip", "shape": [2], "datatype": "BYTES", "data": ["02139", None]},
                {"name": "n", "shape": [2, 1], "datatype": "INT32", "data": [1, 2]},
            ]
        }
    )
    assert cells(frame) == [[("str", "02139"), ("int", 1)], [None, ("int", 2)]]


def test_names_of_two_levels():
    """A split frame with a MultiIndex is a 400 that says so."""
    assert "two levels" in refused({"columns": [["a", "x"], ["a", "y"]], "data": [[1, 2]]}).message
