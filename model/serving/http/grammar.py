"""The grammar of a request's head and of chunks, as RFC 9112 has it, and words for what is not in it.

Line ends are CR LF, a header is one line, nothing stands between its name and the colon, no control characters. What
the headers say of the body's length they say once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import BadRequest, ExpectationFailed, NotImplementedHere

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
LINE_ = rf"({TOKEN}) ([!-~]++) HTTP/([0-9]\.[0-9])\r\n"
FIELDS_ = rf"(?:{TOKEN}:[\t -~\x80-\xff]*+\r\n)*+"
LINE = re.compile(LINE_)
FIELDS = re.compile(FIELDS_)
HEAD = re.compile(rf"{LINE_}({FIELDS_})\r\n")
CHUNK = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*;[\t -~\x80-\xff]*)?\r\n")
TRAILER = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)*+\r\n")
ABSOLUTE = re.compile(r"https?://[^/?#@]+(?=[/?]|$)", re.IGNORECASE)
MAX_DIGITS = 16
"""Of a length of a body or a chunk, without zeros in front."""
HOST = re.compile(r"[A-Za-z0-9._~%!$&'()*+;=:\[\]-]*")


def fields_of(lines: str) -> dict[str, str]:
    """Names with an underscore are left out, as nginx does: for WSGI they would be others' names with a hyphen."""
    fields: dict[str, str] = {}
    for line in lines[:-2].split("\r\n") if lines else ():
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name in fields:
            fields[name] = f"{fields[name]}, {value}"
        elif "_" not in name:
            fields[name] = value
    return fields


def path_of(method: str, target: str) -> str:
    """The path and query of a request's target."""
    if target[0] == "/" and "#" not in target:
        return target
    absolute = ABSOLUTE.match(target)
    if absolute and "#" not in target and method != "CONNECT":
        path = target[absolute.end() :]
        return path if path.startswith("/") else f"/{path}"
    if target == "*" and method == "OPTIONS":
        return target
    raise BadRequest("The request's target is not a path that begins with / or an absolute http address.")


class Body(NamedTuple):
    """What the headers say of a request's body. `length` in bytes is 0 for a chunked one, whose end is in itself."""

    chunked: bool
    expects: bool
    """Whether the caller waits for 100 Continue before it sends the body."""
    length: int


def body_of(version: str, fields: dict[str, str]) -> Body:
    """Raises a ServingError for headers that name no host or do not agree. Two opinions of the length are too many."""
    length, coding, host = fields.get("content-length"), fields.get("transfer-encoding"), fields.get("host")
    if host is None and version == "1.1":
        raise BadRequest("The request has no Host header, which HTTP/1.1 demands.")
    if host is not None and not HOST.fullmatch(host):
        raise BadRequest("The Host header does not name one host.")
    expects = fields.get("expect") if version == "1.1" else None
    if expects is not None and expects.lower() != "100-continue":
        raise ExpectationFailed("Only Expect: 100-continue can be met.")
    if coding is None:
        return Body(False, expects is not None, _whole(length) if length is not None else 0)
    if length is not None:
        raise BadRequest("The request has both Content-Length and Transfer-Encoding. Send one of them.")
    if version == "1.0":
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding. Send Content-Length.")
    if coding.lower() != "chunked":
        raise NotImplementedHere("Transfer-Encoding can only be chunked, once.")
    return Body(True, expects is not None, 0)


def _whole(length: str) -> int:
    """Content-Length; of a number with more digits than any body has, those that are too large already."""
    if not (length.isascii() and length.isdigit()):
        raise BadRequest("Content-Length is not one whole number.")
    return int(length.lstrip("0")[:MAX_DIGITS] or "0")


def complaint(text: str) -> BadRequest:
    """What is wrong with a head, in words."""
    line = text.partition("\n")[0]
    if not LINE.match(text):
        if re.fullmatch(rf"{TOKEN} [!-~]+\r?", line):
            return BadRequest("The request line has no HTTP version: expected METHOD /path HTTP/1.1.")
        return BadRequest("The request line is not valid HTTP: expected METHOD /path HTTP/1.1, and CR LF at its end.")
    return BadRequest("A header line is not valid HTTP: expected Name: value, and CR LF at its end, on one line.")
