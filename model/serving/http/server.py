"""Many connections on gevent's loop: what could be read in one turn is answered together, from one greenlet.

Requests for predictions go to the engine, everything else to the Flask app in a greenlet of its own. Header and body
leave in one write, so that a reply is whole or absent.
"""

from __future__ import annotations

import logging
import resource
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import gevent

from ..batching import answering
from ..batching.messages import GONE, Reply
from ..errors import NotReady, ServingError
from . import handover, patience, routes, writing, wsgi
from .connection import Connection
from .gevent_loop import GeventLoop
from .listening import Listening
from .protocol import HttpRequest
from .request_log import HEADER

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

RESERVED_FILES = 64
"""File descriptors that are not for connections."""
log = logging.getLogger(__name__)
Log = Callable[[Callable[[str], str | None], str, str, int, list[tuple[str, str]], int, float], None]
"""As request_log.line."""


class Server:
    def __init__(
        self, loop: GeventLoop, where: routes.Routes, app: WSGIApplication, max_body: int, idle_seconds: float,
        behind_nginx: bool, write_log: Log | None = None,
    ) -> None:  # fmt: skip
        """`max_body` in bytes. Without nginx in front `write_log` is told of each reply; nginx is told in a header."""
        self.loop: Any = gevent.get_hub().loop
        self.now, self._soon, self.handover = loop.now, loop.soon, loop.handover
        self.routes, self.app, self.max_body, self._idle_seconds = where, app, max_body, idle_seconds
        self._behind_nginx, self._write_log = behind_nginx, write_log
        self.spool = None if behind_nginx else TemporaryFile  # nginx hands on whole bodies
        self.connections: set[Connection] = set()
        self.draining = False
        self._most = max(16, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65_536) - RESERVED_FILES)
        self.listening = Listening(self.loop, self._took, self._make_room)
        self._arrived: list[Connection] = []

    # ---- connections -------------------------------------------------------------------------------------------------

    def _took(self, sock: socket.socket, peer: str) -> None:
        self.connections.add(Connection(self, sock, peer))
        if len(self.connections) > self._most:
            self._make_room()

    def _make_room(self) -> None:
        """Drops the tenth of the connections that have been idle or half a request for longest."""
        idle = sorted((c for c in self.connections if not c.busy), key=lambda c: c.since)
        for connection in idle[: len(self.connections) // 10 + 1]:
            connection.drop()

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def sweep(self) -> None:
        """Ends what takes too long. To be called about once a second."""
        now = self.now()
        for connection in [
            c for c in self.connections if patience.is_over(c, now, 1 if self.draining else self._idle_seconds)
        ]:
            connection.expire()

    def drain(self, seconds: float) -> None:
        """No new connections; waits until what is in flight is answered, so many seconds at most. Each connection is
        closed with its next reply, or when it has been idle for a second: nginx may be writing into it just now."""
        self.draining = True
        self.listening.stop()
        deadline = self.now() + seconds
        while self.connections and self.now() < deadline:
            gevent.sleep(0.05)
            self.sweep()

    def close(self) -> None:
        """Whoever is still waiting is told that the server stops, and every connection is closed."""
        for connection in list(self.connections):
            if connection.busy and not connection.streaming:
                self._fail(connection, NotReady("The server is stopping."))
        gevent.sleep(0.05)
        for connection in list(self.connections):
            connection.drop()

    # ---- requests ----------------------------------------------------------------------------------------------------

    def arrived(self, connection: Connection) -> None:
        """A connection has a whole request. The first of a turn asks for the turn's greenlet."""
        if not self._arrived:
            self._soon(self._answer_all)
        self._arrived.append(connection)

    def _answer_all(self) -> None:
        arrived, self._arrived = self._arrived, []
        for connection in arrived:
            try:
                self._answer(connection, connection.request)
            except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
                self._fail(connection, exc)

    def _answer(self, connection: Connection, request: HttpRequest) -> None:
        connection.began = self.now()
        if not request.fields.get("x-request-id"):
            request.fields["x-request-id"] = routes.new_id()
        self.routes.check_host(request.fields.get("host"))
        submit = self.routes.predicting(request.target.partition("?")[0]) if request.method == "POST" else None
        if submit is None:
            connection.keep()
            self._soon(partial(self._run_app, connection, request))
            return
        asked = self.routes.read(request.fields.get, request.body)
        if request.fields.get(handover.HEADER):
            connection.keep()
        else:
            asked.connection = connection.number
        submit(asked, partial(self._reply, connection))

    def _run_app(self, connection: Connection, request: HttpRequest) -> None:
        try:
            answer = wsgi.run(self.app, request, connection.peer)
            if answer.length is not None:
                self._write(connection, answer.status, answer.headers, b"".join(answer.pieces), answer.length)
            else:
                self._stream(connection, answer.status, answer.headers, iter(answer.pieces))
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            self._fail(connection, exc)

    def refused(self, connection: Connection, exc: ServingError) -> None:
        """What came is not HTTP, or too large, or too slow: nothing after it can be understood."""
        connection.began = self.now()
        connection.request.fields.setdefault("x-request-id", routes.new_id())
        self._soon(partial(self._fail, connection, exc))

    # ---- replies -----------------------------------------------------------------------------------------------------

    def _fail(self, connection: Connection, exc: BaseException) -> None:
        asked = self.routes.read(connection.request.fields.get, b"")
        connection.request.keep_alive = False
        self._reply(connection, answering.refuse(exc, asked))

    def _reply(self, connection: Connection, reply: Reply) -> None:
        if reply.code == GONE:
            connection.drop()
            return
        headers = routes.headers(reply)
        try:
            if isinstance(reply.body, bytes):
                self._write(connection, reply.status, headers, reply.body)
            else:
                self._soon(partial(self._stream, connection, reply.status, headers, reply.body))
        except Exception as exc:  # noqa: BLE001 - a header that HTTP does not allow costs nobody else's reply
            self._fail(connection, exc)

    def _write(
        self,
        connection: Connection,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        length: int | None = None,
    ) -> None:
        """A reply in one piece; `length` where a HEAD leaves the body out."""
        request = connection.request
        keep = self._is_kept(connection)
        size = len(body) if length is None else length
        data = self._head(request, status, [*headers, ("Content-Length", str(size))], keep)
        connection.finish(data if request.method == "HEAD" else data + body, keep)
        self._log(connection, request, status, headers, len(body))

    def _stream(
        self, connection: Connection, status: int, headers: list[tuple[str, str]], pieces: Iterator[bytes]
    ) -> None:
        """A reply in pieces; a caller that reads slowly slows down whatever makes them."""
        request, sent = connection.request, 0
        chunked = request.version != "1.0"
        keep = chunked and self._is_kept(connection)
        coding = [("Transfer-Encoding", "chunked")] if chunked else []
        connection.streaming = True
        try:
            connection.send(self._head(request, status, headers + coding, keep))
            for piece in pieces:
                sent += len(piece)
                if not connection.send_piece(writing.chunk(piece) if chunked else piece):
                    return
        except Exception as exc:
            log.error("a streamed answer broke off", exc_info=answering.for_the_log(exc))
            connection.drop()  # without the last chunk: the caller sees that it is not whole
            return
        finally:
            connection.streaming = False
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
            self._log(connection, request, status, headers, sent)
        connection.finish(writing.LAST_CHUNK if chunked else b"", keep)

    def _is_kept(self, connection: Connection) -> bool:
        return connection.request.keep_alive and not self.draining and not connection.closing

    def _head(self, request: HttpRequest, status: int, headers: list[tuple[str, str]], keep: bool) -> bytes:
        if not self._behind_nginx:  # what it would take out
            headers = [header for header in headers if header[0] not in (HEADER, "X-Accel-Buffering")]
        return writing.head(status, headers, writing.http_date(int(time.time())), request.version, keep)

    def _log(
        self, connection: Connection, request: HttpRequest, status: int, headers: list[tuple[str, str]], size: int
    ) -> None:
        if self._write_log is not None:
            seconds = self.now() - connection.began
            self._write_log(request.fields.get, request.method, request.target, status, headers, size, seconds)
