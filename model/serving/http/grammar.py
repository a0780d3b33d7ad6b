"""The grammar of a request's head and of chunks, as RFC 9112 has it, and words for what is not in it.

Line ends are CR LF, a header is one line, nothing stands between its name and the colon, no control characters.
"""

from __future__ import annotations

import re

from ..errors import BadRequest

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
LINE_ = rf"({TOKEN}) ([!-~]++) HTTP/([0-9]\.[0-9])\r\n"
FIELDS_ = rf"(?:{TOKEN}:[\t -~\x80-\xff]*+\r\n)*+"
LINE = re.compile(LINE_)
FIELDS = re.compile(FIELDS_)
HEAD = re.compile(rf"{LINE_}({FIELDS_})\r\n")
CHUNK = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*;[\t -~\x80-\xff]*)?\r\n")
TRAILER = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)*+\r\n")
ABSOLUTE = re.compile(r"https?://[^/?#@]+(?=[/?]|$)", re.IGNORECASE)
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


def complaint(text: str) -> BadRequest:
    """What is wrong with a head, in words."""
    line = text.partition("\n")[0]
    if not LINE.match(text):
        if re.fullmatch(rf"{TOKEN} [!-~]+\r?", line):
            return BadRequest("The request line has no HTTP version: expected METHOD /path HTTP/1.1.")
        return BadRequest("The request line is not valid HTTP: expected METHOD /path HTTP/1.1, and CR LF at its end.")
    return BadRequest("A header line is not valid HTTP: expected Name: value, and CR LF at its end, on one line.")
