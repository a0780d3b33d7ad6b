"""One process of the load: sends the bytes of one request again and again. Standard library only, run as a file.

Reads lines of JSON: host, port, tls, request, seconds, patience, clients, rate (0: the closed loop), first, every.
Connects and says `ready`, reads the moment to begin, and answers with one line: the latencies of the good answers in
microseconds, the errors by their kind, the seconds it took and the CPU seconds it used. In the closed loop each
connection asks when it has its answer. In the open loop requests have their moments, whether the server keeps up or
not, and the latency counts from that moment: what waits for a free connection waits for the server.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import selectors
import signal
import ssl
import sys
import time
from collections import Counter, deque
from typing import Any

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
UNANSWERED = "no answer in time"
now = time.monotonic


class Load:
    """What all connections of this process share."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.request = asked["request"].encode("latin-1")
        self.host, self.port = asked["host"], asked["port"]
        self.tls = ssl.create_default_context() if asked["tls"] else None
        self.rate, self.first, self.every = asked["rate"], asked["first"], asked["every"]
        self.clients, self.seconds, self.patience = asked["clients"], asked["seconds"], asked["patience"]
        self.times: list[int] = []
        self.errors: Counter[str] = Counter()
        self.idle: deque[Connection] = deque()
        self.waiting: deque[float] = deque()
        self.busy, self.all_sent = 0, not self.rate
        self.end = float("inf")
        self.tasks: set[asyncio.Task[None]] = set()
        self.over = asyncio.Event()

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await asyncio.wait_for(
            loop.create_connection(lambda: Connection(self), self.host, self.port, ssl=self.tls), self.patience
        )
        return connection

    async def run(self, begin: float) -> dict[str, Any]:
        """From `begin` on; ends when all is answered, at the latest `patience` after the last request."""
        await asyncio.sleep(max(0.0, begin - now()))
        cpu, self.end = time.process_time(), begin + self.seconds
        if self.rate:
            self._due(begin, self.first)
        else:
            connections, self.idle = self.idle, deque()
            for connection in connections:
                self.free(connection)
        try:
            await asyncio.wait_for(self.over.wait(), self.end + self.patience - now())
        except TimeoutError:
            self.errors[UNANSWERED] += self.busy + len(self.waiting)
        return {"times": self.times, "errors": self.errors, "seconds": max(now() - begin, self.seconds),
                "cpu": time.process_time() - cpu}  # fmt: skip

    def _due(self, begin: float, number: int) -> None:
        """Sends what is due by now; `number` counts over all processes."""
        loop, last = asyncio.get_running_loop(), self.rate * self.seconds
        while number < last and (moment := begin + number / self.rate) <= now():
            if self.idle:
                self.idle.popleft().ask(moment)
            else:
                self.waiting.append(moment)
            number += self.every
        if number < last:
            loop.call_at(begin + number / self.rate, self._due, begin, number)
        else:
            self.all_sent = True
            self._perhaps_over()

    def free(self, connection: Connection) -> None:
        """A connection has nothing to do: it takes what waits, or in the closed loop the next one."""
        if self.waiting:
            connection.ask(self.waiting.popleft())
        elif not self.rate and now() < self.end:
            connection.ask(now())
        else:
            self.idle.append(connection)
            self._perhaps_over()

    def answered(self, status: int, asked: float) -> None:
        self.busy -= 1
        if 200 <= status < 300:
            self.times.append(int((now() - asked) * 1e6))
        else:
            self.errors[f"status {status}"] += 1

    def failed(self, why: str) -> None:
        self.busy -= 1
        self.errors[why] += 1

    def lost(self) -> None:
        if not self.over.is_set():
            task = asyncio.ensure_future(self._again())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _again(self) -> None:
        """Makes a connection in place of one that has ended; a server that refuses is not hammered."""
        while now() < self.end or self.waiting:
            try:
                self.free(await self.connect())
                return
            except (OSError, TimeoutError):
                self.errors["no connection"] += 1
                await asyncio.sleep(0.05)
        self._perhaps_over()

    def _perhaps_over(self) -> None:
        if self.all_sent and not self.busy and not self.waiting and (self.rate or now() >= self.end):
            self.over.set()


class Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self, load: Load) -> None:
        self.load, self.asked = load, 0.0
        self.transport: Any = None
        self.head, self.status, self.missing, self.closes = b"", 0, -1, False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, moment: float) -> None:
        self.asked, self.head, self.missing = moment, b"", -1
        self.load.busy += 1
        self.transport.write(self.load.request)

    def data_received(self, data: bytes) -> None:
        if not self.asked:
            return
        if self.missing < 0:
            self.head += data
            head, mark, data = self.head.partition(b"\r\n\r\n")
            if not mark:
                return
            self._begin(head)
        if self.missing < CHUNKS:
            self.missing -= len(data)
            if self.missing <= 0:
                self._end()
        elif self.missing == CHUNKS:
            self.head = (self.head + data)[-7:]
            if self.head.endswith(b"\r\n0\r\n\r\n"):
                self._end()

    def _begin(self, head: bytes) -> None:
        self.status = int(head[9:12]) if head[9:12].isdigit() else 0
        self.closes = CLOSES.search(head) is not None or head.startswith(b"HTTP/1.0")
        self.head = b"\r\n"
        if length := LENGTH.search(head):
            self.missing = int(length[1])
        else:
            self.missing = CHUNKS if CHUNKED.search(head) else UNTIL_THE_END

    def _end(self) -> None:
        self.load.answered(self.status, self.asked)
        self.asked = 0.0
        if self.closes:
            self.transport.close()
        else:
            self.load.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        load = self.load
        if self in load.idle:
            load.idle.remove(self)
        if self.asked and self.missing == UNTIL_THE_END:
            load.answered(self.status, self.asked)
        elif self.asked:
            load.failed("connection lost")
        self.asked = 0.0
        load.lost()


CHUNKS, UNTIL_THE_END = 1 << 60, 1 << 61
"""In place of the bytes that are missing: the answer ends with its last chunk, or with the connection."""


async def one(asked: dict[str, Any]) -> dict[str, Any]:
    load = Load(asked)
    made = await asyncio.gather(*(load.connect() for _ in range(load.clients)), return_exceptions=True)
    load.idle = deque(each for each in made if isinstance(each, Connection))
    print("ready", flush=True)
    begin = float(sys.stdin.readline() or sys.exit())
    if not load.idle:
        return {"times": [], "errors": {"no connection": load.clients}, "seconds": load.seconds, "cpu": 0.0}
    return await load.run(begin)


def loop() -> asyncio.AbstractEventLoop:
    """epoll wakes on whole milliseconds only; select's are finer, and there are few connections."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM):  # the parent hears them, and ends this process
        signal.signal(ignored, signal.SIG_IGN)
    gc.disable()
    while line := sys.stdin.readline():
        with asyncio.Runner(loop_factory=loop) as runner:
            answer = runner.run(one(json.loads(line)))
        print(json.dumps(answer), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
