"""What a JSON document wraps around rows: the envelopes of SageMaker, TF Serving, MLflow, KServe and pandas.

A list is rows, or one row of values; a list of texts is a text a row where the model says nothing. An object is an
envelope, or one row by name: it is a row if it holds all of the model's names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import BadRequest
from ..rows.signature import Signature
from ..rows.table import Table
from ..wording import quoted, verbatim
from .json_pieces import Long
from .json_tables import SHAPES, of_values
from .json_tensors import are_tensors, of_tensors

NestedRows = list[Any] | Table


def document(value: Any, signature: Signature) -> NestedRows:
    """Takes the envelope off: a list of rows, or a Table."""
    if isinstance(value, list):
        return value if not value or isinstance(value[0], list | dict) or _a_value_each(value, signature) else [value]
    if not isinstance(value, dict):
        if signature.count == 1 or (isinstance(value, str) and signature.form == "unknown"):
            return [value]
        raise BadRequest(f"The body is the JSON value {quoted(value)}, which is not rows.", expected=SHAPES)
    if not signature.named_by(value) or _wraps_rows(value):
        for keys, take_off in ENVELOPES:
            if all(key in value for key in keys) and (rows := take_off(value, signature)) is not None:
                return rows
    if signature.form == "objects":
        return [value]
    _refuse_unknown_envelope(value, signature)
    if value and all(isinstance(cells, list) for cells in value.values()):
        return _of_columns(value)
    if (by_index := _by_index(value, signature)) is not None:
        return by_index
    return [value]


def _wraps_rows(value: dict[str, Any]) -> bool:
    """The only column may be called "instances"; its cells are not lists and not objects."""
    inner = next(iter(value.values())) if len(value) == 1 else None
    return isinstance(inner, list) and bool(inner) and all(isinstance(row, list | dict) for row in inner)


def _a_value_each(values: list[Any], signature: Signature) -> bool:
    """Whether a flat list is a row per value: for a model of one column, and texts for a model that says nothing."""
    return signature.count == 1 or are_texts(values, signature)


def are_texts(rows: Any, signature: Signature) -> bool:
    """Texts alone, for a model that says nothing: it gets them as they are."""
    return signature.form == "unknown" and bool(rows) and all(isinstance(row, str) for row in rows)


def bare(row: Any, signature: Signature) -> Any:
    """{"features": […]} and {"data": {"features": {"values": […]}}}, as SageMaker's own algorithms take rows."""
    if not isinstance(row, dict) or signature.named_by(row):
        return row
    inner = row.get("data", row)
    inner = inner.get("features") if isinstance(inner, dict) else None
    if isinstance(inner, list):
        return inner
    if isinstance(inner, dict) and isinstance(inner.get("values"), list):
        return _dense(inner) if "keys" in inner else inner["values"]
    return row


def _dense(sparse: dict[str, Any]) -> list[Any]:
    """{"keys": […], "shape": [n], "values": […]}: zeros but for the keys."""
    keys, shape, values = sparse["keys"], sparse.get("shape"), sparse["values"]
    fits = isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], int) and 0 < shape[0] <= 100_000
    if not fits or not isinstance(keys, list) or len(keys) != len(values):
        raise BadRequest("A sparse row needs keys, values of the same length, and shape [n] with n up to 100000.")
    dense: list[Any] = [0.0] * shape[0]  # type: ignore[index]
    for key, value in zip(keys, values, strict=True):
        if not isinstance(key, int) or not 0 <= key < len(dense):
            raise BadRequest(
                f"A sparse row has the key {quoted(key, 40)}, which is not in its shape {verbatim(str(shape))}."
            )
        dense[key] = value
    return dense


# ---- one function per envelope: the rows, or None if the object is not that envelope ---------------------------------


def _inner(key: str) -> Callable[[dict[str, Any], Signature], NestedRows]:
    def take_off(value: dict[str, Any], signature: Signature) -> NestedRows:
        inner = value[key]
        if are_tensors(inner):
            return of_tensors(inner, signature)
        if isinstance(inner, list | dict) or signature.count == 1 or are_texts([inner], signature):
            return document(inner, signature)
        raise BadRequest(f'"{key}" is {quoted(inner)}; expected a list of rows.', expected=SHAPES)

    return take_off


def _split(value: dict[str, Any], signature: Signature) -> Table:
    names, rows = value["columns"], value["data"]
    if not isinstance(names, list) or not isinstance(rows, list):
        raise BadRequest('"columns" and "data" must be lists.', expected='{"columns": […], "data": [[…], …]}')
    if any(isinstance(name, list | dict) for name in names):
        raise BadRequest('The names in "columns" have two levels; a model takes columns of one.', expected="texts")
    return of_values(rows, len(names), signature, [str(name) for name in names])


def _dataframe_split(value: dict[str, Any], signature: Signature) -> Table:
    inner = value["dataframe_split"]
    if not isinstance(inner, dict) or not {"columns", "data"} <= inner.keys():
        raise BadRequest('"dataframe_split" must be {"columns": […], "data": [[…], …]}.')
    return _split(inner, signature)


def _one_row(value: dict[str, Any], signature: Signature) -> list[Any]:
    return [value]


def _data(value: dict[str, Any], signature: Signature) -> list[Any] | None:
    """{"data": [[…], …]} and {"data": [{…}, …]} are rows, {"data": {"features": …}} is one."""
    inner = value["data"]
    if isinstance(inner, list) and inner and all(isinstance(row, list | dict) for row in inner):
        return inner
    return [value] if isinstance(inner, dict) and "features" in inner else None


ENVELOPES: tuple[tuple[tuple[str, ...], Callable[[dict[str, Any], Signature], NestedRows | None]], ...] = (
    (("instances",), _inner("instances")),
    (("inputs",), _inner("inputs")),
    (("dataframe_split",), _dataframe_split),
    (("dataframe_records",), _inner("dataframe_records")),
    (("columns", "data"), _split),
    (("predictions",), _inner("predictions")),  # what the container before this one in a pipeline has answered
    (("features",), _one_row),
    (("data",), _data),
)
"""The keys that tell an envelope → the function that takes it off; the first that fits."""


# ---- columns by name -------------------------------------------------------------------------------------------------


def _of_columns(value: dict[str, list[Any]]) -> Table:
    value = {name: cells.in_memory() if isinstance(cells, Long) else cells for name, cells in value.items()}
    lengths = {len(cells) for cells in value.values()}
    if len(lengths) > 1:
        got = ", ".join(f"{name}: {len(cells)}" for name, cells in list(value.items())[:12])
        raise BadRequest(f"The columns have different lengths ({verbatim(got, 400)}).")
    return Table(list(value.values()), lengths.pop() if lengths else 0, list(value))


def _by_index(value: dict[str, Any], signature: Signature) -> Table | None:
    """What DataFrame.to_json() writes by default: {"column": {"0": value, "1": value}}.

    Where the model does not know the columns, the index must be numbers: {"who": {"age": 3}} is an object in a row.
    """
    columns = list(value.values())
    if not columns or not all(isinstance(cells, dict) for cells in columns):
        return None
    index = columns[0].keys()
    known = signature.named_by(value) or (bool(index) and all(key.isdecimal() for key in index))
    if not known or any(cells.keys() != index for cells in columns):
        return None
    return Table([list(cells.values()) for cells in columns], len(index), list(value))


def _refuse_unknown_envelope(value: dict[str, Any], signature: Signature) -> None:
    """Rows under a name that nobody knows would be read as one column, or as one cell."""
    if signature.count is None or set(signature.spelled(list(value))) & signature.position.keys():
        return
    for name, inner in value.items():
        if not isinstance(inner, list) or not inner:
            continue
        if isinstance(inner[0], list | dict) or (len(value) == 1 and signature.count > 1):
            known = ", ".join(" with ".join(keys) for keys, _ in ENVELOPES if keys != ("data",))
            raise BadRequest(
                f"{quoted(name)} is neither a column of the model nor an envelope around rows. Envelopes are: {known}.",
                expected=SHAPES,
            )
