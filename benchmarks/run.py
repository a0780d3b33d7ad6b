"""Measures this kit, the classic design and its peers on this machine: make bench-quick, make bench.

    python3 benchmarks/run.py [--quick] [--only WORD,...] [--rounds N] [--seconds S] [--skip-growth] [--results FILE]

Each contender is started in turn in its own environment (.envs/), its answers are checked, and wrk sends it the same
rows through its own protocol. Rounds are interleaved: whatever else the machine does strikes all. `--only` takes
names of contenders and of models (rf, lr, hgb, mixed). Writes results.json, RESULTS.md and plots/. All keeps to
127.0.0.1. Needs wrk and nginx (Debian has both) and Python 3.11 or newer.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import environments
import load
from contenders import CONTENDERS
from contenders.base import Contender
from load import Work
from processes import Failed, Server, running

HERE = Path(__file__).resolve().parent
MODELS = ("rf", "lr", "hgb", "mixed")
CLIENTS = (1, 8, 64)
IN_FULL = ("ours", "classic")
GROWTH = {"clients": (1, 2, 4, 8, 16, 32, 64, 128, 256), "rows": (1, 10, 100, 1000, 10_000), "workers": (1, 2, 4, 8)}
COLUMNS = {
    "loads": ("contender", "model", "rows", "kind", "clients"),
    "growth": ("contender", "of", "to"),
    "starts": ("contender", "model"),
}
IN_PROCESS = {"in-process-loop": "model.predict in a loop, no server", "in-process-batches": "the same, 64 rows a call"}
PEER_ROUNDS = 2  # of three: all of it in twenty minutes
WARM_UP_CLIENTS, WARM_UP_SECONDS = 8, 1


def cells(contender: Contender, model: str) -> list[tuple[int, str, int]]:
    """What is measured: rows of a request, kind of protocol, clients."""
    found = [(1, "own", clients) for clients in CLIENTS]
    if contender.name in IN_FULL or (model == "rf" and contender.answers):
        found.append((100, "own", 64))
    if contender.name in IN_FULL or model == "lr":
        found.append((10_000, "own", 1))
    if contender.name in IN_FULL and "json" in contender.protocols:
        found.append((1, "json", 64))
    return found


class Bench:
    """One run: what was asked for, and the results so far. A key and its values become a row of results.json."""

    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        self.options, self.directory, self.data = options, directory, HERE / ".data"
        self.tables: dict[str, dict[tuple, dict[str, list]]] = {name: {} for name in COLUMNS}
        self.works: dict[tuple, Work] = {}
        self.problems: dict[str, str] = {}
        self.facts, self.began = facts(options), time.monotonic()

    def run(self) -> None:
        subprocess.run([environments.python("bench"), HERE / "models.py", self.data], check=True)
        for number in range(self.options.rounds):
            for model in self.options.models:
                self.in_process(model)
                for contender in self.options.contenders:
                    rounds = self.options.rounds if contender.name in IN_FULL else self.options.peer_rounds
                    if model in contender.models and number < rounds:
                        self.say(f"round {number + 1}/{self.options.rounds}  {model:6}{contender.name}")
                        self.attempt(self.compare, contender, model)
        if self.options.growth:
            self.say("growth")
            self.attempt(self.grow, CONTENDERS["ours"], "rf")
        self.write(finished=True)

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self.began:5.0f} s  {what}", flush=True)

    def attempt(self, what: Callable, contender: Contender, model: str) -> None:
        """A failure is noted, and the contender is left out from then on."""
        subject = f"{contender.name} {model}"
        if subject not in self.problems:
            try:
                what(contender, model)
            except (Failed, RuntimeError, OSError, ValueError, subprocess.SubprocessError) as exc:
                self.problems[subject] = str(exc)
                print(f"  left out: {exc}", flush=True)
        self.write()

    def compare(self, contender: Contender, model: str) -> None:
        with self.started(contender, model) as server:
            if contender.package:
                number = environments.version(contender.environment, contender.package)
                self.facts["versions"][contender.package] = number
            self.note("starts", contender.name, model, cold_start_s=server.cold_start)
            for rows, kind, clients in cells(contender, model):
                self.measure("loads", server, self.work(contender, model, rows, kind), clients, model, rows, kind)
                if (rows, kind, clients) == (1, "own", max(CLIENTS)):
                    self.note("starts", contender.name, model, pss_mb=server.megabytes())

    def grow(self, contender: Contender, model: str) -> None:
        """More clients, more rows, more workers: one of them at a time."""
        one = self.work(contender, model, 1)
        with self.started(contender, model) as server:
            for clients in GROWTH["clients"]:
                self.measure("growth", server, one, clients, "clients", clients)
            for rows in GROWTH["rows"]:
                self.measure("growth", server, self.work(contender, model, rows), 8, "rows", rows)
        for workers in GROWTH["workers"]:
            with self.started(contender, model, workers) as server:
                self.measure("growth", server, one, 64, "workers", workers)

    def work(self, contender: Contender, model: str, rows: int, kind: str = "own") -> Work:
        key = (model, rows, contender.protocols[kind])
        if key not in self.works:
            self.works[key] = Work(self.data / model, rows, contender.protocols[kind], self.directory)
        return self.works[key]

    @contextmanager
    def started(self, contender: Contender, model: str, workers: int = 2) -> Iterator[Server]:
        """A server with warm workers."""
        one = self.work(contender, model, 1)
        with running(contender, self.data / model, workers, one.first) as server:
            one.check(server)
            load.run(server, one, WARM_UP_CLIENTS, WARM_UP_SECONDS)
            yield server

    def measure(self, table: str, server: Server, work: Work, clients: int, *key: object) -> None:
        """One round of one cell, unless an answer is wrong."""
        work.check(server)
        seen = load.run(server, work, clients, max(1, self.options.seconds // (2 if clients == work.size == 1 else 1)))
        if seen["wrong"]:
            raise Failed(f"{seen['wrong']} of {seen['checked']} answers were wrong under load")
        key = (*key, clients) if table == "loads" else key
        self.note(table, server.contender.name, *key, **seen)

    def in_process(self, model: str) -> None:
        command = [environments.python("bench"), "in_process.py", self.data / model, str(self.options.seconds / 2)]
        rates = json.loads(subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout)
        for name, rate in rates.items():
            self.note("loads", f"in-process-{name}", model, 1, "own", 1, rps=rate)

    def note(self, table: str, *key: object, **values: float) -> None:
        row = self.tables[table].setdefault(key, {})
        for name, value in values.items():
            row.setdefault(name, []).append(round(value, 3))

    def write(self, finished: bool = False) -> None:
        """After every contender, so that what is stopped is not lost."""
        tables = {
            name: [dict(zip(COLUMNS[name], key, strict=True)) | values for key, values in table.items()]
            for name, table in self.tables.items()
        }
        results = {"facts": self.facts | {"finished": finished}, "problems": self.problems, **tables}
        text = json.dumps(results)
        for before in ('{"contender"', '"problems"', '"loads"', '"growth"', '"starts"'):
            text = text.replace(before, "\n" + before)
        self.options.results.parent.mkdir(parents=True, exist_ok=True)
        self.options.results.write_text(text + "\n")


def facts(options: argparse.Namespace) -> dict:
    """What a reader must know to judge the figures."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": ?")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "cpu": cpu.split(":")[1].strip(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "rounds": options.rounds,
        "peer_rounds": options.peer_rounds,
        "seconds_per_round": options.seconds,
        "versions": {},
        "titles": {name: contender.title for name, contender in CONTENDERS.items()} | IN_PROCESS,
    }


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="this kit and the classic design, two models, no growth")
    parser.add_argument("--only", default="", help="contenders and models, with commas")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=0, help="of each load; half of it with one client")
    parser.add_argument("--skip-growth", dest="growth", action="store_false")
    parser.add_argument("--results", type=Path, help="benchmarks/results.json, or one in .data/quick/ with --quick")
    options = parser.parse_args(arguments)
    words = set(filter(None, options.only.split(",")))
    if unknown := words - set(CONTENDERS) - set(MODELS):
        parser.error(f"--only: no {', '.join(unknown)}. There is: {', '.join([*CONTENDERS, *MODELS])}")
    names = [n for n in CONTENDERS if n in words] or (IN_FULL if options.quick else [*CONTENDERS])
    options.contenders = [CONTENDERS[name] for name in names]
    options.models = [m for m in MODELS if m in words] or (MODELS[:2] if options.quick else MODELS)
    options.growth = options.growth and not options.quick and "ours" in names
    options.peer_rounds = options.rounds or PEER_ROUNDS
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 2)
    options.results = options.results or HERE / (".data/quick/results.json" if options.quick else "results.json")
    return options


def main() -> int:
    options = parsed(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through `finally`: what was started is ended
    for tool in ("wrk", "nginx"):
        if not shutil.which(tool):
            print(f"{tool} is not installed. On Debian or Ubuntu: apt-get install {tool}", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as directory:
        Bench(options, Path(directory)).run()
    return subprocess.call([environments.python("bench"), HERE / "report.py", options.results])


if __name__ == "__main__":
    sys.exit(main())
