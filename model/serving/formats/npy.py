"""NumPy's and Arrow's own formats → rows. Nothing is unpickled, ever, and no size that a header claims is believed:
what would inflate beyond the limit, or make more cells than the limit has bytes, is refused before it is made.
pyarrow is imported on first use; without it Parquet is a 415 that says so.
"""

from __future__ import annotations

import io
import math
import shutil
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import BadRequest, NotAcceptable, PayloadTooLarge, UnsupportedMediaType
from ..rows.signature import Signature
from ..rows.table import Table, align, expect_width, takes_block
from . import answer_cells, json_text
from .budget import NUMBER_BYTES, TEXT_BYTES, Bounds


def decode_npy(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    """One array: 2-D, or 1-D for one row (for a model of one column: one value per row), or structured with names."""
    array = array_of(body, "The body")
    bounds.afford(_needed(array.dtype, array.size))
    return _rows(array, signature)


def decode_npz(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    """One array of any name, a sparse matrix of scipy.sparse.save_npz, or one 1-D array per feature, by name."""
    arrays = {name: array_of(member, name) for name, member in _members(body, bounds).items()}
    if {"format", "shape", "data"} <= arrays.keys():
        return _rows(_dense(arrays, bounds), signature)
    bounds.afford(sum(_needed(array.dtype, array.size) for array in arrays.values()))
    if len(arrays) == 1:
        return _rows(next(iter(arrays.values())), signature)
    lengths = {array.shape for array in arrays.values()}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        raise BadRequest("An npz file holds one array, a sparse matrix, or 1-D arrays of one length named as features.")
    return align(Table([_cells(a) for a in arrays.values()], next(iter(lengths))[0], list(arrays)), signature)


def _needed(dtype: np.dtype[Any], cells: int) -> int:
    """Bytes of that many cells as rows: models compute in float64, and a text is an object each time it occurs."""
    if dtype.names:
        return sum(_needed(dtype[name].base, cells * max(1, math.prod(dtype[name].shape))) for name in dtype.names)
    return cells * (max(NUMBER_BYTES, dtype.itemsize) if dtype.kind in "fiub" else TEXT_BYTES + dtype.itemsize)


def array_of(data: bytes, what: str) -> np.ndarray:
    """np.load without its trust: the header is read, and the data must be exactly as long as it says.

    It lies in `data`, which cannot be written to: what becomes rows is copied, once, in the form that rows have.
    """
    try:
        shape, fortran, dtype, start = header_of(data)
    except Exception as exc:
        raise BadRequest(f"{what} is not an array in NumPy's npy format.", expected="what numpy.save writes") from exc
    if dtype.hasobject:
        raise BadRequest(f"{what} is an array of Python objects; those are pickled, and nothing is unpickled here.")
    if any(type(size) is not int or size < 0 for size in shape) or 0 in shape[1:] or not dtype.itemsize:
        raise BadRequest(f"{what} is an array of shape {shape}, which holds no values.")
    cells = math.prod(shape)
    if cells * dtype.itemsize != len(data) - start:
        raise BadRequest(cut_short(what, shape))
    return np.frombuffer(data, dtype, cells, start).reshape(shape, order="F" if fortran else "C")


def cut_short(what: str, shape: tuple[int, ...]) -> str:
    """What is told of an array with more or fewer bytes than its header says."""
    return f"{what} is cut short, or longer than its shape {shape} says."


def header_of(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, order, dtype, and where the values begin. Version 3 is version 2 in UTF-8, for names beyond Latin-1."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return *np.lib.format.read_array_header_1_0(stream), stream.tell()
    if version not in ((2, 0), (3, 0)):
        raise ValueError(f"version {version}")
    if version == (2, 0):
        return *np.lib.format.read_array_header_2_0(stream), stream.tell()
    (length,) = struct.unpack("<I", stream.read(4))
    header = stream.read(length).decode("utf-8").encode("ascii", "backslashreplace")
    ascii_only = io.BytesIO(struct.pack("<I", len(header)) + header)
    return *np.lib.format.read_array_header_2_0(ascii_only), stream.tell()


MOST_MEMBERS = 10_000
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What numpy.savez and numpy.savez_compressed use. bzip2 and LZMA inflate a million times, and in one piece."""


def _members(body: bytes, bounds: Bounds) -> dict[str, bytes]:
    """The files of a zip; read in bounded pieces since the directory of a zip may lie."""
    if body.count(b"PK\x01\x02") > MOST_MEMBERS:  # counted before Python reads the directory, entry by entry
        raise PayloadTooLarge(f"The npz file holds more than {MOST_MEMBERS} arrays.")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            infos = archive.infolist()
            if any(info.filename.startswith("xl/") for info in infos):
                raise BadRequest("The body is an .xlsx workbook. Save the sheet as CSV and send that as text/csv.")
            if any(info.compress_type not in METHODS for info in infos):
                raise BadRequest("The npz file is compressed in a way that NumPy does not use; expected: deflate.")
            if (size := sum(info.file_size for info in infos)) > bounds.inflated:
                raise PayloadTooLarge(
                    f"The npz file inflates to {size} bytes, more than the limit of {bounds.inflated} bytes."
                )
            return {info.filename.removesuffix(".npy"): _read(archive, info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, NotImplementedError, EOFError, OSError) as exc:
        raise BadRequest("The body is not an npz file.", expected="what numpy.savez writes") from exc


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A file of it; ZipFile.read would have it in memory twice."""
    content = io.BytesIO()
    with archive.open(info) as file:
        shutil.copyfileobj(file, content, 2**20)
    return content.getvalue()


def _dense(arrays: dict[str, np.ndarray], bounds: Bounds) -> np.ndarray:
    """A sparse matrix, spelt out: `transformation` gets the array that the model knows."""
    try:
        import scipy.sparse
    except ImportError:
        raise UnsupportedMediaType("A sparse matrix needs scipy: add it to requirements.txt and build again.") from None
    try:
        shape = tuple(int(size) for size in arrays["shape"].ravel())
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"its shape is {shape}")
        bounds.afford(shape[0] * shape[1] * NUMBER_BYTES, f"A matrix of shape {shape}")
        parts = [arrays.get(name) for name in ("data", "indices", "indptr")]
        kind = {b"csr": scipy.sparse.csr_array, b"csc": scipy.sparse.csc_array}[bytes(arrays["format"].item())]
        matrix = kind(tuple(parts), shape=shape)
        matrix.check_format(full_check=True)
        return np.asarray(matrix.toarray())
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as exc:
        raise BadRequest("The npz file is not a sparse matrix in CSR or CSC format.", got=str(exc)[:200]) from exc


def _rows(array: np.ndarray, signature: Signature) -> Any:
    if array.ndim == 1 and array.dtype.kind in "US" and signature.form == "unknown":
        return _cells(array)  # a text a row, as in JSON
    return align(_table_of(array, signature), signature)


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
    expect_width(array.shape[1], signature)
    return Table([_cells(array[:, i]) for i in range(array.shape[1])], len(array))


def _cells(array: np.ndarray) -> np.ndarray | list[Any]:
    """Numbers and times stay an array, of their own; texts become what JSON would have brought."""
    if array.ndim != 1:
        raise BadRequest(f"A column of the array has the shape {array.shape}; expected one value a row.")
    if array.dtype.kind in "fiub":
        return array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind == "S":
        return _of_bytes(array)
    if array.dtype.kind == "M":
        return _times(array.astype(array.dtype.newbyteorder("=")))
    if array.dtype.kind == "U":
        return _texts(array)
    raise BadRequest(f"The array has the type {array.dtype}; expected numbers, texts or times.", got=str(array.dtype))


def _times(array: np.ndarray) -> np.ndarray:
    """What pandas has no place for is refused before a frame is made of it."""
    import pandas as pd

    try:
        pd.Series(array)
    except (ValueError, TypeError, OverflowError) as exc:
        raise BadRequest(f"The times of the array, {array.dtype}, do not fit into pandas' own: {exc}.") from exc
    return array


def _of_bytes(array: np.ndarray) -> list[str]:
    try:
        return [cell.decode("utf-8") for cell in array.tolist()]
    except UnicodeDecodeError:
        raise BadRequest("A text of the array is not UTF-8.", expected="texts") from None


def _texts(array: np.ndarray) -> list[str]:
    """NumPy makes a str of any 32-bit number: what is not a character would break whatever it meets next."""
    codes = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).view(np.uint32)
    if ((codes > sys.maxunicode) | ((codes >= 0xD800) & (codes <= 0xDFFF))).any():
        raise BadRequest("A text of the array holds what is not a character of Unicode.", expected="texts")
    return list(array.tolist())


def _as_array(rows: np.ndarray | list[Any]) -> np.ndarray:
    if isinstance(rows, np.ndarray) and rows.dtype.kind not in "OT":
        return rows
    opened = [answer_cells.opened(row) for row in rows]
    if any(isinstance(row, dict) for row in opened):
        opened = list(answer_cells.table(opened))
    try:
        array = np.asarray(opened)
        if array.dtype.kind in "OTUS" or (array.dtype.kind == "f" and (np.abs(array) >= EXACT).any()):
            leaves = np.array(opened, object)
            array = _of_cells(leaves.ravel().tolist()).reshape(leaves.shape)
    except (ValueError, TypeError):
        raise NotAcceptable(
            "These predictions are not an array of numbers or of texts. Ask for application/json."
        ) from None
    return array


EXACT = 2**53
"""Integers beyond it are not floats."""


def _of_cells(cells: list[Any]) -> np.ndarray:
    """Texts, or numbers of which some may be missing. Raises TypeError for what is neither, or both."""
    if all(isinstance(cell, str) for cell in cells):
        return np.array([str.__str__(cell) for cell in cells])
    if all(isinstance(cell, bytes) for cell in cells):
        return np.array(cells)
    numbers = [math.nan if cell is None or json_text.is_missing(cell) else cell for cell in cells]
    for number in numbers:
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not isinstance(number, float | np.floating) and not (whole and abs(int(number)) <= EXACT):
            raise TypeError("not a number")
    return np.array(numbers, float)


def to_npy(rows: np.ndarray | list[Any], parameters: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, _as_array(rows), allow_pickle=False)
    return stream.getvalue()
