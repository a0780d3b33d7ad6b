"""Media types: what a request says its body is, and what a body without a type looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import orjson

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


ENDINGS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".parquet": "application/x-parquet",
    ".txt": "text/plain",
}


def of_name(name: str) -> str | None:
    """What the ending of a file's name says; None for one that says nothing."""
    return next((media_type for ending, media_type in ENDINGS.items() if name.lower().endswith(ending)), None)


NOT_TEXT = {
    b"PK\x03\x04": "a zip file. An .xlsx workbook is one: save the sheet as CSV. An npz file is application/x-npz",
    b"\xd0\xcf\x11\xe0": "an .xls workbook: save the sheet as CSV",
    b"\x93NUMPY": "an npy file: send application/x-npy",
    b"PAR1": "a Parquet file: send application/x-parquet",
    b"\x1f\x8b": "compressed with gzip: send Content-Encoding: gzip",
    b"%PDF": "a PDF file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    **dict.fromkeys((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "a pickle: send its rows as CSV"),
}
"""What a body that is said to be text begins with if it is something else → what it is."""


def refuse_what_is_not_text(body: bytes, media_type: str, said: str | None = None) -> None:
    """Raises BadRequest for a file of another type, which would be read as one strange cell, and for UTF-16 without a
    word of it. `said` is the charset that came with the body."""
    for magic, what in NOT_TEXT.items():
        if body.startswith(magic):
            raise BadRequest(f"The body is not {media_type} but {what}.", expected=media_type)
    for zeros, charset in ((body[1:40:2], "utf-16-le"), (body[:40:2], "utf-16-be")):
        if len(zeros) > 1 and not any(zeros) and said is None:
            raise BadRequest(
                f"Every second byte of the body is zero, as in UTF-16. Send UTF-8, or {media_type}; charset={charset}.",
                expected="utf-8",
            )


LOOKED_AT = 1_000_000
"""Bytes of a body that is parsed only to see whether it is JSON."""
CALLED = {"application/json": "JSON", "application/jsonlines": "JSON Lines", "text/csv": "CSV"}
UNPRINTED = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def looks_like(body: bytes) -> str:
    """A type that a text seems to be of: CSV, JSON, JSON Lines, or none of them."""
    text = body.strip()
    first, _, below = text.partition(b"\n")
    if text[:1] in (b"[", b"{"):
        if _is_json(first) and below.lstrip()[:1] == text[:1]:
            return "application/jsonlines"
        return "application/json" if text[-1:] in (b"]", b"}") else ""
    is_csv = b"," in first and text[:1] != b"<" and not UNPRINTED.search(first)
    if is_csv and text[:1] == b'"' and text[-1:] == b'"' and _is_json(text):  # a JSON text that holds commas
        return ""
    return "text/csv" if is_csv else ""


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text[:LOOKED_AT])
    except orjson.JSONDecodeError:
        return False
    return True


def seems_else(body: bytes, media_type: str) -> str:
    """A sentence for a body that was refused, and looks like another type than it is said to be."""
    found = looks_like(body)
    said = OTHER_NAMES.get(media_type, media_type)
    if not found or found == said:
        return ""
    line = body.strip()
    if said == "application/jsonlines" and b"\n" not in line and b"[[" not in line and b"[{" not in line:
        return ""  # it may be a row
    return f"The body looks like {CALLED[found]}: send Content-Type: {found}."


def refuse_json(body: bytes) -> None:
    """Raises BadRequest for JSON that is said to be CSV: a model of texts, or one that says nothing, would take it for
    texts."""
    if body[:100].lstrip()[:1] not in (b"[", b"{"):
        return
    text = body.strip()
    if _is_json(text) or _is_json(text.partition(b"\n")[0]):
        raise BadRequest("The body is not text/csv.", expected="text/csv")


OTHER_NAMES = {
    "application/x-ndjson": "application/jsonlines",
    "application/jsonl": "application/jsonlines",
    "application/vnd.apache.parquet": "application/x-parquet",
}
"""Media types that have two names → the one that is told."""
