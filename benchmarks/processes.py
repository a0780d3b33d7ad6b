"""Starts a contender, waits for its first right answer, weighs its processes, and ends exactly those."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import environments
from contenders.base import Contender, Protocol, Start, free_port

START_SECONDS, STOP_SECONDS = 90, 5
LOGS = "benchmarks/.data/logs"


class Failed(Exception):
    """Why a contender is not measured, for the report."""


@dataclass
class Server:
    contender: Contender
    pid: int
    port: int
    cold_start: float = 0.0
    checked: set[int] = field(default_factory=set)

    def ask(self, path: str, body: bytes | None = None, content_type: str = "", seconds: float = 60) -> bytes:
        """The answer to a request on a connection of its own. Raises OSError, HTTPException, or Failed when not 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            headers = {"Content-Type": content_type} if body is not None else {}
            connection.request("GET" if body is None else "POST", path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise Failed(f"{path} answered {response.status}: {answer[:200].decode(errors='replace')}")
        return answer

    def predict(self, protocol: Protocol, body: bytes, seconds: float = 60) -> list:
        return protocol.parse(self.ask(protocol.path, body, protocol.content_type, seconds))

    def megabytes(self) -> float:
        """Proportional memory of the whole tree."""
        return sum(_pss(pid) for pid in _tree(self.pid)) / 1024


@contextmanager
def running(contender: Contender, base: Path, workers: int, right: Callable[[Server], bool]) -> Iterator[Server]:
    """A server that has given its first right answer."""
    python = environments.python(contender.environment) if contender.environment else ""
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    scratch.chmod(0o755)  # nginx's workers may be another user's
    start = Start(python, base, scratch, free_port(), workers)
    path = f"{Path(python).parent}:{os.environ['PATH']}" if python else os.environ["PATH"]
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(start.served), **contender.variables(start)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever starts a server for the second time has its bytecode
    log = Path(__file__).parent / f".data/logs/{contender.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        if preparation := contender.prepare(start):
            subprocess.run(preparation, cwd=scratch, env=environ, check=True, capture_output=True, timeout=120)
        command = contender.command(start)
        began = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=scratch, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
        server = Server(contender, process.pid, start.port)
        try:
            while not right(server):
                if process.poll() is not None:
                    raise Failed(f"ended with code {process.returncode}; see {LOGS}/{contender.name}.log")
                if time.perf_counter() - began > START_SECONDS:
                    raise Failed(f"gave no right answer in {START_SECONDS} s; see {LOGS}/{contender.name}.log")
                time.sleep(0.01)
            server.cold_start = time.perf_counter() - began
            yield server
        finally:
            _stop(process)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _stop(process: subprocess.Popen) -> None:
    """SIGTERM to the process, and SIGKILL to whatever is left of its tree."""
    tree = {pid: _started(pid) for pid in _tree(process.pid)}
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid, started in tree.items():
        if started is not None and _started(pid) == started:
            os.kill(pid, signal.SIGKILL)


def _tree(root: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> str | None:
    fields = _stat(pid)
    return fields[19] if fields else None


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
