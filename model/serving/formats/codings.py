"""Content-Encoding and charset: a body as UTF-8 text or plain bytes."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Mapping

from ..errors import BadRequest, PayloadTooLarge, UnsupportedMediaType

CHARSETS = ("utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
"""Python knows more codecs; some of those take quadratic time, or are not text at all."""


def inflated(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Undoes Content-Encoding; 413 as soon as it grows beyond the limit."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedMediaType(f"Content-Encoding {encoding!r:.60} is not known; known: gzip.", expected="gzip")
    pieces, size = [], 0
    try:
        while body:  # a gzip file may have several members
            member = zlib.decompressobj(wbits=31)
            pieces.append(member.decompress(body, max_bytes - size + 1))
            size += len(pieces[-1])
            if size > max_bytes:
                raise PayloadTooLarge(f"The body inflates to more than the limit of {max_bytes} bytes.")
            if not member.eof:
                raise BadRequest("The body ends in the middle of its gzip data.")
            body = member.unused_data.lstrip(b"\0")
    except zlib.error as exc:
        raise BadRequest("The body is not gzip, as its Content-Encoding says.", got=str(exc)) from exc
    return b"".join(pieces)


def _utf8(body: bytes, parameters: Mapping[str, str]) -> bytes:
    """Without a byte order mark. Text that is not what its charset says is a 400 with the place."""
    charset = parameters.get("charset", "utf-8")
    if charset in ("utf-8", "utf8"):
        body = body.removeprefix(codecs.BOM_UTF8)
        if body.isascii():
            return body
    try:
        name = codecs.lookup(charset).name
    except LookupError:
        name = ""
    if name not in CHARSETS:
        raise UnsupportedMediaType(f"The charset {charset!r:.60} is not known.", expected=", ".join(CHARSETS))
    try:
        text = body.decode(name)
    except UnicodeDecodeError as exc:
        line = body.count(b"\n", 0, exc.start) + 1
        raise BadRequest(
            f"The body is not {name}: byte {exc.start + 1} (line {line}) is 0x{body[exc.start]:02x}. "
            "Name its charset in Content-Type, for example: text/csv; charset=windows-1252.",
            expected=name,
        ) from None  # fmt: skip
    return body if name == "utf-8" else text.removeprefix("\ufeff").encode("utf-8", "replace")
