"""Ctrl-C with a real engine: neither the container of a build step nor that of a run is left."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from pathlib import Path

import pytest
from standins import Clone

from running import free_port, wait_until


def containers(mark: str) -> list[str]:
    """The commands of all containers that have the mark in them."""
    form = ["docker", "ps", "--all", "--no-trunc", "--format", "{{.Command}}"]
    listed = subprocess.run(form, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in listed if mark in line]


@pytest.mark.parametrize("script", ["serve-local.sh", "train-local.sh"])
@pytest.mark.parametrize("moment", ["build", "run"])
def test_no_container_is_left(engine: None, tmp_path: Path, script: str, moment: str) -> None:
    """Exit code 130, and the container that was at work is gone."""
    clone = Clone(tmp_path)
    (tmp_path / "bin/docker").unlink()
    mark = f"echo {uuid.uuid4().hex}; sleep 60"
    build, entry = ("true", f'["sh", "-c", "{mark}"]') if moment == "run" else (mark, '["true"]')
    (clone.kit / "Dockerfile").write_text(f"FROM python:3.12-slim\nRUN {build}\nENTRYPOINT {entry}\n")
    process = clone.start(f"./local-test/{script}", "--docker", PORT=str(free_port()))
    try:
        wait_until(lambda: containers(mark), 60)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)[0]
        assert process.returncode == 130, said
        wait_until(lambda: not containers(mark), 10)
        assert clone.processes() == []
    finally:
        forget = '. local-test/lib.sh; docker image rm "$LOCAL_IMAGE"'
        subprocess.run(["bash", "-c", forget], cwd=clone.kit, env=clone.environ, capture_output=True)
