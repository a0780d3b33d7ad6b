"""Rows as NumPy's files, Parquet, RecordIO and tensors, each with the rows that NumPy and pandas read of it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import read_by_pandas
import scipy.sparse
from drawn_models import Fitted
from drawn_rows import Body, Record, as_json, records
from drawn_texts import a_json
from hypothesis import event
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent.parent / "formats"))
from recordio_bodies import dense_record, sparse_record


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def array_of(rows: list[Record]) -> np.ndarray | None:
    """All cells as one array of numbers, of truth values or of texts; None where they are not of one type."""
    try:
        array = np.array([[np.nan if v is None else as_json(v) for v in row.values()] for row in rows])
    except OverflowError:
        return None
    types = {type(as_json(v)) for row in rows for v in row.values()}
    return array if array.dtype.kind in "fiub" or (array.dtype.kind == "U" and types == {str}) else None


def with_some_dtype(draw: Any, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "fi":
        whole = ["i4", ">i8", "i2", "u2"] if array.dtype.kind == "i" and np.abs(array).max() < 2**15 else []
        dtypes = ["<f8", ">f8", "f4", "f2", *whole, array.dtype.str, array.dtype.str]
        with np.errstate(all="ignore"):
            array = array.astype(draw(st.sampled_from(dtypes)))
    return np.asfortranarray(array) if draw(st.booleans()) else array


def an_array(draw: Any, fit: Fitted) -> Body:
    """One array of any dtype; a body that cannot be one is JSON."""
    array = array_of(records(draw, fit, False))
    if array is None:
        return a_json(draw, fit)
    array = with_some_dtype(draw, array)
    forms = ["npy", "npz", "tensor"] + ["sparse", "recordio"] * (array.dtype.kind == "f")
    form = draw(st.sampled_from(forms))
    event(f"array as {form}")
    body, content_type, theirs = ARRAYS[form](array)
    if fit.form == "unknown" and theirs.dtype.kind == "b":  # NumPy's truth values are an array, too
        return Body(body, content_type, lambda: native(theirs))
    unsaid = [content_type] if form == "tensor" else [content_type, None, "application/octet-stream"]
    return Body(body, draw(st.sampled_from(unsaid)), lambda: read_by_pandas.typed(fit, native(theirs), fit.names))


def npy(array: np.ndarray) -> tuple[bytes, str, Any]:
    return saved(array), "application/x-npy", np.load(io.BytesIO(saved(array)))


def npz(array: np.ndarray) -> tuple[bytes, str, Any]:
    stream = io.BytesIO()
    np.savez_compressed(stream, rows=array)
    return stream.getvalue(), "application/x-npz", array


def sparse(array: np.ndarray) -> tuple[bytes, str, Any]:
    stream = io.BytesIO()
    wide = native(array.astype(np.float64) if array.dtype.itemsize == 2 else array)
    scipy.sparse.save_npz(stream, scipy.sparse.csr_matrix(wide))
    return stream.getvalue(), "application/x-npz", scipy.sparse.load_npz(io.BytesIO(stream.getvalue())).toarray()


def recordio(array: np.ndarray) -> tuple[bytes, str, Any]:
    with np.errstate(all="ignore"):
        theirs = array.astype(np.float32)
    whole = [dict(enumerate(row)) if i % 2 else list(row) for i, row in enumerate(theirs.tolist())]
    parts = [sparse_record(len(r), r) if isinstance(r, dict) else dense_record(r) for r in whole]
    return b"".join(parts), "application/x-recordio-protobuf", theirs


DATATYPES = {
    **{"f2": "FP16", "f4": "FP32", "f8": "FP64", "b1": "BOOL"},
    **{"i2": "INT16", "u2": "UINT16", "i4": "INT32", "i8": "INT64"},
}


def datatype(array: np.ndarray) -> str:
    return "BYTES" if array.dtype.kind == "U" else DATATYPES[array.dtype.str[1:]]


def tensor(array: np.ndarray) -> tuple[bytes, str, Any]:
    flat = {"name": "rows", "shape": list(array.shape), "datatype": datatype(array), "data": array.ravel().tolist()}
    return json.dumps({"inputs": [flat]}).encode(), "application/json", array


ARRAYS = {"npy": npy, "npz": npz, "sparse": sparse, "recordio": recordio, "tensor": tensor}


def named_arrays(draw: Any, fit: Fitted) -> Body:
    """An array of one dtype for each column, by name."""
    if fit.form == "array":
        return an_array(draw, fit)
    rows = records(draw, fit, True)
    arrays = {name: array_of([{name: row[name]} for row in rows]) for name in rows[0]}
    if "" in arrays or any(array is None for array in arrays.values()):
        return a_json(draw, fit)
    columns = {name: with_some_dtype(draw, array)[:, 0] for name, array in arrays.items() if array is not None}
    form = draw(st.sampled_from(["structured", *["several", "tensors"] * (len(columns) > 1)]))
    event(f"arrays as {form}")
    read = lambda: read_by_pandas.typed(fit, {name: native(array) for name, array in columns.items()})  # noqa: E731
    if form == "structured":
        array = np.empty(len(rows), [(name, column.dtype) for name, column in columns.items()])
        for name, column in columns.items():
            array[name] = column
        return Body(saved(array), "application/x-npy", read)
    if form == "tensors":
        shape = [len(rows), 1] if draw(st.booleans()) else [len(rows)]
        tensors = [{"name": n, "shape": shape, "datatype": datatype(a), "data": a.tolist()} for n, a in columns.items()]
        return Body(json.dumps({"inputs": tensors}).encode(), "application/json", read)
    stream = io.BytesIO()
    np.savez(stream, **columns)
    return Body(stream.getvalue(), "application/x-npz", read)


def native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="))


def a_parquet(draw: Any, fit: Fitted) -> Body:
    named = fit.form in ("frame", "unknown")
    rows = records(draw, fit, named)
    frame = pd.DataFrame(rows)
    for position, name in enumerate(frame.columns):
        if fit.form != "unknown" and name in fit.names and draw(st.booleans()):
            frame = with_dtype(frame, position, fit.frame.iloc[:, fit.names.index(name)].dtype)
    stream = io.BytesIO()
    try:
        frame.to_parquet(stream, index=draw(st.sampled_from([None, True, False])))
    except (ValueError, TypeError, OverflowError):  # a column of several types
        return a_json(draw, fit)
    body = stream.getvalue()

    def read() -> Any:
        theirs = pd.read_parquet(io.BytesIO(body))
        return read_by_pandas.as_fitted(fit, theirs, True)

    return Body(body, draw(st.sampled_from(["application/x-parquet", None])), read)


def with_dtype(frame: pd.DataFrame, position: int, dtype: Any) -> pd.DataFrame:
    """As the model was fitted on it, where the values allow it."""
    try:
        column = frame.iloc[:, position].astype(dtype)
    except (ValueError, TypeError):
        return frame
    return frame.assign(**{frame.columns[position]: column})
