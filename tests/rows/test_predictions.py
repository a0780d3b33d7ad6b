"""What transformation may return, and what it may not. Each docstring is one sentence of the contract."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from serving.errors import ModelFailed
from serving.formats import csv_text, json_text
from serving.rows.predictions import per_row


class PolarsFrame:
    """Has what polars.DataFrame has, as far as it matters here."""

    columns = ("a", "b")

    def to_dicts(self) -> list[dict[str, Any]]:
        return [{"a": 1, "b": "x"}, {"a": 2, "b": None}, {"a": 3, "b": "z"}]

    def to_numpy(self) -> np.ndarray:
        return np.zeros((3, 2))


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
        (7, "returned int 7 for 3 rows"),
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
