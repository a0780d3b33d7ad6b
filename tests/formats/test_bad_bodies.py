"""Bodies that made a decoder raise, or that stand for far more than they are: each is a 4xx that says why."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recordio_bodies import dense_record, sparse_record

from serving.errors import BadRequest, PayloadTooLarge, ServingError, UnsupportedMediaType
from serving.formats import content_types
from serving.formats.budget import MEGABYTE, Bounds
from serving.formats.content_types import ContentType, decode
from serving.rows.signature import Column, Signature

BOUNDS = Bounds(10 * MEGABYTE, 20 * MEGABYTE)
NUMBERS = Signature("array", (Column(kind="number"),) * 2)
MIXED = Signature(
    "frame", (Column("a", "text"), Column("b", "number"), Column("d", "datetime", dtype="datetime64[ns]"))
)
SILENT = Signature()


def refusal(body: bytes, content_type: str, signature: Signature = SILENT, encoding: str | None = None) -> ServingError:
    with pytest.raises(ServingError) as caught:
        decode(body, content_type, encoding, signature, BOUNDS)
    assert 400 <= caught.value.status < 500
    assert json.loads(caught.value.body())["error"]["message"]
    return caught.value


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def zipped(data: bytes, method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a.npy", data)
    return stream.getvalue()


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


TWO_LETTERS = "{'descr': '<U2', 'fortran_order': False, 'shape': (1, 1)}"
SUBARRAYS = "{'descr': [('a', '<f8', (3,))], 'fortran_order': False, 'shape': (1,)}"


# ---- what a decoder raises -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "signature"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (True, 1)}", b"\0" * 8), "application/x-npy", SILENT),
        (npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1, 1)}", b"\xff" * 4), "application/x-npy", SILENT),
        (npy(TWO_LETTERS, b"x\0\0\0\0\0\0\xff"), "application/x-npy", MIXED),
        (npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1, 1)}", b"\0\xd8\0\0"), "application/x-npy", SILENT),
        (npy(SUBARRAYS, b"\0" * 24), "application/x-npy", SILENT),
        (npy("{'descr': '<m8', 'fortran_order': False, 'shape': (1, 1)}", b"\0" * 8), "application/x-npy", SILENT),
        (b"1,2\n", "text/csv; charset=utf\0-8", NUMBERS),
        (b"1,2\n", "text/csv; charset=\xff", NUMBERS),
        (b"x,1,0000-13-45\n", "text/csv", MIXED),
        (b'[["x", 1' + b"0" * 400 + b"x]]", "application/json", MIXED),
        (b'[NaN, ' + b"9" * 5000 + b"]", "application/json", NUMBERS),
        (b"[" * 100_000 + b"NaN", "application/json", NUMBERS),
    ],
)  # fmt: skip
def test_bad_bytes_are_4xx(body: bytes, content_type: str, signature: Signature) -> None:
    """Whatever a library raises for bytes that it did not expect is a 4xx with a message."""
    refusal(body, content_type, signature)


@pytest.mark.parametrize(
    "error", [TypeError, SystemError, IndexError, NotImplementedError, RecursionError, KeyError, AssertionError]
)
def test_any_exception_of_a_decoder_is_a_400(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """There is one border: an exception that nobody foresaw is a 400 that names the media type, never a 500."""

    def fails(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
        raise error("of a library")

    monkeypatch.setitem(content_types.CONTENT_TYPES, "application/x-npy", ContentType(fails))
    refused = refusal(b"x", "application/x-npy")
    assert (type(refused), refused.message) == (BadRequest, "The body cannot be read as application/x-npy.")
    assert error.__name__ in str(refused.details["got"])


def test_no_memory_is_a_413(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that runs out of memory refuses this body; the server goes on."""

    def fails(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
        raise MemoryError

    monkeypatch.setitem(content_types.CONTENT_TYPES, "application/x-npy", ContentType(fails))
    assert refusal(b"x", "application/x-npy").status == 413


def test_numpy_version_3() -> None:
    """A header in UTF-8 (names beyond Latin-1) is read."""
    array = np.array([(1.5, 2.0)], dtype=[("größe", "f8"), ("价", "f8")])
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(3, 0))
    assert decode(stream.getvalue(), None, None, SILENT, BOUNDS).rows.to_dict("records") == [{"größe": 1.5, "价": 2.0}]


# ---- what a body stands for ------------------------------------------------------------------------------------------

ONE_BYTE = np.zeros((MEGABYTE * 4, 2), np.int8)


def bombs() -> Iterator[tuple[str, bytes, str, str | None]]:
    """Name, body, media type, Content-Encoding."""
    yield "npy of int8", saved(ONE_BYTE), "application/x-npy", None
    yield "npy of bool", saved(ONE_BYTE.astype(bool)), "application/x-npy", None
    yield "npy of one-byte texts", saved(np.full((MEGABYTE, 2), b"a")), "application/x-npy", None
    yield "npz of int8", zipped(saved(ONE_BYTE), zipfile.ZIP_DEFLATED), "application/x-npz", None
    yield (
        "npz of one-byte texts",
        zipped(saved(np.full((MEGABYTE, 2), b"a")), zipfile.ZIP_DEFLATED),
        "application/x-npz",
        None,
    )
    yield "Parquet of one number", parquet(pa.table({"a": np.zeros(4 * MEGABYTE)})), "application/x-parquet", None
    words = pa.array(["x" * 1000] * 100_000).dictionary_encode()
    yield "Parquet of one long word", parquet(pa.table({"a": words})), "application/x-parquet", None
    yield "records of zeros", sparse_record(10**6, {0: 1.5}) * 10, "application/x-recordio-protobuf", None
    yield "gzip", gzip.compress(b"1,2\n" * 5 * MEGABYTE), "text/csv", "gzip"
    yield "gzip members", gzip.compress(b"1,2\n" * 10000) * 600, "text/csv", "gzip"


BOMBS = {name: rest for name, *rest in bombs()}


@pytest.mark.parametrize("signature", [NUMBERS, MIXED, SILENT], ids=["array", "mixed", "silent"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(name: str, signature: Signature) -> None:
    """A body that would take more than its bounds is refused, and was never built."""
    body, media_type, encoding = BOMBS[name]
    tracemalloc.start()
    try:
        refused = refusal(body, media_type, signature, encoding)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refused.status in (400, 413)
    assert peak < len(body) + BOUNDS.body + BOUNDS.rows


def test_both_figures_are_told() -> None:
    """A 413 says what the rows would take, what is allowed, and which setting allows more."""
    refused = refusal(*BOMBS["npy of int8"][:2])
    assert isinstance(refused, PayloadTooLarge)
    assert refused.message == (
        "The rows of this body would take 64 MB of memory; the limit is 20 MB. "
        "Send fewer rows in a request, or raise MODEL_SERVER_ROWS_MB."
    )
    assert refused.details["got"] == 64 * MEGABYTE


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rare_zip_methods_are_refused(method: int) -> None:
    """bzip2 and LZMA, which NumPy never writes, are refused before anything is read."""
    assert "does not use" in refusal(zipped(saved(ONE_BYTE), method), "application/x-npz").message
    assert refusal(bz2.compress(b"1,2"), "text/csv", encoding="bzip2").status == UnsupportedMediaType.status


def test_an_endless_directory_is_refused() -> None:
    """A zip of more entries than columns could have is refused before Python reads them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(10_001):
            archive.writestr(str(number), b"")
    assert refusal(stream.getvalue(), "application/x-npz").status == 413


NESTED = pytest.mark.parametrize(
    "column",
    [
        pa.array([[1, 2]] * 3),
        pa.array([{"x": 1}] * 3),
        pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int64())),
        pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float64(), 2)),
    ],
    ids=["list", "struct", "map", "fixed-size list"],
)


@NESTED
def test_nested_parquet_is_refused(column: pa.Array) -> None:
    """A column of lists, structs or maps is a 400 that names it, before it is read."""
    refused = refusal(parquet(pa.table({"n": [1, 2, 3], "deep": column})), "application/x-parquet")
    assert refused.details["column"] == "deep"


@NESTED
@pytest.mark.parametrize("names", [["deep", "n", "x"], ["x", "deep", "n"], ["x", "n.a", "n", "deep"]], ids=" ".join)
def test_what_the_model_does_not_know_is_not_read_from_parquet(column: pa.Array, names: list[str]) -> None:
    """Whatever it is. A nested column that the model knows is refused, however its name is written."""
    other = pa.array([b"\xff"] * 3)
    table = pa.table({"n": [1, 2, 3], "x": ["a", None, "a"], "deep": column, "n.a": other}).select(names)
    knows = Signature("frame", (Column("n", "number"), Column("x", "text")))
    rows = decode(parquet(table), "application/x-parquet", None, knows, BOUNDS).rows
    assert rows.columns.tolist() == ["n", "x"]
    assert rows["n"].tolist() == [1, 2, 3]
    assert rows["x"].dropna().tolist() == ["a", "a"]
    wants = Signature("frame", (Column("n", "number"), Column(" deep ", "any")))
    assert refusal(parquet(table), "application/x-parquet", wants).details["column"] == "deep"


@pytest.mark.parametrize("values", [pa.array(["x", None, "x"]), pa.array([1.5, None, 1.5]), pa.array([7, 8, 7])])
def test_parquet_dictionaries_are_read(values: pa.Array) -> None:
    """A dictionary is a column of its values, whatever those are."""
    body = parquet(pa.table({"a": values.dictionary_encode(), "b": [1.0, 2.0, 3.0]}))
    rows = decode(body, "application/x-parquet", None, SILENT, BOUNDS).rows
    expected = pd.DataFrame({"a": values.to_pandas(), "b": [1.0, 2.0, 3.0]})
    assert rows["a"].isna().tolist() == expected["a"].isna().tolist()
    assert rows["a"].dropna().tolist() == expected["a"].dropna().tolist()


def test_records_of_integers() -> None:
    """int32 tensors are read in whichever number of bytes each value takes, negative ones too."""
    numbers = [0, 1, 127, 128, 16384, 2**31 - 1, -1, -(2**31)]
    body = dense_record(numbers, "int32")
    assert decode(body, None, None, SILENT, BOUNDS).rows.tolist() == [numbers]


def test_objects_of_different_names_are_no_table_of_gaps() -> None:
    """A body of 50 KB would be a table of 17 million missing values; as many gaps as rows really have are taken."""
    error = refusal(json.dumps([{f"k{i}": 1} for i in range(4200)]).encode(), "application/json")
    assert isinstance(error, PayloadTooLarge)
    assert "4200 different names" in error.message
    gaps = [{f"k{i % 9}": 1} for i in range(4200)]
    assert decode(json.dumps(gaps).encode(), "application/json", None, SILENT, BOUNDS).count == 4200
