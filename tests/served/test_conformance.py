"""The conformance suite on our own kit, on servers with one fault each, and on none.

The suite itself is tests/conformance; here it is run as a person runs it, in a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from running import KIT, make_program

SUITE = KIT / "tests/conformance"
KIT = SUITE.parent.parent
SOUND = ("sound.py", "sound_models.py", "streams.py")
BROKEN = sorted(path for path in (SUITE / "broken").glob("*.py") if path.name not in SOUND)
BROKEN_IMAGES = sorted((SUITE / "broken/images").glob("*.Dockerfile"))
ENVIRON = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""The suite needs no plugin, and is started often here."""

SEVERAL_MODELS = SUITE / "test_multi_model.py"
ALWAYS = [SUITE / f"test_{chapter}.py" for chapter in ("media_types", "errors", "headers", "metrics")]
"""Chapters that take no time: each fault is tried on all of them, and on the clauses that it names."""


def run(report: Path, *arguments: str, clauses: list[Path | str] | None = None) -> dict[str, str]:
    """Runs the suite; the outcome of each clause by its function's name, the worst where there are several."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--confcutdir", str(SUITE)]
    command += [*map(str, clauses or [SUITE]), *arguments, "--report-json", str(report)]
    done = subprocess.run(command, cwd=KIT, env=ENVIRON, capture_output=True, text=True, timeout=900)
    assert report.is_file(), done.stdout[-2000:] + done.stderr[-2000:]
    outcomes: dict[str, str] = {}
    for row in json.loads(report.read_text())["rows"]:
        name = row["name"].partition("[")[0]
        outcomes[name] = "fail" if "fail" in (row["outcome"], outcomes.get(name)) else row["outcome"]
    return outcomes


def failed(outcomes: dict[str, str]) -> set[str]:
    return {name for name, outcome in outcomes.items() if outcome == "fail"}


def caught_by(path: Path) -> set[str]:
    named = set(re.findall(r"test_\w+", re.split(r'"""|FROM', path.read_text().partition("Caught by: ")[2])[0]))
    assert named, f"{path.name} does not say which clause catches it"
    return named


FILE_OF = {name: path for path in SUITE.glob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}


def test_our_image_conforms(image: str, tmp_path: Path) -> None:
    """Our image keeps every clause that it offers."""
    outcomes = run(tmp_path / "report.json", "--image", image)
    assert not failed(outcomes)
    assert len(outcomes) >= 80
    offered = re.findall(
        r"def (test_\w+)",
        "".join((SUITE / f"test_{chapter}.py").read_text() for chapter in ("batch", "ports", "multi_model")),
    )
    assert [name for name in offered if outcomes[name] != "pass"] == []


def test_our_program_conforms(nginx: None, tmp_path: Path) -> None:
    """The same programs without Docker keep every clause that needs no container."""
    assert not failed(run(tmp_path / "report.json", "--program", str(KIT / "model"), "-m", "not slow"))


def test_a_model_that_streams_conforms(nginx: None, tmp_path: Path) -> None:
    """A transformation that yields is streamed: the clauses about streams are kept, and none is passed by."""
    files = {"predictor.py": "def transformation(model, rows):\n    yield from model.predict(rows)\n"}
    program = make_program(tmp_path, files=files)
    outcomes = run(
        tmp_path / "report.json",
        "--program",
        str(program),
        clauses=[SUITE / "test_streaming.py", SUITE / "test_batch.py"],
    )
    assert not failed(outcomes)
    assert outcomes["test_stream_has_an_end"] == outcomes["test_stream_has_no_length"] == "pass"


def test_a_sound_server_conforms(tmp_path: Path) -> None:
    """The suite asks nothing that a small server cannot give: sound.py, a single file without packages, passes."""
    assert not failed(run(tmp_path / "report.json", "--program", str(SUITE / "broken/sound.py"), "-m", "not slow"))


def test_a_sound_multi_model_server_conforms(nginx: None, tmp_path: Path, sound_model: Path) -> None:
    """The clauses about several models are kept by a small server and by our program; none is passed by."""
    ours = tmp_path / "model"
    ours.mkdir()
    shutil.copy(KIT / "model/model.pkl", ours)
    for program, model in ((SUITE / "broken/sound_models.py", sound_model), (KIT / "model", ours)):
        arguments = ("--program", str(program), "--multi-model", str(model))
        outcomes = run(tmp_path / "report.json", *arguments, clauses=[SEVERAL_MODELS])
        assert set(outcomes.values()) == {"pass"}, (program, outcomes)


@pytest.fixture
def sound_model(tmp_path: Path) -> Path:
    """A model directory of sound.py."""
    (tmp_path / "sound").mkdir()
    (tmp_path / "sound/model.txt").write_text("the sum of each row\n")
    return tmp_path / "sound"


def test_each_fault_is_caught_by_its_clause(tmp_path: Path, sound_model: Path) -> None:
    """Each broken server fails the clauses that it names and, in the quick chapters, no other."""

    def verdict(path: Path) -> str | None:
        named = [f"{FILE_OF[clause]}::{clause}" for clause in caught_by(path) if FILE_OF[clause] not in ALWAYS]
        always = [] if "every clause" in path.read_text() else ALWAYS
        several = ("--multi-model", str(sound_model)) if path.name.startswith("models_") else ()
        clauses = [SEVERAL_MODELS] if several else [*always, *named]
        seen = failed(run(tmp_path / f"{path.stem}.json", "--program", str(path), *several, clauses=clauses))
        return (
            None if seen == caught_by(path) else f"{path.name}: caught by {sorted(seen)}, not {sorted(caught_by(path))}"
        )

    with ThreadPoolExecutor(4) as pool:
        wrong = [line for line in pool.map(verdict, BROKEN) if line]
    assert not wrong, "\n".join(wrong)


def test_each_faulty_image_is_caught_by_its_clause(engine: None, tmp_path: Path) -> None:
    """Each faulty image fails the clauses that it names and no other of their chapters and of those about images."""
    wrong = []
    for path in BROKEN_IMAGES:
        tag = f"conf-broken-{path.stem.replace('_', '-')}-{os.getpid()}"
        build = ["docker", "build", "-q", "-t", tag, "-f", str(path), str(SUITE / "broken")]
        built = subprocess.run(build, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        try:
            seen = failed(
                run(
                    tmp_path / f"{path.stem}.json",
                    "--image",
                    tag,
                    clauses=[
                        SUITE / "test_image.py",
                        *{FILE_OF[name] for name in caught_by(path)} - {SUITE / "test_image.py"},
                    ],
                )
            )
        finally:
            subprocess.run(["docker", "rmi", "-f", tag], capture_output=True)
        if seen != caught_by(path):
            wrong.append(f"{path.name}: caught by {sorted(seen)}, not {sorted(caught_by(path))}")
    assert not wrong, "\n".join(wrong)


def test_each_clause_names_its_source_and_remedy() -> None:
    """Each clause is one sentence of the contract with its page, and says what to do when it fails."""
    count = 0
    names = [
        name for path in SUITE.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    ]
    assert len(names) == len(set(names)), "two clauses have the same name"
    for path in sorted(SUITE.glob("test_*.py")):
        text = path.read_text()
        for match in re.finditer(
            r'((?:^@.*\n(?:    .*\n|\)\n|[\])]*\n)*)+)def (test_\w+)\(.*\):\n    """(.*)"""', text, re.MULTILINE
        ):
            count += 1
            assert re.fullmatch(r".*[^.]\. \[[\w .-]+\]", match[3]), f"{path.name}, {match[2]}: {match[3]}"
            assert "@remedy(" in match[1], f"{path.name}, {match[2]} has no remedy"
        assert len(re.findall(r"^def test_", text, re.MULTILINE)) == len(
            re.findall(r'^def test_\w+\(.*\):\n    """', text, re.MULTILINE)
        ), f"{path.name} has a clause without a sentence"
    assert count >= 80


def test_the_suite_imports_nothing_of_the_kit() -> None:
    """The suite speaks HTTP and `docker run` only."""
    ours = {"serving", "predictor", "wsgi", "running"}
    for path in SUITE.rglob("*.py"):
        imported = set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
        assert not imported & ours, f"{path.name} imports {imported & ours}"
