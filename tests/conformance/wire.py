"""HTTP by hand: exact headers, half requests, many sockets. Standard library only; every wait has an end.

A connection that breaks is an answer too: it is raised as NoAnswer, which fails a clause with one readable line.
"""

from __future__ import annotations

import http.client
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message


class NoAnswer(AssertionError):
    """The server closed the connection, refused it or was silent for too long."""


@dataclass
class Reply:
    status: int
    headers: Message
    body: bytes
    seconds: float = 0.0

    @property
    def content_type(self) -> str:
        return str(self.headers.get("Content-Type", ""))

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    def __str__(self) -> str:
        return f"{self.status} {self.content_type} {self.body[:200]!r}"


def wait_until(predicate: Callable[[], object], seconds: float, every: float = 0.05) -> bool:
    """Whether the predicate came true in time; never longer than that."""
    end = time.monotonic() + seconds
    while True:
        if predicate():
            return True
        if time.monotonic() >= end:
            return False
        threading.Event().wait(every)


def pace(seconds: float) -> None:
    """The gap between two things that a slow caller sends. Nothing waits for it to be enough."""
    threading.Event().wait(seconds)


@dataclass
class Wire:
    """One address and the ways to talk to it. Each call is a connection of its own unless `connection` is given."""

    host: str
    port: int
    direct: tuple[str, int] = field(default=("", 0))
    """Where the server itself accepts connections, if something (Docker's proxy) stands before host:port."""

    def connect(self, timeout: float = 70) -> socket.socket:
        try:
            return socket.create_connection((self.host, self.port), timeout)
        except OSError as exc:
            raise NoAnswer(f"no connection to {self.host}:{self.port}: {exc}") from exc

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 70,
    ) -> Reply:
        """Sends exactly these headers (and Host and Content-Length) and reads the reply."""
        began = time.monotonic()
        with self.connect(timeout) as connection:
            send(connection, head(method, path, headers, body), body)
            reply = read_reply(connection, method)
        reply.seconds = time.monotonic() - began
        return reply

    def get(self, path: str, **headers: str) -> Reply:
        return self.request("GET", path, headers=_named(headers))

    def status_of_ping(self, timeout: float = 5) -> int | None:
        """The status, or None when nobody answers."""
        try:
            return self.request("GET", "/ping", timeout=timeout).status
        except NoAnswer:
            return None


def head(method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1"]
    given = headers or {}
    names = {name.lower() for name in given}
    if "host" not in names:
        lines.append("Host: localhost")
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    if "connection" not in names:
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in given.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunked(parts: Iterable[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


def send(connection: socket.socket, *parts: bytes | None) -> None:
    """A server may answer before it has read all (413) and close: then the reply is what counts, not the write."""
    try:
        for part in parts:
            if part:
                connection.sendall(part)
    except (BrokenPipeError, ConnectionResetError):
        pass
    except OSError as exc:
        raise NoAnswer(f"the request could not be sent: {exc}") from exc


def read_reply(connection: socket.socket, method: str = "GET") -> Reply:
    """One reply. http.client skips `100 Continue` by itself."""
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise NoAnswer(f"no reply: {type(exc).__name__} {exc}".rstrip()) from exc
    return Reply(response.status, response.msg, body)


def connect_many(address: tuple[str, int], count: int, seconds: float) -> tuple[list[socket.socket], list[float]]:
    """Opens `count` connections at once. The sockets that came about, and how long each took (seconds)."""
    selector = selectors.DefaultSelector()
    opened, times = [], []
    began = time.monotonic()
    for _ in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(address)
        selector.register(connection, selectors.EVENT_WRITE)
    while selector.get_map() and time.monotonic() - began < seconds:
        for key, _ in selector.select(0.05):
            connection = key.fileobj
            selector.unregister(connection)
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                opened.append(connection)
                times.append(time.monotonic() - began)
            else:
                connection.close()
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    for connection in opened:
        connection.settimeout(70)
    return opened, times


class InParallel:
    """Calls a function in threads; `results()` waits for all and gives replies or the errors that came instead."""

    def __init__(self, call: Callable[[], Reply], count: int) -> None:
        self._results: list[Reply | Exception] = []
        self._threads = [threading.Thread(target=self._run, args=(call,), daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, call: Callable[[], Reply]) -> None:
        try:
            self._results.append(call())
        except Exception as exc:
            self._results.append(exc)

    def results(self, seconds: float = 120) -> list[Reply | Exception]:
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        missing = sum(thread.is_alive() for thread in self._threads)
        return [*self._results, *[NoAnswer(f"no reply within {seconds:.0f} s") for _ in range(missing)]]

    def statuses(self, seconds: float = 120) -> list[int | str]:
        return [r.status if isinstance(r, Reply) else str(r) for r in self.results(seconds)]


@contextmanager
def kept_busy(call: Callable[[], Reply], concurrency: int) -> Iterator[None]:
    """Inside the block that many calls are always under way; those that run at its end are waited for."""
    over = threading.Event()

    def again() -> Reply:
        while True:
            reply = call()
            if over.is_set():
                return reply
            if reply.status == 503:
                pace(0.1)  # refused for overload: who comes back at once only loads the machine of the tests

    threads = InParallel(again, concurrency)
    try:
        yield
    finally:
        over.set()
        threads.results()


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
