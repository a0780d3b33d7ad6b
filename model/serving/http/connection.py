"""One connection: watchers of gevent's loop around a Parser and a buffer. No greenlet waits for its caller.

At most one request of a connection is being answered; what follows waits in the parser, and beyond a few kilobytes in
the caller's own socket. A caller has limited time to send its request and to take its reply (patience.py).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from gevent.event import Event

from ..errors import RequestTimeout, ServingError
from . import writing
from .handover import HANDED_ON, KEPT, MOST, OPEN
from .protocol import HttpRequest, Parser

if TYPE_CHECKING:
    from .server import Server

READ, WRITE = 1, 2
RECEIVED_AT_ONCE = 64 * 1024
"""Bytes. From 128 KB on the C library may map fresh pages for each call, which takes seven times as long."""
MOST_PIPELINED = 64 * 1024
"""Bytes that are read of what follows a request that is being answered."""
MOST_UNSENT = 256 * 1024
"""Bytes of a stream that wait for a slow caller; then its maker waits."""


class Connection:
    """`server` is told of whole requests, by `server.arrived(connection)`."""

    __slots__ = (
        "_blocked", "_marks", "_reader", "_reading", "_receive", "_socket", "_writer", "began", "busy", "closing",
        "moved", "number", "parser", "peer", "received", "request", "server", "since", "streaming", "unsent",
        "unsent_since",
    )  # fmt: skip

    def __init__(self, server: Server, sock: socket.socket, peer: str) -> None:
        self.server, self._socket, self.peer = server, sock, peer
        self.parser = Parser(server.max_body, server.spool)
        self.busy = False
        """A request is being answered."""
        self.streaming = False
        """Its head has been sent, and not all of its body."""
        self.closing = False
        """Nothing more is read as a request."""
        self.since, self.received = server.now(), 0
        """When the present state began (idle, half a request, a reply that does not move), and bytes since then."""
        self.request = HttpRequest("", "", "1.1", {})
        """The one that is being answered."""
        self.began = 0.0
        self.number = sock.fileno() if sock.fileno() < MOST else 0
        """Its place among the marks that say whether another worker may have its request (handover.py)."""
        self._marks = server.handover.marks
        self._marks[self.number] = OPEN
        self._receive = sock.recv
        self.unsent: memoryview | None = None
        self.unsent_since, self.moved = 0.0, 0
        """Since when something of a reply is unsent, and bytes that the caller has taken since then."""
        self._writer: Any = None
        self._blocked: Event | None = None
        self._reader = server.loop.io(sock.fileno(), READ)
        self._reader.start(self._readable)
        self._reading = True

    # ---- in ----------------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        if self._marks[self.number] == HANDED_ON:
            self.closing = True
        try:
            data = self._receive(RECEIVED_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            self.drop()
            return
        if not data:
            self.drop() if self.closing else self._ended()
            return
        if self.closing:
            return
        if not self.parser.unfinished and not self._is_occupied():
            self.since, self.received = self.server.now(), 0
        self.received += len(data)
        self.parser.feed(data)
        if not self._is_occupied():
            self.advance()
        elif self.received > MOST_PIPELINED:
            self._pause()

    def _is_occupied(self) -> bool:
        """Whether a request is being answered, or its answer has not been taken: the next one must wait."""
        return self.busy or self.unsent is not None

    def _ended(self) -> None:
        """The caller sends no more. It may still read."""
        if self.busy:
            self._pause()
            self.closing = True
        elif self.parser.unfinished:
            self._refuse(RequestTimeout("The connection was closed in the middle of the request."))
        else:
            self.drop()

    def advance(self) -> None:
        """Hands on the next request, if it is there."""
        try:
            request = self.parser.take()
        except ServingError as exc:
            self._refuse(exc)
            return
        if request is not None:
            self.busy, self.received = True, 0
            self.request = request
            self.server.arrived(self)
        elif self.parser.wants_continue():
            self.send(writing.CONTINUE)

    def _refuse(self, exc: ServingError) -> None:
        self.busy = True
        self.request = self.parser.head or HttpRequest("", "", "1.1", {})
        self.server.refused(self, exc)

    def expire(self) -> None:
        """Its time is over: a half-sent request is told so."""
        if self.busy or self.closing or not self.parser.unfinished:
            self.drop()
        else:
            self._refuse(RequestTimeout("The request did not arrive in time."))

    # ---- out ---------------------------------------------------------------------------------------------------------

    def finish(self, data: bytes, keep: bool) -> None:
        """The reply, or the end of it. `keep`: the connection is kept for another request."""
        self.send(data)
        if self._socket.fileno() < 0:
            return
        self.busy = False
        if not keep or self.closing:
            self.closing = True
            if not self.unsent:
                self._linger()
        elif not self.unsent:
            self._next()

    def _next(self) -> None:
        self.since, self.received = self.server.now(), 0
        self._marks[self.number] = OPEN
        if not self._reading:
            self._reader.start(self._readable)
            self._reading = True
        if self.parser.unfinished:
            self.advance()

    def send(self, data: bytes) -> None:
        """Some bytes; what the caller does not take now waits here."""
        if self.unsent:
            self.unsent = memoryview(bytes(self.unsent) + data)
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop()
            return
        if sent < len(data):
            self.keep()
            self.unsent = memoryview(data)[sent:]
            self.since = self.unsent_since = self.server.now()
            self.moved = 0
            self._writer = self.server.loop.io(self._socket.fileno(), WRITE)
            self._writer.start(self._writable)

    def _writable(self) -> None:
        assert self.unsent is not None
        try:
            sent = self._socket.send(self.unsent)
        except BlockingIOError:
            return
        except OSError:
            self.drop()
            return
        self.since = self.server.now()
        self.moved += sent
        self.unsent = self.unsent[sent:]
        if self._blocked is not None and len(self.unsent) < MOST_UNSENT:
            self._blocked.set()
        if not self.unsent:
            self.unsent = None
            self._writer.stop()
            self._writer.close()
            self._writer = None
            if not self.busy:
                self._linger() if self.closing else self._next()

    def keep(self) -> None:
        """No other worker may have its request any more."""
        self._marks[self.number] = KEPT

    def send_piece(self, data: bytes) -> bool:
        """Some bytes of a stream; waits while the caller is slow. False: it has gone."""
        self.send(data)
        if self.unsent and len(self.unsent) >= MOST_UNSENT:
            self._blocked = Event()
            self._blocked.wait()
            self._blocked = None
        return self._socket.fileno() >= 0

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _pause(self) -> None:
        if self._reading:
            self._reader.stop()
            self._reading = False

    def _linger(self) -> None:
        """Says that nothing more will come, and reads on for a moment, so that the reply is not lost to a reset."""
        self.since = self.server.now()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop()
            return
        if not self._reading:
            self._reader.start(self._readable)
            self._reading = True

    def drop(self) -> None:
        """Closes it, at once."""
        if self._socket.fileno() < 0:
            return
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._writer = self.unsent = None
        self.closing = True
        self.server.handover.forget(self.number)
        self._socket.close()
        if self._blocked is not None:
            self._blocked.set()
        self.server.lost(self)
