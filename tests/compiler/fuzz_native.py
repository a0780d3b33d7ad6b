"""Hostile bodies and hostile trees for native.c, under the sanitizers, and compared with Python's own readers.

    python tests/compiler/fuzz_native.py [--runs 20000 | --seconds 300] [--seed 1]

Builds the library with AddressSanitizer and UBSan and starts itself again with the sanitizer's runtime in front. Every
buffer has its exact size, so that one byte read beside it ends the process. A finding prints its input: put it into
BODIES, which are tried first in every run.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import io
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

KIT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(KIT / "model"))

import numpy as np  # noqa: E402
import orjson  # noqa: E402

from serving.compiler import build, native  # noqa: E402
from serving.rows.cells import NA_WORDS, number  # noqa: E402

SANITIZED = ("-std=c11", "-O1", "-g", "-fno-omit-frame-pointer", "-fPIC", "-shared", "-ffp-contract=off")
SANITIZED += ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

BODIES = [
    *(
        b"",
        b"\n",
        b"1",
        b"1,2\n3,4\n",
        b"1,2\r\n3,4\r\n",
        b"\n\n1\n\n",
        b",",
        b"1,\n,2",
        b"1,2,",
        b"1,2\n3",
        b"1\r",
        b"1\r2",
    ),
    *(
        b'"1",2',
        b"a,b\n1,2",
        b" 1 ,\t2\t",
        b"NA,nan\n-1.#IND,#N/A N/A",
        b"1.,.5,+1,-0,00012",
        b".",
        b"-",
        b"1e",
        b"1e+",
    ),
    *(
        b"1e999,-1e999,1e-999",
        b"0e99999999999999999999",
        b"9007199254740993,9007199254740992.5,9007199254740993.0000001",
    ),
    *(
        b"2.2250738585072011e-308,4.9e-324,1.7976931348623157e308,1.7976931348623159e308",
        b"1" * 999 + b"," + b"1" * 1001,
    ),
    *(
        b"0." + b"0" * 400 + b"1",
        b"123456789012345678901234567890",
        b"1e22,1e23,8.5e-23",
        b"\xff\xfe1,2",
        b"1,\0",
        b"True,inf",
    ),
    *(
        b"[[1,2],[3,4]]",
        b'{"instances": [[1.5, null], [-2e3, 4]]}',
        b' { "inputs" : [ [ 1 ] ] } ',
        b"[[1],[2,3]]",
        b"[]",
        b"[[]]",
    ),
    *(
        b"[[-0]]",
        b"[[-0.0, -0e0]]",
        b"[[9007199254740993]]",
        b"[[1e400]]",
        b"[[01]]",
        b"[[1.]]",
        b"[[.5]]",
        b"[[true]]",
    ),
    *(
        b"[[1,]]",
        b"[[1] [2]]",
        b'{"instances": [[1]], "x": 1}',
        b"[[1]]x",
        b"[[NaN]]",
        b'[["1"]]',
        b"[[[1]]]",
        b"[1,2]",
    ),
]
TOKENS = [
    *map(str.encode, NA_WORDS),
    b",",
    b"\n",
    b"\r\n",
    b"[",
    b"]",
    b"null",
    b"0",
    b"-0",
    b"1e5",
    b".",
    b'"',
    b"e-30",
    b" ",
]
TOKENS += [
    b"17976931348623157",
    b"0.1000000000000000055511151231257827",
    b"9007199254740993",
    b"1e-45",
    b"4503599627370497.5",
]


# ---- what Python makes of a body -------------------------------------------------------------------------------------


def by_csv_reader(body: bytes) -> Any:
    """The matrix, or None if it is not one of numbers."""
    try:
        lines = csv.reader(io.StringIO(body.decode(), newline=""), strict=True)
        rows = [row for row in lines if row and not (len(row) == 1 and row[0].isspace())]
        cells = [[number(cell) for cell in row] for row in rows]
    except (ValueError, csv.Error):
        return None
    return np.array(cells) if cells and len(set(map(len, cells))) == 1 else None


def by_orjson(body: bytes) -> Any:
    """(matrix, were all integers?), or None."""
    try:
        rows = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(rows, dict) and len(rows) == 1:
        rows = rows.get("instances", rows.get("inputs"))
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
        return None
    kinds = {type(cell) for row in rows for cell in row}
    if len(set(map(len, rows))) != 1 or not kinds <= {int, float, type(None)}:
        return None
    return np.array([[np.nan if cell is None else float(cell) for cell in row] for row in rows]), kinds == {int}


def check_csv(body: bytes, columns: int | None, got: Any) -> None:
    expected = by_csv_reader(body)
    if expected is not None and columns not in (None, expected.shape[1]):
        expected = None
    if isinstance(got, native.Unusual):
        assert 0 <= got.offset <= len(body)
        # what the native reader does not know although it is a number, and what it does not look for
        lenient = (
            re.search(rb'["\r \tTF]|rue|alse|inf', body, re.IGNORECASE) or len(max(body.split(b","), key=len)) > 900
        )
        assert expected is None or lenient, got
    else:
        assert expected is not None
        assert same_bits(got, expected), (got, expected)


def check_json(body: bytes, columns: int | None, got: Any, whole: bool) -> None:
    expected = by_orjson(body)
    if expected is not None and columns not in (None, expected[0].shape[1]):
        expected = None
    if isinstance(got, native.Unusual):
        assert expected is None or b"-0" in body or np.nanmax(np.abs(expected[0])) > 2**53 or body.count(b":") > 1, got
    else:
        assert expected is not None
        assert same_bits(got, expected[0]), (got, expected)
        assert whole == expected[1]


def same_bits(one: Any, other: Any) -> bool:
    return one.shape == other.shape and one.tobytes() == other.astype(np.float64).tobytes()


# ---- memory of exact size --------------------------------------------------------------------------------------------

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = LIBC.calloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes, LIBC.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]


class Exactly:
    """A function of bytes → the address of a copy that is not one byte longer; the copies live as long as this."""

    def __init__(self) -> None:
        self.blocks: list[int] = []

    def __call__(self, content: bytes) -> int:
        address = LIBC.malloc(len(content))
        ctypes.memmove(address, content, len(content))
        self.blocks.append(address)
        return int(address)

    def __enter__(self) -> Exactly:
        return self

    def __exit__(self, *_: object) -> None:
        for block in self.blocks:
            LIBC.free(block)


def in_exact_memory(function: Any, body: bytes, columns: int | None, capacity: int) -> None:
    """The same reading as native.py's, in buffers without a byte to spare."""
    with Exactly() as exactly:
        start = exactly(body)
        out = exactly(bytes(8 * capacity))
        place = native._Reading(ctypes.cast(start, ctypes.c_char_p), None, len(body), columns or 0, capacity, out)
        count = function(ctypes.byref(place))
        assert count >= -1 and place.filled <= capacity
        assert 0 <= place.offset <= len(body)


# ---- inputs ----------------------------------------------------------------------------------------------------------


def mutated(chance: random.Random, bodies: list[bytes]) -> bytes:
    body = bytearray(chance.choice(bodies))
    for _ in range(chance.choice((0, 1, 1, 2, 4, 8))):
        place = chance.randint(0, len(body))
        kind = chance.random()
        if kind < 0.25:
            body[place : place + 1] = bytes([chance.randrange(256)])
        elif kind < 0.5:
            body[place:place] = chance.choice(TOKENS)
        elif kind < 0.65:
            del body[place : place + chance.randint(1, 8)]
        elif kind < 0.8:
            body[place:place] = body[place : place + chance.randint(1, 20)]
        elif kind < 0.9:
            body[place:] = chance.choice(bodies)
        else:
            body[place:place] = repr(chance.uniform(-1, 1) * 10.0 ** chance.randint(-320, 308)).encode()
    return bytes(body[:5000])


def try_body(body: bytes, columns: int | None) -> None:
    check_csv(body, columns, native.matrix_csv(body, columns))
    check_json(body, columns, *native.matrix_json(body, columns))
    for function in (native._library.csv_matrix, native._library.json_matrix):
        for capacity in (len(body) + 1, 1, 0):
            in_exact_memory(function, body, columns, capacity)


def trees_of(chance: random.Random, features: int) -> dict[str, Any]:
    """Sound trees of every kind of node."""
    count, width, outputs = chance.randint(1, 5), chance.randint(1, 3), 3
    threshold, feature, left, roots = [], [], [], []
    boundaries = [0, 0, 1, 3]
    for _ in range(count):
        roots.append(len(left))
        for inner in [1] * chance.randint(0, 6) + [0]:  # a chain, whose other children are leaves
            here = len(left)
            flags = chance.randrange(32) << 24 if inner else 0
            categorical = flags & 1 << 26
            threshold += [(chance.randrange(3) if categorical else chance.gauss(0, 1)) if inner else np.inf, np.inf][
                : 1 + inner
            ]
            feature += [chance.randrange(features) | flags if inner else 0, 0][: 1 + inner]
            left += [here + 1, here + 1][: 1 + inner] if inner else [here]
    nodes = len(left)
    for place in range(nodes):  # node, leaf, node, leaf …: the right child of a node is what follows its left one
        if left[place] == place + 1 and place + 2 > nodes - 1:
            left[place], threshold[place], feature[place] = place, np.inf, 0
    return {
        "roots": np.array(roots, np.int64),
        "columns": np.array([chance.randint(0, outputs - width) for _ in roots], np.int32),
        "threshold": np.array(threshold), "feature": np.array(feature, np.uint32), "left": np.array(left, np.int32),
        "values": np.array([[chance.gauss(0, 1) for _ in range(width)] for _ in left]),
        "sets": np.array([chance.getrandbits(32) for _ in range(3)], np.uint32),
        "boundaries": np.array(boundaries, np.int64), "start": np.zeros(outputs),
    }  # fmt: skip


ODD = (0, 1, -1, 2, 3, 7, 2**31 - 1, -(2**31), 2**31, 2**62, -(2**62), float("nan"), float("inf"), 1e300, -0.5)


def spoiled(chance: random.Random, trees: dict[str, Any]) -> dict[str, Any]:
    """Some entries replaced by values that are wrong, or only another."""
    for _ in range(chance.randint(1, 3)):
        array = trees[chance.choice(["roots", "columns", "threshold", "feature", "left", "boundaries"])]
        if array.dtype.kind == "f":
            array[chance.randrange(len(array))] = chance.choice(ODD)
        else:
            info = np.iinfo(array.dtype)
            value = chance.choice([odd for odd in ODD if odd == odd and abs(odd) < 2**63])
            array[chance.randrange(len(array))] = min(max(int(value), info.min), info.max)
    return trees


def try_trees(chance: random.Random) -> None:
    """Trees that are refused, or that are walked without leaving their arrays, at once and one by one alike."""
    features = chance.randint(1, 4)
    trees = trees_of(chance, features)
    if chance.random() < 0.7:
        trees = spoiled(chance, trees)
    with Exactly() as exactly:
        try:
            forest = native.forest(types.SimpleNamespace(**trees), features)
        except ValueError:
            return
        assert forest is not None
        for (name, kind), kept in zip(native._Forest._fields_, forest._kept, strict=False):
            setattr(forest._forest, name, exactly(kept.tobytes()))
            del kind
        rows = np.array([[chance.choice(ODD) for _ in range(features)] for _ in range(chance.randint(0, 19))])
        with np.errstate(over="ignore"):
            rows = rows.reshape(-1, features).astype(chance.choice([np.float64, np.float32]))
        leaves = forest.leaves(rows)
        assert all(np.array_equal(forest.leaves(row[None])[0], leaf) for row, leaf in zip(rows, leaves, strict=True))
        out = np.zeros((len(rows), 3))
        forest.add(rows, out)
        at = exactly(rows.tobytes())
        sums = exactly(bytes(out.nbytes))
        single = int(rows.dtype == np.float32)
        native._library.trees_walk(ctypes.byref(forest._forest), at, single, len(rows), sums, 0)
        assert ctypes.string_at(sums, out.nbytes) == out.tobytes()


# ---- runs ------------------------------------------------------------------------------------------------------------


def fuzz(seed: int, runs: int, seconds: float) -> int:
    chance, end, done = random.Random(seed), time.monotonic() + seconds, 0
    while (done < runs) if runs else (time.monotonic() < end):
        body = BODIES[done] if done < len(BODIES) else mutated(chance, BODIES)
        columns = chance.choice((None, None, None, 1, 2, 3))
        done += 1
        try:
            try_body(body, columns)
            try_trees(chance)
        except BaseException:
            print(f"seed {seed}, run {done}: {body!r}, columns {columns}", file=sys.stderr)
            raise
    return done


def sanitized(arguments: list[str]) -> int:
    """Builds the sanitized library, and runs this file in a process of its own with it."""
    compiler = shutil.which("gcc")
    if compiler is None:
        print("fuzz: gcc with libasan is needed", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        library = Path(directory) / "libnative.so"
        build.build(compiler, library, SANITIZED)
        runtime = [
            subprocess.check_output([compiler, f"-print-file-name={name}"], text=True).strip()
            for name in ("libasan.so", "libubsan.so")
        ]
        environment = {
            **os.environ, "LD_PRELOAD": " ".join(runtime), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }  # fmt: skip
        return subprocess.call([sys.executable, __file__, "--library", str(library), *arguments], env=environment)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--library", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.library is None:
        return sanitized(sys.argv[1:])
    native._library = native.load(given.library)
    assert native._library is not None, "the sanitized library cannot be loaded"
    print(f"{fuzz(given.seed, given.runs, given.seconds)} bodies and forests, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
