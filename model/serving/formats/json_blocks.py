"""A JSON document that begins with its rows, [ row, row … ] or {"instances": [ row, row … ]}, cut between rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import orjson

from ..errors import BadRequest
from ..rows.signature import Signature
from .json_envelopes import ENVELOPES
from .json_pieces import windows_with_depth
from .json_tables import bare
from .json_tensors import are_tensors
from .streams import BLOCK, Stream, Whole, grown, together

BEGINNING = re.compile(rb'\s*(?:\[|\{\s*"(instances|inputs|dataframe_records|predictions)"\s*:\s*\[)(?=\s*[^\s\]])')
OBJECT = re.compile(rb"^[ \t]*(\{.*\})[ \t]*\r?$", re.MULTILINE)
END_BYTES = 2**16
"""What may follow the rows."""
BY_NAME = "its rows have names and the model has none, so their order is that of the first row"
MIXED = "Some rows are objects and some are lists; this model has no names for its columns: send lists."


def is_by_name(row: Any, signature: Signature) -> bool:
    """Whether a row names values for a model that has no names."""
    return signature.names is None and not signature.as_sent and isinstance(bare(row, signature), dict)


def has_rows_by_name(lines: bytes, signature: Signature) -> bool:
    """Whether one of these JSON Lines is such a row."""
    if signature.names is not None:
        return False
    for line in OBJECT.findall(lines):
        with suppress(orjson.JSONDecodeError):
            if is_by_name(orjson.loads(line), signature):
                return True
    return False


def parts(stream: Stream, signature: Signature) -> Iterator[tuple[bytes, bytes, str]]:
    """As blocks.Parts. Raises Whole before anything is taken."""
    found = BEGINNING.match(stream.ahead)
    key = found and (found[1] or b"").decode()
    if found is None or key in signature.position:
        raise Whole('a JSON document can be cut that begins with its rows, [[…] or {"instances": [[…]')
    row = _first_row(stream.ahead[found.end() :])
    rows = isinstance(row, list | dict) or signature.count == 1
    if row is None or not rows or are_tensors([row]):
        raise Whole("this JSON document is not a list of rows")
    if is_by_name(row, signature):
        raise Whole(BY_NAME)
    return _parts(stream, found.end(), key or "", signature)


def _parts(stream: Stream, start: int, key: str, signature: Signature) -> Iterator[tuple[bytes, bytes, str]]:
    opening, closing = stream.take(start), b"]}" if key else b"]"
    before, piece, size = b"", opening, BLOCK
    while ahead := stream.fill(size + 1):
        end, ended = _end_of_rows(ahead)
        if not (ended or end or len(ahead) <= size):
            size = grown(size)
            continue
        if before and is_by_name(_first_row(ahead), signature):
            raise BadRequest(MIXED)
        if ended or len(ahead) <= size:
            yield before, piece + _not_empty(_rest(stream, end if ended else len(ahead), key, signature)), ""
            return
        piece += _not_empty(stream.take(end) + closing)
        stream.take(1)
        yield before, piece, ""
        before, piece, size = opening, b"", BLOCK


def _rest(stream: Stream, end: int, key: str, signature: Signature) -> bytes:
    """The last rows, and what closes the document."""
    stream.fill(end + END_BYTES)
    rest = stream.take(end + END_BYTES)
    if stream.fill(1):
        raise BadRequest("The body is not valid JSON: something follows the rows.")
    _refuse_another_envelope(rest[end:], key, signature)
    return rest


def _not_empty(rows: bytes) -> bytes:
    """A comma without a value would be lost where it is cut; it is not JSON."""
    return rows if rows.lstrip()[:1] != b"]" else b"," + rows


def _end_of_rows(ahead: bytes) -> tuple[int, bool]:
    """Where a comma between rows is, 0 if there is none; or where the list ends, and True."""
    plain = ahead.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in ahead else ahead
    found = [np.empty(0, np.int32)]
    for place, window in windows_with_depth(plain, 0, len(plain)):
        ends = np.flatnonzero((window.depth < 0) & window.at(b"]"))
        if len(ends):
            return place + int(ends[0]), True
        found.append(np.flatnonzero((window.depth == 0) & window.at(b",")).astype(np.int32) + np.int32(place))
    commas = np.concatenate(found)
    return (int(commas[together(len(commas)) - 1]) if len(commas) else 0), False


def _first_row(rows: bytes) -> Any:
    """None if it is not JSON."""
    try:
        return json.JSONDecoder().raw_decode(rows.decode("utf-8", "replace").lstrip())[0]
    except (ValueError, RecursionError):
        return None


def _refuse_another_envelope(rest: bytes, key: str, signature: Signature) -> None:
    """What follows the rows may say that they were none: the server would have read the document otherwise."""
    try:
        others = orjson.loads(b'{"\\u0000":[' + rest) if key else {}
    except orjson.JSONDecodeError:  # whoever reads the block says so
        return
    known = {name for keys, _ in ENVELOPES for name in keys} | signature.position.keys()
    if strange := known & others.keys():
        name = min(strange)[:80]
        raise BadRequest(f"{name!r} follows the rows; in a document of this size it must stand before them.")
