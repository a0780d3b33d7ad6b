"""A load on a running server: wrk sends it, and meanwhile answers are checked and /ping is timed."""

from __future__ import annotations

import http.client
import json
import math
import subprocess
import threading
import time
from pathlib import Path

from contenders.base import Protocol
from processes import Failed, Server

PROBE_SECONDS, PROBES_PER_ANSWER = 0.025, 4
PATIENCE_SECONDS = 10
"""A probe that has no answer by then has failed. SageMaker waits for 2 s."""
UNREACHABLE = (OSError, http.client.HTTPException)


class Work:
    """The bodies of one model, row count and protocol, and the predictions that are right for them."""

    def __init__(self, source: Path, size: int, protocol: Protocol, directory: Path) -> None:
        data = json.loads((source / f"rows-{size}.json").read_text())
        self.size, self.protocol = size, protocol
        self.bodies = [protocol.body(data["columns"], body["rows"]) for body in data["bodies"]]
        self.expected = [body["predictions"] for body in data["bodies"]]
        self.files = []
        for number, body in enumerate(self.bodies):
            self.files.append(directory / f"{source.name}-{size}-{abs(hash(protocol))}-{number}")
            self.files[-1].write_bytes(body)

    def right(self, server: Server, number: int = 0, seconds: float = 60) -> bool:
        """Whether an answer is right; for a server that answers no predictions, whether there is one."""
        answer = server.predict(self.protocol, self.bodies[number % len(self.bodies)], seconds)
        return not server.contender.answers or answer == self.expected[number % len(self.bodies)]

    def first(self, server: Server) -> bool:
        """False as long as the server starts."""
        try:
            return self.right(server)
        except (*UNREACHABLE, Failed, ValueError, LookupError):
            return False

    def check(self, server: Server) -> None:
        """Compares every answer, once in the life of a server. Raises Failed."""
        if id(self) in server.checked:
            return
        wrong = [n for n in range(len(self.bodies)) if not self.right(server, n)]
        if wrong:
            raise Failed(f"{len(wrong)} of {len(self.bodies)} answers are wrong before any load")
        server.checked.add(id(self))


def run(server: Server, work: Work, clients: int, seconds: int) -> dict:
    """Requests per second, latencies, errors, and what the probes saw. Milliseconds."""
    probes = Probes(server, work)
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", "load.lua"]
    command += [f"http://127.0.0.1:{server.port}{work.protocol.path}"]
    command += ["--", work.protocol.content_type, *map(str, work.files)]
    with probes:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise Failed(f"wrk: {done.stderr.strip()}")
    seen = json.loads(done.stdout.strip().splitlines()[-1])
    return {
        "rps": seen["requests"] / seen["seconds"],
        **({"p50_ms": seen["p50_ms"], "p99_ms": seen["p99_ms"]} if seen["requests"] else {}),
        "errors": seen["errors"],
        **probes.seen(),
    }


class Probes:
    """While the block runs: times /ping on fresh connections, and now and then checks an answer."""

    def __init__(self, server: Server, work: Work) -> None:
        self.server, self.work, self.over = server, work, threading.Event()
        self.pings: list[float] = []
        self.checked = self.wrong = self.refused = self.pings_failed = 0
        self.threads = [threading.Thread(target=job, args=(pause,)) for job, pause in (
            (self._ping, PROBE_SECONDS), (self._answer, PROBE_SECONDS * PROBES_PER_ANSWER)
        )]  # fmt: skip

    def __enter__(self) -> None:
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _ping(self, pause: float) -> None:
        while not (self.pings and self.over.wait(pause)):
            began = time.perf_counter()
            try:
                self.server.ask(self.server.contender.ping, seconds=PATIENCE_SECONDS)
            except (*UNREACHABLE, Failed):
                self.pings_failed += 1
            self.pings.append(1e3 * (time.perf_counter() - began))

    def _answer(self, pause: float) -> None:
        number = 0
        while not self.over.wait(pause):
            number += 1
            try:
                self.wrong += not self.work.right(self.server, number, PATIENCE_SECONDS)
                self.checked += 1
            except (*UNREACHABLE, Failed, ValueError):
                self.refused += 1

    def seen(self) -> dict:
        pings = sorted(self.pings)
        return {
            "ping_p50_ms": pings[len(pings) // 2],
            "ping_p99_ms": pings[math.ceil(0.99 * len(pings)) - 1],
            "ping_max_ms": pings[-1],
            "pings": len(pings),
            "pings_failed": self.pings_failed,
            "checked": self.checked,
            "wrong": self.wrong,
            "refused": self.refused,
        }
