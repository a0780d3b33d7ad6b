"""How much memory reading takes: the peak of a process of its own for each body, over the bytes of the body.

    python tests/formats/memory.py      prints the table of docs/security.md (Linux)

The peak counts everything: the body, what parsers hold, and the rows as transformation gets them.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

KIT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(KIT / "model"), str(KIT / "tests/formats")]

from recordio_bodies import dense_record  # noqa: E402

from serving.errors import ServingError  # noqa: E402
from serving.formats.budget import Bounds  # noqa: E402
from serving.formats.content_types import decode  # noqa: E402
from serving.rows.signature import Column, Signature  # noqa: E402

pd.Series(["a"])  # loads pyarrow, as a server has at its first prediction
SIZE = 8_000_000
BOUNDS = Bounds(2**30, 2**34)
TEXT, BINARY = 15, 3
"""The most that reading may take, in multiples of the body, or of what it inflates to."""

NUMBERS = Signature("array", tuple(Column(kind="number") for _ in range(4)))
FRAME = Signature("frame", tuple(Column(name, "number") for name in "abcd"))
WORDS = Signature("frame", tuple(Column(name, "text") for name in "abcd"))
MIXED = Signature("frame", (Column("a", "number"), Column("b", "text"), Column("c", "integer"), Column("d", "boolean")))
TEXTS = Signature("texts", (Column(kind="text"),))
SILENT = Signature()


class Body(NamedTuple):
    content_type: str
    signature: Signature
    make: Callable[[np.random.Generator], bytes]
    most: int = TEXT
    inflated: int = 0
    """Bytes after decompression, if it is compressed."""


def words(length: int, width: int, before: str = "", between: str = ",", after: str = "\n") -> Callable[..., bytes]:
    """Lines of random words of so many letters."""

    def make(random: np.random.Generator) -> bytes:
        count = SIZE // (width * (length + len(between)))
        letters = random.integers(97, 123, (count * width, length), dtype=np.uint8).view(f"S{length}").ravel()
        rows = letters.astype(str).reshape(count, width)
        return "".join(before + between.join(row) + after for row in rows).encode()

    return make


def numbers(columns: int, decimals: int) -> Callable[..., bytes]:
    def make(random: np.random.Generator) -> bytes:
        values = random.random((SIZE // (columns * (decimals + 3)), columns)).round(decimals)
        return "".join(",".join(map(str, row)) + "\n" for row in values.tolist()).encode()

    return make


def repeated(line: bytes, before: bytes = b"", after: bytes = b"") -> Callable[..., bytes]:
    return lambda random: before + line * (SIZE // len(line)) + after


def array(dtype: str, columns: int = 4) -> Callable[..., bytes]:
    def make(random: np.random.Generator) -> bytes:
        stream = io.BytesIO()
        values = random.integers(1, 100, SIZE // np.dtype(dtype).itemsize)
        np.save(stream, values[: len(values) // columns * columns].reshape(-1, columns).astype(dtype))
        return stream.getvalue()

    return make


def npz(random: np.random.Generator) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", array("f8")(random))
    return stream.getvalue()


def parquet(frame: Callable[[np.random.Generator], dict[str, Any]]) -> Callable[..., bytes]:
    def make(random: np.random.Generator) -> bytes:
        stream = io.BytesIO()
        pd.DataFrame(frame(random)).to_parquet(stream, compression=None)
        return stream.getvalue()

    return make


def random_numbers(random: np.random.Generator) -> dict[str, Any]:
    return {name: random.random(SIZE // 32) for name in "abcd"}


def random_texts(random: np.random.Generator) -> dict[str, Any]:
    return {"a": random.random(SIZE // 20).astype("U7")}


OBJECT, ROW = b'{"a":1,"b":2,"c":3,"d":4}', b'[1,"ab",3,true]'
SPLIT = b'{"columns":["a","b","c","d"],"data":['
ONES = b"1," * (SIZE // 4) + b"1"

BODIES: dict[str, Body] = {
    "CSV of numbers": Body("text/csv", FRAME, numbers(4, 4)),
    "CSV of one-digit numbers": Body("text/csv", NUMBERS, repeated(b"1,2,3,4\n")),
    "CSV of one column, model unknown": Body("text/csv", SILENT, repeated(b"7\n")),
    "CSV of empty cells": Body("text/csv", FRAME, repeated(b",,,\n")),
    "CSV of numbers and texts": Body("text/csv", MIXED, repeated(b"1.5,ab,3,True\n")),
    "CSV of words of 1 letter": Body("text/csv", WORDS, words(1, 4)),
    "CSV of words of 3 letters": Body("text/csv", WORDS, words(3, 4)),
    "CSV of words of 6 letters": Body("text/csv", WORDS, words(6, 4)),
    "CSV of words, quoted": Body("text/csv", WORDS, words(3, 4, '"', '","', '"\n')),
    "CSV of words, model unknown": Body("text/csv", SILENT, words(3, 4)),
    "CSV of one word a row, model unknown": Body("text/csv", SILENT, words(5, 1)),
    "CSV of numbers, one text": Body("text/csv", SILENT, lambda r: b"1,2\n" * (SIZE // 4) + b"x,y\n"),
    "JSON lists of numbers": Body("application/json", FRAME, repeated(b"[1,2,3,4],", b"[", b"[1,2,3,4]]")),
    "JSON lists of one number": Body("application/json", SILENT, repeated(b"[1],", b"[", b"[1]]")),
    "JSON lists of words": Body("application/json", WORDS, words(3, 4, '["', '","', '"],')),
    "JSON objects": Body("application/json", FRAME, repeated(OBJECT + b",", b"[", OBJECT + b"]")),
    "JSON objects of one value": Body("application/json", SILENT, repeated(b'{"a":1},', b"[", b'{"a":1}]')),
    "JSON instances": Body("application/json", MIXED, repeated(ROW + b",", b'{"instances":[', ROW + b"]}")),
    "JSON split": Body("application/json", MIXED, repeated(ROW + b",", SPLIT, ROW + b"]}")),
    "JSON columns": Body("application/json", SILENT, lambda r: b'{"a":[%s],"b":[%s]}' % (ONES, ONES)),
    "JSON texts": Body("application/json", TEXTS, words(5, 1, '"', "", '",')),
    "JSON with NaN": Body("application/json", FRAME, repeated(b"[1,NaN,3,4],", b"[", b"[1,2,3,4]]")),
    "JSON Lines of lists": Body("application/jsonlines", MIXED, repeated(b'[1,"ab",3,true]\n')),
    "JSON Lines of objects": Body("application/jsonlines", SILENT, repeated(b'{"a":1}\n')),
    "plain text": Body("text/plain", TEXTS, words(5, 1)),
    "npy float64": Body("application/x-npy", FRAME, array("f8"), BINARY),
    "npy float32": Body("application/x-npy", NUMBERS, array("f4"), BINARY),
    "npy int8, model unknown": Body("application/x-npy", SILENT, array("i1"), BINARY),
    "npy int8": Body("application/x-npy", NUMBERS, array("i1"), 9),
    "npz float64": Body("application/x-npz", FRAME, npz, BINARY, SIZE),
    "Parquet of numbers": Body("application/x-parquet", FRAME, parquet(random_numbers), BINARY),
    "Parquet of texts": Body("application/x-parquet", SILENT, parquet(random_texts), 10),
    "RecordIO": Body("application/x-recordio-protobuf", NUMBERS, repeated(dense_record([1.0] * 4)), BINARY),
    "CSV in gzip": Body("text/csv", FRAME, lambda r: gzip.compress(numbers(4, 4)(r)), TEXT, SIZE),
}  # fmt: skip


def fields(*names: str) -> list[int]:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(status[name].split()[0]) * 1024 for name in names]


def peak(body: bytes, shape: Body) -> int:
    """Bytes that this process takes at most while it reads the body, the body itself included."""
    if shape.content_type == "application/json" and body.endswith(b","):
        body = b"[" + body[:-1] + b"]"
    encoding = "gzip" if body.startswith(b"\x1f\x8b") else None
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = fields("VmRSS")[0]
    try:
        rows = decode(body, shape.content_type, encoding, shape.signature, BOUNDS).rows
    except ServingError as exc:
        return -exc.status
    assert len(rows)
    return fields("VmHWM")[0] - before + len(body)


def measured(name: str) -> float:
    """The peak over the body, of a child: what it took is gone with it. Below 0: it was refused with that status."""
    shape = BODIES[name]
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        body = shape.make(np.random.default_rng(0))
        os.write(writer, json.dumps([peak(body, shape), shape.inflated or len(body)]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        taken, size = json.loads(told.read())
    os.waitpid(child, 0)
    return taken / size if taken > 0 else float(taken)


def main() -> None:
    chosen = [name for name in BODIES if not sys.argv[1:] or any(word in name for word in sys.argv[1:])]
    print("| body | peak ÷ body |\n|---|---|")
    for name in chosen:
        print(f"| {name} | {measured(name):.1f} |", flush=True)


if __name__ == "__main__":
    main()
