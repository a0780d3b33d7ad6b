"""rows/whole_numbers.py: what one column of cells becomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.rows.whole_numbers import integers


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "2", "-3"], "int64"),
        (["1.0", "2e3"], "int64"),
        (["9007199254740993"], "int64"),
        (["9007199254740992.0"], "float64"),
        (["1", "9007199254740994.0"], "float64"),
        (["1", ""], "float64"),
        (["1", "0.5"], "float64"),
        ([1, 2**63 - 1], "int64"),
        ([1, 2**63], "uint64"),
        (["18446744073709551615"], "uint64"),
        ([10**20], "object"),
        ([2**53, None], "float64"),
        ([2**53 + 1, None], "object"),
        (["9007199254740993", ""], "object"),
        ([2**53 + 1, 0.5], "object"),
    ],
)
def test_whole_numbers_are_integers_where_none_may_have_lost_a_digit(cells: list[Any], dtype: str) -> None:
    """A text with a point or an exponent went through a float: beyond 2**53 that is not known to be exact."""
    assert np.asarray(integers(cells)).dtype == dtype
