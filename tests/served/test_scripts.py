"""local-test/: the scripts as a user calls them, natively and in Docker, right and wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from running import EXPECTED, KIT, Running, free_port, wait_until

SCRIPTS = ["serve-local.sh", "train-local.sh", "predict.sh", "load-test.sh"]


def script(name: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(KIT / "local-test" / name), *arguments], env={**os.environ, **environ}, capture_output=True, text=True
    )


@pytest.fixture(scope="module", autouse=True)
def no_image_is_left() -> Iterator[None]:
    """The copy of the kit has an image of its own, which goes with it."""
    yield
    forget = '. local-test/lib.sh; docker image rm "$LOCAL_IMAGE"'
    subprocess.run(["bash", "-c", forget], cwd=KIT, capture_output=True)


@pytest.fixture(params=["--native", "--docker"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "--docker":
        request.getfixturevalue("engine")
    model = KIT / "local-test/test-dir/model/model.pkl"
    assert not model.exists(), f"{model} is in the way: a test would serve it"
    yield request.param
    forget_the_trained_model()


def forget_the_trained_model() -> None:
    """What train-local.sh has put into test-dir/model of the copy that the tests share."""
    for path in (KIT / "local-test/test-dir/model").glob("model.*"):
        path.unlink()


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_the_head_comment(name: str) -> None:
    """--help prints how the script is used and exits 0."""
    done = script(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: local-test/{name}")
    assert "set -euo" not in done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_wrong_usage_exits_2(name: str) -> None:
    """An unknown option is named, and the exit code is 2."""
    done = script(name, "--no-such-option")
    assert done.returncode == 2
    assert "unknown option --no-such-option" in done.stderr


def test_train_serve_predict(mode: str, tmp_path: Path) -> None:
    """train-local.sh, then serve-local.sh, then predict.sh: the model's own predictions; Ctrl-C ends all."""
    trained = script("train-local.sh", mode)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    copy = KIT / "local-test/test-dir/model/model.pkl"
    assert copy.read_bytes() == (KIT / "model/model.pkl").read_bytes()
    offline = script("predict.sh", "--offline", mode, "--quiet")
    assert (offline.returncode, offline.stdout) == (0, EXPECTED), offline.stderr

    port = free_port()
    log = tmp_path / "serve.log"
    environ = {**os.environ, "PORT": str(port), "MODEL_SERVER_WORKERS": "1"}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(KIT / "local-test/serve-local.sh"), mode], env=environ, stdout=out, stderr=out, start_new_session=True
        )
    running = Running(process, log)
    running.url = f"http://127.0.0.1:{port}"
    try:
        running.until_ready(120)
        answered = script("predict.sh", PORT=str(port))
        assert (answered.returncode, answered.stdout) == (0, EXPECTED)
        assert script("predict.sh", str(KIT / "local-test/payload.csv"), PORT=str(port)).stdout == EXPECTED

        refused = script("predict.sh", str(KIT / "LICENSE"), PORT=str(port))
        assert refused.returncode == 1
        assert '{"error"' in refused.stdout
        assert "the server answered 400" in refused.stderr

        wait_until(lambda: f"ready on http://127.0.0.1:{port}/. Open it in a browser" in running.log)
        assert httpx.get(running.url).headers["content-type"].startswith("text/html")
        assert "1 worker x" in running.log
    finally:
        os.killpg(process.pid, signal.SIGINT)
    assert process.wait(40) == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{running.url}/ping")


def test_a_taken_port_is_told() -> None:
    """serve-local.sh does not fight for a port: it names the next."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = script("serve-local.sh", "--native", PORT=str(port))
    assert done.returncode == 1
    assert f"port {port} is taken. Choose another: PORT={port + 1}" in done.stderr


def test_predict_without_a_server_says_how_to_start_one() -> None:
    """Nothing listens: exit code 1 and the command that helps."""
    done = script("predict.sh", PORT=str(free_port()))
    assert done.returncode == 1
    assert "serve-local.sh" in done.stderr


def test_a_missing_payload_is_told() -> None:
    """A file that is not there is wrong usage."""
    done = script("predict.sh", "no-such-file.csv")
    assert done.returncode == 2
    assert "no-such-file.csv" in done.stderr


def test_an_unknown_image_is_told(engine: None) -> None:
    """An image that is not there: the command that builds it."""
    done = script("train-local.sh", "no-such-image-anywhere")
    assert done.returncode == 1
    assert "docker build -t no-such-image-anywhere" in done.stderr


def test_without_an_engine_it_says_so_and_runs_natively(tmp_path: Path) -> None:
    """No engine answers: one line, and the same program runs natively; --docker insists and fails."""
    environ = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    done = script("train-local.sh", **environ)
    forget_the_trained_model()
    assert done.returncode == 0, done.stderr
    assert "no Docker engine answers: running natively." in done.stderr
    insisted = script("train-local.sh", "--docker", **environ)
    assert insisted.returncode == 1
    assert "Start Docker" in insisted.stderr
