"""bytes ⇄ rows, by media type: the way in (decode), the choice of the answer's type (negotiate), the way out (encode).

A type is one row of the table at the end. What the container answers, the container accepts; what it does not know it
refuses with the list of what it knows. Nothing here knows HTTP's transport or the model.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import GeneratorType, MappingProxyType
from typing import Any

import numpy as np

from ..errors import BadRequest, ModelFailed, NotAcceptable, PayloadTooLarge, ServingError, UnsupportedMediaType
from ..rows import predictions as out
from ..rows.predictions import Encoded
from ..rows.signature import Signature
from ..rows.table import Columns
from . import csv_rows, json_rows, npy, recordio

CHARSETS = ("utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
"""Python knows more codecs; some of those take quadratic time, or are not text at all."""

UNSPECIFIC = frozenset(("", "application/octet-stream", "*/*", "binary/octet-stream"))
"""What clients send that say nothing: the body is looked at."""


class Decoded:
    """The rows of one request.

    `rows` is what transformation gets; `count` how many. Requests with equal `batch_key` can be computed in one call.
    `block` is set if the rows are one float64 array, `columns` if they are a frame of other things: both are cheaper
    to join than frames.
    """

    __slots__ = ("_rows", "_wrap", "batch_key", "block", "columns", "count", "media_type")

    def __init__(self, rows: Any, media_type: str, signature: Signature) -> None:
        self.count: int = len(rows)
        self.media_type, self._wrap = media_type, signature.wrap
        self.block: np.ndarray | None = None
        self.columns: Columns | None = None
        self._rows: Any = None
        if isinstance(rows, Columns):
            self.columns = rows
            self.batch_key: object = ("columns", None if rows.names is None else tuple(rows.names), rows.dtypes)
        elif isinstance(rows, np.ndarray) and rows.dtype == np.float64:
            # frames lie by columns (see Signature.frame), arrays by rows as np.array makes them
            self.block = np.asarray(rows, order="F" if signature.form == "frame" else "C")
            self.batch_key = (signature.key, rows.shape[1])
        else:
            self._rows = rows
            self.batch_key = _batch_key(rows)

    @property
    def rows(self) -> Any:
        if self._rows is None:
            self._rows = self.columns.frame() if self.columns is not None else self._wrap(self.block)  # type: ignore[arg-type]
        return self._rows

    def joined(self, others: Sequence[Decoded]) -> Any:
        """The rows of this request and of others with the same batch_key, for one call."""
        if not others:
            return self.rows
        if self.block is not None:
            return self._wrap(np.concatenate([self.block, *(o.block for o in others if o.block is not None)]))
        if self.columns is not None:
            return self.columns.joined([other.columns for other in others if other.columns is not None]).frame()
        rows = [self.rows, *(other.rows for other in others)]
        if isinstance(self.rows, list):
            return [text for texts in rows for text in texts]
        if isinstance(self.rows, np.ndarray):
            return np.concatenate(rows)
        import pandas as pd

        return pd.concat(rows, ignore_index=True)


def _batch_key(rows: Any) -> object:
    if isinstance(rows, list):
        return "texts"
    if isinstance(rows, np.ndarray):
        return (rows.shape[1:], rows.dtype)
    return (tuple(rows.columns), tuple(rows.dtypes))


# ---- the way in ------------------------------------------------------------------------------------------------------


def decode(
    body: bytes, content_type: str | None, content_encoding: str | None, signature: Signature, max_bytes: int
) -> Decoded:
    """Raises a ServingError: 400 (not what it says, or not what the model expects), 413, 415. Never anything else."""
    if content_encoding:
        body = inflated(body, content_encoding, max_bytes)
    if not body:
        raise BadRequest("The request has no body. Send one row per prediction.", expected=signature.describe())
    media_type, parameters = type_of(content_type, body)
    kind = CONTENT_TYPES.get(media_type)
    if kind is None or kind.decode is None:
        raise UnsupportedMediaType(_unknown(media_type), expected=", ".join(READABLE), got=media_type)
    if kind.text:
        body = _utf8(body, parameters)
    try:
        rows = kind.decode(body, parameters, signature, max_bytes)
    except ServingError:
        raise
    except (MemoryError, RecursionError, ValueError, OverflowError) as exc:
        raise BadRequest(f"The body cannot be read as {media_type}.", got=str(exc)[:200]) from exc
    return Decoded(rows, media_type, signature)


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


def _unknown(media_type: str) -> str:
    hint = ""
    if media_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        hint = " (curl sends it when no -H 'Content-Type: …' is given)"
    return f"The Content-Type {media_type!r:.100} is not known{hint}. Known: {', '.join(READABLE)}."


def _text_lines(body: bytes, parameters: Mapping[str, str], signature: Signature, max_bytes: int) -> list[str]:
    """One text per line; blank lines are skipped."""
    if signature.form not in ("texts", "unknown"):
        known = ", ".join(name for name in READABLE if name != "text/plain")
        takes = signature.describe()
        raise UnsupportedMediaType(f"text/plain is for models of texts; this one takes {takes}.", expected=known)
    # not splitlines(): a text may hold the line separators that only Unicode knows
    lines = body.decode("utf-8").replace("\r\n", "\n").split("\n")
    return [line for line in lines if line.strip()]


# ---- the way out -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def negotiate(accept: str | None, media_type: str) -> tuple[str, str, Mapping[str, str]]:
    """What Accept asks for, for a request of this media type: (type in the table, exact Content-Type, parameters).

    By quality, then by how exactly it is named, then by the caller's order. 406 lists what is offered.
    """
    usual = media_type if media_type in BY_LINE else "application/json"
    if accept is None or not accept.strip():
        return _answer(usual, {})
    offered = [usual, *(name for name in WRITABLE if name != usual)]
    best: tuple[tuple[float, int, int, int], str, Mapping[str, str]] | None = None
    ranges = [(*parse(part), order) for order, part in enumerate(accept.split(",")) if part.strip()]
    for place, name in enumerate(offered):
        matches = [(_exactness(pattern, name), -order, p) for pattern, p, order in ranges if _exactness(pattern, name)]
        if not matches:
            continue
        exactness, order, parameters = max(matches, key=lambda match: match[:2])
        quality = _quality(parameters)
        rank = (quality, exactness, order, -place)
        if quality > 0 and (best is None or rank > best[0]):
            best = (rank, name, parameters)
    if best is None:
        raise NotAcceptable(
            f"Accept is {accept!r:.200}; offered are: {', '.join(WRITABLE)}.", expected=", ".join(WRITABLE)
        )
    return _answer(best[1], best[2])


def _answer(name: str, parameters: Mapping[str, str]) -> tuple[str, str, Mapping[str, str]]:
    header = "; header=present" if name == "text/csv" and parameters.get("header") == "present" else ""
    return name, name + ("; charset=utf-8" if name.startswith("text/") else "") + header, parameters


def _exactness(pattern: str, name: str) -> int:
    if pattern == name:
        return 3
    if pattern.endswith("/*") and pattern != "*/*":
        return 2 if name.startswith(pattern[:-1]) else 0
    return int(pattern in ("*/*", "*"))


def _quality(parameters: Mapping[str, str]) -> float:
    try:
        quality = float(parameters.get("q", "1"))
        return quality if 0 <= quality <= 1 else 0.0
    except ValueError:
        return 0.0


def encode(predictions: Any, count: int, accept: str | None, media_type: str) -> Encoded:
    """The answer. ModelFailed if there is not one prediction per row; NotAcceptable if they do not fit the type."""
    if not isinstance(predictions, np.ndarray | list) and (sent := out.as_sent(predictions)) is not None:
        return sent
    name, content_type, parameters = negotiate(accept, media_type)
    write = CONTENT_TYPES[name].encode
    assert write is not None  # negotiate offers nothing else
    if isinstance(predictions, GeneratorType):
        if name not in STREAMABLE:
            raise NotAcceptable(f"A streamed answer cannot be {name}.", expected=", ".join(STREAMABLE))
        return Encoded(_streamed(predictions, name, parameters), content_type)
    rows = out.per_row(predictions, count)
    try:
        return Encoded(write(rows, parameters), content_type)
    except ServingError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise ModelFailed(f"The predictions cannot be written as {name}: {exc}.") from exc


def _streamed(items: Iterator[Any], name: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
    write = CONTENT_TYPES[name].encode
    assert write is not None
    return out.stream(items, lambda item: write([item], {}), name == "application/json")


# ---- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ContentType:
    """`decode(body, parameters, signature, max_bytes) → rows`, `encode(rows, parameters) → bytes` or None."""

    decode: Callable[[bytes, Mapping[str, str], Signature, int], Any] | None
    encode: Callable[[np.ndarray | list[Any], Mapping[str, str]], bytes] | None = None
    text: bool = False
    """Text has a charset; it is handed on as UTF-8 without a byte order mark."""


CSV = ContentType(csv_rows.decode, out.to_csv, text=True)
JSON = ContentType(json_rows.decode, out.to_json, text=True)
JSON_LINES = ContentType(json_rows.decode_lines, out.to_json_lines, text=True)
PARQUET = ContentType(npy.decode_parquet)

CONTENT_TYPES: dict[str, ContentType] = {
    "text/csv": CSV,
    "application/json": JSON,
    "application/jsonlines": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-npy": ContentType(npy.decode_npy, out.to_npy),
    "application/x-npz": ContentType(npy.decode_npz),
    "application/vnd.apache.parquet": PARQUET,
    "application/x-parquet": PARQUET,
    "application/x-recordio-protobuf": ContentType(recordio.decode),
    "text/plain": ContentType(_text_lines, text=True),
}
READABLE = tuple(name for name, kind in CONTENT_TYPES.items() if kind.decode)
WRITABLE = tuple(name for name, kind in CONTENT_TYPES.items() if kind.encode)
STREAMABLE = tuple(name for name in WRITABLE if name != "application/x-npy")
BY_LINE = ("text/csv", "application/jsonlines", "application/x-ndjson", "application/jsonl")
"""A record a line. Such a request is answered in its own type when Accept does not say; all others in JSON."""
