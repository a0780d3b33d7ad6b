"""What the runner needs to know of a contender: how it is started, and how rows and predictions look to it."""

from __future__ import annotations

import csv
import io
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""What tuning every server by hand begins with: two workers on two CPUs, each with one BLAS and OpenMP thread."""


@dataclass(frozen=True)
class Protocol:
    """`body` makes a request of columns and rows; `parse` takes the predictions out of an answer."""

    body: Callable[[list[str], list], bytes]
    parse: Callable[[bytes], list]
    content_type: str = "application/json"
    path: str = "/invocations"


@dataclass(frozen=True)
class Start:
    """One start of a contender. The working directory is `scratch`."""

    python: str
    """The interpreter of its environment."""
    base: Path
    """Holds model/model.pkl."""
    scratch: Path
    """An empty directory, deleted afterwards."""
    port: int
    workers: int = 2
    kit: Path = Path(__file__).resolve().parent.parent.parent

    @property
    def served(self) -> Path:
        """Where the small programs are that make a server of a peer's library."""
        return self.kit / "benchmarks/served"

    @property
    def model(self) -> str:
        return str(self.base / "model/model.pkl")

    def program(self, name: str) -> str:
        """A program that is installed in the environment."""
        return str(Path(self.python).parent / name)


class Contender:
    name: str
    title: str
    package: str | None = None
    """Whose version the report gives."""
    environment: str | None
    ping = "/ping"
    models: tuple[str, ...] = ("rf", "lr")
    protocols: dict[str, Protocol]
    """"own" is what it speaks best; "json" is JSON, for those that speak CSV as well."""
    rounds = 2
    start_seconds = 4
    """About as long as it takes to start and to end, for the plan."""
    answers = True
    """False: its answers are not predictions."""

    def prepare(self, start: Start) -> list[str]:
        """A command that runs before the clock does."""
        return []

    def command(self, start: Start) -> list[str]:
        raise NotImplementedError

    def variables(self, start: Start) -> dict[str, str]:
        return {}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def csv_body(columns: list[str], rows: list, header: bool = False) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows] if header else rows)
    return text.getvalue().encode()


def json_body(key: str) -> Callable[[list[str], list], bytes]:
    return lambda columns, rows: json.dumps({key: rows}).encode()


def json_predictions(key: str) -> Callable[[bytes], list]:
    return lambda answer: json.loads(answer)[key]


def lines(answer: bytes) -> list:
    return [int(line) for line in answer.split()]


CSV = Protocol(csv_body, lines, "text/csv")
INSTANCES = Protocol(json_body("instances"), json_predictions("predictions"))
