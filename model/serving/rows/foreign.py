"""What objects of other libraries hold, as NumPy arrays and lists: frames, columns, tensors, sparse matrices, records.

No library is imported or known by its name: an object is known by what it can do. What is missing is None, or what its
library has for it (NaN, NaT, NA). float32 stays float32, or 0.1 would be written as 0.10000000149011612.
"""

from __future__ import annotations

import dataclasses
from collections.abc import ItemsView, KeysView, Mapping, Sequence, Set, ValuesView
from typing import Any

import numpy as np

from ..errors import ModelFailed
from ..wording import quoted

IN_ORDER = (Sequence, KeysView, ValuesView, ItemsView)
SINGLE = ("Float32", "float", "float[pyarrow]")
"""float32, as polars and pandas, Arrow, and pandas over Arrow call it. Their lists hold Python's floats."""
SECOND = np.timedelta64(1, "s")


def held(value: Any) -> np.ndarray | list[Any] | None:
    """An array or a list with an item a row; None for what has no rows. A frame has an object a row.

    Raises ModelFailed for a frame with two columns of one name.
    """
    if isinstance(value, np.ndarray):
        return of_array(value)
    if hasattr(value, "toarray"):  # scipy.sparse; one kind of it is a dict
        return np.asarray(value.toarray())
    if hasattr(value, "collect_schema") and hasattr(value, "collect"):  # a query of polars that has not run yet
        value = value.collect()
    if (columns := _columns(value)) is not None:
        return records(columns)
    if hasattr(value, "to_pylist"):  # Arrow
        return _single(value.to_pylist(), getattr(value, "type", None))
    if hasattr(value, "to_numpy"):
        dtype = getattr(value, "dtype", None)
        if dtype is None or isinstance(dtype, np.dtype):
            return of_array(value.to_numpy())
        return _single(value.to_list() if hasattr(value, "to_list") else list(value), dtype)
    if hasattr(value, "__array__") or (hasattr(value, "shape") and hasattr(value, "numpy")):
        return None if isinstance(value, type) else of_array(of_tensor(value))
    return list(value) if isinstance(value, IN_ORDER) and not isinstance(value, str | bytes | bytearray) else None


def named(value: Any) -> dict[Any, Any] | None:
    """What holds values by name, as a dict: any mapping, a dataclass, a model of pydantic."""
    if isinstance(value, Mapping):
        return value if isinstance(value, dict) else dict(value)
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return dict(value.model_dump()) if hasattr(value, "model_dump") else None


def length(value: Any) -> int | None:
    """How many items there are, for one of them to be a row's; None for a single value, and for what has no order."""
    if isinstance(value, str | bytes | bytearray | Mapping | Set) and not hasattr(value, "toarray"):
        return None
    try:
        return len(value)
    except TypeError:  # a sparse matrix, or an array without dimensions
        shape = getattr(value, "shape", None)
        return int(shape[0]) if isinstance(shape, Sequence) and shape else None


def in_order(value: Any) -> Any:
    """A frame or a Series in the order of the rows that transformation was given, whose index is 0, 1, 2, …

    One that it has sorted, or put together from groups, has these numbers in another order. An index with a name is
    one of its own.
    """
    index = getattr(value, "index", None)
    if not hasattr(value, "iloc") or index is None or not hasattr(index, "get_level_values"):
        return value
    last = index.get_level_values(-1)
    if last.name is not None or not isinstance(last.dtype, np.dtype) or last.dtype.kind not in "iu":
        return value
    order = np.argsort(last.to_numpy(), kind="stable")
    count = np.arange(len(order))
    is_shuffled = (last.to_numpy()[order] == count).all() and (order != count).any()
    return value.iloc[order] if is_shuffled else value


def items(column: Any) -> np.ndarray | list[Any]:
    """The values of a column, one by one."""
    found = column if isinstance(column, list) else held(in_order(column))
    if isinstance(found, np.ndarray) and found.dtype.kind == "M":
        return spelt(found)
    return list(column) if found is None else found


def spelt(times: np.ndarray) -> list[Any]:
    """Dates and times as Python's, and as texts where Python has none: nanoseconds, or a year beyond 9999. NaT is
    None. Durations are seconds."""
    there = ~np.isnat(times)
    if times.dtype.kind == "m":
        cells = (times / SECOND).astype(object)
    else:
        dates = np.datetime_data(times.dtype)[0] in ("Y", "M", "W", "D")
        plain = times.astype("M8[D]" if dates else "M8[us]")
        years = plain[there].astype("M8[Y]").astype(int) + 1970
        if (plain == times)[there].all() and ((years > 0) & (years < 10_000)).all():
            return list(plain.tolist())
        cells = times.astype(str).astype(object)
    cells[~there] = None
    return list(cells.tolist())


def records(columns: Mapping[Any, Any]) -> list[dict[str, Any]] | None:
    """Columns by name → an object a row. None where they are not columns of one length."""
    lengths = {length(column) for column in columns.values()}
    if len(lengths) != 1 or None in lengths:
        return None
    names = [str(name) for name in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*map(items, columns.values()), strict=True)]


def of_array(array: np.ndarray) -> np.ndarray | list[Any] | None:
    """What is masked is None, durations are seconds, and an array with names is an object a row."""
    if not array.ndim:
        return None
    if array.dtype.names:
        return _of_names(array)
    if array.dtype.kind == "m":
        array = array / SECOND
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        return list(array.filled(np.datetime64("NaT")) if array.dtype.kind == "M" else array.tolist())
    if array.dtype.kind == "V":  # numbers that NumPy does not have, such as bfloat16
        try:
            return array.astype(np.float32)
        except ValueError:  # bytes of any meaning
            return None
    return np.asarray(array)


def _of_names(array: np.ndarray) -> list[Any]:
    if array.ndim > 1:
        return [_of_names(row) for row in array]
    names = array.dtype.names or ()
    return [dict(zip(names, row, strict=True)) for row in array.tolist()]


def of_tensor(tensor: Any) -> np.ndarray:
    """torch refuses to hand over what is part of a graph, lies on a GPU, or is of a type that NumPy does not have."""
    for name in ("detach", "cpu", "resolve_conj", "to_dense"):
        if hasattr(tensor, "detach") and hasattr(tensor, name):
            tensor = getattr(tensor, name)()
    try:
        return np.asarray(tensor if hasattr(tensor, "__array__") else tensor.numpy())
    except TypeError:
        return np.asarray(tensor.tolist())


def _columns(frame: Any) -> dict[str, Any] | None:
    """The columns of a frame or table by name. Two of one name would be one in the answer."""
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):  # pandas
        names, columns = frame.columns, [frame.iloc[:, place] for place in range(len(frame.columns))]
    elif hasattr(frame, "column_names") and hasattr(frame, "to_pylist"):  # Arrow
        names, columns = frame.column_names, frame.columns
    elif hasattr(frame, "get_columns"):  # polars
        names, columns = frame.columns, frame.get_columns()
    else:
        return None
    texts = [str(name) for name in names]
    if len(set(texts)) != len(texts):
        twice = next(name for place, name in enumerate(texts) if name in texts[:place])
        kind = type(frame).__name__
        raise ModelFailed(f"transformation returned a {kind} with two columns {quoted(twice)}. Rename one of them.")
    return dict(zip(texts, columns, strict=True))


def _single(values: list[Any], dtype: Any) -> list[Any]:
    if str(dtype) not in SINGLE:
        return values
    return [np.float32(value) if isinstance(value, float) else value for value in values]
