"""What reading costs grows with the body, and no faster: measured in this process's CPU time, at n and at 4 n."""

from __future__ import annotations

import contextlib
import gc
import gzip
import io
import time
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
from recordio_bodies import dense_record, sparse_record

from bodies import saved
from serving.errors import ServingError
from serving.formats.content_types import decode
from serving.rows.signature import Column, Signature

LIMIT = 100_000_000
MOST_GROWTH = 9
"""Linear is 4, quadratic is 16."""

SMALLEST = 0.02
"""CPU seconds; below, the clock is too coarse to compare."""

SIGNATURES = {
    "array": Signature("array", (Column(kind="number"),) * 3),
    "frame": Signature("frame", tuple(Column(name, "number") for name in "abc")),
    "mixed": Signature("frame", (Column("a", "number"), Column("b", "text"), Column("c", "integer"))),
    "wide": Signature("frame", tuple(Column(f"column_{i}", "number") for i in range(2000))),
    "texts": Signature("texts", (Column(kind="text"),)),
    "silent": Signature(),
}


def members(n: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(n // 200):
            archive.writestr(f"{number}.npy", saved(np.save, np.zeros(1)))
    return stream.getvalue()


def parquet(values: object) -> bytes:
    return saved(lambda stream, frame: frame.to_parquet(stream), pd.DataFrame({"a": values, "b": values, "c": values}))


BODIES: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "digits and a letter": ("text/csv", lambda n: b"1,2," + b"7" * n + b"x\n"),
    "digits and a letter in the first line": ("text/csv", lambda n: b"7" * n + b"x,b,c\n1,2,3\n"),
    "digits, a point, digits": ("text/csv", lambda n: b"1,2," + b"7" * (n // 2) + b"." + b"7" * (n // 2) + b"x\n"),
    "blanks and a letter": ("text/csv", lambda n: b"1,2," + b" " * n + b"x\n"),
    "minuses": ("text/csv", lambda n: b"-" * n),
    "commas": ("text/csv", lambda n: b"," * n),
    "commas, and a line": ("text/csv", lambda n: b"," * n + b"\n1,2,3\n"),
    "quotes": ("text/csv", lambda n: b'"' * n),
    "quoted line ends": ("text/csv", lambda n: b'"' + b"\n" * n + b'"'),
    "short rows": ("text/csv", lambda n: b"1\n" * (n // 2)),
    "words": ("text/csv", lambda n: b"1,ab,3\n" * (n // 7)),
    "words by carriage returns": ("text/csv", lambda n: b"1,ab,3\r" * (n // 7)),
    "a wide header": ("text/csv", lambda n: b",".join(b"x%d" % i for i in range(n // 8)) + b"\n1,2\n"),
    "a separator": ("text/csv", lambda n: b"sep=" + b"\n" * n),
    "lists": ("application/json", lambda n: b"[" + b"[1,2,3]," * (n // 8) + b"[1,2,3]]"),
    "objects": ("application/json", lambda n: b"[" + b'{"a":1,"b":"x","c":3},' * (n // 22) + b"[]]"),
    "objects of other keys": (
        "application/json",
        lambda n: b"[" + b",".join(b'{"k%d":1}' % i for i in range(n // 12)) + b"]",
    ),
    "one object of many keys": (
        "application/json",
        lambda n: b"{" + b",".join(b'"k%d":1' % i for i in range(n // 12)) + b"}",
    ),
    "columns": ("application/json", lambda n: b'{"a":[' + b"1," * (n // 2) + b'1],"b":[]}'),
    "nested lists": ("application/json", lambda n: b"[" * n),
    "digits": ("application/json", lambda n: b"[[" + b"7" * n + b"]]"),
    "not a number": ("application/json", lambda n: b"[" + b"[NaN,2,3]," * (n // 10) + b"[1,2,3]]"),
    "backslashes": ("application/json", lambda n: b'[["' + b"\\\\" * (n // 2) + b'"]]'),
    "lines": ("application/jsonlines", lambda n: b"[1,2,3]\n" * (n // 8)),
    "lines that are not JSON": ("application/jsonlines", lambda n: b"[1,2,3]\n" * (n // 8) + b"x"),
    "blank lines": ("application/jsonlines", lambda n: b"\n" * n),
    "texts": ("text/plain", lambda n: b"ab\n" * (n // 3)),
    "one-byte numbers": ("application/x-npy", lambda n: saved(np.save, np.zeros((n // 3, 3), np.int8))),
    "one wide row": ("application/x-npy", lambda n: saved(np.save, np.zeros((1, n), np.int8))),
    "one-byte texts": ("application/x-npy", lambda n: saved(np.save, np.full((n // 3, 3), b"a"))),
    "arrays": ("application/x-npz", members),
    "numbers": ("application/x-parquet", lambda n: parquet(np.arange(n // 8) / 7)),
    "Parquet words": ("application/x-parquet", lambda n: parquet([f"word {i}" for i in range(n // 40)])),
    "records": ("application/x-recordio-protobuf", lambda n: dense_record([1.0, 2.0, 3.0]) * (n // 40)),
    "one long record": ("application/x-recordio-protobuf", lambda n: dense_record([1.0] * (n // 4))),
    "integers": ("application/x-recordio-protobuf", lambda n: dense_record(range(n), "int32")),
    "sparse records": ("application/x-recordio-protobuf", lambda n: sparse_record(3, {1: 2.0}) * (n // 40)),
    "gzip members": ("gzip", lambda n: gzip.compress(b"") * (n // 20)),
    "gzip": ("gzip", lambda n: gzip.compress(b"1,2,3\n" * n)),
}


@pytest.fixture(autouse=True, scope="module")
def no_collections() -> Iterator[None]:
    """How long a collection takes depends on all that the process holds."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def cpu_seconds(body: bytes, content_type: str, signature: Signature) -> float:
    """The least of two."""
    encoding = "gzip" if content_type == "gzip" else None
    spent = []
    for _ in range(2):
        began = time.process_time()
        with contextlib.suppress(ServingError):
            decode(body, "text/csv" if encoding else content_type, encoding, signature, LIMIT)
        spent.append(time.process_time() - began)
    gc.collect()  # of what this body has left: all else is frozen
    return min(spent)


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@pytest.mark.parametrize("what", BODIES)
def test_reading_is_linear(what: str, signature: Signature) -> None:
    """Four times the body costs four times the time, whatever is in it and whatever the model expects."""
    content_type, make = BODIES[what]
    size = 50_000
    small, large = (cpu_seconds(make(n), content_type, signature) for n in (size, 4 * size))
    assert large <= MOST_GROWTH * max(small, SMALLEST)
