"""The sockets that a worker accepts connections from, on gevent's loop."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gevent.monkey import get_original

RawSocket = get_original("socket", "socket")
READ = 1
ACCEPTED_AT_ONCE = 4
"""Few, so that the other workers get their share of a burst."""


class Listening:
    """`took` is given each connection and the address of its caller; `full` is told when no more files can be open."""

    def __init__(self, loop: Any, took: Callable[[socket.socket, str], None], full: Callable[[], None]) -> None:
        self._loop, self._took, self._full = loop, took, full
        self._sockets: list[tuple[Any, Any]] = []

    def add(self, listening: Any) -> None:
        """Accepts from this socket until `stop`."""
        listening.setblocking(False)
        raw = RawSocket(listening.family, listening.type, fileno=listening.fileno())
        watcher = self._loop.io(raw.fileno(), READ)
        watcher.start(self._accept, raw)
        self._sockets.append((watcher, raw))

    def refuse(self) -> None:
        """The whole server ends: whoever has connected by now is answered, whoever comes later is refused at once."""
        for _, raw in self._sockets:
            if raw.family != socket.AF_UNIX:
                while self._accept(raw):
                    pass
                with suppress(OSError):  # another worker was first
                    raw.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        for watcher, raw in self._sockets:
            watcher.stop()
            watcher.close()
            raw.detach()  # it still belongs to gunicorn
        self._sockets = []

    def _accept(self, listening: Any) -> bool:
        """False: nobody is waiting any more."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                fd, address = listening._accept()
            except BlockingIOError:
                return False
            except OSError as exc:
                if exc.errno in (errno.EMFILE, errno.ENFILE):
                    self._full()
                return False
            sock = RawSocket(listening.family, socket.SOCK_STREAM, fileno=fd)
            sock.setblocking(False)
            if listening.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._took(sock, address[0] if address else "")
        return True
