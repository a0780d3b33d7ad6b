"""The load: several processes, closed and open loop, repeats; and what the senders themselves can do.

First the closed loop with more and more clients tells how much comes through when all push. Then the open loop sends
at fixed rates, some below and some near that, and looks for the highest that holds the goal. The repeats are rounds
over all rates, so that a slow minute of the machine meets all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .figures import MORE, Carried, Goal, Run, Step, carried, ladder, next_rate, run_of

HERE = Path(__file__).resolve().parent
CLIENTS = (1, 4, 16, 64)
MOST_UNDER_WAY = 128
"""Of requests in the open loop; what comes then waits, and its latency counts."""
LEAST_REQUESTS, LONGEST_SECONDS = 20, 15.0
"""A step takes longer where it would have fewer requests, but not longer than that."""
LIMITED = 0.7
"""Of what the senders can do: from there on they may be the limit."""


@dataclass(frozen=True)
class Target:
    """Where to connect, and the bytes of one request."""

    host: str
    port: int
    request: bytes
    tls: bool = False

    def data(self) -> dict[str, Any]:
        return {"host": self.host, "port": self.port, "tls": self.tls, "request": self.request.decode("latin-1")}


class Failed(Exception):
    """The server answered nothing but errors; the message says which."""


class Senders:
    """The processes of the load; leaving the `with` block ends them."""

    def __init__(self, count: int = 0) -> None:
        self.count = count or min(8, max(2, (os.cpu_count() or 2) // 2))

    def __enter__(self) -> Senders:
        self.processes: list[subprocess.Popen[str]] = []
        for _ in range(self.count):
            self.processes.append(_started("sender.py"))
        return self

    def __exit__(self, *_: object) -> None:
        _end(self.processes)

    def run(self, targets: Sequence[Target], seconds: float, patience: float, clients: int, rate: float = 0.0) -> Run:
        """One load: `clients` connections, each process with its share and a target in turn."""
        count = min(self.count, clients)
        for n, process in enumerate(self.processes[:count]):
            share = clients // count + (n < clients % count)
            asked = {"seconds": seconds, "patience": patience, "clients": share, "rate": rate, "first": n,
                     "every": count, **targets[n % len(targets)].data()}  # fmt: skip
            _tell(process, json.dumps(asked))
        for process in self.processes[:count]:
            _heard(process)
        begin = time.monotonic() + 0.02
        for process in self.processes[:count]:
            _tell(process, repr(begin))
        answers = [json.loads(_heard(process)) for process in self.processes[:count]]
        errors: Counter[str] = sum((Counter(answer["errors"]) for answer in answers), Counter())
        times = [each for answer in answers for each in answer["times"]]
        return run_of(times, errors, max(a["seconds"] for a in answers), sum(a["cpu"] for a in answers))

    def ceiling(self, request: bytes, seconds: float) -> float:
        """Requests a second that the senders reach where the answer costs next to nothing: as many processes that
        always say the same, on this machine."""
        servers: list[subprocess.Popen[str]] = []
        try:
            for _ in range(self.count):
                servers.append(_started("constant.py", str(len(request))))
            targets = [Target("127.0.0.1", int(_heard(server)), request) for server in servers]
            return self.run(targets, seconds, 10, CLIENTS[-1]).per_second
        finally:
            _end(servers)


def _started(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", str(HERE / program), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _end(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate()


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    if line := process.stdout.readline():
        return line
    raise Failed("A process of the load has died; its reason stands above.")


@dataclass(frozen=True)
class Inside:
    """Where the time of a request goes, as means in ms, at one rate: what the server itself says, and what is left of
    the latency that the senders saw."""

    rate: float
    parts: dict[str, float]


@dataclass
class Measured:
    """All that was seen. `cpus` is what the server has, 0 where that is not known; `machine` what it shares with the
    load, 0 where they run on two machines."""

    goal: Goal
    closed: list[Step] = field(default_factory=list)
    open: list[Step] = field(default_factory=list)
    inside: list[Inside] = field(default_factory=list)
    ceiling: float = 0.0
    cpus: int = 0
    machine: int = 0
    seconds: float = 0.0

    @property
    def carried(self) -> Carried:
        return carried(self.open, self.goal)

    @property
    def alone(self) -> Step:
        """One client that asks when it has its answer."""
        return self.closed[0]

    @property
    def most(self) -> float:
        return max((step.per_second for step in [*self.closed, *self.open]), default=0.0)

    @property
    def senders_are_the_limit(self) -> bool:
        return self.carried.rate > LIMITED * self.ceiling

    def of_the_server(self) -> float:
        """CPUs that were left to the server at the rate that it carried; the load used the others. A load that takes
        more than three quarters of the machine is not believed: too many CPUs make the server look slow, not fast."""
        if not self.machine:
            return float(self.cpus or 1)
        return min(float(self.cpus), max(self.machine - self.of_the_load, self.machine / 4))

    @property
    def of_the_load(self) -> float:
        """CPUs that the senders used at the rate that the server carried."""
        return max((step.cpus for step in self.open if step.rate == self.carried.rate), default=0.0)


@dataclass(frozen=True)
class Load:
    """How to measure. `target` is asked before each step, since a signature does not live long; `look` gives the
    server's own figures, or None."""

    target: Callable[[], Target]
    goal: Goal
    seconds: float = 2.0
    repeats: int = 3
    patience: float = 10.0
    say: Callable[[str], None] = print
    look: Callable[[Run | None], Any] = lambda run: None

    def measure(self, cpus: int = 0, machine: int = 0) -> Measured:
        """Puts load on the server, as long as `seconds` × steps × `repeats`. Raises Failed."""
        measured = Measured(self.goal, cpus=cpus, machine=machine, seconds=self.seconds)
        with Senders() as senders:
            self._run(senders, self.seconds / 2, 4)  # warm-up: connections, caches, what is loaded late
            measured.ceiling = senders.ceiling(self.target().request, min(1.0, self.seconds))
            self._closed(senders, measured)
            self._open(senders, measured)
        return measured

    def _run(self, senders: Senders, seconds: float, count: int, rate: float = 0.0, repeat: int = 0) -> Run:
        run = senders.run([self.target()], seconds, self.patience, count, rate)
        if repeat:
            name = f"{rate:g} a second" if rate else clients(count)
            self.say(f"{name}, {repeat} of {self.repeats}: {told(run)}")
        return run

    def _closed(self, senders: Senders, measured: Measured) -> None:
        """More clients until the rate grows by less than a tenth."""
        for count in CLIENTS:
            step = Step([self._run(senders, self.seconds, count, repeat=n) for n in range(1, self.repeats + 1)], count)
            measured.closed.append(step)
            if not step.per_second:
                raise Failed(f"The server answered no request of the load: {errors_told(step.errors)}.")
            if len(measured.closed) > 1 and step.per_second < 1.1 * measured.closed[-2].per_second:
                return

    def _open(self, senders: Senders, measured: Measured) -> None:
        runs: dict[float, list[Run]] = {rate: [] for rate in ladder(measured.most)}
        for repeat in range(self.repeats):
            for rate in runs:
                runs[rate].append(self._at(senders, rate, repeat, measured))
        measured.open = [Step(seen, MOST_UNDER_WAY, rate) for rate, seen in runs.items()]
        for _ in range(MORE):
            hopeless = not measured.carried.rate and not measured.alone.holds(self.goal)  # alone it is too slow, too
            if hopeless or (nearer := next_rate(measured.open, self.goal)) is None:
                break
            seen = [self._at(senders, nearer, repeat, measured) for repeat in range(self.repeats)]
            step = Step(seen, MOST_UNDER_WAY, nearer)
            measured.open = sorted([*measured.open, step], key=lambda each: each.rate)
        measured.inside.sort(key=lambda each: each.rate)

    def _at(self, senders: Senders, rate: float, repeat: int, measured: Measured) -> Run:
        seconds = max(self.seconds, min(LEAST_REQUESTS / rate, LONGEST_SECONDS))
        if not repeat:
            self.look(None)
        run = self._run(senders, seconds, MOST_UNDER_WAY, rate, repeat + 1)
        if not repeat and (parts := self.look(run)):
            measured.inside.append(Inside(rate, parts))
        return run


def clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"


def told(run: Run) -> str:
    errors = f", {errors_told(run.errors)}" if run.errors else ""
    p50, p99 = run.latencies[50], run.latencies[99]
    return f"{run.per_second:,.0f} answers a second, p50 {p50:.3g} ms, p99 {p99:.3g} ms{errors}"


def errors_told(errors: Counter[str]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in errors.most_common())
