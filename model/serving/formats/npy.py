"""NumPy's and Arrow's own formats → rows. Nothing is unpickled, ever, and no size that a header claims is believed:
what would inflate beyond the limit, or make more cells than the limit has bytes, is refused before it is made.
pyarrow is imported on first use; without it Parquet is a 415 that says so.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import BadRequest, NotAcceptable, PayloadTooLarge
from ..rows.signature import Signature
from ..rows.table import Table, align, takes_block


def decode_npy(body: bytes, parameters: Mapping[str, str], signature: Signature, max_bytes: int) -> Any:
    """One array: 2-D, or 1-D for one row (for a model of one column: one value per row), or structured with names."""
    return align(_table_of(_array(body, "The body"), signature), signature)


def decode_npz(body: bytes, parameters: Mapping[str, str], signature: Signature, max_bytes: int) -> Any:
    """One array of any name, a sparse matrix of scipy.sparse.save_npz, or one 1-D array per feature, by name."""
    arrays = {name: _array(member, name) for name, member in _members(body, max_bytes).items()}
    if {"format", "shape", "data"} <= arrays.keys():
        return align(_table_of(_dense(arrays, max_bytes), signature), signature)
    if len(arrays) == 1:
        return align(_table_of(next(iter(arrays.values())), signature), signature)
    lengths = {array.shape for array in arrays.values()}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        raise BadRequest("An npz file holds one array, a sparse matrix, or 1-D arrays of one length named as features.")
    return align(Table([_cells(a) for a in arrays.values()], next(iter(lengths))[0], list(arrays)), signature)


def _array(data: bytes, what: str) -> np.ndarray:
    """np.load without its trust: the header is read, and the data must be exactly as long as it says."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read(stream)
    except Exception as exc:
        raise BadRequest(f"{what} is not an array in NumPy's npy format.", expected="what numpy.save writes") from exc
    if dtype.hasobject:
        raise BadRequest(f"{what} is an array of Python objects; those are pickled, and nothing is unpickled here.")
    if any(size < 0 for size in shape) or 0 in shape[1:] or not dtype.itemsize:
        raise BadRequest(f"{what} is an array of shape {shape}, which holds no values.")
    cells = 1
    for size in shape:
        cells *= size
    if cells * dtype.itemsize != len(data) - stream.tell():
        raise BadRequest(f"{what} is cut short, or longer than its shape {shape} says.")
    array = np.frombuffer(data, dtype, cells, stream.tell())
    # copied, since the body is read-only and a transformation may write into its rows
    return array.reshape(shape, order="F" if fortran else "C").copy(order="C")


def _members(body: bytes, max_bytes: int) -> dict[str, bytes]:
    """The files of a zip; read in bounded pieces since the directory of a zip may lie."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            infos = archive.infolist()
            if len(infos) > 10_000 or sum(info.file_size for info in infos) > max_bytes:
                raise PayloadTooLarge(f"The npz file inflates to more than the limit of {max_bytes} bytes.")
            return {info.filename.removesuffix(".npy"): archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, NotImplementedError, EOFError, OSError) as exc:
        raise BadRequest("The body is not an npz file.", expected="what numpy.savez writes") from exc


def _dense(arrays: dict[str, np.ndarray], max_bytes: int) -> np.ndarray:
    """A sparse matrix, spelt out: `transformation` gets the array that the model knows."""
    import scipy.sparse

    shape = tuple(int(size) for size in arrays["shape"].ravel())
    if len(shape) != 2 or min(shape) < 1 or shape[0] * shape[1] * 8 > max_bytes:
        raise PayloadTooLarge(f"A matrix of shape {shape} needs more than the limit of {max_bytes} bytes as rows.")
    parts = [arrays.get(name) for name in ("data", "indices", "indptr")]
    try:
        kind = {b"csr": scipy.sparse.csr_array, b"csc": scipy.sparse.csc_array}[bytes(arrays["format"].item())]
        matrix = kind(tuple(parts), shape=shape)
        matrix.check_format(full_check=True)
        return np.asarray(matrix.toarray())
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise BadRequest("The npz file is not a sparse matrix in CSR or CSC format.") from exc


def _table_of(array: np.ndarray, signature: Signature) -> Table:
    if array.dtype.names:
        rows = array.reshape(-1)
        return Table([_cells(rows[name]) for name in array.dtype.names], len(rows), list(array.dtype.names))
    if array.ndim < 2:
        array = array.reshape(-1, 1) if signature.count == 1 else array.reshape(1, -1)
    if array.ndim != 2:
        raise BadRequest(f"The array has the shape {array.shape}; expected (rows, columns).", got=str(array.shape))
    if array.dtype.kind in "fiub" and takes_block(signature, None):
        return Table((), len(array), block=array)
    return Table([_cells(array[:, i]) for i in range(array.shape[1])], len(array))


def _cells(array: np.ndarray) -> np.ndarray | list[Any]:
    """Numbers stay an array; texts and dates become what JSON would have brought."""
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind == "S":
        return [cell.decode("utf-8", "replace") for cell in array.tolist()]
    if array.dtype.kind == "M":
        return [None if np.isnat(cell) else str(cell) for cell in array]
    if array.dtype.kind == "U":
        return list(array.tolist())
    raise BadRequest(f"The array has the type {array.dtype}; expected numbers or texts.", got=str(array.dtype))


def _as_array(rows: np.ndarray | list[Any]) -> np.ndarray:
    try:
        array = np.asarray(rows)
        if array.dtype == object and all(isinstance(v, str) for v in array.ravel()):
            array = array.astype(str)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype.hasobject:
        raise NotAcceptable("These predictions are no array of numbers or texts. Ask for application/json.")
    return array


def to_npy(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, _as_array(rows), allow_pickle=False)
    return stream.getvalue()
