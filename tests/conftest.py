"""What test rooms share. In CI a test that cannot run is a failure; elsewhere it is skipped, with the reason."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from running import KIT, REPOSITORY, Container, Native, Running

# A shell that starts the tests in the background makes them ignore Ctrl-C, and all that they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same draws in every run, so that a change is red by its own fault; `make fuzz` draws others.
settings.register_profile("kit", derandomize="HYPOTHESIS_DRAWS" not in os.environ)
settings.load_profile("kit")

# Each checkout has an image of its own, so that two can be tested on one machine.
IMAGE = f"model-kit-test-{zlib.crc32(bytes(REPOSITORY))}"


def lacking(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}: in CI that is a failure", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def engine() -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
        lacking("no Docker engine answers")


@pytest.fixture(scope="session")
def nginx() -> None:
    if not shutil.which("nginx"):
        lacking("nginx is not installed")


@pytest.fixture(scope="session")
def image(engine: None) -> str:
    """The kit's image, with the tests' own model."""
    built = subprocess.run(["docker", "build", "--tag", IMAGE, str(KIT)], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return IMAGE


@pytest.fixture(scope="session", params=["native", "native without nginx", "container"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The tests' own model, served in each of the ways it can be."""
    directory = tmp_path_factory.mktemp("server")
    running: Running
    if request.param == "container":
        running = Container(directory, request.getfixturevalue("image"))
    else:
        if request.param == "native":
            request.getfixturevalue("nginx")
        running = Native(directory, nginx=request.param == "native")
    with running:
        yield running.until_ready()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Native]]:
    """Starts native servers that end with the test."""
    started: list[Native] = []

    def start(**options: object) -> Native:
        started.append(Native(tmp_path, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for running in started:
        running.stop()
