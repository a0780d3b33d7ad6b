"""Hostile bodies and hostile trees for native.c, under the sanitizers, and compared with Python's own readers.

    python tests/compiler/fuzz_native.py [--runs 20000 | --seconds 300] [--seed 1]

Builds the library with AddressSanitizer and UBSan, and starts itself again with the sanitizers' runtime in front. Every
buffer has its exact size, so that one byte read or written beside it ends the process. A finding prints its input.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "model")]

import native_bodies  # noqa: E402
import native_trees  # noqa: E402
import numpy as np  # noqa: E402

from serving.compiler import build, native, walks  # noqa: E402

SANITIZED = ("-std=c11", "-O1", "-g", "-fno-omit-frame-pointer", "-fPIC", "-shared", "-ffp-contract=off")
SANITIZED += ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes, LIBC.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]


class Exactly:
    """bytes → the address of a copy that is not one byte longer; the copies live until the end of the with block."""

    def __init__(self) -> None:
        self.blocks: list[int] = []

    def __call__(self, content: bytes) -> int:
        address: int = LIBC.malloc(len(content))
        ctypes.memmove(address, content, len(content))
        self.blocks.append(address)
        return address

    def __enter__(self) -> Exactly:
        return self

    def __exit__(self, *_: object) -> None:
        for block in self.blocks:
            LIBC.free(block)


def read_exactly(function: Any, body: bytes, columns: int | None, capacity: int, begin: int = 0) -> None:
    """The same reading as native.py's, without a byte to spare before or behind the buffers."""
    with Exactly() as exactly:
        out = exactly(bytes(8 * capacity))
        place = native.Reading(exactly(body), None, begin, len(body), columns or 0, capacity, out)
        count = function(ctypes.byref(place))
        assert -1 <= count <= len(body)
        assert 0 <= place.offset <= len(body)
        assert place.filled <= capacity


def try_body(body: bytes, columns: int | None) -> None:
    native_bodies.compare(body, columns)
    for name in ("csv_matrix", "json_matrix"):
        for capacity in (len(body) + 1, 1, 0):
            read_exactly(getattr(native.library, name), body, columns, capacity)
    read_exactly(native.library.csv_matrix, body, columns, len(body) + 1, body.find(b"\n") + 1)  # type: ignore[union-attr]


def try_trees(chance: random.Random) -> bool:
    """Trees that are refused, or that are walked as they should without leaving their arrays."""
    features, precision = chance.randint(1, 4), chance.choice(("float32", "float64"))
    trees = native_trees.made(chance, features, precision, chance.choice(("float32", "float64")))
    if chance.random() < 0.7:
        trees = native_trees.spoiled(chance, trees)
    try:
        trees.width(features)
    except ValueError:
        return False
    rows = native_trees.rows_for(chance, features, precision)
    native_trees.compare(trees, walks.native_trees(trees, features), rows)
    forest = walks._forest(trees, features)
    with Exactly() as exactly:
        for (name, _), array in zip(forest._fields_, forest.kept, strict=False):
            setattr(forest, name, exactly(array.tobytes()))
        block = chance.choice((16, 64, 1024))
        room = exactly(bytes(min(block, -(-len(rows) // walks.LANES) * walks.LANES) * features * rows.itemsize))
        at, sums = exactly(rows.tobytes()), exactly(np.tile(trees.start, (len(rows), 1)).tobytes())
        single, floats = precision == "float32", trees.start.dtype == np.float32
        native.library.trees_walk(ctypes.byref(forest), at, single, len(rows), sums, floats, room, block)  # type: ignore[union-attr]
    return True


def fuzz(seed: int, runs: int, seconds: float) -> str:
    chance, end, done, walked = random.Random(seed), time.monotonic() + seconds, 0, 0
    while (done < runs) if runs else (time.monotonic() < end):
        body = native_bodies.CORPUS[done] if done < len(native_bodies.CORPUS) else native_bodies.mutated(chance)
        columns = chance.choice((None, None, None, 1, 2, 3))
        done += 1
        try:
            try_body(body, columns)
            if done % 4 == 0:
                walked += try_trees(chance)
        except BaseException:
            print(f"seed {seed}, run {done}: {body!r}, columns {columns}", file=sys.stderr)
            raise
    return f"{done} bodies read, {walked} forests walked and {done // 4 - walked} refused: nothing found"


def sanitized(arguments: list[str]) -> int:
    """Builds the sanitized library, and runs this file with it in a process of its own."""
    compiler = shutil.which("gcc")
    if compiler is None:
        print("fuzz_native: gcc with its sanitizers is needed", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        library = Path(directory) / "libnative.so"
        build.build(compiler, library, SANITIZED)
        ask = [[compiler, f"-print-file-name={name}"] for name in ("libasan.so", "libubsan.so")]
        runtime = " ".join(subprocess.check_output(command, text=True).strip() for command in ask)
        options = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1", "PYTHONMALLOC": "malloc"}
        environment = {**os.environ, **options, "LD_PRELOAD": runtime}
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
    native.library = native.load(given.library)
    if native.library is None:
        print("fuzz_native: the sanitized library cannot be loaded", file=sys.stderr)
        return 2
    print(fuzz(given.seed, given.runs, given.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
