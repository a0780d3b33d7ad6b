"""install.py: which packages, from which files, from where; what is refused with which words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from running import REPOSITORY
from serving import install as installer

UV = os.environ["UV"] or shutil.which("uv") or ""
PROJECT = '[project]\nname = "ours"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["click==8.1.8"]\n'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """model/ with what install.py needs, and a server that needs one small package."""
    serving = tmp_path / "model/serving"
    serving.mkdir(parents=True)
    for name in ("install.py", "installer.lock"):
        shutil.copy(REPOSITORY / "model/serving" / name, serving)
    (serving / "requirements.txt").write_text("# the server's\nitsdangerous==2.2.0\n")
    return tmp_path / "model"


def install(model: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", str(model / "serving/install.py"), *arguments]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True)


def installed(prefix: Path) -> set[str]:
    return {path.name.removesuffix(".dist-info") for path in prefix.glob("lib/python3*/site-packages/*.dist-info")}


def test_a_lock_holds_until_a_requirement_changes(model: Path) -> None:
    """Comments, blank lines, the order and line ends change nothing; a version does."""
    requirements = model / "requirements.txt"
    requirements.write_text("b==1\na==1\n")
    first = install(model, "--stamp").stdout
    requirements.write_bytes(b"# why\r\n\r\na==1\r\nb==1 # this\r\n")
    assert install(model, "--stamp").stdout == first
    requirements.write_text("a==1\nb==2\n")
    assert install(model, "--stamp").stdout != first


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "model/requirements.txt is missing"),
        ({"requirements.txt": "", "pyproject.toml": PROJECT}, "has both requirements.txt and pyproject.toml: delete"),
        ({"pyproject.toml": "[project"}, "model/pyproject.toml has no table [project] that can be read"),
        ({"pyproject.toml": "[tool.x]\n"}, "model/pyproject.toml has no table [project] that can be read"),
        ({"pyproject.toml": PROJECT, "uv.lock": "nonsense"}, "model/uv.lock could not be read"),
        ({"requirements.txt": "nosuchpackage-of-ours==1\n"}, "Correct model/requirements.txt"),
    ],
)
def test_what_cannot_be_installed_is_told(model: Path, tmp_path: Path, files: dict[str, str], said: str) -> None:
    """The file and what to do, and no traceback."""
    for name, text in files.items():
        (model / name).write_text(text)
    done = install(model, "--uv", UV, "--prefix", str(tmp_path / "packages"))
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_pyproject_and_uv_lock_take_the_place_of_requirements(model: Path, tmp_path: Path) -> None:
    """The very versions of uv.lock, its hashes verified, and the server's packages beside them."""
    (model / "pyproject.toml").write_text(PROJECT)
    subprocess.run([UV, "lock", "--quiet"], cwd=model, check=True, env={**os.environ, "UV_SYSTEM_CERTS": "1"})
    done = install(model, "--uv", UV, "--prefix", str(tmp_path / "packages"))
    assert done.returncode == 0, done.stderr
    assert "note: uv.lock pins the model's packages" in done.stdout
    assert installed(tmp_path / "packages") == {"click-8.1.8", "itsdangerous-2.2.0"}

    made = install(model, "--uv", UV, "--make-lock")
    assert made.returncode == 0, made.stderr
    again = install(model, "--uv", UV, "--prefix", str(tmp_path / "again"))
    assert (again.returncode, "note:" in again.stdout) == (0, False), again.stdout + again.stderr
    assert installed(tmp_path / "again") == installed(tmp_path / "packages")

    lock = (model / "uv.lock").read_text()
    (model / "requirements.lock").unlink()
    (model / "uv.lock").write_text(lock.replace('hash = "sha256:', 'hash = "sha256:0000').replace("0000", "", 0))
    assert install(model, "--uv", UV, "--prefix", str(tmp_path / "other")).returncode != 0, "a wrong hash is taken"


def test_pyproject_alone_is_enough(model: Path, tmp_path: Path) -> None:
    """Its dependencies are what requirements.txt would list."""
    (model / "pyproject.toml").write_text(PROJECT)
    done = install(model, "--uv", UV, "--prefix", str(tmp_path / "packages"))
    assert done.returncode == 0, done.stderr
    assert {"click-8.1.8", "itsdangerous-2.2.0"} <= installed(tmp_path / "packages")


def test_a_lock_that_cannot_be_made_leaves_the_old_one(model: Path) -> None:
    """And no half of one beside it."""
    (model / "requirements.txt").write_text("nosuchpackage-of-ours==1\n")
    (model / "requirements.lock").write_text("old\n")
    done = install(model, "--uv", UV, "--make-lock")
    assert (done.returncode, "requirements.lock was not made" in done.stderr) == (1, True)
    assert sorted(path.name for path in model.iterdir()) == ["requirements.lock", "requirements.txt", "serving"]
    assert (model / "requirements.lock").read_text() == "old\n"


def test_an_index_that_cannot_be_reached_is_not_a_wrong_requirement(model: Path, tmp_path: Path) -> None:
    """By pip and by uv alike, the network is named."""
    (model / "requirements.txt").write_text("click==8.1.8\n")
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1", "UV_HTTP_RETRIES": "0"}
    none = {"PIP_EXTRA_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_FIND_LINKS": "/not-there", **nowhere}
    for options in (["--uv", UV], []):
        done = install(model, *options, "--prefix", str(tmp_path / "packages"), **none)
        assert done.returncode != 0
        assert "their index could not be reached" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("said", "only_binary", "wheels"),
    [
        ("ERROR: No matching distribution found for nosuch", False, False),
        ("ERROR: No matching distribution found for nosuch", True, True),
        ("cause: Because nosuch was not found in the package registry", True, False),
        ("Because old==1 has no wheels with a matching Python ABI tag", True, True),
        ("error: Failed to build old==1", False, True),
    ],
    ids=["pip", "pip, wheels only", "uv", "uv, no wheel", "a build"],
)
def test_wheels_are_spoken_of_where_they_may_be_what_is_missing(said: str, only_binary: bool, wheels: bool) -> None:
    """And the list is called by its own name, not by that of the copy which pip was given."""
    lines = [said, "Couldn't parse `/var/tmp/tmpab_3x/requirements.txt`", "-r /kit/model/serving/requirements.txt"]
    told = list(installer.explained(lines, only_binary))
    assert told[1] == "Couldn't parse `model/requirements.txt`"
    assert told[2] == lines[2]
    assert ("no wheel: that version" in told[-1]) is wheels
    assert told[-1].startswith("The packages could not be installed; the reason stands above.")
