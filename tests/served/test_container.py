"""What only a container can show: users, file systems, limits, signals to PID 1, the image itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from running import KIT, PAYLOAD, REPOSITORY, Container, make_program, wait_until

Run = Callable[..., Container]
PROGRAMS = ("nginx: worker", "gunicorn", "serving serve")
PING = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/ping').status)"


SERVERLESS = (
    *("--user", "1234:1234", "--read-only", "--tmpfs", "/tmp", "--cpus", "1", "--memory", "1g"),
    *("--ipc", "none"),  # no /dev/shm
)


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True)


@pytest.fixture
def run(tmp_path: Path, image: str) -> Iterator[Run]:
    started: list[Container] = []

    def start(*options: str) -> Container:
        started.append(Container(tmp_path, image, *options))
        return started[-1]

    yield start
    for container in started:
        container.stop()


@pytest.mark.parametrize(
    "options",
    [
        ("--user", "12345"),
        ("--read-only", "--tmpfs", "/tmp"),
        ("--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID", "--security-opt", "no-new-privileges"),
        ("--user", "12345:12345", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
        ("--cpus", "1", "--memory", "512m"),
        SERVERLESS,
        ("--init",),
        ("--workdir", "/"),
    ],
    ids=" ".join,
)
def test_it_serves_under_every_restriction(run: Run, options: tuple[str, ...]) -> None:
    """An arbitrary uid, a read-only root, no capabilities, 1 CPU and 512 MB, no /dev/shm, --init: it predicts, and ends
    with code 0."""
    container = run(*options).until_ready()
    assert container.post().text.startswith("setosa\n")
    assert container.stop() == 0


def test_it_needs_no_network(run: Run) -> None:
    """With --network none it becomes ready: seen from inside."""
    container = run("--network", "none")
    wait_until(lambda: docker("exec", container.name, "python3", "-c", PING).stdout == "200\n")


def test_the_workers_are_the_cpus_of_the_cgroup(run: Run) -> None:
    """--cpus 1 gives one worker, and the start says so."""
    container = run("--cpus", "1").until_ready()
    assert "1 worker x 1 thread (1 CPU by the cgroup quota)" in container.log


def test_nothing_stays_root(run: Run) -> None:
    """Started as root, all processes run as model-server: without groups, capabilities, or a way to get more rights.
    The request log is written all the same."""
    container = run().until_ready()
    container.post()
    lines = docker("top", container.name, "-eo", "pid,uid,args").stdout.splitlines()[1:]
    uid = container.execute("id", "-u", "model-server").strip()
    assert {line.split()[1] for line in lines} == {uid}
    assert all(any(program in line for line in lines) for program in PROGRAMS)
    script = "import pathlib; [print(p.read_text()) for p in pathlib.Path('/proc').glob('[0-9]*/status')]"
    told = container.execute("runuser", "-u", "model-server", "--", "python3", "-c", script)
    states = [state for state in told.split("\nName:") if f"\nUid:\t{uid}\t" in state and "NoNewPrivs:\t1" in state]
    assert len(states) >= len(lines)
    for state in states:
        assert re.search(r"^Groups:\s*$", state, re.MULTILINE), state
        assert re.search(r"^CapEff:\s*0+$", state, re.MULTILINE), state
    wait_until(lambda: '"path": "/invocations", "status": 200' in container.log)


def test_root_without_capabilities_is_told_what_is_missing(image: str) -> None:
    """--cap-drop ALL as root ends in a sentence with the remedies; with two capabilities it serves."""
    done = docker("run", "--rm", "--cap-drop", "ALL", image, "serve")
    assert done.returncode == 2
    assert "without the right to become model-server" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_model_that_root_alone_can_read_is_served(run: Run, tmp_path: Path) -> None:
    """Its mode came with model.tar.gz: everything stays root then, and the log says why and how to end it."""
    (tmp_path / "ml/model").mkdir(parents=True)
    copy = tmp_path / "ml/model/model.pkl"
    copy.write_bytes((KIT / "model/model.pkl").read_bytes())
    copy.chmod(0o600)
    container = run("--volume", f"{tmp_path}/ml:/opt/ml:ro").until_ready()
    assert container.post().status_code == 200
    assert "only root can read /opt/ml/model/model.pkl, so all runs as root" in container.log


def test_nothing_is_written_outside_tmp(run: Run) -> None:
    """After serving, the container's layer differs from the image in /tmp alone."""
    container = run().until_ready()
    container.post()
    changed = {line.split()[1] for line in docker("diff", container.name).stdout.splitlines()}
    assert {path for path in changed if not path.startswith("/tmp")} == set()


def test_the_mounted_model_wins(run: Run, tmp_path: Path) -> None:
    """A model in /opt/ml/model is served, read-only, instead of the image's own."""
    from sklearn.dummy import DummyClassifier

    model = DummyClassifier(strategy="constant", constant="mounted").fit([[0, 0, 0, 0]], ["mounted"])
    import pickle

    (tmp_path / "ml/model").mkdir(parents=True)
    (tmp_path / "ml/model/model.pkl").write_bytes(pickle.dumps(model))
    container = run("--volume", f"{tmp_path}/ml:/opt/ml:ro").until_ready()
    assert container.post().text == "mounted\n" * 10


def test_train_in_the_container(image: str, tmp_path: Path) -> None:
    """`docker run IMAGE train` as SageMaker mounts it: exit code 0, the model in /opt/ml/model."""
    done = docker("run", "--rm", "--volume", f"{tmp_path}:/opt/ml", image, "train")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model/model.pkl").read_bytes() == (KIT / "model/model.pkl").read_bytes()


@pytest.mark.parametrize("entrypoint", ["train", "/opt/program/train"])
def test_the_programs_can_be_the_entrypoint(image: str, tmp_path: Path, entrypoint: str) -> None:
    """ContainerEntrypoint overrides work: the programs are on the PATH and executable."""
    done = docker("run", "--rm", "--entrypoint", entrypoint, "--volume", f"{tmp_path}:/opt/ml", image)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [(), ("forecast",), ("serve", "now")])
def test_other_arguments_are_refused_with_what_there_is(image: str, arguments: tuple[str, ...]) -> None:
    """No argument, or an unknown one: exit code 2 and the usage."""
    done = docker("run", "--rm", image, *arguments)
    assert done.returncode == 2
    assert "usage: docker run IMAGE serve" in done.stderr


def test_the_image_is_what_sagemaker_takes(image: str) -> None:
    """Exec-form entrypoint, amd64 or arm64, the labels of what is served, root, nothing under /opt/ml, no compiler."""
    config = json.loads(docker("image", "inspect", image).stdout)[0]
    assert config["Config"]["Entrypoint"] == ["python3", "-m", "serving"]
    served = ("accept-bind-to-port", "multi-models")
    labels = config["Config"]["Labels"]
    ours = {name: value for name, value in labels.items() if not name.startswith("org.opencontainers.image.")}
    assert ours == {f"com.amazonaws.sagemaker.capabilities.{name}": "true" for name in served}
    assert labels["org.opencontainers.image.version"] == (REPOSITORY / "VERSION").read_text().strip()
    assert config["Config"]["User"] in ("", "root", "0")
    listed = docker("run", "--rm", "--entrypoint", "sh", image, "-c", "ls /opt/ml 2>/dev/null; which gcc cc make; true")
    assert listed.stdout == ""


def test_nothing_in_the_image_installs_or_gives_rights(image: str) -> None:
    """No pip, no ensurepip, no uv, no setuid bit; the packages of the lock are listed in an SBOM."""
    script = (
        "which pip pip3 uv; for name in pip ensurepip; do python3 -c import\\ $name 2>/dev/null && echo $name; done; "
        "find / -xdev -type f -perm /6000; cat /usr/local/sbom.json"
    )
    sbom = json.loads(docker("run", "--rm", "--entrypoint", "sh", image, "-c", script).stdout)
    versions = {component["name"]: component["version"] for component in sbom["components"]}
    assert (sbom["bomFormat"], versions["scikit-learn"]) == ("CycloneDX", metadata.version("scikit-learn"))
    assert {"flask", "gunicorn", "gevent", "numpy", "orjson"} <= versions.keys()


@pytest.mark.parametrize(
    ("predictor", "model", "said"),
    [
        ("missing_function", None, "predictor.py has no function `transformation`"),
        (None, b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("always_fails", None, "the warm-up prediction failed"),
    ],
)
def test_the_build_fails_with_the_model(
    image: str, tmp_path: Path, predictor: str | None, model: bytes | None, said: str
) -> None:
    """A model that cannot load and predict does not become an image; the build's last lines say why."""
    context = tmp_path / "kit"
    context.mkdir()
    program = make_program(tmp_path, predictor, model)
    program.rename(context / "model")
    for name in ("Dockerfile", ".dockerignore"):
        (context / name).write_bytes((KIT / name).read_bytes())
    done = docker("build", "--tag", f"model-kit-test-broken-{os.getpid()}", str(context))
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_a_checkout_from_windows_builds(image: str, tmp_path: Path) -> None:
    """Carriage returns and lost executable bits are repaired by the build."""
    context = tmp_path / "kit"
    context.mkdir()
    program = make_program(tmp_path)
    program.rename(context / "model")
    for name in ("train", "serve", "predictor.py", "nginx.conf", "gunicorn.conf.py"):
        path = context / "model" / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        path.chmod(0o600)
    for name in ("Dockerfile", ".dockerignore"):
        (context / name).write_bytes((KIT / name).read_bytes())
    tag = f"model-kit-test-windows-{os.getpid()}"
    done = docker("build", "--tag", tag, str(context))
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        with Container(tmp_path, tag, "--user", "12345", "--entrypoint", "serve", arguments=()) as container:
            assert container.until_ready().post(PAYLOAD).status_code == 200
    finally:
        docker("rmi", tag)
