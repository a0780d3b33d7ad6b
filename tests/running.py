"""Starts the program the way SageMaker or a user does, natively or in a container, and speaks HTTP to it."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from serving.compiler import build

REPOSITORY = Path(__file__).resolve().parent.parent
ASSETS = Path(__file__).parent / "assets"
MACHINERY = ("serving", "save_model.py", "train", "serve", "wsgi.py", "gunicorn.conf.py", "nginx.conf")
"""What of model/ is not the user's."""
PAYLOAD = (ASSETS / "payload.csv").read_bytes()
EXPECTED = "setosa\nvirginica\nvirginica\nsetosa\nversicolor\nsetosa\nversicolor\nsetosa\nversicolor\nversicolor\n"
"""The answer to PAYLOAD."""
PREDICTORS = Path(__file__).parent / "predictors"


# The scripts under test make environments in seconds.
os.environ.setdefault("UV", shutil.which("uv", path=str(Path(sys.executable).parent)) or "")


def kit_with_our_model() -> Path:
    """A copy of the checkout, for this process, with the tests' own model in place of the user's.

    So the tests prove the kit whatever the user has put into model/, and leave nothing in the checkout.
    """
    build.main()  # native.c, where a C compiler is, before anything loads it
    copy = Path(tempfile.mkdtemp(prefix="kit-")) / "kit"
    atexit.register(shutil.rmtree, copy.parent, ignore_errors=True)
    leave = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", ".envs", ".data")
    shutil.copytree(REPOSITORY, copy, ignore=leave, symlinks=True)
    for path in (copy / "model").iterdir():
        if path.name not in MACHINERY and path.is_file():
            path.unlink()
    for made in ("model", "output", "models"):
        shutil.rmtree(copy / "local-test/test-dir" / made, ignore_errors=True)
        if made != "models":
            (copy / "local-test/test-dir" / made).mkdir()
    for name in ("model.pkl", "predictor.py", "requirements.txt"):
        shutil.copy(ASSETS / name, copy / "model")
    shutil.copy(ASSETS / "payload.csv", copy / "local-test")
    lock = REPOSITORY / "model/requirements.lock"
    if (
        lock.exists()
        and (REPOSITORY / "model/requirements.txt").read_bytes() == (ASSETS / "requirements.txt").read_bytes()
    ):
        shutil.copy(lock, copy / "model")  # else the packages are installed as a user without a lock has them
    return copy


KIT = kit_with_our_model()


def wait_until(predicate: Callable[[], object], seconds: float = 30) -> object:
    """The first true answer of `predicate`; AssertionError when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := predicate():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {predicate}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_program(
    directory: Path, predictor: str | None = None, model: bytes | None = None, files: dict[str, str] | None = None
) -> Path:
    """A copy of model/ with another predictor.py (a name in tests/predictors), model.pkl or extra files."""
    program = directory / "program"
    shutil.copytree(KIT / "model", program, ignore=shutil.ignore_patterns("__pycache__"))
    if predictor:
        shutil.copy(PREDICTORS / f"{predictor}.py", program / "predictor.py")
    if model is not None:
        (program / "model.pkl").write_bytes(model)
    for name, text in (files or {}).items():
        (program / name).write_text(text)
    return program


class Running:
    """A server that has been started; leaving the `with` block ends it. `url` has no slash at its end."""

    url: str

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log_file = process, log

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def ping(self) -> httpx.Response | None:
        try:
            return httpx.get(f"{self.url}/ping", timeout=5)
        except httpx.TransportError:
            return None

    def until_ready(self, seconds: float = 60) -> Running:
        def ready() -> bool:
            assert self.process.poll() is None, f"it has exited ({self.process.returncode}):\n{self.log}"
            answer = self.ping()
            return answer is not None and answer.status_code == 200

        wait_until(ready, seconds)
        return self

    def post(self, body: bytes = PAYLOAD, content_type: str = "text/csv", **headers: str) -> httpx.Response:
        headers = {"Content-Type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return httpx.post(f"{self.url}/invocations", content=body, headers=headers, timeout=90)

    def terminate(self) -> None:
        self.process.terminate()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.terminate()
        return self.process.wait(40)


class Native(Running):
    """`python PROGRAM/serve`; `nginx=False` hides nginx from it, `mode` is how its log is opened."""

    def __init__(
        self, directory: Path, program: Path = KIT / "model", nginx: bool = True, mode: str = "ab", **environ: str
    ) -> None:
        self.base = directory / "opt-ml"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        log = directory / f"serve-{port}.log"
        path = os.environ["PATH"] if nginx else str(directory / "empty-path")
        places = {"PATH": path, "SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_BASE_DIR": str(self.base)}
        command = [sys.executable, str(program / "serve")]
        with log.open(mode) as out:
            super().__init__(
                subprocess.Popen(command, env={**os.environ, **places, **environ}, stdout=out, stderr=out), log
            )


class Container(Running):
    """`docker run [options] IMAGE serve`, as SageMaker calls it."""

    count = 0

    def __init__(self, directory: Path, image: str, *options: str, arguments: tuple[str, ...] = ("serve",)) -> None:
        Container.count += 1
        self.name = f"kit-test-{os.getpid()}-{Container.count}"
        log = directory / f"{self.name}.log"
        command = [
            "docker",
            "run",
            "--rm",
            "--name",
            self.name,
            "--publish",
            "127.0.0.1:0:8080",
            *options,
            image,
            *arguments,
        ]
        with log.open("ab") as out:
            super().__init__(subprocess.Popen(command, stdout=out, stderr=out), log)
        self._url = ""

    @property
    def url(self) -> str:  # type: ignore[override]
        """Known once the container runs: the port is the engine's choice."""
        if not self._url:
            shown = subprocess.run(["docker", "port", self.name, "8080"], capture_output=True, text=True)
            if shown.returncode:
                return "http://127.0.0.1:9"  # the discard port: nobody answers yet
            self._url = f"http://{shown.stdout.split()[0]}"
        return self._url

    def terminate(self) -> None:
        subprocess.run(["docker", "kill", "--signal", "TERM", self.name], capture_output=True)

    def execute(self, *command: str) -> str:
        return subprocess.run(
            ["docker", "exec", self.name, *command], capture_output=True, text=True, check=True
        ).stdout


def runtime_dir(running: Running) -> Path:
    """The server's directory in /tmp, as gunicorn's command line names it."""
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in children]
    return Path(next(m.group() for line in lines if (m := re.search(r"/tmp/model-server-\w+", line))))
