"""`make upgrade`: the machinery becomes the newer kit's, the user's files stay, and a changed file is never lost."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import serving
from running import REPOSITORY

OLD, NEW = "1.9.0", "1.10.0"
FILES = {
    "VERSION": OLD,
    "Dockerfile": "FROM old\n",
    "README.md": "old\n",
    "deploy_model.ipynb": "{}\n",
    "model/serving/app.py": "old = 1\n",
    "model/serving/gone.py": "gone = 1\n",
    "model/predictor.py": "# the example\n",
    "model/model.pkl": "example",
    "local-test/payload.csv": "1\n",
}


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A user's copy of version 1.9.0, with a model of their own, and beside it, in `new`, version 1.10.0."""
    for name in ("kit", "new"):
        for file, text in FILES.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text)
        scripts = tmp_path / name / "local-test"
        for script in ("upgrade.sh", "upgrade.py", "lib.sh", "environment.sh", "engine.sh"):
            shutil.copy2(REPOSITORY / "local-test" / script, scripts)
        shutil.copytree(REPOSITORY / "push", tmp_path / name / "push")
    new = tmp_path / "new"
    subprocess.run([sys.executable, "-P", str(new / "local-test/upgrade.py"), str(new), "--release"], check=True)
    (new / "VERSION").write_text(NEW)
    (new / "Dockerfile").write_text("FROM new\n")
    (new / "deploy_model.ipynb").write_text('{"new": 1}\n')
    (new / "model/serving/app.py").write_text("new = 1\n")
    (new / "model/serving/more.py").write_text("more = 1\n")
    (new / "model/serving/gone.py").unlink()
    for file in ("model/predictor.py", "model/model.pkl", "local-test/payload.csv"):
        (tmp_path / "kit" / file).write_text("mine\n")
    (tmp_path / "kit/model/features.py").write_text("mine\n")
    return tmp_path / "kit"


def upgrade(kit: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["local-test/upgrade.sh", *arguments], cwd=kit, capture_output=True, text=True)


def contents(kit: Path) -> dict[str, bytes]:
    return {str(path.relative_to(kit)): path.read_bytes() for path in sorted(kit.rglob("*")) if path.is_file()}


def test_machinery_is_replaced_and_yours_stays(kit: Path) -> None:
    """Changed, new and gone files are as in the newer kit; the model and what belongs to it are as before."""
    done = upgrade(kit, "../new")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"from version {OLD} to {NEW}" in done.stdout
    assert ((kit / "Dockerfile").read_text(), (kit / "VERSION").read_text()) == ("FROM new\n", NEW)
    assert (kit / "model/serving/more.py").exists()
    assert not (kit / "model/serving/gone.py").exists()
    for file in ("model/predictor.py", "model/model.pkl", "local-test/payload.csv", "model/features.py"):
        assert (kit / file).read_text() == "mine\n"
    assert "nothing to do" in upgrade(kit, "../new").stdout


def test_a_changed_file_is_shown_and_nothing_is_replaced(kit: Path) -> None:
    """Exit code 1 and a diff, not one byte written; --keep goes on and leaves that file."""
    (kit / "Dockerfile").write_text("FROM old\nRUN apt-get install libsomething\n")
    before = contents(kit)
    done = upgrade(kit, "../new")
    assert (done.returncode, contents(kit)) == (1, before)
    assert "-RUN apt-get install libsomething" in done.stdout
    assert "Dockerfile was changed here" in done.stderr
    assert upgrade(kit, "../new", "--keep", "Dockerfile").returncode == 0
    assert (kit / "Dockerfile").read_text().endswith("libsomething\n")
    assert (kit / "model/serving/app.py").read_text() == "new = 1\n"


def test_a_file_of_yours_where_a_new_one_would_be_is_a_change(kit: Path) -> None:
    """It is not overwritten."""
    (kit / "model/serving/more.py").write_text("mine\n")
    done = upgrade(kit, "../new")
    assert (done.returncode, (kit / "model/serving/more.py").read_text()) == (1, "mine\n")


def test_your_readme_and_notebook_stay(kit: Path) -> None:
    """They are meant to be changed: the new notebook is put beside yours."""
    (kit / "README.md").write_text("my project\n")
    (kit / "deploy_model.ipynb").write_text('{"mine": 1}\n')
    assert upgrade(kit, "../new").returncode == 0
    assert (kit / "README.md").read_text() == "my project\n"
    assert (kit / "deploy_model.ipynb").read_text() == '{"mine": 1}\n'
    assert (kit / "deploy_model.new.ipynb").read_text() == '{"new": 1}\n'


def test_what_was_interrupted_is_taken_up(kit: Path) -> None:
    """Half replaced, VERSION still the old one: the next run completes it."""
    (kit / "Dockerfile").write_text("FROM new\n")
    (kit / "model/serving/gone.py").unlink()
    assert upgrade(kit, "../new").returncode == 0
    assert (kit / "model/serving/app.py").read_text() == "new = 1\n"


def test_windows_line_ends_are_no_change(kit: Path) -> None:
    """A checkout with carriage returns can be upgraded."""
    (kit / "model/serving/app.py").write_bytes(b"old = 1\r\n")
    assert upgrade(kit, "../new").returncode == 0


def test_from_a_git_repository(kit: Path) -> None:
    """A URL is fetched; what git ignores is not taken."""
    new = kit.parent / "new"
    (new / ".gitignore").write_text("junk\n")
    (new / "junk").write_text("x")
    identity = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--message", "x"]):
        subprocess.run(["git", "-C", str(new), *command], check=True)
    done = upgrade(kit, f"file://{new}")
    assert done.returncode == 0, done.stderr
    assert not (kit / "junk").exists()
    assert (kit / "VERSION").read_text() == NEW


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("", 2, "say where the newer kit is"),
        ("https://127.0.0.1:9/no.git", 1, "is neither a directory nor a git repository"),
        ("../kit", 0, "nothing to do"),
        ("..", 1, "has no VERSION: it is not a kit"),
    ],
)
def test_what_is_no_newer_kit_is_refused(kit: Path, source: str, code: int, said: str) -> None:
    """With the reason; nothing is written."""
    before = contents(kit)
    done = upgrade(kit, source)
    assert (done.returncode, contents(kit)) == (code, before), done.stderr
    assert said in done.stdout + done.stderr


def test_an_older_kit_does_not_replace_a_newer_one(kit: Path) -> None:
    """It does not know the newer version."""
    (kit / "VERSION").write_text("7.0.0\n")
    done = upgrade(kit, "../new")
    assert (done.returncode, "does not know version 7.0.0" in done.stderr) == (1, True)


def test_one_version_everywhere() -> None:
    """VERSION, the program, the image's label and the newest entry of CHANGELOG.md agree."""
    version = (REPOSITORY / "VERSION").read_text().strip()
    label = re.search(r"org\.opencontainers\.image\.version=(\S+)", (REPOSITORY / "Dockerfile").read_text())
    newest = re.search(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert label
    assert newest
    assert {serving.__version__, label[1], newest[1]} == {version}
