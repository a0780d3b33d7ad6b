"""bytes ⇄ rows, by media type: the way in (decode), the choice of the answer's type (negotiate), the way out (encode).

A type is one row of the table at the end. What the container answers, the container accepts; what it does not know it
refuses with the list of what it knows. Nothing here knows HTTP's transport or the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from types import GeneratorType
from typing import Any

import numpy as np

from ..errors import BadRequest, ModelFailed, NotAcceptable, PayloadTooLarge, ServingError, UnsupportedMediaType
from ..rows import predictions as out
from ..rows.decoded import Decoded
from ..rows.predictions import Encoded
from ..rows.signature import Signature
from ..wording import quoted, verbatim
from . import csv_rows, csv_text, json_rows, json_text, npy, parquet, plain_text, recordio
from .answer_cells import has_names
from .budget import Bounds
from .codings import inflated, utf8
from .media_types import OTHER_NAMES, parse, refuse_what_is_not_text, seems_else, type_of

# ---- the way in ------------------------------------------------------------------------------------------------------


def decode(
    body: bytes, content_type: str | None, content_encoding: str | None, signature: Signature, bounds: Bounds | int
) -> Decoded:
    """Raises a ServingError: 400 (not what it says, or not what the model expects), 413, 415. Never anything else.

    May be called from any thread, and by many at a time: nothing is kept from one body to the next.
    """
    media_type = "what its headers say"
    try:
        media_type, parameters, body = _opened(body, content_type, content_encoding, signature, bounds)
        rows = _reader(media_type)(body, parameters, signature, Bounds.of(bounds))
        return Decoded(rows, media_type, signature)
    except BadRequest as exc:
        exc.add(seems_else(body, media_type) if media_type in CONTENT_TYPES else "")
        raise
    except ServingError:
        raise
    except MemoryError:
        raise PayloadTooLarge(
            "The rows of this body do not fit into the memory that is left. Send fewer rows in a request."
        ) from None
    except Exception as exc:  # whatever a library raises for bytes that it did not expect, the bytes are to blame
        raise BadRequest(f"The body cannot be read as {media_type}.", got=_said(exc)) from exc


def _opened(
    body: bytes, content_type: str | None, content_encoding: str | None, signature: Signature, bounds: Bounds | int
) -> tuple[str, Mapping[str, str], bytes]:
    """The media type, its parameters, and the body: decompressed, and UTF-8 if it is text."""
    if content_encoding:
        body = inflated(body, content_encoding, bounds)
    if not body:
        raise BadRequest("The request has no body. Send one row per prediction.", expected=signature.describe())
    media_type, parameters = type_of(content_type, body)
    _reader(media_type)
    if not CONTENT_TYPES[media_type].text:
        return media_type, parameters, body
    refuse_what_is_not_text(body, media_type, parameters.get("charset"))
    return media_type, parameters, utf8(body, parameters)


def _reader(media_type: str) -> Callable[[bytes, Mapping[str, str], Signature, Bounds], Any]:
    kind = CONTENT_TYPES.get(media_type)
    if kind is None or kind.decode is None:
        raise UnsupportedMediaType(_unknown(media_type), expected=", ".join(KINDS), got=media_type)
    return kind.decode


def _said(exc: Exception) -> str:
    return " ".join(f"{type(exc).__name__}: {exc}".split())[:200]


def _unknown(media_type: str) -> str:
    hint = ""
    if media_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        hint = " (curl sends it when no -H 'Content-Type: …' is given)"
    return f"The Content-Type {quoted(media_type, 100)} is not known{hint}. Send text/csv or application/json."


# ---- the way out -----------------------------------------------------------------------------------------------------


WITH_HEADER = "; header=present"
Accepted = tuple[str, str, Mapping[str, str]]
"""The reply's type in the table, its exact Content-Type, and the parameters that Accept has for it."""


@lru_cache(maxsize=1024)
def negotiate(accept: str | None, media_type: str) -> Accepted:
    """What Accept asks for, for a request of this media type.

    By quality, then by how exactly it is named, then by the caller's order. 406 lists what is offered.
    """
    usual = media_type if media_type in BY_LINE else "application/json"
    if accept is None or not accept.strip():
        return _accepted(usual, {})
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
            f"The answer cannot be written as {quoted(accept, 200)}, which Accept asks for. Ask for text/csv or "
            "application/json.",
            expected=", ".join(name for name in KINDS if name in WRITABLE),
        )
    return _accepted(best[1], best[2])


def _accepted(name: str, parameters: Mapping[str, str]) -> Accepted:
    header = WITH_HEADER if name == "text/csv" and parameters.get("header") == "present" else ""
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


def encode(predictions: Any, count: int, accepted: Accepted) -> Encoded:
    """The predictions in the type that was negotiated.

    Raises ModelFailed if there is not one prediction per row, NotAcceptable if they do not fit the type.
    """
    if not isinstance(predictions, np.ndarray | list) and (sent := out.as_sent(predictions)) is not None:
        return sent
    name, content_type, parameters = accepted
    if isinstance(predictions, GeneratorType):
        if name not in STREAMABLE:
            raise NotAcceptable(f"A streamed answer cannot be {name}.", expected=", ".join(STREAMABLE))
        first = list(islice(predictions, 1))  # fetched now, so that an early error still is an HTTP status
        pieces = _streamed(chain(first, predictions), name, parameters)
        return Encoded(chain(list(islice(pieces, 1)), pieces), _told(content_type, first))
    rows = out.per_row(predictions, count)
    return Encoded(_written(rows, name, parameters), _told(content_type, rows))


def _told(content_type: str, rows: np.ndarray | list[Any]) -> str:
    """The Content-Type: there is a header only where the predictions have names."""
    if not content_type.endswith(WITH_HEADER) or has_names(rows):
        return content_type
    return content_type.removesuffix(WITH_HEADER)


def _written(rows: np.ndarray | list[Any], name: str, parameters: Mapping[str, str]) -> bytes:
    write = CONTENT_TYPES[name].encode
    assert write is not None  # negotiate offers nothing else
    try:
        return write(rows, parameters)
    except ServingError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise ModelFailed(f"The predictions cannot be written as {name}: {verbatim(str(exc))}.") from exc


def _streamed(items: Iterator[Any], name: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
    """The items as they come. Those that are bytes go out as they are."""
    bodies = (
        item if isinstance(item, bytes) else _written([item], name, {} if number else parameters)
        for number, item in enumerate(items)
    )
    return json_text.stream(bodies) if name == "application/json" else bodies


# ---- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ContentType:
    """`decode(body, parameters, signature, bounds) → rows`, `encode(rows, parameters) → bytes`; None: not that way."""

    decode: Callable[[bytes, Mapping[str, str], Signature, Bounds], Any] | None
    encode: Callable[[np.ndarray | list[Any], Mapping[str, str]], bytes] | None = None
    text: bool = False
    """Text has a charset; it is handed on as UTF-8 without a byte order mark. Its predictions can be streamed."""
    by_line: bool = False
    """A record a line. Such a request is answered in its own type where Accept does not say; all others in JSON."""
    packed: bool = False
    """A short body may hold many rows."""


CSV = ContentType(csv_rows.decode, csv_text.to_csv, text=True, by_line=True)
JSON = ContentType(json_rows.decode, json_text.to_json, text=True)
JSON_LINES = ContentType(json_rows.decode_lines, json_text.to_json_lines, text=True, by_line=True)
PARQUET = ContentType(parquet.decode_parquet, packed=True)

CONTENT_TYPES: dict[str, ContentType] = {
    "text/csv": CSV,
    "application/json": JSON,
    "application/jsonlines": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-npy": ContentType(npy.decode_npy, npy.to_npy),
    "application/x-npz": ContentType(npy.decode_npz, packed=True),
    "application/vnd.apache.parquet": PARQUET,
    "application/x-parquet": PARQUET,
    "application/x-recordio-protobuf": ContentType(recordio.decode),
    "text/plain": ContentType(plain_text.decode, text=True),
}
READABLE = tuple(name for name, kind in CONTENT_TYPES.items() if kind.decode)
WRITABLE = tuple(name for name, kind in CONTENT_TYPES.items() if kind.encode)
KINDS = tuple(name for name in READABLE if name not in OTHER_NAMES)
"""One name for each."""
STREAMABLE = tuple(name for name in WRITABLE if CONTENT_TYPES[name].text)
BY_LINE = tuple(name for name, kind in CONTENT_TYPES.items() if kind.by_line)
PACKED = tuple(name for name, kind in CONTENT_TYPES.items() if kind.packed)
