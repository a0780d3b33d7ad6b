"""save_sample keeps what it saw: what comes back from a request has the very types, or the request is refused."""

from __future__ import annotations

import datetime
import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from save_model import save_sample
from serving.errors import BadRequest, ModelNotUsable
from serving.formats.content_types import decode
from serving.models.sample import load_sample, of_another_model
from serving.rows.dtypes import named
from serving.rows.made_up import sample_rows
from serving.rows.signature import Column, Signature

ZONED = pd.to_datetime(["2024-01-01 12:00", "2024-06-01 12:00", None])
COLUMNS: dict[str, Any] = {
    **{dtype: pd.array([1, 0, 3], dtype=dtype) for dtype in ("int8", "uint8", "int64", "float16", "float32")},
    "uint64": np.array([2**64 - 1, 2**63, 3], dtype=np.uint64),
    "bool": [True, False, True],
    "inf": [0.5, np.inf, -np.inf],
    **{dtype: pd.array([1, None, 3], dtype=dtype) for dtype in ("Int8", "Int64", "UInt8", "Float32", "Float64")},
    "UInt64": pd.array([2**64 - 1, None, 2**53 + 1], dtype="UInt64"),
    "boolean": pd.array([True, None, False], dtype="boolean"),
    "string": pd.array(["a", None, "007"], dtype="string"),
    "str": pd.Series(["a", None, "007"]),
    "object of texts": np.array(["a", "b", "007"], dtype=object),
    "object with None": np.array(["a", None, "007"], dtype=object),
    "object with NaN": np.array(["a", np.nan, "007"], dtype=object),
    "object of int": np.array([1, None, 2**70], dtype=object),
    "object of numbers": np.array([1, 2.5, None], dtype=object),
    "object of bool": np.array([True, None, False], dtype=object),
    "object of Decimal": np.array([Decimal("1.50"), None, Decimal(2)], dtype=object),
    "object of date": np.array([datetime.date(2024, 1, 1), None, datetime.date(2024, 2, 1)], dtype=object),
    "object of time": np.array([datetime.time(1, 2), None, datetime.time(3)], dtype=object),
    "all None": np.array([None, None, None], dtype=object),
    "all NaN": [np.nan] * 3,
    **{f"time {unit}": ZONED.as_unit(unit) for unit in ("s", "ms", "us", "ns")},
    "far times": pd.Series(np.array(["0001-01-01", "9999-12-31", "NaT"], dtype="datetime64[s]")),
    "nanoseconds": pd.to_datetime(["2024-01-01T00:00:00.123456789", None, "2024-01-01"], format="ISO8601"),
    "UTC": ZONED.tz_localize("UTC"),
    "Berlin": ZONED.tz_localize("Europe/Berlin"),
    "an offset": ZONED.tz_localize(datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
    "duration": pd.to_timedelta(["1 days 02:03:04.000005", None, "-1 days"]),
    "period": pd.PeriodIndex(["2024-01", None, "2024-03"], freq="M"),
    "sparse 0": pd.arrays.SparseArray([0.0, 1.5, 0.0], fill_value=0.0),
    "sparse NaN": pd.arrays.SparseArray([np.nan, 1.5, np.nan]),
    "sparse bool": pd.arrays.SparseArray([False, True, False]),
    "ordered": pd.Categorical(["S", "L", None], ["S", "M", "L"], ordered=True),
    "category of int": pd.Categorical([2**53, 2**53 + 1, None]),
    "category of uint8": pd.Categorical(np.array([1, 2, 1], dtype=np.uint8)),
    "category of Int64": pd.Series([1, 2, None], dtype="Int64").astype("category"),
    "category of float": pd.Categorical([1.5, 20, None]),
    "category of bool": pd.Categorical([True, False, None]),
    "category of string": pd.Series(["a", "b", None], dtype="string").astype("category"),
    "category of times": pd.Categorical(ZONED),
    "category of zoned times": pd.Categorical(ZONED.tz_localize("UTC")),
    "category of durations": pd.Categorical(pd.to_timedelta(["1 days", "2 days", None])),
    "category of several types": pd.Categorical([1, "a", None]),
    "category called NA": pd.Categorical(["NA", "None", None]),
    "category of nothing": pd.Categorical([None, None, None]),
}
OF_ARROW: dict[str, list[Any]] = {
    **{name: [1, None, 3] for name in ("int64", "uint8", "double", "float")},
    "bool": [True, None, False],
    **{name: ["a", None, "7"] for name in ("string", "large_string")},
    "timestamp[us]": [datetime.datetime(2024, 1, 1), None, datetime.datetime(2024, 2, 1, 1, 2, 3, 4)],
    "timestamp[ms, tz=UTC]": [datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), None, None],
    "date32[day]": [datetime.date(2024, 1, 1), None, None],
    "time64[us]": [datetime.time(1, 2), None, None],
    "duration[ms]": [datetime.timedelta(days=1), None, None],
    "decimal128(10, 2)": [Decimal("1.50"), None, Decimal("2.25")],
}


def of_arrow(name: str) -> Any:
    pyarrow = pytest.importorskip("pyarrow")
    types = {
        "timestamp[us]": pyarrow.timestamp("us"),
        "timestamp[ms, tz=UTC]": pyarrow.timestamp("ms", "UTC"),
        "decimal128(10, 2)": pyarrow.decimal128(10, 2),
    }
    kind = types.get(name) or pyarrow.type_for_alias(name)
    return pd.Series(pyarrow.array(OF_ARROW[name], kind), dtype=pd.ArrowDtype(kind))


def bodies(frame: pd.DataFrame, path: Path) -> dict[str, bytes]:
    """The frame's rows as callers send them."""
    rows = [dict(zip(frame.columns, row, strict=True)) for row in json.loads(path.read_text())["rows"]]
    texts = {
        "application/json": json.dumps(rows),
        "application/jsonlines": "\n".join(map(json.dumps, rows)),
        "text/csv": frame.to_csv(index=False),
    }
    return {media_type: text.encode() for media_type, text in texts.items()}


@pytest.mark.parametrize("name", [*COLUMNS, *(f"{name}[pyarrow]" for name in OF_ARROW)])
def test_every_type_comes_back(name: str, tmp_path: Path) -> None:
    """The sample's own rows, and those of a request: many, each alone, in every format that can carry them."""
    column = of_arrow(name.removesuffix("[pyarrow]")) if name.endswith("[pyarrow]") else COLUMNS[name]
    frame = pd.DataFrame({"c": column, "other": [1.5, 2.5, 3.5]})
    if name.startswith("object") or name == "all None":
        frame["c"] = pd.Series(column, dtype=object)
    path = save_sample(frame, tmp_path)
    found = load_sample(path)
    pd.testing.assert_frame_equal(sample_rows(found, 3), frame, check_exact=True)
    for media_type, body in bodies(frame, path).items():
        pd.testing.assert_frame_equal(decode(body, media_type, None, found, 10**6).rows, frame, check_exact=True)
    for place, row in enumerate(json.loads(bodies(frame, path)["application/json"])):
        got = decode(json.dumps(row).encode(), "application/json", None, found, 10**6).rows
        pd.testing.assert_frame_equal(got, frame[place : place + 1].reset_index(drop=True), check_exact=True)


@pytest.mark.parametrize("name", ["int64", "Int64", "boolean", "str", "string", "Berlin", "nanoseconds", "ordered"])
def test_parquet(name: str, tmp_path: Path) -> None:
    """A typed source brings the same."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"c": COLUMNS[name]})
    body = io.BytesIO()
    frame.to_parquet(body)
    found = load_sample(save_sample(frame, tmp_path))
    got = decode(body.getvalue(), "application/x-parquet", None, found, 10**6).rows
    pd.testing.assert_frame_equal(got, frame, check_exact=True)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1j, 2j], "complex128"),
        (np.array([1j, None], dtype=object), "complex"),
        ([b"a", b"b"], "bytes"),
        ([{1}, {2}], "set"),
        ([pd.Period("2024-01"), None, 3], "Period"),
        (pd.interval_range(0, 2), "interval"),
        (pd.cut([1, 2, 3], 2), "Interval, which"),
        (pd.Categorical([("a", 1), None]), "tuple, which"),
        (pd.Categorical([datetime.date(2024, 1, 1)]), "date, which"),
        (pd.Series([pd.Timestamp("2024-01-01")], dtype=object), "Timestamp"),
        ([{"a": datetime.date(2024, 1, 1)}], "dict"),
    ],
    ids=str(list(range(11))).strip("[]").split(", "),
)
def test_what_a_request_cannot_carry_is_refused(values: Any, says: str, tmp_path: Path) -> None:
    """With the column, the type and the remedy, before anything is written."""
    with pytest.raises(ValueError, match=rf"'c'.* {says}.*fit the model on that, and save again"):
        save_sample(pd.DataFrame({"c": values}), tmp_path)
    assert not list(tmp_path.iterdir())


MISFITS: list[tuple[str, Any, str]] = [
    ("uint8", 300, "whole number from 0 to 255"),
    ("uint8", -1, "whole number from 0 to 255"),
    ("uint8", 1e30, "whole number from 0 to 255"),
    ("int64", 2**63, "whole number from"),
    ("int64", "abc", "a number"),
    ("Int8", 300, "whole number from -128 to 127"),
    ("Int8", 1.5, "a whole number"),
    ("UInt64", -1, "whole number from 0"),
    ("float32", 1e39, "a number that fits into float32"),
    ("float16", 70000, "a number that fits into float16"),
    ("Float32", 1e39, "a number that fits into Float32"),
    ("bool", "yes", "True or False"),
    ("boolean", 2, "True or False"),
    ("object of date", "2024-01-01T05:00", "a date such as"),
    ("object of time", "25:00", "a time of day such as"),
    ("object of Decimal", "abc", "a number"),
    ("duration", 5, "a duration such as"),
    ("duration", "5", "a duration such as"),
    ("period", "May", "a period such as"),
    ("ordered", "XL", "categories S, M, L"),
    ("category of int", 7, "categories 9007199254740992, 9007199254740993"),
    ("category of nothing", "a", "categories"),
    ("sparse bool", "yes", "True or False"),
]


@pytest.mark.parametrize(("name", "value", "says"), MISFITS, ids=str(list(range(len(MISFITS)))).strip("[]").split(", "))
def test_a_value_without_a_place_is_refused(name: str, value: Any, says: str, tmp_path: Path) -> None:
    """It never becomes another value, also not beside a missing one."""
    found = load_sample(save_sample(pd.DataFrame({"c": COLUMNS[name]}), tmp_path))
    for rows in ([{"c": value}], [{"c": None}, {"c": value}]):
        with pytest.raises(BadRequest, match=says) as caught:
            decode(json.dumps(rows).encode(), "application/json", None, found, 10**6)
        assert caught.value.details["row"] == len(rows)


@pytest.mark.parametrize(
    ("dtype", "body", "expected"),
    [
        ("int8", "[[null, 1]]", [[np.nan, 1.0]]),
        ("int64", "[[1.5, 1]]", [[1.5, 1.0]]),
        ("bool", "[[null, true]]", [[np.nan, True]]),
        ("float32", "[[null, 0.5]]", [[np.nan, 0.5]]),
        ("<U1", '[["abc", "1"]]', [["abc", "1"]]),
        ("<U1", '[[null, "1"]]', [[np.nan, "1"]]),
        ("object", "[[null, 1]]", [[np.nan, 1]]),
        ("object", "[[1.5, 1]]", [[1.5, 1]]),
    ],
)
def test_arrays(dtype: str, body: str, expected: list[Any], tmp_path: Path) -> None:
    """What the array's type does not hold makes a wider array, as in NumPy; a value is never cut."""
    found = load_sample(save_sample(np.array([[1, 0], [0, 1]]).astype(dtype), tmp_path))
    assert sample_rows(found, 2).dtype == dtype
    got = decode(body.encode(), "application/json", None, found, 10**6).rows
    assert repr(got.tolist()) == repr(expected)


def test_a_missing_truth_value_is_not_true(tmp_path: Path) -> None:
    """Beside others, and alone."""
    found = load_sample(save_sample(pd.DataFrame({"c": [True, False]}), tmp_path))
    for rows in ([{"c": None}], [{"c": True}, {"c": None}]):
        got = decode(json.dumps(rows).encode(), "application/json", None, found, 10**6).rows
        assert got["c"].dtype == object
        assert pd.isna(got["c"].iloc[-1])


TIMES: list[tuple[str, str | int | float, str]] = [
    ("time ns", "2024-05-31T12:00:00+02:00", "2024-05-31 10:00:00"),
    ("time ns", "2024-05-31T12:00:00Z", "2024-05-31 12:00:00"),
    ("time ns", "2024-05-31t12:00z", "2024-05-31 12:00:00"),
    ("time ns", " 2024-05-31 ", "2024-05-31 00:00:00"),
    ("time ns", "20240531T120000Z", "2024-05-31 12:00:00"),
    ("time ns", "NaT", "NaT"),
    ("time s", "9999-12-31", "9999-12-31 00:00:00"),
    ("Berlin", "2024-03-31T01:30:00Z", "2024-03-31 03:30:00+02:00"),
    ("Berlin", "2024-10-27T02:30:00+01:00", "2024-10-27 02:30:00+01:00"),
    ("Berlin", "2024-10-27T02:30:00+02:00", "2024-10-27 02:30:00+02:00"),
    *(("time ns", bad, "a date or time") for bad in ("now", "today", "31/05/2024", "05/31/2024", "1717113600")),
    *(("time ns", bad, "a date or time") for bad in ("2024-02-30", "2024-05-31T12:00:60", "-2024-01-01", "May 2024")),
    *(("time ns", bad, "date_format='iso'") for bad in (1717113600000, 1717113600.5)),
    ("time ns", "9999-12-31", "fits into datetime64"),
    ("UTC", "2024-05-31T12:00:00", "a time with its offset"),
    ("UTC", "2024-05-31", "a time with its offset"),
]


@pytest.mark.parametrize(("name", "value", "expected"), TIMES, ids=str(list(range(len(TIMES)))).strip("[]").split(", "))
def test_times(name: str, value: Any, expected: str, tmp_path: Path) -> None:
    """An offset is converted where the column has none and asked for where it has a zone; only ISO 8601 is a time."""
    found = load_sample(save_sample(pd.DataFrame({"c": COLUMNS[name]}), tmp_path))
    body = json.dumps([{"c": value}]).encode()
    if expected[0].isdigit() or expected == "NaT":
        assert str(decode(body, "application/json", None, found, 10**6).rows["c"][0]) == expected
    else:
        with pytest.raises(BadRequest, match=expected):
            decode(body, "application/json", None, found, 10**6)


def test_a_type_that_is_not_known_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with the package that knows it."""
    path = save_sample(pd.DataFrame({"c": [1]}), tmp_path)
    path.write_text(path.read_text().replace("int64", "decimal128(3, 1)[pyarrow]"))
    named.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModelNotUsable, match=r"type decimal128\(3, 1\).*, which is not known here. Add pyarrow"):
        load_sample(path)


def test_a_sample_of_another_order_is_named() -> None:
    """Not every model compares names: LightGBM takes the columns as they come."""
    said = Signature("frame", (Column("a b", "number"), Column("c", "number")))
    same = Signature("frame", (Column("a_b", "number"), Column("c", "number")))
    turned = Signature("frame", (Column("c", "number"), Column("a b", "number")))
    assert of_another_model(same, said) == ""
    assert "model.sample.json is of another model: its column 1 is 'c'" in of_another_model(turned, said)


@pytest.mark.parametrize("n", [-1, 1001, True, 2.5, "3", None], ids=str)
def test_how_many_rows(n: Any, tmp_path: Path) -> None:
    """A sample is not a data set."""
    with pytest.raises(ValueError, match="it is how many rows to write, from 0 to 1000"):
        save_sample(pd.DataFrame({"c": [1]}), tmp_path, n)
