"""Callers that load a server while something breaks, and count what comes of each request: right, a clean error,
wrong, a page, or lost. Standard library only, bounded in time and number; it talks to 127.0.0.1 alone.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

CLIENTS = 8
PATIENCE = 90.0


@dataclass
class Tally:
    """What came of all requests. `clean` counts errors in JSON by status and code."""

    right: int = 0
    clean: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    refused: int = 0
    """Connections that nobody took; nothing had been sent."""
    pings: Counter[int | str] = field(default_factory=Counter)
    slowest_ping: float = 0.0
    slowest_right: float = 0.0

    def row(self, name: str) -> str:
        errors = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.clean.items())) or "0"
        bad = f"{len(self.wrong)} | {len(self.pages)} | {len(self.lost)}"
        ping = f"{1000 * self.slowest_ping:.0f}" if self.pings else ""
        return f"| {name} | {self.right} | {errors} | {bad} | {ping} |"


def record(name: str, tally: Tally) -> None:
    """A row of the table, for `make faults`."""
    if path := os.environ.get("FAULTS_TABLE"):
        with open(path, "a") as file:
            file.write(tally.row(name) + "\n")


class Load:
    """Callers that ask one after the other, each with a number whose answer is known. `with` starts and ends them."""

    def __init__(self, port: int, clients: int = CLIENTS, pings: bool = True) -> None:
        self.port, self.tally = port, Tally()
        self._over, self._lock = threading.Event(), threading.Lock()
        calls: list[Callable[[], None]] = [lambda at=at: self._ask_for_ever(at) for at in range(clients)]  # type: ignore[misc]
        self._threads = [threading.Thread(target=call, daemon=True) for call in calls + [self._ping_for_ever] * pings]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends when every caller has its last answer."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        with self._lock:
            self.tally.lost += ["no answer at all"] * sum(thread.is_alive() for thread in self._threads)

    def run(self, seconds: float) -> None:
        self._over.wait(seconds)

    def until_right(self, count: int, seconds: float = 60) -> None:
        """Waits until so many more answers were right."""
        wanted, end = self.tally.right + count, time.monotonic() + seconds
        while self.tally.right < wanted:
            if time.monotonic() > end:
                raise AssertionError(f"no {count} right answers within {seconds} s: {self.tally}")
            time.sleep(0.02)

    def send(self, number: float, seconds: float = PATIENCE) -> tuple[int, bytes]:
        """One request more, not counted: status and body, or 0 and what came instead of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            return self._answer(connection, number)
        except (OSError, http.client.HTTPException) as exc:
            return 0, repr(exc).encode()
        finally:
            connection.close()

    def _answer(self, connection: http.client.HTTPConnection, number: float) -> tuple[int, bytes]:
        connection.request("POST", "/invocations", f"{number},1,1,1\n", {"Content-Type": "text/csv"})
        response = connection.getresponse()
        return response.status, response.read()

    def _ask_for_ever(self, at: int) -> None:
        number, fresh = at, True
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        while not self._over.is_set():
            number = (number + CLIENTS) % 100_000
            began = time.monotonic()
            try:
                status, body = self._answer(connection, number)
                fresh = False
            except ConnectionRefusedError:
                connection.close()
                with self._lock:
                    self.tally.refused += 1
                fresh = True
                time.sleep(0.05)
                continue
            except (OSError, http.client.HTTPException) as exc:
                connection.close()
                idle = isinstance(exc, http.client.RemoteDisconnected | BrokenPipeError | ConnectionResetError)
                if not (idle and not fresh):  # a connection that was closed while it was idle: every client asks again
                    with self._lock:
                        self.tally.lost.append(repr(exc))
                fresh = True
                continue
            self._count(number, status, body, time.monotonic() - began)
            if status != 200:
                time.sleep(0.02)

    def _count(self, number: int, status: int, body: bytes, took: float) -> None:
        with self._lock:
            if status == 200 and body == b"%d\n" % (2 * number):
                self.tally.right += 1
                self.tally.slowest_right = max(self.tally.slowest_right, took)
            elif status == 200:
                self.tally.wrong.append(f"{body[:60]!r} for {number}")
            elif (code := error_code(body)) is not None:
                self.tally.clean[f"{status} {code}"] += 1
            else:
                self.tally.pages.append(f"{status}: {body[:80]!r}")

    def _ping_for_ever(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            seen: int | str
            try:
                connection.request("GET", "/ping")
                response = connection.getresponse()
                seen, body = response.status, response.read()
                if body and error_code(body) is None:
                    seen = f"a page: {body[:40]!r}"
            except (OSError, http.client.HTTPException) as exc:
                seen = type(exc).__name__
            finally:
                connection.close()
            with self._lock:
                self.tally.pings[seen] += 1
                if isinstance(seen, int):
                    self.tally.slowest_ping = max(self.tally.slowest_ping, time.monotonic() - began)
            self._over.wait(0.1)


def error_code(body: bytes) -> str | None:
    """The code of an error in JSON, or None."""
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return None
