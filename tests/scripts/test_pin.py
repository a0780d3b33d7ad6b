"""`make pin`: the Dockerfile names the base image by the digest that the registry tells, or stays as it is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from standins import Clone

DIGEST = "sha256:" + "0123456789abcdef" * 4
PULL = f'[ "$1" != pull ] || {{ echo "asked for $2"; echo "Digest: {DIGEST}"; echo "Status: Downloaded"; }}'


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def pin(clone: Clone, docker: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    program = clone.kit.parent / "bin/docker"
    program.write_text(f"#!/bin/bash\n{docker}\n")
    return subprocess.run(
        ["./local-test/pin.sh", *arguments],
        cwd=clone.kit, env={**clone.environ, **environ}, capture_output=True, text=True,
    )  # fmt: skip


def argument(clone: Clone, name: str) -> list[str]:
    return re.findall(rf"^ARG {name}=(.*)$", (clone.kit / "Dockerfile").read_text(), re.MULTILINE)


def test_the_digest_is_written_and_taken_back(clone: Clone) -> None:
    """One line changes, and --undo makes the file what it was; a mirror is kept with its digest."""
    before = (clone.kit / "Dockerfile").read_text()
    done = pin(clone, PULL)
    assert done.returncode == 0, done.stderr
    assert f"builds start from python:3.12-slim@{DIGEST}" in done.stderr
    assert (argument(clone, "BASE"), argument(clone, "BASE_DIGEST")) == (["python"], [f"@{DIGEST}"])
    assert pin(clone, PULL, "--undo").returncode == 0
    assert (clone.kit / "Dockerfile").read_text() == before
    assert pin(clone, PULL, BASE="mirror.example/library/python").returncode == 0
    assert argument(clone, "BASE") == ["mirror.example/library/python"]


@pytest.mark.parametrize(
    ("docker", "said"),
    [
        (
            '[ "$1" != pull ] || { echo "toomanyrequests: You have reached your pull rate limit"; exit 1; }',
            "pull rate limit",
        ),
        ('[ "$1" != pull ] || echo "Status: Image is up to date"', "has told no digest"),
        ("exit 1", "Docker does not answer"),
    ],
)
def test_a_registry_that_tells_nothing_changes_nothing(clone: Clone, docker: str, said: str) -> None:
    """The reason, exit code 1, the Dockerfile as it was."""
    before = (clone.kit / "Dockerfile").read_bytes()
    done = pin(clone, docker)
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert (clone.kit / "Dockerfile").read_bytes() == before
