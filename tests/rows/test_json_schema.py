"""What a model expects, told as JSON Schema, and the row that is shown as an example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from serving.rows import json_schema
from serving.rows.signature import Column, Signature


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        (Column("a", "number"), [1.5, 2, None], ["x", True]),
        (Column("a", "number", missing=False), [1.5], [None]),
        (Column("a", "integer", missing=False), [3], [1.5, "3", None]),
        (Column("a", "boolean"), [True, None], [1, "True"]),
        (Column("a", "text", missing=False), ["02139", ""], [2139, None]),
        (Column("a", "datetime"), ["2024-05-31", None], [5]),
        (Column("a", "text", ("x", "y"), closed=True, missing=False), ["x"], ["z", None]),
        (Column("a", "text", ("x", None), closed=True), ["x", None], ["z"]),
        (Column("a", "text", ("x", "y")), ["x", "z"], [1]),
        (Column("a", "category", (np.int64(1), np.int64(2))), [1, None], [3, "1"]),
        (Column("a", "number", (1.0, 2.0, float("nan")), closed=True), [1.0, 2, None], [3]),
        (Column("a", "any"), [1, "x", None, True], []),
        (Column("a", "number", used=False), ["x", None], []),
    ],
)
def test_a_column_takes_what_the_model_does(column: Column, good: list[Any], bad: list[Any]) -> None:
    """By its type, its categories, and whether a value may be missing; what is not known is left open."""
    schema = json_schema.of_row(Signature("frame", (column,)))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for value in good:
        assert validator.is_valid({"a": value}), value
        assert validator.is_valid([value]), value
    for value in bad:
        assert not validator.is_valid({"a": value}), value
        assert not validator.is_valid([value]), value


def test_names_and_width() -> None:
    """Objects need each column that is used, and may have others; lists have the model's width."""
    columns = (Column("a", "number"), Column("b", "number", used=False), Column(7, "number"))
    validator = Draft202012Validator(json_schema.of_row(Signature("frame", columns)))
    assert validator.is_valid({"a": 1, "7": 2, "other": "x"})
    assert not validator.is_valid({"a": 1, "b": 2})
    assert validator.is_valid([1, None, 2])
    assert not validator.is_valid([1, 2])


def test_without_names_a_row_is_a_list() -> None:
    """So it is for an array, and for a frame with two columns of one name."""
    for signature in (Signature("array", (Column(), Column())), Signature("frame", (Column("a"), Column("a")))):
        validator = Draft202012Validator(json_schema.of_row(signature))
        assert validator.is_valid([1, 2])
        assert not validator.is_valid({"a": 1})


@pytest.mark.parametrize(
    ("signature", "example"),
    [
        (Signature("texts", (Column(kind="text"),)), "a sample text"),
        (Signature("texts", (Column(kind="text"),), (("good film",),)), "good film"),
        (Signature("objects"), None),
        (Signature("objects", None, (({"a": 1.5, "b": [float("nan")]},),)), {"a": 1.5, "b": [None]}),
        (Signature(), None),
        (Signature("frame", (Column("a"),)), None),
        (Signature("frame", (Column("a"),), ((float("nan"),),)), {"a": None}),
        (Signature("frame", (Column("a", "number"), Column("b", used=False))), {"a": 1.0, "b": None}),
        (Signature("array", (Column(None, "number"), Column(None, "integer"))), [1.0, 1]),
        (Signature("frame", (Column("a", "text", (np.str_("x"),)),)), {"a": "x"}),
        (
            Signature("frame", (Column("a", "category", (pd.Timestamp("2024-05-31"),)),)),
            {"a": "2024-05-31T00:00:00"},
        ),
    ],
)
def test_the_example_is_of_the_sample_or_made_up(signature: Signature, example: Any) -> None:
    """As JSON has it, and nothing where a column of which nothing is known would have to be guessed."""
    found = json_schema.example(signature)
    assert found == example
    assert type(found) is type(example)
