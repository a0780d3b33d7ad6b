"""Ctrl-C at any moment ends a script at once, with 130, and leaves nothing behind; the next start finds all whole."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from standins import Clone

from running import free_port, wait_until

MOMENTS = 10
SECONDS = 2.2
"""How long each script runs with the stand-ins, at least."""

COMMANDS = {
    "serve native": ["./local-test/serve-local.sh", "--native"],
    "serve docker": ["./local-test/serve-local.sh", "--docker"],
    "train native": ["./local-test/train-local.sh", "--native"],
    "train docker": ["./local-test/train-local.sh", "--docker"],
    "load test native": ["./local-test/load-test.sh", "--native"],
    "load test docker": ["./local-test/load-test.sh", "--docker"],
    "predict": ["./local-test/predict.sh"],
    "offline native": ["./local-test/predict.sh", "--offline", "--native"],
    "offline docker": ["./local-test/predict.sh", "--offline", "--docker"],
    "conformance": ["./local-test/conformance.sh", "some-image"],
    "conformance of programs": ["./local-test/conformance.sh", "--program", "model"],
    "lock": ["./local-test/lock.sh"],
    "environment": ["./local-test/environment-for.sh", ".venv-check", "tests/conformance/requirements.lock"],
}


def interrupted(clone: Clone, command: list[str], seconds: float, group: bool) -> tuple[int, str]:
    """The exit code after Ctrl-C, and what was said. `group`: as a terminal sends the signal.

    bash rarely loses a signal while it waits for a `$( )`: whoever sees that nothing ends presses again.
    """
    process = clone.start(*command, PORT=str(free_port()))
    time.sleep(seconds)
    assert process.poll() is None, process.communicate()
    for patience in (3, 20):
        if group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            said = process.communicate(timeout=patience)[0]
            return process.returncode, said
    raise AssertionError("it does not end")


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_at_ten_moments(tmp_path: Path, name: str) -> None:
    """Exit code 130; no process, container, temporary file or half an environment left."""

    def at(moment: int) -> str:
        clone = Clone(tmp_path / str(moment))
        before = clone.files()
        code, said = interrupted(clone, COMMANDS[name], 0.1 + SECONDS * moment / MOMENTS, moment % 2 == 0)
        left = wait_until(lambda: not clone.processes() or None, 2) and clone.files() - before
        assert (code, left) == (130, set()), f"moment {moment}: exit code {code}, left {left}, said:\n{said}"
        return said

    with ThreadPoolExecutor(MOMENTS) as pool:
        assert len(list(pool.map(at, range(MOMENTS)))) == MOMENTS


def test_what_was_interrupted_is_made_again(tmp_path: Path) -> None:
    """An environment whose making was interrupted, or killed, is whole after the next start."""
    clone = Clone(tmp_path)
    process = clone.start("./local-test/train-local.sh", "--native")
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (clone.kit / ".venv").exists()
    again = clone.start("./local-test/train-local.sh", "--native")
    said = again.communicate(timeout=30)[0]
    assert again.returncode == 0, said
    assert (clone.kit / ".venv/installed").exists()
    assert [path.name for path in clone.kit.glob(".venv*")] == [".venv"], "what the killed one had begun is left"


def test_a_real_environment_survives_ctrl_c(tmp_path: Path) -> None:
    """The same with a real Python: interrupted, then made, then used without a word."""
    clone = Clone(tmp_path)
    command = ["./local-test/environment-for.sh", ".venv-conformance", "tests/conformance/requirements.lock"]
    real = {"PATH": os.environ["PATH"]}
    clone.environ |= real
    code, said = interrupted(clone, command, 1.0, group=True)
    assert code == 130, said
    assert not list(clone.kit.glob(".venv*"))
    for expected in ("making the Python environment", None):
        done = subprocess.run(command, cwd=clone.kit, env=clone.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (expected in done.stderr) if expected else (done.stderr == "")
    asked = subprocess.run([clone.kit / ".venv-conformance/bin/pytest", "--version"], capture_output=True, text=True)
    assert asked.returncode == 0, "its programs do not know where they are"
