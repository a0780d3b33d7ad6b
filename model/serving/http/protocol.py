"""HTTP/1.1 without a socket and without a clock: bytes → HttpRequest. (writing.py has the way out.)

The grammar is that of RFC 9112 and nothing more lenient: two servers that read the same bytes differently are what
request smuggling is made of. Whatever is not in it raises a ServingError; nothing that follows on that connection can
be understood, so it must be closed. Head, body and what a chunked body spends besides are limited while they arrive.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO

from ..errors import BadRequest, HeadersTooLarge, PayloadTooLarge, UriTooLong, VersionNotSupported
from . import grammar

MAX_LINE = 16 * 1024
"""Bytes of the request line, as nginx has it."""
MAX_HEAD = 64 * 1024
"""Bytes of the request line and all headers, as nginx has it; of trailers, too."""
MAX_CHUNK_LINE = 1024
MOST_IN_MEMORY = 2**20
"""Bytes of a body that is still arriving; nginx keeps as many."""


class HttpRequest:
    """A request, whole. `fields` has the headers by their names in lower case; what came twice is joined by commas."""

    __slots__ = ("body", "fields", "keep_alive", "method", "target", "version")

    def __init__(self, method: str, target: str, version: str, fields: dict[str, str]) -> None:
        """`target` is the path with its query, as it was sent; `version` is 1.0 or 1.1. Text is Latin-1."""
        self.method, self.target, self.version, self.fields = method, target, version, fields
        self.body = b""
        options = fields.get("connection")
        if options is None:
            self.keep_alive = version != "1.0"
        else:
            chosen = {option.strip() for option in options.lower().split(",")}
            self.keep_alive = "close" not in chosen and (version != "1.0" or "keep-alive" in chosen)


class Parser:
    """The requests of one connection: `feed` what has been read, then `take` until it gives None."""

    def __init__(self, max_body: int, spool: Callable[[], IO[bytes]] | None = None) -> None:
        """`max_body` in bytes. `spool` gives a file for the part that has come of a body, when that is long."""
        self.max_body, self._spool = max_body, spool
        self.head: HttpRequest | None = None
        """The request of which the body is arriving."""
        self._buffer = b""
        self._checked = 0
        self._body = bytearray()
        self._file: IO[bytes] | None = None
        self._size = 0
        """Bytes of the body that are here."""
        self._left = 0
        """Bytes still to come of the body or of its present chunk."""
        self._chunked = self._after_chunk = self._trailer = self._expects = False

    @property
    def unfinished(self) -> bool:
        """Whether a part of a request is there, or a whole one that nobody has taken."""
        return self.head is not None or bool(self._buffer)

    def wants_continue(self) -> bool:
        """Whether the caller waits for CONTINUE before it sends the body. True once a request."""
        wants = self._expects and self.head is not None and not self._size
        self._expects = False
        return wants

    def feed(self, data: bytes) -> None:
        """Bytes, in pieces of any size."""
        self._buffer = self._buffer + data if self._buffer else data

    def take(self) -> HttpRequest | None:
        """The next whole request; None while bytes are missing. Raises ServingError for what is not HTTP."""
        if self.head is None and not (self._buffer and self._take_head()):
            return None
        body = self._take_chunks() if self._chunked else self._take_body()
        if body is None:
            return None
        request, self.head = self.head, None
        assert request is not None
        request.body = body
        self._chunked = self._trailer = self._expects = False
        return request

    # ---- head --------------------------------------------------------------------------------------------------------

    def _take_head(self) -> bool:
        buffer = self._buffer
        if buffer.startswith(b"\r\n"):
            buffer = self._buffer = buffer[2:]  # some clients end a body with it
            if not buffer:
                return False
        end = buffer.find(b"\r\n\r\n", max(0, self._checked - 4))
        if end < 0:
            self._check_beginning()
            return False
        if end + 4 > MAX_HEAD:
            raise HeadersTooLarge(MAX_HEAD)
        text = buffer[: end + 4].decode("latin-1")
        match = grammar.HEAD.fullmatch(text)
        if match is None:
            raise grammar.complaint(text)
        method, target, version, lines = match.groups()
        if len(method) + len(target) > MAX_LINE:
            raise UriTooLong(MAX_LINE)
        if version not in ("1.1", "1.0"):
            raise VersionNotSupported(version)
        self._buffer, self._checked = buffer[end + 4 :], 0
        fields = grammar.fields_of(lines)
        self.head = HttpRequest(method, grammar.path_of(method, target), version, fields)
        body = grammar.body_of(version, fields)
        self._chunked, self._expects, self._left = body.chunked, body.expects, body.length
        if self._left > self.max_body:
            raise self._too_large()
        return True

    def _check_beginning(self) -> None:
        """Refuses at once what cannot become a head. Looks at each line once."""
        buffer = self._buffer
        if len(buffer) > MAX_HEAD:
            raise HeadersTooLarge(MAX_HEAD)
        lines_end = buffer.rfind(b"\n") + 1
        if not lines_end and len(buffer) > MAX_LINE:
            raise UriTooLong(MAX_LINE)
        if not lines_end and not re.match(grammar.TOKEN, buffer[:20].decode("latin-1")) and buffer != b"\r":
            raise grammar.complaint(buffer[:20].decode("latin-1"))
        if lines_end > self._checked:
            text = buffer[self._checked : lines_end].decode("latin-1")
            start = 0
            if self._checked == 0:
                line = grammar.LINE.match(text)
                if line is None:
                    raise grammar.complaint(text)
                start = line.end()
            fields = grammar.FIELDS.match(text, start)
            if fields is None or fields.end() != len(text):
                raise grammar.complaint(text)
            self._checked = lines_end

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"The body is larger than {self.max_body >> 20} MB. Send fewer rows, or raise MODEL_SERVER_MAX_BODY_MB."
        )

    # ---- body --------------------------------------------------------------------------------------------------------

    def _take_body(self) -> bytes | None:
        left, buffer = self._left, self._buffer
        if len(buffer) >= left and not self._size:  # it has come in one piece, as most do
            self._left, self._buffer = 0, buffer[left:]
            return buffer[:left]
        piece, self._buffer = buffer[:left], buffer[left:]
        self._keep(piece)
        return None if self._left else self._whole()

    def _keep(self, piece: bytes) -> None:
        """Many uploads that stall must not fill the memory."""
        self._body += piece
        self._size += len(piece)
        self._left -= len(piece)
        if self._spool is not None and len(self._body) > MOST_IN_MEMORY:
            self._file = self._file or self._spool()
            self._file.write(self._body)
            self._body = bytearray()

    def _whole(self) -> bytes:
        if self._file is None:
            body = bytes(self._body)
        else:  # all of it is read from the file, since to join two parts takes the body twice
            self._file.write(self._body)
            self._file.seek(0)
            body = self._file.read(self._size)
            self._file.close()
            self._file = None
        self._body, self._size = bytearray(), 0
        return body

    def _take_chunks(self) -> bytes | None:
        buffer, place = self._buffer, 0
        try:
            while not self._trailer:
                if self._left:
                    piece = buffer[place : place + self._left]
                    place += len(piece)
                    self._keep(piece)
                    if self._left:
                        return None
                    self._after_chunk = True
                if self._after_chunk:
                    ending = buffer[place : place + 2]
                    if not b"\r\n".startswith(ending):
                        raise BadRequest("A chunk of the body is longer than its size says.")
                    if len(ending) < 2:
                        return None
                    place += 2
                    self._after_chunk = False
                size = self._chunk_size(buffer, place)
                if size is None:
                    return None
                place, self._left = size
                if self._size + self._left > self.max_body:
                    raise self._too_large()
                self._trailer = self._left == 0
            end = grammar.TRAILER.match(buffer, place)
            if end is None:
                if b"\r\n\r\n" in buffer[place:] or len(buffer) - place > MAX_HEAD:
                    raise BadRequest("The trailer of the chunked body is not valid: expected lines of Name: value.")
                return None
            place = end.end()
            return self._whole()
        finally:
            self._buffer = buffer[place:]

    def _chunk_size(self, buffer: bytes, place: int) -> tuple[int, int] | None:
        """Where the chunk begins, and its size. None: more bytes are needed."""
        match = grammar.CHUNK.match(buffer, place, place + MAX_CHUNK_LINE)
        if match is None:
            if buffer.find(b"\n", place) >= 0 or len(buffer) - place > MAX_CHUNK_LINE:
                raise BadRequest("The size of a chunk is not a hexadecimal number on a line of its own.")
            return None
        digits = match[1].lstrip(b"0")
        if len(digits) > grammar.MAX_DIGITS:
            raise self._too_large()
        return match.end(), int(digits or b"0", 16)
