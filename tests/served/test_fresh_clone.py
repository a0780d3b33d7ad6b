"""What happens when somebody clones it: another name, no environment, the README's first commands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from running import EXPECTED, KIT, Running, free_port, wait_until


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The kit without git history, under a name with a space."""
    copy = tmp_path / "my model"
    shutil.copytree(KIT, copy, ignore=shutil.ignore_patterns(".venv*"))
    return copy


def test_the_first_screen_of_the_readme(clone: Path, tmp_path: Path) -> None:
    """serve-local.sh makes its own environment and serves; predict.sh prints the model's predictions."""
    port = str(free_port())
    log = tmp_path / "serve.log"
    environ = {**os.environ, "PORT": port, "DOCKER_HOST": f"unix://{tmp_path}/nobody.sock", "UV": "no"}
    environ.pop("VIRTUAL_ENV", None)
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["./local-test/serve-local.sh"], cwd=clone, env=environ, stdout=out, stderr=out, start_new_session=True
        )
    running = Running(process, log)
    running.url = f"http://127.0.0.1:{port}"
    try:
        running.until_ready(300)
        answered = subprocess.run(["./local-test/predict.sh"], cwd=clone, env=environ, capture_output=True, text=True)
        assert (answered.returncode, answered.stdout) == (0, EXPECTED)
        wait_until(lambda: "ready on http" in running.log)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(40) == 0
