"""Packages from an index that wants a password are installed, and the password is nowhere in what is pushed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import private_index
import pytest

from conftest import lacking
from running import KIT

BUILDX = Path("/opt/docker-buildx")


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """The kit with one private package, and of its Dockerfile what concerns packages."""
    copy = tmp_path / "kit"
    shutil.copytree(KIT, copy, ignore=shutil.ignore_patterns(".venv*", "__pycache__"))
    stages = (copy / "Dockerfile").read_text().split("\nFROM ")
    [packages] = [stage for stage in stages if " AS packages" in stage.splitlines()[0]]
    (copy / "Dockerfile").write_text(
        "ARG PYTHON_VERSION=3.12\nFROM python:3.12-slim AS base\n"
        f"FROM {packages}\nFROM base\nCOPY --from=packages /packages /usr/local\n"
    )
    (copy / "model/requirements.txt").write_text(f"{private_index.NAME}==1.0\n")
    (copy / "model/serving/requirements.txt").write_text("# nothing\n")
    (copy / "model/requirements.lock").unlink(missing_ok=True)
    return copy


@pytest.fixture(params=["legacy", "buildkit", "buildkit, a file"])
def builder(request: pytest.FixtureRequest, engine: None, tmp_path: Path) -> dict[str, str]:
    """The environment in which docker builds in this way."""
    home = tmp_path / "docker"
    (home / "cli-plugins").mkdir(parents=True)
    if request.param == "legacy":
        return {"DOCKER_CONFIG": str(home), "DOCKER_BUILDKIT": "0"}
    if not (BUILDX / "docker-buildx").exists():
        lacking("buildx is not installed")
    (home / "cli-plugins/docker-buildx").symlink_to(BUILDX / "docker-buildx")
    return {"DOCKER_CONFIG": str(home), "DOCKER_BUILDKIT": "1", "FILE": request.param.partition(", ")[2]}


@pytest.fixture
def built(kit: Path, builder: dict[str, str], tmp_path: Path) -> Iterator[str]:
    with private_index.running() as address:
        told = {"PIP_EXTRA_INDEX_URL": address}
        if builder.get("FILE"):
            (tmp_path / "pip.conf").write_text(f"[global]\nextra-index-url = {address}\n")
            told = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
        # As the scripts do it, with the network of this machine, where the index is.
        program = (
            'set -eu; . local-test/lib.sh; IMAGE="$LOCAL_IMAGE"; make_scratch;'
            'set_build_arguments "$(builder_of docker)" "$KIT" "$SCRATCH";'
            'docker build --network host --tag "$IMAGE" "${build_arguments[@]}" "$KIT" >&2; echo "$IMAGE"'
        )
        done = subprocess.run(
            ["bash", "-c", program], cwd=kit, env={**os.environ, **builder, **told}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert private_index.PASSWORD not in done.stderr + done.stdout, "the build has shown the password"
    yield done.stdout.strip()
    docker("image", "rm", done.stdout.strip())


def test_the_password_is_in_no_layer(built: str, tmp_path: Path) -> None:
    """The package is there; history, configuration and the bytes of every layer have no trace of the password."""
    said = docker("run", "--rm", built, "python3", "-c", f"import {private_index.NAME} as p; print(p.ANSWER)")
    assert said == "42\n"
    assert private_index.NAME in docker("run", "--rm", built, "cat", "/usr/local/sbom.json")
    assert private_index.PASSWORD not in docker("history", "--no-trunc", built)
    assert private_index.PASSWORD not in json.dumps(json.loads(docker("image", "inspect", built)))
    saved = tmp_path / "image.tar"
    docker("save", "--output", str(saved), built)
    assert private_index.PASSWORD.encode() not in saved.read_bytes()
