"""Texts of a long column leave it while they are converted, and are all there again when one cannot be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from serving.rows import decoded
from serving.rows.decoded import Columns


def texts(*last: object) -> np.ndarray:
    return np.array([*(f"text {i}" for i in range(10)), np.nan, *last], dtype=object)


@pytest.mark.parametrize("part", [1, 4, 11, 12, 13, 100])
def test_parts_are_what_the_whole_is(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a column is cut; and asked twice the frame is the same."""
    monkeypatch.setattr(decoded, "PART", part)
    expected = pd.DataFrame({"a": texts("x"), "b": np.arange(12.0)})
    columns = Columns([texts("x"), np.arange(12.0)], ("a", "b"))
    for _ in range(2):
        pd.testing.assert_frame_equal(columns.frame(), expected)


def test_texts_that_cannot_be_converted_are_all_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever calls the model again, request by request, has the rows that were sent."""
    monkeypatch.setattr(decoded, "PART", 4)
    columns = Columns([texts("\ud800", "y")], ("a",))
    for _ in range(2):
        if isinstance(decoded._words(), np.dtype):  # before pandas 3 texts stay as they are
            columns.frame()
        else:
            with pytest.raises(UnicodeEncodeError):
                columns.frame()
        assert columns.arrays[0].tolist()[:10] == texts().tolist()[:10]
        assert columns.arrays[0].tolist()[10] != columns.arrays[0].tolist()[10]
        assert columns.arrays[0].tolist()[11:] == ["\ud800", "y"]
