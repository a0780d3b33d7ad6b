"""Tensors of the Open Inference Protocol (KServe, Triton, MLServer: "V2") → rows.

{"inputs": [{"name": …, "shape": [rows, columns], "datatype": "FP32", "data": […]}]}: one tensor of rows, or one of a
value per row for each column, by name. The datatype is kept, and a value of another is refused: NumPy would bend it.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..errors import BadRequest
from ..rows.cells import numbers
from ..rows.signature import Signature
from ..rows.table import Table, takes_block
from ..rows.whole_numbers import EXACT
from ..wording import quoted
from .json_tables import SHAPES

DATATYPES = {
    **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "BOOL": "bool",
    "BYTES": "text",
}


def are_tensors(value: Any) -> bool:
    keys = {"name", "shape", "datatype"}
    return isinstance(value, list) and bool(value) and all(isinstance(t, dict) and keys <= t.keys() for t in value)


def of_tensors(tensors: list[dict[str, Any]], signature: Signature) -> Table | list[Any]:
    """A table; for texts (one per row) a list of them."""
    names = [str(tensor["name"]) for tensor in tensors]
    columns = [_columns(tensor) for tensor in tensors]
    if len(columns) == 1 and not signature.named_by(names):
        return _of_one(columns[0], tensors[0]["shape"], signature)
    if any(len(found) != 1 for found in columns) or len({len(found[0]) for found in columns}) != 1:
        raise BadRequest("Several tensors are columns: each has the shape [rows] or [rows, 1].", expected=SHAPES)
    return Table([found[0] for found in columns], len(columns[0][0]), names)


def _of_one(columns: list[Any], shape: list[int], signature: Signature) -> Table | list[Any]:
    numbers = isinstance(columns[0], np.ndarray)
    if len(shape) == 1 and signature.count != 1 and (numbers or signature.form != "unknown"):
        columns = [column[i : i + 1] for column in columns for i in range(len(column))]  # one row
    elif not numbers and len(shape) == 1:
        return list(columns[0])
    if numbers and takes_block(signature, None):
        return Table((), len(columns[0]), block=np.column_stack(columns))
    return Table(columns, len(columns[0]))


def _columns(tensor: dict[str, Any]) -> list[Any]:
    """The tensor's columns: arrays of its datatype, or lists of texts."""
    name, shape, kind = str(tensor["name"])[:80], tensor["shape"], DATATYPES.get(str(tensor["datatype"]).upper())
    if kind is None:
        known = ", ".join(DATATYPES)
        raise BadRequest(
            f"The tensor {quoted(name)} has the datatype {quoted(tensor['datatype'], 40)}; known: {known}."
        )
    if "data" not in tensor:
        raise BadRequest(f"The tensor {quoted(name)} has no data: values are read as JSON, not as bytes after it.")
    sizes, values = _flat(f"The tensor {quoted(name)}", shape, tensor["data"])
    width = sizes[1] if len(sizes) == 2 else 1
    if (strange := _first_unfit(values, kind)) is not None:
        raise BadRequest(
            f"The tensor {quoted(name)} holds {quoted(values[strange], 40)}, which is not {tensor['datatype']}."
        )
    if kind == "text":
        return [values[i::width] for i in range(width)]
    return list(_array(values, kind).reshape(-1, width).T)


def _first_unfit(values: list[Any], kind: str) -> int | None:
    """The place of the first value that is not of the datatype. null is a missing float, or a missing text."""
    if kind == "bool":
        fit = [type(value) in (bool, int) and value in (0, 1) for value in values]
    elif kind == "text":
        fit = [value is None or isinstance(value, str) for value in values]
    elif kind.startswith("float"):
        fit = [value is None or type(value) in (int, float) for value in values]
        if all(fit):
            floats = numbers(values)
            fit = (np.isfinite(_array(values, kind)) | ~np.isfinite(floats)).tolist()
    else:
        limits = np.iinfo(kind)
        fit = [_is_whole(value) and limits.min <= value <= limits.max for value in values]
    return None if all(fit) else fit.index(False)


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer() and abs(value) < EXACT)


def _array(values: list[Any], kind: str) -> np.ndarray:
    if kind.startswith("float"):
        with np.errstate(over="ignore"):
            return numbers(values).astype(kind)
    return np.array([int(value) for value in values], dtype=kind)


def _flat(what: str, shape: Any, values: Any) -> tuple[list[int], list[Any]]:
    """The sizes, and the values row after row."""
    whole = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not whole or len(shape) not in (1, 2) or 0 in shape[1:]:
        raise BadRequest(f"{what} has the shape {quoted(shape)}; expected [rows] or [rows, columns].")
    while isinstance(values, list) and values and isinstance(values[0], list):
        values = [value for row in values for value in (row if isinstance(row, list) else [row])]
    if not isinstance(values, list) or len(values) != prod(shape):
        count = len(values) if isinstance(values, list) else "no"
        raise BadRequest(f"{what} holds {count} values; its shape {shape} says {prod(shape)}.")
    return shape, values


def rows_of_shape(name: str, shape: Any, values: Any) -> list[Any]:
    """Values in a row → a list for each row; of one dimension, as they are."""
    sizes, flat = _flat(f"The tensor {quoted(name)}", shape, values)
    if len(sizes) == 1:
        return flat
    return [flat[start : start + sizes[1]] for start in range(0, len(flat), sizes[1])]
