"""Content-Encoding and charset: a body as UTF-8 text or plain bytes."""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Mapping

from ..errors import BadRequest, PayloadTooLarge, UnsupportedMediaType
from ..wording import quoted, verbatim
from .budget import Bounds

CHARSETS = ("utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
"""Python knows more codecs; some of those take quadratic time, or are not text at all."""


def inflated(body: bytes, encoding: str, bounds: Bounds | int) -> bytes:
    """Undoes Content-Encoding; 413 as soon as it grows beyond the limit."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedMediaType(
            f"Content-Encoding {quoted(encoding, 60)} is not known; known: gzip.", expected="gzip"
        )
    try:
        return _gunzipped(body, Bounds.of(bounds).inflated)
    except zlib.error as exc:
        raise BadRequest(
            "The body is not gzip, as its Content-Encoding says: compress it, or leave that header out.", got=str(exc)
        ) from exc


WINDOW = 16_384
"""Bytes of a gzip body that are read at a time. The end of each member copies what it was given beyond itself."""


def _gunzipped(body: bytes, max_bytes: int) -> bytes:
    """A gzip file may have several members, and zeros between them. In memory once, and never beyond `max_bytes`."""
    inflated = io.BytesIO()
    member = None
    for start in range(0, len(body), WINDOW):
        rest = body[start : start + WINDOW]
        while rest := rest if member else rest.lstrip(b"\0"):
            member = member or zlib.decompressobj(wbits=31)
            inflated.write(member.decompress(rest, max_bytes - inflated.tell() + 1))
            if inflated.tell() > max_bytes:
                raise PayloadTooLarge(f"The body inflates to more than the limit of {max_bytes} bytes.")
            rest = member.unused_data
            member = None if member.eof else member
    if member:
        raise BadRequest("The body ends in the middle of its gzip data.")
    return inflated.getvalue()


def utf8(body: bytes, parameters: Mapping[str, str]) -> bytes:
    """The text as UTF-8, without a byte order mark. Raises BadRequest with the place where it is not in its charset."""
    charset = parameters.get("charset") or _marked(body)
    if charset in ("utf-8", "utf8"):
        body = body.removeprefix(codecs.BOM_UTF8)
        if body.isascii():
            return body
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):  # a NUL in it
        name = ""
    if name not in CHARSETS:
        raise UnsupportedMediaType(
            f"The charset {quoted(charset, 60)} is not known. Send UTF-8.", expected=", ".join(CHARSETS)
        )
    try:
        text = body.decode(name)
    except UnicodeDecodeError as exc:
        line = body.count(b"\n", 0, exc.start) + 1
        raise BadRequest(
            f"The body is not {name}: byte {exc.start + 1} (line {line}) is {verbatim(hex(body[exc.start]))}. "
            "Name its charset in Content-Type, for example: text/csv; charset=windows-1252.",
            expected=name,
        ) from None  # fmt: skip
    return body if name == "utf-8" else text.removeprefix("\ufeff").encode("utf-8", "replace")


def _marked(body: bytes) -> str:
    """What a byte order mark says of a text that comes without a charset. Excel's "Unicode text" is UTF-16."""
    return "utf-16" if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
