"""A bad record does not lose its file: in a line format it gets a mark in its place, all others their prediction.

A request that was refused (400) is asked again in chunks; only the records of a chunk that is refused are asked one by
one, so the cost is linear whatever is bad, and the loop is free in between. The mark is `ERROR` in CSV and {"error": …}
in JSON Lines, so that order and count are kept. What is not a 400 stays what it is. A model that does not say how many
columns it takes is left alone: for it, a short record by itself would be a good one.
"""

from __future__ import annotations

import codecs
import json
import logging
import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

from ..errors import ServingError
from ..formats import codings, content_types, csv_header, csv_rows, json_text, media_types
from ..formats.budget import Bounds
from ..formats.media_types import BY_LINE
from ..rows.signature import Signature
from .loop import Loop
from .messages import Reply, Request

CHUNK = 1000
"""Records that are asked together first."""
SINGLES = 100
"""Records that are asked one by one before the loop comes round: some milliseconds."""
Ask = Callable[[Sequence[Request]], Sequence[Reply]]

log = logging.getLogger(__name__)


class Records:
    """The body of a request, cut between its records; the header, if there is one, is repeated for each part."""

    def __init__(self, body: bytes, starts: Sequence[int], header: bytes) -> None:
        self.body, self.header = body, header
        self.places = [*starts, len(body)]

    def __len__(self) -> int:
        return len(self.places) - 1

    def part(self, first: int, end: int) -> bytes:
        return self.header + self.body[self.places[first] : self.places[end]]


def ask_all(
    loop: Loop, submit: Callable[[Request, Callable[[Reply], None]], None], requests: Sequence[Request]
) -> list[Reply]:
    """The replies to all these requests, which are submitted at once. Waits for them."""
    found: dict[int, Reply] = {}

    def begin(done: Callable[[None], None]) -> None:
        def got(place: int, reply: Reply) -> None:
            found[place] = reply
            if len(found) == len(requests):
                done(None)

        for place, request in enumerate(requests):
            submit(request, partial(got, place))

    loop.wait(begin)
    return [found[place] for place in range(len(requests))]


def marked(request: Request, refused: Reply, media_type: str, records: Records | None, ask: Ask) -> Reply:
    """The reply with marks for a request that was `refused`; `refused` itself where no record is to blame.

    `media_type` and `records` are what `cut` has found.
    """
    try:
        name, content_type, parameters = content_types.negotiate(request.accept, media_type)
    except ServingError:
        return refused
    if not records or name not in BY_LINE or parameters.get("header") == "present":
        return refused
    said = media_types.parse(request.content_type or "")[0] == media_type
    request = replace(request, content_type=request.content_type if said else media_type, content_encoding=None)
    if records.header and ask([replace(request, body=records.header)])[0].status != 200:
        return refused
    below = request  # what is not at the top has no header, whatever its first line looks like
    if media_type == "text/csv" and not records.header:
        below = replace(request, content_type=f"{request.content_type}; header=absent")
    pieces: list[bytes] = []
    bad: list[tuple[int, str]] = []

    def part(first: int, end: int) -> Request:
        return replace(below if first else request, body=records.part(first, end))

    for first in range(0, len(records), CHUNK):
        end = min(first + CHUNK, len(records))
        [whole] = ask([part(first, end)]) if len(records) > CHUNK else [refused]
        replies: Sequence[Reply] = [whole]
        if whole.status == 400:
            starts = range(first, end, SINGLES)
            singles = ([part(i, i + 1) for i in range(start, min(start + SINGLES, end))] for start in starts)
            replies = [reply for some in singles for reply in ask(some)]
        for number, reply in enumerate(replies, first + 1):
            if reply.status == 200 and reply.content_type == content_type:
                pieces.append(reply.body if isinstance(reply.body, bytes) else b"".join(reply.body))
            elif reply.status == 400:
                reason, mark = _mark(reply, number, name)
                bad.append((number, reason))
                pieces.append(mark)
            else:
                return reply if reply.status != 200 else refused
    if not bad:
        return refused
    log.warning(
        "%s: %d of %d records are bad and marked; the first is record %d: %s",
        request.name, len(bad), len(records), *bad[0],
    )  # fmt: skip
    return Reply(200, b"".join(pieces), content_type, measured=f"rows={len(records)}")


def _mark(reply: Reply, number: int, media_type: str) -> tuple[str, bytes]:
    """Why the record is bad, for the log, and what stands in its place."""
    assert isinstance(reply.body, bytes)
    error = json.loads(reply.body)["error"]
    if error.get("row") == 1:  # it was alone; its caller knows it by its place in the request
        error["row"] = number
        error["message"] = re.sub(r"^Row 1\b", f"Row {number}", error["message"])
    mark = b"ERROR" if media_type == "text/csv" else json_text.dumps({"error": error})
    return re.sub(r"^Row 1\b", f"Row {number}", reply.reason), mark + b"\n"


# ---- where records begin ---------------------------------------------------------------------------------------------


def cut(request: Request, signature: Signature, max_bytes: Bounds | int) -> tuple[str, Records | None]:
    """The media type, and the records if it has a record a line and the model says how wide one is."""
    try:
        body = codings.inflated(request.body, request.content_encoding or "", max_bytes)
        media_type, parameters = media_types.type_of(request.content_type, body)
        wide = codecs.lookup(parameters.get("charset", "utf-8")).name.startswith(("utf-16", "utf-32"))
    except (ServingError, LookupError):
        return "", None
    if wide or media_type not in BY_LINE or signature.count is None:  # a line feed is not a byte of its own there
        return media_type, None
    body = body.removeprefix(codecs.BOM_UTF8)
    if media_type != "text/csv":
        return media_type, Records(body, _lines(body), b"")
    starts = _lines(body)
    header = _header(body, starts, parameters.get("header", ""), signature)
    width = len(header) if header else signature.count
    starts = _rows(body, starts, width)
    if header is None:
        return media_type, Records(body, starts, b"")
    below = starts[1] if len(starts) > 1 else len(body)
    return media_type, Records(body, starts[1:], body[starts[0] : below])


def _lines(body: bytes) -> Sequence[int]:
    """Where lines begin that are not blank."""
    return array("Q", (line.start() for line in re.finditer(rb"[^\r\n]+", body) if not line[0].isspace()))


def _header(body: bytes, starts: Sequence[int], said: str, signature: Signature) -> list[str] | None:
    if not starts or said == "absent":
        return None
    rows = csv_rows.rows_in(_text(body[starts[0] : starts[2] if len(starts) > 2 else len(body)]))
    first = rows[0] if rows else None
    if not first or said == "present" or csv_header.is_header(first, signature):
        return first
    unasked = len(rows) == 2 and len(first) == len(rows[1]) and csv_header.all_texts(first)
    return first if unasked and signature.form == "unknown" and not any(map(csv_header.is_text, rows[1])) else None


def _rows(body: bytes, starts: Sequence[int], width: int | None) -> Sequence[int]:
    """Lines between which a quote is open are one record, if together they are one row of the right width.

    Else the line that opens the quote is a bad record by itself, as for SageMaker, which splits at every line end.
    """
    if b'"' not in body:
        return starts
    ends = [*starts[1:], len(body)]
    open_lines = [
        i for i, (start, end) in enumerate(zip(starts, ends, strict=True)) if body.count(b'"', start, end) % 2
    ]
    inside: set[int] = set()
    for opening, closing in pairwise(open_lines):
        if opening in inside:
            continue
        rows = csv_rows.rows_in(body[starts[opening] : ends[closing]].decode("latin-1"))
        if len(rows) == 1 and width in (None, len(rows[0])):
            inside.update(range(opening + 1, closing + 1))
    return [start for i, start in enumerate(starts) if i not in inside]


def _text(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")
