"""What is tested: an image, a program, or a URL that somebody else has started.

An image is started as SageMaker starts it (`docker run IMAGE serve`), a program as `python DIR/serve` (or, when it is
one file, `python FILE serve`) with SAGEMAKER_BIND_TO_PORT and SAGEMAKER_BASE_DIR. Everything that is started here is
stopped here, by its own id.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from .wire import NoAnswer, Wire, wait_until

READY_SECONDS = 120
"""Within the shortest window that SageMaker gives: 3 minutes for serverless inference, 8 for real-time endpoints."""


class NotStarted(AssertionError):
    """It exited, or never said 200 to /ping."""


@dataclass
class Finished:
    code: int
    output: str
    seconds: float


@dataclass
class Server(Wire):
    """A running server: its address and, when we have started it, the process or container behind it."""

    began: float = 0.0
    ready_after: float | None = None

    def exit_code(self) -> int | None:
        return None

    def signal(self, name: str) -> None:
        raise NotImplementedError

    def children(self) -> dict[int, str]:
        """The direct children of the first process: pid (as seen by it) and name."""
        raise NotImplementedError

    def kill(self, pid: int) -> None:
        raise NotImplementedError

    def logs(self) -> str:
        return ""

    def close(self) -> None:
        pass

    def wait_ready(self, seconds: float = READY_SECONDS) -> Server:
        """Until /ping says 200. Raises NotStarted when it exits first or the time is over."""
        wait_until(lambda: self.status_of_ping() == 200 or self.exit_code() is not None, seconds, 0.1)
        if self.exit_code() is not None:
            raise NotStarted(f"it exited with code {self.exit_code()} before /ping said 200: {tail(self.logs())}")
        if (status := self.status_of_ping()) != 200:
            raise NotStarted(f"/ping is {status} after {seconds:.0f} s: {tail(self.logs())}")
        self.ready_after = time.monotonic() - self.began
        return self

    def wait_exit(self, seconds: float) -> int | None:
        wait_until(lambda: self.exit_code() is not None, seconds, 0.1)
        return self.exit_code()


def tail(text: str, characters: int = 300) -> str:
    return " ".join(text.split())[-characters:]


# -- an image ---------------------------------------------------------------------------------------------------------


@dataclass
class Container(Server):
    id: str = ""

    def state(self) -> dict[str, object]:
        return dict(json.loads(docker("inspect", "--format", "{{json .State}}", self.id)))

    def exit_code(self) -> int | None:
        state = self.state()
        return None if state["Running"] else int(str(state["ExitCode"]))

    def signal(self, name: str) -> None:
        docker("kill", "--signal", name, self.id)

    def sh(self, script: str) -> str | None:
        """What a shell in the container prints; None when there is no shell in it."""
        done = subprocess.run(
            ["docker", "exec", "-u", "0", self.id, "sh", "-c", script], capture_output=True, text=True
        )
        return done.stdout if done.returncode not in (126, 127) else None

    def children(self) -> dict[int, str]:
        stats = self.sh("cat /proc/[0-9]*/stat 2>/dev/null; true") or ""
        found = {}
        for line in stats.splitlines():
            pid, _, rest = line.partition(" (")
            name, _, fields = rest.rpartition(") ")
            if fields.split()[1:2] == ["1"]:
                found[int(pid)] = name
        return found

    def kill(self, pid: int) -> None:
        self.sh(f"kill -9 {pid}")

    def logs(self) -> str:
        done = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True, errors="replace")
        return done.stdout + done.stderr

    def close(self) -> None:
        subprocess.run(["docker", "rm", "-f", "-v", self.id], capture_output=True)


@dataclass
class Image:
    name: str
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, object]:
        return dict(json.loads(docker("image", "inspect", "--format", "{{json .Config}}", self.name)))

    def inspect(self, form: str) -> str:
        return docker("image", "inspect", "--format", form, self.name).strip()

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.config.get("Labels") or {})  # type: ignore[call-overload]

    def serve(
        self,
        env: dict[str, str] | None = None,
        flags: Sequence[str] = (),
        model: Path | None = None,
        arguments: Sequence[str] = ("serve",),
        port: int = 8080,
    ) -> Container:
        """Starts a container and returns at once. `model` is mounted at /opt/ml/model, read-only as on SageMaker."""
        options = [*_env({**self.environ, **(env or {})}), *flags]
        if model is not None:
            options += ["-v", f"{model}:/opt/ml/model:ro"]
        networked = ("--network", "none") not in pairwise(options)
        if networked:
            options += ["-p", f"127.0.0.1:0:{port}"]
        began = time.monotonic()
        name = f"conf-{uuid.uuid4().hex[:12]}"
        try:
            id = docker("run", "-d", "--name", name, *options, self.name, *arguments).strip()
        except AssertionError as exc:
            subprocess.run(["docker", "rm", "-f", "-v", name], capture_output=True)
            raise NotStarted(str(exc)) from exc
        container = Container("127.0.0.1", 0, id=id, began=began)
        if networked:
            container.port = published(container, port)
            container.direct = _directly(id, port) or ("127.0.0.1", container.port)
        return container

    def train(
        self, base: Path, flags: Sequence[str] = (), arguments: Sequence[str] = ("train",), seconds: float = 300
    ) -> Finished:
        """`docker run IMAGE train` with `base` mounted as /opt/ml."""
        return self.run(arguments, ["-v", f"{base}:/opt/ml", *flags], seconds)

    def run(self, arguments: Sequence[str] = (), flags: Sequence[str] = (), seconds: float = 60) -> Finished:
        name = f"conf-{uuid.uuid4().hex[:12]}"
        began = time.monotonic()
        command = ["docker", "run", "--name", name, *_env(self.environ), *flags, self.name, *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds)
            return Finished(done.returncode, done.stdout + done.stderr, time.monotonic() - began)
        except subprocess.TimeoutExpired:
            return Finished(-1, f"still running after {seconds:.0f} s", seconds)
        finally:
            subprocess.run(["docker", "rm", "-f", "-v", name], capture_output=True)


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments[:2])}: {tail(done.stderr)}")
    return done.stdout


def _env(environ: dict[str, str]) -> list[str]:
    return [part for name, value in environ.items() for part in ("-e", f"{name}={value}")]


def published(container: Container, port: int) -> int:
    """The host's port. A container that has ended has none: 0, to which nobody answers."""
    done = subprocess.run(["docker", "port", container.id, str(port)], capture_output=True, text=True)
    return int(done.stdout.splitlines()[0].rpartition(":")[2]) if done.stdout.strip() else 0


def _directly(id: str, port: int) -> tuple[str, int] | None:
    """The container's own address. On Linux the host reaches it without docker-proxy, which accepts for the server."""
    address = docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", id).strip()
    return (address, port) if address and sys.platform == "linux" else None


# -- a program --------------------------------------------------------------------------------------------------------


@dataclass
class Process(Server):
    popen: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self.popen is not None
        return self.popen

    def exit_code(self) -> int | None:
        code = self.process.poll()
        return None if code is None else code if code >= 0 else 128 - code

    def signal(self, name: str) -> None:
        self.process.send_signal(signal.Signals[f"SIG{name}"])

    def children(self) -> dict[int, str]:
        table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True).stdout
        rows = [line.split(None, 2) for line in table.splitlines()]
        return {int(pid): name for pid, parent, name in rows if int(parent) == self.process.pid}

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def logs(self) -> str:
        return self.log.read_text(errors="replace") if self.log else ""

    def close(self) -> None:
        """Asks, then kills; and kills the children that it has left behind."""
        children = list(self.children())
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


@dataclass
class Program:
    path: Path
    environ: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    def command(self, *arguments: str) -> list[str]:
        if self.path.is_file():
            return [self.python, str(self.path), *arguments]
        return [self.python, str(self.path / arguments[0]), *arguments[1:]]

    def serve(
        self,
        env: dict[str, str] | None = None,
        flags: Sequence[str] = (),
        model: Path | None = None,
        arguments: Sequence[str] = ("serve",),
        port: int | None = None,
    ) -> Process:
        assert not flags, "flags are for docker"
        base = Path(tempfile.mkdtemp(prefix="conf-", dir="/tmp"))
        if model is not None:
            (base / "model").symlink_to(model)
        port = port or free_port()
        log = base / "log"
        environ = self._environ(base, {"SAGEMAKER_BIND_TO_PORT": str(port), **(env or {})})
        began = time.monotonic()
        with log.open("wb") as out:
            popen = subprocess.Popen(
                self.command(*arguments), env=environ, stdout=out, stderr=out, start_new_session=True
            )
        return Process("127.0.0.1", port, ("127.0.0.1", port), popen=popen, log=log, began=began)

    def train(
        self, base: Path, flags: Sequence[str] = (), arguments: Sequence[str] = ("train",), seconds: float = 300
    ) -> Finished:
        return self.run(arguments, base=base, seconds=seconds)

    def run(
        self, arguments: Sequence[str] = (), flags: Sequence[str] = (), seconds: float = 60, base: Path | None = None
    ) -> Finished:
        began = time.monotonic()
        environ = self._environ(base or Path(tempfile.mkdtemp(prefix="conf-")), {})
        environ["SAGEMAKER_BIND_TO_PORT"] = str(free_port())
        try:
            done = subprocess.run(
                self.command(*arguments), env=environ, capture_output=True, text=True, errors="replace", timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return Finished(-1, f"still running after {seconds:.0f} s", seconds)
        return Finished(done.returncode, done.stdout + done.stderr, time.monotonic() - began)

    def _environ(self, base: Path, more: dict[str, str]) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SAGEMAKER_", "MODEL_SERVER_"))}
        return {**own, "SAGEMAKER_BASE_DIR": str(base), **self.environ, **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def have_engine() -> bool:
    """Whether a Docker engine answers."""
    return (
        shutil.which("docker") is not None and subprocess.run(["docker", "info"], capture_output=True).returncode == 0
    )


def running(url: str) -> Server:
    """A server that somebody else has started. Raises NoAnswer when nobody is there."""
    host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
    server = Server(host, int(port or 80), (host, int(port or 80)))
    if server.status_of_ping() is None:
        raise NoAnswer(f"nobody answers at {url}/ping")
    return server
