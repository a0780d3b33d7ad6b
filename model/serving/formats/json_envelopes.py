"""What a JSON document wraps around rows: envelopes of SageMaker, TF Serving, MLflow, KServe, Seldon, Azure and pandas.

A list is rows, or one row of values; a list of texts is a text a row where the model says nothing. An object is an
envelope, or one row by name: it is a row if it holds all of the model's names.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..errors import BadRequest
from ..rows.signature import Signature
from ..rows.table import Table
from ..wording import quoted
from .json_pieces import mapped
from .json_tables import SHAPES, by_index, of_columns, of_values
from .json_tensors import are_tensors, of_tensors, rows_of_shape

NestedRows = list[Any] | Table


def document(value: Any, signature: Signature) -> NestedRows:
    """Takes the envelope off: a list of rows, or a Table."""
    if isinstance(value, list):
        if signature.form == "values":
            return value
        _refuse_a_null_text(value, signature)
        return value if not value or isinstance(value[0], list | dict) or _a_value_each(value, signature) else [value]
    if isinstance(value, str) and (inner := _written_twice(value, signature)) is not None:
        return document(inner, signature)
    if not isinstance(value, dict):
        if signature.count == 1 or (isinstance(value, str) and signature.form == "unknown"):
            return [value]
        cells = " Cells with commas between them are text/csv, without quotes." if isinstance(value, str) else ""
        raise BadRequest(f"The body is the JSON value {quoted(value)}, which is not rows.{cells}", expected=SHAPES)
    if not signature.named_by(value) or _wraps_rows(value):
        for keys, take_off in ENVELOPES:
            if all(key in value for key in keys) and (rows := take_off(value, signature)) is not None:
                return rows
    if signature.as_sent:
        return [value]
    _refuse_unknown_envelope(value, signature)
    if value and all(isinstance(cells, list) for cells in value.values()):
        return of_columns(value)
    if (indexed := by_index(value, signature)) is not None:
        return indexed
    return [value]


def _written_twice(text: str, signature: Signature) -> list[Any] | dict[str, Any] | None:
    """The rows in a text that is JSON itself: an AWS Lambda writes as JSON what it was given as JSON. A model of texts
    takes any text as it is; one that says nothing may be one."""
    if signature.form == "texts" or text.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if signature.form == "unknown" and isinstance(value, list | dict):
        raise BadRequest(
            "The body is a text that holds JSON: it was written as JSON twice. Send the JSON itself.", expected=SHAPES
        )
    return value if isinstance(value, list | dict) else None


def _wraps_rows(value: dict[str, Any]) -> bool:
    """The only column may be called "instances"; its cells are not lists and not objects."""
    inner = next(iter(value.values())) if len(value) == 1 else None
    return isinstance(inner, list) and _are_rows(inner)


def _are_rows(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(row, list | dict) for row in values)


def _a_value_each(values: list[Any], signature: Signature) -> bool:
    """Whether a flat list is a row per value: for a model of one column, and texts for a model that says nothing."""
    return signature.count == 1 or are_texts(values, signature)


def are_texts(rows: Any, signature: Signature) -> bool:
    """Texts alone, for a model that says nothing: it gets them as they are."""
    return signature.form == "unknown" and bool(rows) and all(isinstance(row, str) for row in rows)


def _refuse_a_null_text(values: list[Any], signature: Signature) -> None:
    """["a", "b"] is two texts and [["a", null]] is a row of two; ["a", null] could be either."""
    if signature.form == "unknown" and values and {type(value) for value in values} == {str, type(None)}:
        row = next(number for number, value in enumerate(values, 1) if value is None)
        raise BadRequest(
            f"Value {row} of a list of texts is null, which is not a text. Are they one row? Then send [[…]].",
            expected=SHAPES,
        )


# ---- one function per envelope: the rows, or None if the object is not that envelope ---------------------------------


def _inner(key: str) -> Callable[[dict[str, Any], Signature], NestedRows]:
    def take_off(value: dict[str, Any], signature: Signature) -> NestedRows:
        inner = value[key]
        if isinstance(inner, list | dict) or signature.count == 1 or are_texts([inner], signature):
            return _below(inner, signature)
        if isinstance(inner, str) and (written := _written_twice(inner, signature)) is not None:
            return document(written, signature)
        raise BadRequest(f'"{key}" is {quoted(inner)}; expected a list of rows.', expected=SHAPES)

    return take_off


def _below(inner: Any, signature: Signature) -> NestedRows:
    """TF Serving and Azure call the rows something once more: {"inputs": {"input_1": [[…]]}}."""
    if are_tensors(inner):
        return of_tensors(inner, signature)
    if isinstance(inner, dict) and _wraps_rows(inner) and not signature.named_by(inner) and signature.form != "objects":
        return document(next(iter(inner.values())), signature)
    return document(inner, signature)


def _if_nested(key: str) -> Callable[[dict[str, Any], Signature], NestedRows | None]:
    """For a key that may be the name of a value just as well: then it has others beside it."""

    def take_off(value: dict[str, Any], signature: Signature) -> NestedRows | None:
        inner, beside = value[key], [other for name, other in value.items() if name != key]
        if isinstance(inner, list):
            a_column = not _are_rows(inner) and any(isinstance(other, list) for other in beside)
        else:
            a_column = (key, signature.form) == ("data", "unknown") and not all(
                isinstance(other, dict) for other in beside
            )
        if not isinstance(inner, list | dict) or a_column or (beside and signature.form == "objects"):
            return None
        return _below(inner, signature)

    return take_off


def _split(value: dict[str, Any], signature: Signature) -> Table:
    return _named(value["columns"], value["data"], signature, '"columns" and "data"')


def _named(names: Any, rows: Any, signature: Signature, keys: str) -> Table:
    if not isinstance(names, list) or not isinstance(rows, list):
        raise BadRequest(f"{keys} must be lists.", expected='{"columns": […], "data": [[…], …]}')
    if any(isinstance(name, list | dict) for name in names):
        raise BadRequest(f"The names in {keys} have two levels; a model takes columns of one.", expected="texts")
    return of_values(rows, len(names), signature, [str(name) for name in names])


def _dataframe_split(value: dict[str, Any], signature: Signature) -> NestedRows:
    inner = value["dataframe_split"]
    if not isinstance(inner, dict) or "data" not in inner:
        raise BadRequest('"dataframe_split" must be {"columns": […], "data": [[…], …]}.')
    return _split(inner, signature) if "columns" in inner else document(inner["data"], signature)


def _ndarray(value: dict[str, Any], signature: Signature) -> NestedRows:
    """Seldon: {"data": {"names": […], "ndarray": [[…], …]}}."""
    if value.get("names"):
        return _named(value["names"], value["ndarray"], signature, '"names" and "ndarray"')
    return document(value["ndarray"], signature)


def _tensor(value: dict[str, Any], signature: Signature) -> NestedRows | None:
    """Seldon: {"data": {"names": […], "tensor": {"shape": [rows, columns], "values": […]}}}."""
    tensor = value["tensor"]
    if not isinstance(tensor, dict) or not {"shape", "values"} <= tensor.keys():
        return None
    rows = rows_of_shape("tensor", tensor["shape"], tensor["values"])
    return _ndarray({**value, "ndarray": rows}, signature)


def _table(value: dict[str, Any], signature: Signature) -> NestedRows | None:
    """DataFrame.to_json(orient="table"): its schema tells which of the names are the index."""
    schema, rows = value["schema"], value["data"]
    index = schema.get("primaryKey") if isinstance(schema, dict) else None
    if not isinstance(index, list) or not isinstance(rows, list):
        return None
    index = [name for name in index if not signature.knows(str(name))]
    return mapped(rows, lambda row: _without(row, index) if isinstance(row, dict) else row)


def _without(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _features(value: dict[str, Any], signature: Signature) -> NestedRows | None:
    """One row, or several: {"features": [[…], …]}; or one by name."""
    inner = value["features"]
    if isinstance(inner, dict) and signature.named_by(inner):
        return [inner]
    return inner if isinstance(inner, list) and _are_rows(inner) else [value]


ENVELOPES: tuple[tuple[tuple[str, ...], Callable[[dict[str, Any], Signature], NestedRows | None]], ...] = (
    (("instances",), _inner("instances")),
    (("inputs",), _inner("inputs")),
    (("dataframe_split",), _dataframe_split),
    (("dataframe_records",), _inner("dataframe_records")),
    (("columns", "data"), _split),
    (("schema", "data"), _table),
    (("predictions",), _inner("predictions")),  # what the container before this one in a pipeline has answered
    (("features",), _features),
    (("data",), _if_nested("data")),
    (("input_data",), _if_nested("input_data")),  # Azure's for MLflow's models, BentoML's
    (("Inputs",), _if_nested("Inputs")),
    (("records",), _if_nested("records")),
    (("ndarray",), _ndarray),
    (("tensor",), _tensor),
)
"""The keys that tell an envelope → the function that takes it off; the first that fits."""


def _refuse_unknown_envelope(value: dict[str, Any], signature: Signature) -> None:
    """Rows under a name that nobody knows would be read as one column, or as one cell."""
    if signature.count is None or set(signature.spelled(list(value))) & signature.position.keys():
        return
    for name, inner in value.items():
        if not isinstance(inner, list) or not inner:
            continue
        if isinstance(inner[0], list | dict) or (len(value) == 1 and signature.count > 1):
            known = ", ".join(" with ".join(keys) for keys, _ in ENVELOPES)
            raise BadRequest(
                f"{quoted(name)} is neither a column of the model nor an envelope around rows. Envelopes are: {known}.",
                expected=SHAPES,
            )
