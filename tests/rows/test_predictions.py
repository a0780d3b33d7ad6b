"""What transformation may return, and what it may not. Each docstring is one sentence of the contract."""

from __future__ import annotations

import array
import csv
import io
import itertools
import json
from collections import UserDict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse

from serving.errors import ModelFailed
from serving.formats import csv_text, json_text
from serving.rows.predictions import per_row


class PolarsFrame:
    """Has what polars.DataFrame has, as far as it matters here."""

    columns = ("a", "b")

    def get_columns(self) -> list[Any]:
        return [[1, 2, 3], ["x", None, "z"]]

    def to_numpy(self) -> np.ndarray:
        return np.zeros((3, 2))


class PolarsQuery:
    """polars.LazyFrame: nothing is computed before `collect`."""

    columns = ("a", "b")

    def collect_schema(self) -> None:
        raise AssertionError("not asked")

    def collect(self) -> PolarsFrame:
        return PolarsFrame()


class PolarsFloats:
    dtype = "Float32"

    def to_numpy(self) -> np.ndarray:
        raise AssertionError("it would lose what is missing")

    def to_list(self) -> list[Any]:
        return [float(np.float32(0.1)), None, 2.0]

    def __len__(self) -> int:
        return 3


class PolarsSeries:
    dtype = "Int64"

    def to_numpy(self) -> np.ndarray:
        return np.array([1.0, np.nan, 3.0])

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Any:
        return iter([1, None, 3])


class Tensor:
    """torch.Tensor of bfloat16 that is part of a graph: it hands over a list, and nothing else."""

    def __init__(self, values: list[float], in_graph: bool = True) -> None:
        self.values, self.in_graph = values, in_graph

    def detach(self) -> Tensor:
        return Tensor(self.values, in_graph=False)

    def cpu(self) -> Tensor:
        return self

    def tolist(self) -> list[float]:
        return self.values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.in_graph:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        raise TypeError("Got unsupported ScalarType BFloat16")


class Eager:
    """A tensor of TensorFlow, of which `numpy` is known alone."""

    shape = (3,)

    def numpy(self) -> np.ndarray:
        return np.array([1, 2, 3])


@dataclass
class Output:
    label: list[str]
    score: Any


class Dumped:
    """A model of pydantic."""

    def model_dump(self) -> dict[str, Any]:
        return {"a": [1, 2, 3]}


def endless() -> Any:
    return itertools.count()


MASKED = np.ma.masked_array([1, 2, 3], [False, True, False])
ONES = np.ones(3)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (PolarsFrame(), [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": 3, "b": "z"}]),
        (PolarsSeries(), [1, None, 3]),
        (Tensor([1.5, 2.0, 2.5]), [1.5, 2.0, 2.5]),
        (pa.table({"a": [1, None, 3]}), [{"a": 1}, {"a": None}, {"a": 3}]),
        (pa.record_batch({"a": ["x", None, "z"]}), [{"a": "x"}, {"a": None}, {"a": "z"}]),
        (pa.array([1.5, None, 2.0]), [1.5, None, 2.0]),
        (pa.chunked_array([[1, 2], [3]]), [1, 2, 3]),
        (MASKED, [1, None, 3]),
        (np.ma.masked_array([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]),
        ({"a": pa.array([1, None, 2]), "b": MASKED}, [{"a": 1, "b": 1}, {"a": None, "b": None}, {"a": 2, "b": 3}]),
        ([pa.scalar(3), np.ma.masked, None], [3, None, None]),
        ([ONES, ONES, ONES], [[1.0] * 3] * 3),
        ((1, 2, 3), [1, 2, 3]),
        (("a", "b", "c"), ["a", "b", "c"]),
        (([1], [2, 3], []), [[1], [2, 3], []]),
        ((np.array([1.5, 2, 3]), [4, 5, 6]), [[1.5, 4], [2, 5], [3, 6]]),
        (pd.Series([1, 2, None], dtype="Int64"), [1, 2, None]),
        (PolarsQuery(), [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": 3, "b": "z"}]),
        (PolarsFloats(), [0.1, None, 2.0]),
        (pa.array([0.1, None, 2], pa.float32()), [0.1, None, 2.0]),
        (pa.table({"a": pa.array([0.1, None, 2], pa.float32())}), [{"a": 0.1}, {"a": None}, {"a": 2.0}]),
        (pd.Series([0.1, None, 2], dtype="float[pyarrow]"), [0.1, None, 2.0]),
        (pd.Series([1, 2, 3], index=[2, 0, 1]), [2, 3, 1]),
        (pd.Series([1, 2, 3], index=pd.Index([2, 0, 1], name="id")), [1, 2, 3]),
        (pd.Series([1, 2, 3], index=[2, 0, 0]), [1, 2, 3]),
        (pd.Series([1, 2, 3], index=[1, 3, 2]), [1, 2, 3]),
        (pd.Series([1, 2, 3], index=[2.0, 0.0, 1.0]), [1, 2, 3]),
        (
            pd.DataFrame({"g": ["b", "a", "b"], "p": [1, 2, 3]}).groupby("g")[["p"]].apply(lambda g: g),
            [{"p": n} for n in (1, 2, 3)],
        ),
        (
            {"a": pd.Series([1, 2, 3], index=[2, 0, 1]), "b": [4, 5, 6]},
            [{"a": 2, "b": 4}, {"a": 3, "b": 5}, {"a": 1, "b": 6}],
        ),
        ([pd.Series([1, 2], index=[1, 0])] * 3, [[1, 2]] * 3),
        (pd.DataFrame({"a": [1, 2, 3]}).iloc[::-1], [{"a": 1}, {"a": 2}, {"a": 3}]),
        (
            pd.DataFrame([[1], [2], [3]], columns=pd.MultiIndex.from_tuples([("q", 0.5)])),
            [{"('q', 0.5)": n} for n in (1, 2, 3)],
        ),
        (Eager(), [1, 2, 3]),
        (Output(["a", "b", "c"], ONES), [{"label": label, "score": 1.0} for label in "abc"]),
        (Dumped(), [{"a": 1}, {"a": 2}, {"a": 3}]),
        (UserDict(a=[1, 2, 3]), [{"a": 1}, {"a": 2}, {"a": 3}]),
        (scipy.sparse.dok_array(np.eye(3)), np.eye(3).tolist()),
        (scipy.sparse.coo_array(np.arange(3)), [0, 1, 2]),
        ({"p": scipy.sparse.csr_array(np.eye(3))}, [{"p": row} for row in np.eye(3).tolist()]),
        (([1, 2, 3], scipy.sparse.csr_matrix(np.ones((3, 1)))), [[1, [1.0]], [2, [1.0]], [3, [1.0]]]),
        (map(str, (1, 2, 3)), ["1", "2", "3"]),
        (zip((1, 2, 3), "abc", strict=True), [[1, "a"], [2, "b"], [3, "c"]]),
        (range(3), [0, 1, 2]),
        (deque([1, 2, 3]), [1, 2, 3]),
        (array.array("d", [0.1, 0.2, 0.3]), [0.1, 0.2, 0.3]),
        ({"x": 1, "y": 2, "z": 3}.values(), [1, 2, 3]),
        (np.array([[(1,), (2,)]] * 3, dtype=[("a", int)]), [[{"a": 1}, {"a": 2}]] * 3),
        (
            np.rec.array([(1, "x"), (2, "y"), (3, "z")], names="a,b"),
            [{"a": n, "b": t} for n, t in ((1, "x"), (2, "y"), (3, "z"))],
        ),
        (np.broadcast_to(np.float64(0.5), (3,)), [0.5] * 3),
        (np.arange(6)[::-2], [5, 3, 1]),
        (np.matrix([[1], [2], [3]]), [[1], [2], [3]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_prediction_a_row(returned: Any, expected: list[Any]) -> None:
    """Frames and arrays of polars, Arrow and torch, and masked arrays, are predictions; what is missing is null."""
    rows = per_row(returned, 3)
    assert json.loads(json_text.to_json(rows, {}))["predictions"] == expected
    assert per_row(rows, 3) is rows or list(per_row(rows, 3)) == list(rows)
    lines = list(csv.reader(io.StringIO(csv_text.to_csv(rows, {}).decode())))
    assert len(lines) == 3
    assert all(lines)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "transformation returned None. Is `return` missing?"),
        ([1, 2, 3, 4], "returned 4 predictions (list) for 3 rows; expected one prediction per row."),
        (np.ones((5, 2)), "returned 5 predictions (ndarray of shape (5, 2)) for 3 rows"),
        ([ONES, ONES], "returned 2 predictions (list) for 3 rows; expected one prediction per row. Several results"),
        ((ONES, ONES, ONES), "a tuple of 3 results of length 3 for 3 rows: are they one for each row, or 3 results"),
        ((pd.Series(ONES), [1, 2, 3], pa.array([1, 2, 3])), "a tuple of 3 results of length 3 for 3 rows"),
        (pd.DataFrame(np.ones((3, 2)), columns=["a", "a"]), "a DataFrame with two columns 'a'. Rename one of them."),
        ("abc", "returned str 'abc' for 3 rows"),
        ({"a": [1, 2]}, "returned 2 predictions (a dict with the keys a) for 3 rows"),
        (7, "returned int 7 for 3 rows; expected a list or an array with one prediction per row."),
        (
            (ONES, [1], 200),
            "a tuple of 3 results (some) of length 3 for 3 rows: are they one for each row, or 3 results",
        ),
        ((ONES, {"version": 1}), "returned 2 predictions (tuple) for 3 rows; expected one prediction per row. Several"),
        (pa.table([ONES, ONES], names=["a", "a"]), "a Table with two columns 'a'. Rename one of them."),
        (
            {"m": ONES, "version": "1"},
            "Each value of a dict is a column, but 'version' is a str. Dicts of rows stand in",
        ),
        (
            {0: {"a": 1}},
            "a dict with the keys 0 for 3 rows; expected a list or an array with one prediction per row. Each",
        ),
        ({"a": ONES, "b": [1]}, "Its columns have different lengths: 3, 1."),
        (
            {3, 1, 2},
            "returned set for 3 rows; expected a list or an array with one prediction per row. A set has no order.",
        ),
        (endless(), "returned more than 3 predictions (count) for 3 rows"),
        (iter([1]), "returned 1 prediction (list_iterator) for 3 rows"),
        (ValueError("no rows"), "returned the exception ValueError (no rows), which it should raise, for 3 rows"),
        (("[1, 2, 3]", "application/json"), "An answer of your own making is (bytes, content type)."),
        (np.ones((2, 3)), "of shape (2, 3)) for 3 rows; expected one prediction per row. It has a column for each row"),
        (np.zeros(3, "V4"), "returned ndarray of shape (3,) for 3 rows"),
        (scipy.sparse.csr_array(np.ones((2, 5))), "returned 2 predictions (csr_array of shape (2, 5)) for 3 rows"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_told_apart_is_refused(returned: Any, message: str) -> None:
    """What is not one prediction a row is an error that says what came, never an answer that might be wrong."""
    with pytest.raises(ModelFailed) as caught:
        per_row(returned, 3)
    assert message in caught.value.message


@pytest.mark.parametrize("rows", [[[], [1], []], np.zeros((3, 0)), [{}, {"a": 1}, {}], [None, "", np.ma.masked]])
def test_an_empty_prediction_is_a_line_of_csv(rows: Any) -> None:
    """An empty list, an empty text and a missing value are a quoted empty cell: a reader skips blank lines."""
    text = csv_text.to_csv(rows, {}).decode()
    assert len(text.splitlines()) == 3
    assert "" not in text.splitlines()
    assert len(pd.read_csv(io.StringIO(text), header=None)) == 3
