"""HTTP/1.1 without a socket and without a clock: status, headers and pieces of a body → bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
PHRASES = {status.value: status.phrase for status in HTTPStatus}
UNSAFE = re.compile(r"[^\t -~\x80-\xff]")


def head(status: int, headers: Iterable[tuple[str, str]], date: str, version: str, keep_alive: bool) -> bytes:
    """The head of a reply to a request of this version; `date` as `http_date` gives it. Raises ValueError for a header
    that would not be one line of Latin-1."""
    lines = [_opening(status, version, keep_alive), date]
    for name, value in headers:
        if UNSAFE.search(value):
            raise ValueError(f"the header {name} has characters that HTTP does not allow")
        lines += ("\r\n", name, ": ", value)
    lines.append("\r\n\r\n")
    return "".join(lines).encode("latin-1")


@lru_cache(maxsize=256)
def _opening(status: int, version: str, keep_alive: bool) -> str:
    connection = ""
    if not keep_alive:
        connection = "Connection: close\r\n"
    elif version == "1.0":
        connection = "Connection: keep-alive\r\n"
    return f"HTTP/1.1 {status} {PHRASES.get(status, 'Unknown')}\r\n{connection}Date: "


@lru_cache(maxsize=4)
def http_date(second: int) -> str:
    """`Thu, 26 Nov 2026 01:02:03 GMT`, of seconds since 1970."""
    from email.utils import formatdate

    return formatdate(second, usegmt=True)


def chunk(piece: bytes) -> bytes:
    """A piece of a body whose length is not known before its end. An empty piece would end it, so it is left out."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
