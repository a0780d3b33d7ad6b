"""A bad record does not lose its file: in a line format it gets a mark in its place, all others their prediction.

A request that was refused (400) is asked again in chunks; only the records of a chunk that is refused are asked one by
one, so the cost is linear whatever is bad, and the loop is free in between. The mark is `ERROR` in CSV and {"error": …}
in JSON Lines, so that order and count are kept. What is not a 400 stays what it is. A record must be the same alone:
no CSV whose types are guessed from all records, no model that does not say how many columns it takes.
"""

from __future__ import annotations

import codecs
import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ..errors import ServingError
from ..formats import codings, content_types, json_blocks, json_text, media_types, records
from ..formats.budget import Bounds
from ..formats.content_types import BY_LINE
from ..formats.records import Records
from ..rows.signature import Signature
from .loop import Loop
from .messages import Reply, Request

CHUNK = 1000
"""Records that are asked together first."""
SINGLES = 100
"""Records that are asked one by one before the loop comes round: some milliseconds."""
Ask = Callable[[Sequence[Request]], Sequence[Reply]]

log = logging.getLogger(__name__)


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


def marked(
    request: Request, refused: Reply, media_type: str, records: Records | None, ask: Ask, before: int = 0
) -> Reply:
    """The reply with marks for a request that was `refused`; `refused` itself where no record is to blame.

    `media_type` and `records` are what `cut` has found; `before` records stand before them, in a larger body.
    """
    try:
        name, content_type, parameters = content_types.negotiate(request.accept, media_type)
    except ServingError:
        return refused
    if not records or records.unclear or name not in BY_LINE or parameters.get("header") == "present":
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
        for number, reply in enumerate(replies, before + first + 1):
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
    count = len(records)
    return Reply(200, b"".join(pieces), content_type, rows=count, measured=f"rows={count}")


def _mark(reply: Reply, number: int, media_type: str) -> tuple[str, bytes]:
    """Why the record is bad, for the log, and what stands in its place."""
    assert isinstance(reply.body, bytes)
    error = json.loads(reply.body)["error"]
    if error.get("row") == 1:  # it was alone; its caller knows it by its place in the request
        error["row"] = number
        error["message"] = re.sub(r"^Row 1\b", f"Row {number}", error["message"])
    mark = b"ERROR" if media_type == "text/csv" else json_text.dumps({"error": error})
    return re.sub(r"^Row 1\b", f"Row {number}", reply.reason), mark + b"\n"


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
    if media_type != "text/csv" and json_blocks.has_rows_by_name(body, signature):
        return media_type, None  # they follow the order of the first one's names; one by itself would follow its own
    if media_type == "text/csv" and signature.guesses_csv:
        return media_type, None
    return media_type, records.cut(body, media_type, parameters, signature)
