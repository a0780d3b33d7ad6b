"""`predict` as a process: what goes in and out, how it ends, what memory it takes; its answers are the server's."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from running import EXPECTED, KIT, PAYLOAD, Native, make_program
from serving.formats.streams import BLOCK

pytestmark = pytest.mark.slow  # each test starts whole programs

MB = 1_000_000


def command(*options: str, program: Path = KIT / "model") -> list[str]:
    return [sys.executable, "-P", "-m", "serving", "predict", *options]


def environ(program: Path = KIT / "model", **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(program), "SAGEMAKER_BASE_DIR": "/nowhere", **more}


def predict(body: bytes, *options: str, program: Path = KIT / "model", **more: str) -> tuple[int, bytes, str]:
    """Exit code, answers, what was said."""
    done = subprocess.run(command(*options), env=environ(program, **more), input=body, capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode()


# ---- what goes in and out --------------------------------------------------------------------------------------------


def test_rows_in_predictions_out() -> None:
    """From standard input, with the sum on standard error."""
    code, answers, told = predict(PAYLOAD)
    assert (code, answers.decode()) == (0, EXPECTED)
    assert re.search(r"predict: 10 rows in [\d.]+ s", told)


@pytest.mark.parametrize(("name", "pack"), [("rows.csv", bytes), ("rows.csv.gz", gzip.compress), ("rows", bytes)])
def test_a_file(tmp_path: Path, name: str, pack: Any) -> None:
    """Its name tells the type, or its first bytes do; gzip is unpacked."""
    (tmp_path / name).write_bytes(pack(PAYLOAD))
    code, answers, told = predict(b"", "--quiet", str(tmp_path / name))
    assert (code, answers.decode(), told) == (0, EXPECTED, "")


def test_types_are_asked_for() -> None:
    """As by Content-Type and Accept."""
    body = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]}).encode()
    assert predict(body)[1] == b'{"predictions":["setosa"]}'
    assert predict(body, "--accept", "text/csv")[1] == b"setosa\n"
    assert predict(body, "--content-type", "application/json", "--accept", "application/jsonlines")[1] == b'"setosa"\n'
    default = predict(body, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")
    assert default[1] == b"setosa\n"


def test_what_the_model_prints_is_no_answer(tmp_path: Path) -> None:
    """It goes to standard error."""
    printing = "def transformation(model, rows):\n    print('hello')\n    return model.predict(rows)\n"
    program = make_program(tmp_path, files={"predictor.py": printing})
    code, answers, told = predict(PAYLOAD, program=program)
    assert (code, answers.decode(), "hello" in told) == (0, EXPECTED, True)


def test_bad_records_are_marked_where_that_is_set() -> None:
    """With their number in the whole file, however many blocks it has."""
    body = PAYLOAD + b"x,1,1,1\n" + PAYLOAD
    assert predict(body, MODEL_SERVER_BAD_RECORDS="mark")[1].decode() == EXPECTED + "ERROR\n" + EXPECTED
    code, answers, told = predict(body)
    assert (code, answers, "Row 11, column" in told, "(400 bad_request)" in told) == (1, b"", True, True)
    lines = b"[5.1,3.5,1.4,0.2]\n" * 300_000 + b"[1]\n"
    code, answers, told = predict(lines, "--content-type", "application/jsonlines", SAGEMAKER_BATCH="true")
    assert code == 0, told
    assert json.loads(answers.splitlines()[-1])["error"]["row"] == 300_001


# ---- how it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "body", "more", "code", "told"),
    [
        (["--no-such-option"], PAYLOAD, {}, 2, "unrecognized arguments: --no-such-option"),
        (["one", "two"], PAYLOAD, {}, 2, "unrecognized arguments: two"),
        (["--size", "large"], PAYLOAD, {}, 2, "invalid int value"),
        (["no-such-file.csv"], b"", {}, 2, "no-such-file.csv cannot be read: No such file"),
        (["/"], b"", {}, 2, "/ cannot be read: Is a directory"),
        ([], PAYLOAD, {"MODEL_SERVER_TIMEOUT": "soon"}, 2, "wrong setting: MODEL_SERVER_TIMEOUT='soon'"),
        ([], b"", {}, 1, "standard input is empty"),
        (["--content-type", "text/html"], PAYLOAD, {}, 1, "'text/html' is not known"),
        (["--accept", "image/png"], PAYLOAD, {}, 1, "Ask for text/csv or application/json"),
        ([], gzip.compress(PAYLOAD, mtime=0)[:-9], {}, 1, "ends in the middle of its gzip data"),
        ([], PAYLOAD + b"1,2\n", {}, 1, "Row 11 has 2 values"),
        ([], PAYLOAD + b"\xff,1,1,1\n", {}, 1, f"byte {len(PAYLOAD) + 1} (line 11) is 0xff"),
        ([], PAYLOAD, {"MODEL_SERVER_PREDICT_METHOD": "nothing"}, 1, "the model cannot serve: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(options: list[str], body: bytes, more: dict[str, str], code: int, told: str) -> None:
    """With the exit code that tells whose fault it is, and without a traceback."""
    found = predict(body, *options, **more)
    assert (found[0], found[1]) == (code, b""), found[2]
    assert told in found[2]
    assert "Traceback" not in found[2]


def large(size: int, seed: int = 0) -> bytes:
    """A CSV of iris flowers."""
    rows = np.random.default_rng(seed).uniform(0.1, 8, (2000, 4)).round(4)
    block = "".join(",".join(map(str, row)) + "\n" for row in rows.tolist()).encode()
    return block * (size // len(block) + 1)


def test_a_refusal_comes_after_the_answers_before_it() -> None:
    """Whole blocks are answered; how many rows that are is said."""
    body = large(9 * MB) + b"1,2,x,4\n"
    code, answers, told = predict(body)
    rows = body.count(b"\n") - 1
    assert code == 1
    assert f"Row {rows + 1}, column 'petal length (cm)'" in told
    answered = answers.count(b"\n")
    assert answered > rows // 3
    assert f"The {answered:,} rows before are answered." in told


def test_nobody_reads_any_more() -> None:
    """A broken pipe ends it without a word."""
    code = f"{' '.join(command('--quiet'))} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], env=environ(), input=large(20 * MB), capture_output=True)
    assert done.stdout.split(b"\n")[1:] == [b"141", b""]
    assert done.stderr == b""


def feed(pipe: Any) -> None:
    """Some blocks, after which more is waited for."""
    with suppress(OSError):
        pipe.write(large(9 * MB))


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c(signum: int, code: int) -> None:
    """Ends at once; the answers end with a line."""
    process = subprocess.Popen(
        command("--quiet"), env=environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    threading.Thread(target=feed, args=[process.stdin], daemon=True).start()
    first = process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signum)
    rest = process.stdout.read()
    assert (process.wait(10), (first + rest)[-1:]) == (code, b"\n")


# ---- how much memory it takes ----------------------------------------------------------------------------------------


MEASURED = """\
import sys
from serving.__main__ import main
code = main(["predict", "--quiet"])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


def peak(body: Path) -> int:
    """Bytes that a process takes at most."""
    with body.open("rb") as rows:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED], env=environ(), stdin=rows, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, check=True,
        )  # fmt: skip
    return int(done.stderr) * 1024


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    """A CSV of 120 MB takes what one of 12 MB takes, and some blocks."""
    sizes = {}
    for size in (12, 120):
        path = tmp_path / f"{size}.csv"
        path.write_bytes(large(size * MB))
        sizes[size] = peak(path)
    assert sizes[120] - sizes[12] < 16 * MB, sizes


# ---- as the server answers -------------------------------------------------------------------------------------------

FRAME = pd.DataFrame(load_iris().data, columns=["a", "b", "c", "d"])
TARGET = load_iris().target
MIXED = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0] * 9, "town": ["Ulm", "Köln", "New\nYork", 'a "b", c'] * 9})


def linear() -> Any:
    random = np.random.default_rng(1)
    return LinearRegression().fit(random.normal(size=(200, 30)), random.normal(size=200))


MODELS: dict[str, Any] = {
    "forest": lambda: RandomForestClassifier(20, random_state=0).fit(FRAME, TARGET),
    "scaled": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME.to_numpy(), TARGET),
    "linear": linear,
    "mixed": lambda: make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["town"]), remainder="passthrough"),
        LogisticRegression(),
    ).fit(MIXED, [0, 1, 2, 0] * 9),
}
COUNT = {"forest": 70_000, "scaled": 70_000, "linear": 10_000, "mixed": 200_000}
"""Rows of some blocks."""


def frame_of(name: str) -> pd.DataFrame:
    random = np.random.default_rng(2)
    if name == "mixed":
        rows = MIXED.sample(COUNT[name], replace=True, random_state=0, ignore_index=True)
        rows["size"] = random.uniform(0, 9, len(rows))
        return rows
    width = 30 if name == "linear" else 4
    names = list("abcd") if name == "forest" else [f"x{i}" for i in range(width)]
    return pd.DataFrame(random.uniform(0, 9, (COUNT[name], width)), columns=names)


def bodies(name: str) -> Iterator[tuple[str, bytes]]:
    """Content types and bodies of several blocks."""
    rows = frame_of(name)
    named = name in ("forest", "mixed")
    yield "text/csv", rows.to_csv(index=False, header=False).encode()
    lists = rows.to_json(orient="values", double_precision=15).encode()
    yield "application/json", lists
    yield "application/json", b'{"instances": ' + lists + b"}"
    yield "application/jsonlines", b"\n".join(orjson_line(row) for row in rows.to_numpy().tolist())
    out = io.BytesIO()
    rows.to_parquet(out)
    yield "application/x-parquet", out.getvalue()
    if named:
        yield "text/csv", rows[rows.columns[::-1]].to_csv(index=False).encode()
        yield "text/csv; header=present", rows.to_csv(index=False, lineterminator="\r\n").encode()
        yield "application/jsonlines", rows.to_json(orient="records", lines=True).encode()
        yield "application/json", rows.to_json(orient="records").encode()
    if name != "mixed":
        out = io.BytesIO()
        np.save(out, rows.to_numpy())
        yield "application/x-npy", out.getvalue()


def orjson_line(row: list[Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()


ACCEPTED = cycle(["*/*", "application/json", "application/jsonlines"])


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_the_servers(name: str, tmp_path: Path) -> None:
    """Byte for byte, for bodies of several blocks of each type, whatever type is asked for."""
    probabilities = "def transformation(model, rows):\n    return model.predict_proba(rows)\n"
    files = {"predictor.py": probabilities} if name in ("scaled", "mixed") else {}
    program = make_program(tmp_path, model=pickle.dumps(MODELS[name]()), files=files)
    subprocess.run([sys.executable, "-m", "serving", "compile"], cwd=program, check=True, capture_output=True)
    with Native(tmp_path, program, nginx=False, MODEL_SERVER_WORKERS="1").until_ready() as server:
        for (content_type, body), accept in zip(bodies(name), ACCEPTED, strict=False):
            assert len(body) > BLOCK or content_type in ("application/x-npy", "application/x-parquet")
            served = server.post(body, content_type, Accept=accept)
            assert served.status_code == 200, served.text[:500]
            code, answers, told = predict(body, "--content-type", content_type, "--accept", accept, program=program)
            assert code == 0, told
            assert answers == served.content, (content_type, accept)
