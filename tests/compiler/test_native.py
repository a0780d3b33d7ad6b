"""native.c: the same numbers as Python reads, the same sums as the libraries make, and nothing outside its buffers."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import native_bodies
import native_trees
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import lacking
from running import KIT
from serving.compiler import bodies, build, links, native, operations, walks
from serving.compiler.operations import Rows
from serving.compiler.program import Node, Program, from_arrays, read, to_arrays, write
from serving.compiler.trees import Trees
from serving.http import handover

HERE = Path(__file__).parent


@pytest.fixture(autouse=True, scope="module")
def _library() -> None:
    if not native.available:
        lacking("native.c is not built: no C compiler")


# ---- numbers ---------------------------------------------------------------------------------------------------------

DIGITS = st.text("0123456789", min_size=1, max_size=40)


@st.composite
def numerals(draw: Any) -> str:
    """Numbers as float() takes them, of all lengths and sizes, and those nearest to a half between two doubles."""
    if draw(st.booleans()):
        return repr(draw(st.floats(allow_nan=False, allow_infinity=False)))
    if draw(st.booleans()):
        low = draw(st.floats(1e-300, 1e300))
        half = (Fraction(low) + Fraction(float(np.nextafter(low, np.inf)))) / 2
        digits = draw(st.integers(15, 40))
        power = digits - len(str(int(half))) if half >= 1 else digits + len(str(int(1 / half)))
        return f"{int(half * Fraction(10) ** power) + draw(st.integers(-1, 1))}e{-power}"
    sign, whole, part = draw(st.sampled_from(["", "-", "+"])), draw(DIGITS), draw(st.none() | DIGITS)
    exponent = draw(st.none() | st.integers(-345, 330))
    return sign + whole + ("" if part is None else f".{part}") + ("" if exponent is None else f"e{exponent}")


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(st.lists(numerals(), min_size=1, max_size=5))
def test_a_number_is_rounded_as_float_rounds_it(texts: list[str]) -> None:
    """Of as many digits and with any exponent, to the last bit."""
    matrix = bodies.matrix_csv(",".join(texts).encode())
    assert isinstance(matrix, np.ndarray)
    assert matrix.tobytes() == np.array(list(map(float, texts))).tobytes()


@pytest.mark.parametrize("body", native_bodies.CORPUS, ids=range(len(native_bodies.CORPUS)))
def test_a_body_is_read_as_python_reads_it_or_handed_back(body: bytes) -> None:
    """CSV as csv and float() read it, JSON as orjson does."""
    native_bodies.compare(body, None)
    native_bodies.compare(body, 2)


@pytest.mark.parametrize(
    ("body", "columns", "offset", "row", "column"),
    [
        (b"1,2\n3,x\n", None, 6, 2, 2),
        (b'1,2\n\n3,"4"\n', None, 7, 2, 2),
        (b"1,2\n3\n", None, 5, 2, 1),
        (b"1,2\n3,4,5\n", None, 8, 2, 3),
        (b"1,2\n", 3, 3, 1, 2),
        (b"1,0x1p3", None, 2, 1, 2),
        (b"1\r2", None, 0, 1, 1),
        (b"1,1_0", None, 2, 1, 2),
    ],
)
def test_what_is_unusual_is_handed_back_with_its_place(
    body: bytes, columns: int | None, offset: int, row: int, column: int
) -> None:
    """Bytes from the start of the body; row and column from 1, blank lines not counted."""
    assert bodies.matrix_csv(body, columns) == bodies.Unusual(offset, row, column)


@pytest.mark.parametrize(
    ("body", "row", "column"),
    [(b"[[1,2],[3,true]]", 2, 2), (b"[[1],[9007199254740993]]", 2, 1), (b"[[0.5,1e999]]", 1, 2), (b"[[1,-0]]", 1, 2)],
)
def test_json_that_is_not_plain_numbers_is_handed_back(body: bytes, row: int, column: int) -> None:
    """As are integers that a float does not hold, and numbers beyond all floats."""
    got, _ = bodies.matrix_json(body)
    assert isinstance(got, bodies.Unusual)
    assert (got.row, got.column) == (row, column)


def test_memory_follows_the_body_not_its_promises() -> None:
    """A long first line and many blank ones after it do not multiply."""
    body = b"1," * 100_000 + b"1" + b"\n" * 1_000_000
    matrix = bodies.matrix_csv(body)
    assert isinstance(matrix, np.ndarray)
    assert matrix.shape == (1, 100_001)
    assert isinstance(matrix.base, np.ndarray)
    assert matrix.base.nbytes <= 8 * (len(body) + 1)


SLICED = {
    "many rows": b"1.5,-2,3e-7\n" * 60_000,
    "no line end at the end": b"1.5,-2\r\n" * 60_000 + b"7,8",
    "numbers for float()": b"0.1000000000000000055511151231257827021181583404541015625,1\n" * 9000,
    "blank lines": b"1,2\n\n" * 90_000,
    "a text at the end": b"1,2\n" * 90_000 + b"3,x\n",
    "a short row in the middle": b"1,2\n" * 90_000 + b"3\n" + b"1,2\n" * 90_000,
    "one long line": b"1," * 200_000 + b"1",
    "wide rows": (b"1.25," * 9999 + b"\n") * 12,
    "nothing but line ends": b"\n" * 300_000,
}


@pytest.mark.parametrize("name", SLICED)
def test_a_large_body_is_read_in_slices_as_in_one_piece(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same matrix; what is unusual has the same place."""
    expected = bodies.matrix_csv(SLICED[name])
    with ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr(native, "spread", pool.map)
        monkeypatch.setattr(native, "threads", 3)
        got = bodies.matrix_csv(SLICED[name])
    if isinstance(expected, bodies.Unusual):
        assert got == expected
    else:
        assert got.shape == expected.shape
        assert got.tobytes() == expected.tobytes()


# ---- trees -----------------------------------------------------------------------------------------------------------


def test_bytes_are_counted_as_python_counts_them() -> None:
    """Around the blocks in which they are counted, and in a body of nothing else."""
    body = np.random.default_rng(0).integers(0, 3, 20_000, dtype=np.uint8).tobytes()
    for size in (*range(10_000, 10_500), len(body)):
        assert bodies.count(body[:size], b"\1") == body[:size].count(b"\1")
    assert bodies.count(b"," * 50_000, b",") == 50_000


@pytest.mark.parametrize("seed", range(200))
def test_trees_are_walked_as_told(seed: int) -> None:
    """Thresholds, missing values, zeros, categories; blocks of rows and single ones; float32 and float64. NumPy, which
    stands in for native.c, takes every kind of node as it does."""
    chance = random.Random(seed)
    features, precision = chance.randint(1, 4), chance.choice(["float32", "float64"])
    trees = native_trees.made(chance, features, precision, chance.choice(["float32", "float64"]))
    rows = native_trees.rows_for(chance, features, precision)
    for function in (walks.native_trees(trees, features), walks.trees(trees)):
        native_trees.compare(trees, function, rows)


@pytest.mark.parametrize("features", [3, 300, 3000])
def test_parts_in_threads_give_the_same_sums(features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows and columns there are, and whoever runs the parts."""
    trees = native_trees.made(random.Random(3), features)
    walk = walks.native_trees(trees, features)
    monkeypatch.setattr(walks, "FEW_ROWS", 200)
    rows = np.random.default_rng(3).standard_normal((413, features))
    rows[300:, 0] = np.nan
    alone = walk(rows)
    with ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr(native, "spread", pool.map)
        monkeypatch.setattr(native, "threads", 3)
        together = walk(rows)
    assert (alone != trees.start).any()
    assert alone.tobytes() == together.tobytes()
    few = np.concatenate([walk(rows[first : first + 100]) for first in range(0, len(rows), 100)])
    assert alone.tobytes() == few.tobytes()


def test_the_arrays_of_a_file_are_walked_where_they_are(tmp_path: Path) -> None:
    """Processes that map one file hold its trees once."""
    program = Program(None, {"predict": Node(Rows(4)).then(native_trees.made(random.Random(2), 4))})
    write(tmp_path / "a.npz", to_arrays(program))
    trees = from_arrays(read(tmp_path / "a.npz")).methods["predict"].operation
    assert isinstance(trees, Trees)
    for array in walks._forest(trees, 4).kept:
        while not isinstance(array, np.memmap):
            assert isinstance(array.base, np.ndarray), "a copy"
            array = array.base


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("left", 0, 0x7FFFFFFF), ("left", 0, -1), ("roots", 0, -1), ("roots", 0, 1 << 40), ("columns", 0, 3),
        ("columns", 0, -1), ("feature", 0, 4), ("feature", -1, 1 << 26), ("threshold", -1, 0.0),
        ("threshold", -1, np.nan), ("boundaries", 1, 1 << 40), ("boundaries", 1, -1),
        ("boundaries", slice(1, 3), [2**63 - 1, -(2**63)]),
    ],
)  # fmt: skip
def test_arrays_that_lead_outside_are_refused(name: str, place: Any, value: Any) -> None:
    """Children, roots, features, outputs and sets are checked before anything is walked."""
    chance = next(c for c in map(random.Random, range(99)) if len(native_trees.made(c, 4).left) > 20)
    trees = native_trees.made(chance, 4)
    trees.left[0] = trees.left[0] if trees.left[0] else 1
    getattr(trees, name)[place] = value
    with pytest.raises(operations.Unsound):
        walks.native_trees(trees, 4)


def test_rows_of_another_width_do_not_reach_native_code() -> None:
    """They are refused; other types and layouts are converted."""
    trees = native_trees.made(random.Random(1), 4)
    walk = walks.native_trees(trees, 4)
    for rows in (np.zeros((5, 3)), np.zeros((5, 8)), np.zeros(20)):
        with pytest.raises(ValueError, match="columns"):
            walk(rows)
    rows = np.arange(40, dtype=np.float64).reshape(10, 4)
    for other in (np.asfortranarray(rows), rows.astype(int), np.repeat(rows, 2, axis=1)[:, ::2]):
        assert walk(other).tobytes() == walk(rows).tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exp_is_the_c_librarys_with_and_without(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, at both ends, at the odd values and in every layout; the argument stays as it was."""
    chance = np.random.default_rng(0)
    values = np.concatenate(
        [chance.standard_normal(5000) * 30, [0.0, -0.0, 710, -746, 89, -104, np.inf, -np.inf, np.nan]]
    )
    values = values.astype(dtype)[:, None]
    kept = values.copy()
    got = links.exp(values)
    assert got.dtype == dtype
    assert links.exp(values[::-1])[::-1].tobytes() == got.tobytes()
    assert values.tobytes() == kept.tobytes()
    monkeypatch.setattr(native, "library", None)
    assert links.exp(values).tobytes() == got.tobytes()
    if dtype == np.float64:
        assert got[:5000, 0].tolist() == list(map(math.exp, values[:5000, 0].tolist()))


# ---- the build -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_short_fuzz_under_the_sanitizers_finds_nothing() -> None:
    """AddressSanitizer and UBSan see no byte read or written outside; `make fuzz` goes on for longer."""
    if not shutil.which("gcc"):
        lacking("gcc is not installed")
    command = [sys.executable, str(HERE / "fuzz_native.py"), "--runs", "10000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "nothing found" in done.stdout


@pytest.mark.slow
def test_both_compilers_take_every_line(tmp_path: Path) -> None:
    """With all warnings, as errors; the library of each gives the same."""
    compilers = [name for name in ("gcc", "clang") if shutil.which(name)]
    if not compilers:
        lacking("no C compiler is installed")
    loaders = {build.SOURCE: native.load, build.HANDOVER: handover.load}
    assert loaders.keys() == build.WITHOUT.keys()
    for compiler in compilers:
        for source, load in loaders.items():
            library = tmp_path / f"{compiler}-{source.stem}.so"
            build.build(compiler, library, (*build.FLAGS, "-Wpedantic", "-Wconversion", "-Werror"), source)
            assert load(library) is not None


@pytest.mark.slow
def test_a_library_of_another_source_is_not_taken(tmp_path: Path) -> None:
    """A checkout that has moved on does not run what an older source was built into."""
    source = tmp_path / "native.c"
    source.write_bytes(build.SOURCE.read_bytes() + b"/* older */\n")
    build.build("cc", tmp_path / "old.so", source=source)
    assert native.load(tmp_path / "old.so") is None
    build.build("cc", tmp_path / "new.so")
    assert native.load(tmp_path / "new.so") is not None


@pytest.mark.parametrize("content", [b"", b"no library", None])
def test_without_a_library_there_is_none(tmp_path: Path, content: bytes | None) -> None:
    """Nothing, or something else, in its place: Python does the work."""
    path = tmp_path / "libnative.so"
    if content is not None:
        path.write_bytes(content)
    assert native.load(path) is None


def test_everything_says_so_without_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices are None; bytes are counted by Python."""
    monkeypatch.setattr(native, "library", None)
    assert bodies.matrix_csv(b"1,2") is None
    assert bodies.matrix_json(b"[[1]]") == (None, False)
    assert bodies.count(b"," * 20_000, b",") == 20_000


def test_a_machine_without_a_compiler_is_told_in_one_line(tmp_path: Path) -> None:
    """The build is not a failure there, and leaves nothing behind."""
    shutil.copytree(KIT / "model/serving/compiler", tmp_path / "c", ignore=shutil.ignore_patterns("libnative*"))
    command = [sys.executable, str(tmp_path / "c/build.py")]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "native.c is not built: there is no C compiler. Predictions are the same, only slower.\n"
    assert not list(tmp_path.glob("c/libnative*"))


def test_a_compiler_that_fails_is_quoted(tmp_path: Path) -> None:
    """Its first line of reason, and a code that is not zero."""
    shutil.copytree(KIT / "model/serving/compiler", tmp_path / "c", ignore=shutil.ignore_patterns("libnative*"))
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'cc: no space left' >&2\nexit 1\n")
    compiler.chmod(0o755)
    command = [sys.executable, str(tmp_path / "c/build.py")]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": f"{tmp_path}:/bin"})
    assert done.returncode == 1
    assert "cc: no space left" in done.stderr
