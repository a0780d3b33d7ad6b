"""Media types: what a request says its body is, and what a body without a word looks like."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from ..errors import BadRequest
from . import recordio

UNSPECIFIC = frozenset(("", "application/octet-stream", "*/*", "binary/octet-stream"))
"""What clients send that say nothing: the body is looked at."""


@lru_cache(maxsize=256)
def parse(media_type: str) -> tuple[str, Mapping[str, str]]:
    """`Text/CSV; Charset="UTF-8"` → ("text/csv", {"charset": "utf-8"})."""
    name, *rest = media_type.split(";")
    parameters = {}
    for part in rest:
        key, _, value = part.partition("=")
        if key.strip():
            parameters[key.strip().lower()] = value.strip().strip('"').lower()
    return name.strip().lower(), MappingProxyType(parameters)


def type_of(content_type: str | None, body: bytes) -> tuple[str, Mapping[str, str]]:
    """The media type and its parameters, as it is said or, where nothing is said, as the body looks."""
    media_type, parameters = parse(content_type or "")
    return (sniffed(body) if media_type in UNSPECIFIC else media_type), parameters


def sniffed(body: bytes) -> str:
    """The type of a body that came without one."""
    for magic, media_type in MAGICS:
        if body.startswith(magic):
            return media_type
    return "application/json" if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{") else "text/csv"


MAGICS = (
    (b"\x93NUMPY", "application/x-npy"),
    (b"PK\x03\x04", "application/x-npz"),
    (b"PAR1", "application/x-parquet"),
    (recordio.MAGIC.to_bytes(4, "little"), "application/x-recordio-protobuf"),
)


NOT_TEXT = {
    b"PK\x03\x04": "a zip file. An .xlsx workbook is one: save the sheet as CSV. An npz file is application/x-npz",
    b"\xd0\xcf\x11\xe0": "an .xls workbook: save the sheet as CSV",
    b"\x93NUMPY": "an npy file: send application/x-npy",
    b"PAR1": "a Parquet file: send application/x-parquet",
    b"\x1f\x8b": "compressed with gzip: send Content-Encoding: gzip",
    b"%PDF": "a PDF file",
}
"""What a body that is said to be text begins with if it is something else → what it is."""


def refuse_what_is_not_text(body: bytes, media_type: str) -> None:
    """Raises BadRequest for a file of another type, which would be read as one strange cell."""
    for magic, what in NOT_TEXT.items():
        if body.startswith(magic):
            raise BadRequest(f"The body is not {media_type} but {what}.", expected=media_type)


BY_LINE = ("text/csv", "application/jsonlines", "application/x-ndjson", "application/jsonl")
"""A record a line. Such a request is answered in its own type when Accept does not say; all others in JSON."""
