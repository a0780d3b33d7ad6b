"""One process of the load: sends the bytes of one request again and again, over `clients` connections.

Reads one line of JSON (host, port, tls, request, clients, seconds), writes one: the times of the good answers in
seconds, the number of others, and how long it took. Standard library only.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
import threading
import time
from typing import Any

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
TIMEOUT = 60


def main() -> None:
    asked = json.loads(sys.stdin.buffer.readline())
    times: list[float] = []
    errors: list[int] = []
    began = time.perf_counter()
    end = began + asked["seconds"]
    threads = [threading.Thread(target=client, args=(asked, end, times, errors)) for _ in range(asked["clients"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"times": times, "errors": len(errors), "elapsed": time.perf_counter() - began}))


def client(asked: dict[str, Any], end: float, times: list[float], errors: list[int]) -> None:
    request, connection = asked["request"].encode("latin-1"), None
    while (began := time.perf_counter()) < end:
        try:
            connection = connection or connected(asked)
            connection.sendall(request)
            status, closes = answer(connection)
        except OSError:
            status, closes = 0, True
            time.sleep(0.01)  # a server that refuses is not hammered
        if 200 <= status < 300:
            times.append(time.perf_counter() - began)
        else:
            errors.append(status)
        if closes and connection is not None:
            connection.close()
            connection = None


def connected(asked: dict[str, Any]) -> socket.socket:
    plain = socket.create_connection((asked["host"], asked["port"]), TIMEOUT)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ssl.create_default_context().wrap_socket(plain, server_hostname=asked["host"]) if asked["tls"] else plain


def answer(connection: socket.socket) -> tuple[int, bool]:
    """(status, whether the connection cannot be used again). An answer without a length ends the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    length = LENGTH.search(head)
    if not length:
        return status, True
    missing = int(length[1]) - len(body)
    while missing > 0:
        missing -= len(received(connection))
    return status, b"connection: close" in head.lower() or head.startswith(b"HTTP/1.0")


def received(connection: socket.socket) -> bytes:
    if not (data := connection.recv(65536)):
        raise ConnectionError("the server closed the connection")
    return data


if __name__ == "__main__":
    main()
