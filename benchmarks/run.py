"""Measures this kit, the classic design and its peers on this machine: make bench-quick, make bench.

    python3 benchmarks/run.py [--prepare] [--plan] [--quick] [--resume] [--minutes N] [--only WORD,...] [--rounds N] ...

Every server has its own environment (.envs/). --prepare makes the environments, the models and two images, and stops.
Then each server is started in turn, its answers are checked, and wrk sends it the same rows through its own protocol.
Rounds are interleaved, so that a disturbance of the machine hits all servers. The most important steps come first.
Steps that do not fit into --minutes are left out, beginning with the last. results.json is written after every step,
and --resume goes on after the last one. --only takes servers, models (rf, lr, hgb, mixed, gaps) and parts (compare,
growth, waits, overload, steps). Everything runs on 127.0.0.1. Writes results.json, RESULTS.md and plots/. Needs wrk and
nginx (Debian has packages of both) and Python 3.11 or newer.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import environments
import facts
import load
import overload
from contenders import CONTENDERS, STEPS
from contenders.base import Contender
from contenders.ours import Ours
from load import Work
from processes import Failed, Server, running

HERE = Path(__file__).resolve().parent
MODELS = ("rf", "lr", "hgb", "mixed", "gaps")
PARTS = ("compare", "growth", "waits", "overload", "steps")
CLIENTS = (1, 8, 64)
IN_FULL = ("ours", "classic")
GROWTH = {"clients": (1, 2, 4, 8, 16, 32, 64, 128, 256), "rows": (1, 10, 100, 1000, 10_000), "workers": (1, 2, 4, 8)}
COLUMNS = {
    "loads": ("contender", "model", "rows", "kind", "clients"),
    "starts": ("contender", "model"),
    "growth": ("contender", "of", "to"),
    "waits": ("contender", "model"),
    "overload": ("contender",),
    "steps": ("step", "model", "clients"),
}
WARM_UP_CLIENTS, WARM_UP_SECONDS = 8, 1
WAIT_SECONDS = 10
CAPACITY_SECONDS, OVERLOAD_SECONDS, OVERLOAD_TIMEOUT = 12, 30, "10"


def cells(contender: Contender, model: str) -> list[tuple[int, str, int]]:
    """What is measured: rows of a request, kind of protocol, clients."""
    if model == "gaps":
        return [(1, "own", 1), (1, "own", 64), (10_000, "own", 1)]
    found = [(1, "own", clients) for clients in CLIENTS]
    if contender.name in IN_FULL or (model == "rf" and contender.answers):
        found.append((100, "own", 64))
    if contender.name in IN_FULL or model == "lr":
        found.append((10_000, "own", 1))
    if model == "rf" and contender.name in IN_FULL and "json" in contender.protocols:
        found.append((1, "json", 64))
    return found


@dataclass
class Step:
    """A part of the plan: `name` is what --resume knows it by, `subject` who is left out after a failure."""

    name: str
    subject: str
    seconds: float
    do: Callable[[], None]


class Bench:
    """One run: what was asked for, and the results so far. A key and its values become a row of results.json."""

    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        self.options, self.directory, self.data = options, directory, HERE / ".data"
        self.tables: dict[str, dict[tuple, dict[str, list]]] = {name: {} for name in COLUMNS}
        self.works: dict[tuple, Work] = {}
        self.problems: dict[str, str] = {}
        self.done: list[str] = []
        self.facts, self.began = facts.of(options), time.monotonic()
        if options.resume and options.results.exists():
            self.read()

    # ---- the plan ----------------------------------------------------------------------------------------------------

    def plan(self) -> list[Step]:
        """The first round of all, what is measured once, and then more rounds."""
        steps = [*self.round(1), *self.extras(), *self.taken_back(1)]
        for number in range(2, self.options.rounds + 1):
            steps += [*self.round(number), *self.taken_back(number)]
        return [step for step in steps if step.name not in self.done]

    def round(self, number: int) -> Iterator[Step]:
        for model in self.options.models if "compare" in self.options.parts else ():
            short = self.options.seconds / 2
            yield Step(f"round {number} {model} in-process", f"in-process {model}", 3 + 2 * short,
                       lambda model=model: self.in_process(model))  # fmt: skip
            for contender in self.options.contenders:
                if model in contender.models and number <= min(contender.rounds, self.options.rounds):
                    loads = sum(
                        max(1, short) if c == rows == 1 else 2 * short for rows, _, c in cells(contender, model)
                    )
                    yield self.step(f"round {number}", self.compare, contender, model, loads)

    def extras(self) -> Iterator[Step]:
        ours, classic, seconds = CONTENDERS["ours"], CONTENDERS["classic"], self.options.seconds
        if "waits" in self.options.parts:
            for contender in (ours, classic):
                for model in ("slow", "holding"):
                    yield self.step("waits", self.wait, contender, model, WAIT_SECONDS + 10)
        if "overload" in self.options.parts:
            yield self.step("overload", self.overload, Ours(MODEL_SERVER_TIMEOUT=OVERLOAD_TIMEOUT), "steady", 52)
        if "growth" in self.options.parts:
            loads = seconds * sum(map(len, GROWTH.values())) + 4 * len(GROWTH["workers"])
            yield self.step("growth", self.grow, ours, "rf", loads)

    def taken_back(self, number: int) -> Iterator[Step]:
        """The ablation: in every round the kit as it is, and without one of its steps after the other."""
        for model in [model for model in self.options.models if model in ("rf", "lr")]:
            for name, contender in STEPS.items() if "steps" in self.options.parts and number < 3 else ():
                step = self.step(f"steps {number}", self.compare_step, contender, model, self.options.seconds * 1.5)
                step.name, step.subject = f"{step.name} {name}", f"{step.subject} {name}"
                step.do = lambda name=name, model=model: self.compare_step(name, model)
                yield step

    def step(self, part: str, what: Callable, contender: Contender, model: str, loads: float) -> Step:
        seconds = contender.start_seconds + WARM_UP_SECONDS + loads
        subject = f"{contender.name} {model}"
        return Step(f"{part} {model} {contender.name}", subject, seconds, lambda: what(contender, model))

    def run(self) -> None:
        """Ends with the plan, with the time, or with a signal: what is there by then is in results.json."""
        plan, self.facts["left_for_time"] = self.plan(), []
        self.say(f"{len(plan)} steps, some {sum(step.seconds for step in plan) / 60:.0f} minutes")
        for step in plan:
            if time.monotonic() - self.began + step.seconds > 60 * self.options.minutes:
                self.facts["left_for_time"].append(step.name)
            elif step.subject not in self.problems:
                self.say(step.name)
                self.attempt(step)
        self.write(finished=True)

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self.began:5.0f} s  {what}", flush=True)

    def attempt(self, step: Step) -> None:
        """A failure is noted, and the contender is left out from then on."""
        try:
            step.do()
        except (Failed, RuntimeError, OSError, ValueError, LookupError, subprocess.SubprocessError) as exc:
            self.problems[step.subject] = str(exc)
            print(f"  left out: {exc}", flush=True)
        self.done.append(step.name)
        self.write()

    # ---- what is measured --------------------------------------------------------------------------------------------

    def compare(self, contender: Contender, model: str) -> None:
        with self.started(contender, model) as server:
            self.note("starts", contender.name, model, cold_start_s=server.cold_start)
            for rows, kind, clients in cells(contender, model):
                key = (contender.name, model, rows, kind, clients)
                self.measure("loads", key, server, self.work(contender, model, rows, kind), clients)
                if (rows, kind, clients) == (1, "own", max(CLIENTS)):
                    self.note("starts", contender.name, model, pss_mb=server.megabytes())

    def compare_step(self, name: str, model: str) -> None:
        work = self.work(STEPS[name], model, 1)
        with self.started(STEPS[name], model) as server:
            for clients in (1, 64):
                self.measure("steps", (name, model, clients), server, work, clients)
            self.note("steps", name, model, 64, pss_mb=server.megabytes(), cold_start_s=server.cold_start)

    def grow(self, contender: Contender, model: str) -> None:
        """More clients, more rows, more workers: one of them at a time."""
        one, name = self.work(contender, model, 1), contender.name
        with self.started(contender, model) as server:
            for clients in GROWTH["clients"]:
                self.measure("growth", (name, "clients", clients), server, one, clients)
            for rows in GROWTH["rows"]:
                self.measure("growth", (name, "rows", rows), server, self.work(contender, model, rows), 8)
        for workers in GROWTH["workers"]:
            with self.started(contender, model, workers) as server:
                self.measure("growth", (name, "workers", workers), server, one, 64)

    def wait(self, contender: Contender, model: str) -> None:
        """/ping while every worker computes, call after call."""
        work = self.work(contender, model, 1)
        with running(contender, self.data / model, 2, work.first) as server:
            self.note("waits", contender.name, model, **load.run(server, work, 64, WAIT_SECONDS))

    def overload(self, contender: Contender, model: str) -> None:
        work = self.work(contender, model, 1)
        with self.started(contender, model) as server:
            seen = overload.run(server, work, CAPACITY_SECONDS, OVERLOAD_SECONDS)
            self.note("overload", contender.name, seconds=OVERLOAD_SECONDS, timeout_s=int(OVERLOAD_TIMEOUT), **seen)

    def in_process(self, model: str) -> None:
        command = [environments.python("bench"), "in_process.py", self.data / model, str(self.options.seconds / 2)]
        rates = json.loads(subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout)
        for name, rate in rates.items():
            self.note("loads", f"in-process-{name}", model, 1, "own", 1, rps=rate)

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

    def measure(self, table: str, key: tuple, server: Server, work: Work, clients: int) -> None:
        """One round of one cell, unless an answer is wrong."""
        work.check(server)
        seen = load.run(server, work, clients, max(1, self.options.seconds // (2 if clients == work.size == 1 else 1)))
        if seen["wrong"]:
            raise Failed(f"{seen['wrong']} of {seen['checked']} answers were wrong under load")
        self.note(table, *key, **seen)

    # ---- results.json ------------------------------------------------------------------------------------------------

    def note(self, table: str, *key: object, **values: float) -> None:
        row = self.tables[table].setdefault(key, {})
        for name, value in values.items():
            row.setdefault(name, []).append(round(value, 3))

    def read(self) -> None:
        """What an earlier run has measured. Raises SystemExit if that was another state of the kit."""
        found = json.loads(self.options.results.read_text())
        if found["facts"]["commit"] != self.facts["commit"]:
            sys.exit(f"{self.options.results} is of commit {found['facts']['commit']}: start anew, without --resume")
        self.facts, self.done = found["facts"], found["done"]
        self.problems = found["problems"]
        for name, columns in COLUMNS.items():
            self.tables[name] = {tuple(row.pop(column) for column in columns): row for row in found[name]}

    def write(self, finished: bool = False) -> None:
        tables = {
            name: [dict(zip(COLUMNS[name], key, strict=True)) | values for key, values in table.items()]
            for name, table in self.tables.items()
        }
        head = {"facts": self.facts | {"finished": finished}, "problems": self.problems, "done": self.done}
        lines = [f'"{name}": {json.dumps(value)}' for name, value in head.items()]
        for name, rows in tables.items():
            lines.append(f'"{name}": [' + ",".join("\n" + json.dumps(row) for row in rows) + "]")
        self.options.results.parent.mkdir(parents=True, exist_ok=True)
        self.options.results.write_text("{" + ",\n".join(lines) + "}\n")


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", action="store_true", help="make environments, models and images, and stop")
    parser.add_argument("--plan", action="store_true", help="show the steps and how long they take, and stop")
    parser.add_argument("--quick", action="store_true", help="only this kit and the classic design, with two models")
    parser.add_argument("--resume", action="store_true", help="go on after the last step in results.json")
    parser.add_argument(
        "--minutes", type=float, default=22, help="time for all; later steps that do not fit are left out"
    )
    parser.add_argument("--only", default="", help="servers, models and parts, separated by commas")
    parser.add_argument("--rounds", type=int, default=0, help="interleaved rounds; default: 3, with --quick 2")
    parser.add_argument("--seconds", type=int, default=0, help="length of each load; half of it with one client")
    parser.add_argument(
        "--results", type=Path, help="default: benchmarks/results.json, with --quick one in .data/quick/"
    )
    options = parser.parse_args(arguments)
    words = set(filter(None, options.only.split(",")))
    if unknown := words - set(CONTENDERS) - set(MODELS) - set(PARTS):
        parser.error(f"--only: no {', '.join(unknown)}. There is: {', '.join([*CONTENDERS, *MODELS, *PARTS])}")
    names = [n for n in CONTENDERS if n in words] or (IN_FULL if options.quick else [*CONTENDERS])
    options.contenders = [CONTENDERS[name] for name in names]
    options.models = [m for m in MODELS if m in words] or (MODELS[:2] if options.quick else MODELS)
    options.parts = [p for p in PARTS if p in words] or (PARTS[:1] if options.quick else PARTS)
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
    if not options.plan:
        environments.prepare(["bench", *(c.environment for c in options.contenders if c.environment)])
        subprocess.run([environments.python("bench"), HERE / "models.py", HERE / ".data"], check=True)
    if options.prepare:
        facts.build_images()
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as directory:
        bench = Bench(options, Path(directory))
        if options.plan:
            plan = bench.plan()
            print("\n".join(f"{step.seconds:4.0f} s  {step.name}" for step in plan))
            print(
                f"{len(plan)} steps, {sum(step.seconds for step in plan) / 60:.1f} minutes; {options.minutes} allowed"
            )
            return 0
        try:
            bench.run()
        finally:
            subprocess.call([environments.python("bench"), HERE / "report.py", options.results])
    return 0


if __name__ == "__main__":
    sys.exit(main())
