"""A server that always says the same, as cheaply as it can: what a load reaches here is all that its senders can do.

Prints its port and serves until it is ended, or its standard input is. Standard library only, run as a file.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\n1\n"


class Constant(asyncio.Protocol):
    """Reads nothing of a request but its length, which is the same each time."""

    def __init__(self, size: int) -> None:
        self.size, self.missing = size, size

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.missing -= len(data)
        if self.missing <= 0:
            self.missing = self.size
            self.transport.write(ANSWER)


async def main(size: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Constant(size), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    asyncio.get_running_loop().add_reader(sys.stdin, sys.exit)
    await server.serve_forever()


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    asyncio.run(main(int(sys.argv[1])))
