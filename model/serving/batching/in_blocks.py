"""A large body is asked block by block, and answered as one: memory grows with a block, not with the body.

What is told of a row, a byte or a line of a block is told of the whole body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ..errors import ServingError, written
from ..formats import content_types, joining, media_types
from ..formats.streams import Block
from . import answering
from .messages import Reply, Request

Ask = Callable[[Request, int], Reply]
"""The reply to a block, which so many rows of the body stand before."""


class Refused(Exception):
    """The reply to the body where one of its blocks was refused."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.reason)
        self.reply = reply


class Answered(NamedTuple):
    """A piece of the answer, ready to be written, and how many rows have been answered by now."""

    body: bytes
    rows: int
    content_type: str


def answers(request: Request, blocks: Iterable[Block], ask: Ask) -> Iterator[Answered]:
    """The answer to the body that the blocks are, in pieces. Raises Refused, also after some of them, and NotOurs."""
    try:
        yield from _answers(request, iter(blocks), ask)
    except joining.NotOurs:
        raise
    except ServingError as exc:
        raise Refused(answering.refuse(exc, request)) from exc


def _answers(request: Request, blocks: Iterator[Block], ask: Ask) -> Iterator[Answered]:
    block, rows = next(blocks, None), 0
    joined: Any = None
    while block is not None:
        asked = replace(request, body=block.body, content_type=block.content_type)
        reply = ask(asked, rows)
        if reply.status != 200:
            raise Refused(_placed(reply, block, rows))
        following, rows = next(blocks, None), rows + reply.rows
        body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
        if joined is None and following is None:
            yield Answered(body, rows, reply.content_type)
            return
        media_type, _ = media_types.type_of(block.content_type, block.body)
        name, content_type, _ = content_types.negotiate(request.accept, media_type)
        ours = (content_type, content_type.removesuffix(content_types.WITH_HEADER))
        if reply.content_type not in ours or name not in joining.JOINED:
            raise joining.NotOurs
        if joined is None:  # the following are asked for the same type, in CSV without names once more
            joined, told, request = joining.JOINED[name](), reply.content_type, replace(request, accept=name)
        yield Answered(joined.add(body), rows, told)
        block = following
    if joined:
        yield Answered(joined.end(), rows, told)


# ---- places ----------------------------------------------------------------------------------------------------------


BYTE = re.compile(r"\bbyte (\d+) \(line (\d+)\)")
JSON_PLACE = re.compile(r"\bline \d+ column \d+ \(char (\d+)\)")


def _placed(reply: Reply, block: Block, rows: int) -> Reply:
    """The reply to the whole body, in which `rows` stand before the block."""
    if not isinstance(reply.body, bytes) or not reply.body.startswith(b'{"error":'):
        return reply
    error = json.loads(reply.body)["error"]
    row = error.get("row")
    if isinstance(row, int):
        error["row"] = row + rows

    def placed(message: str) -> str:
        if isinstance(row, int):
            return re.sub(rf"^(Row|Record) {row}\b", rf"\1 {row + rows}", message)
        if block.bytes and message.startswith("The body is not valid JSON"):
            return JSON_PLACE.sub(lambda m: f"byte {_bytes(block.body, int(m[1])) + block.bytes + 1}", message)
        return BYTE.sub(lambda m: f"byte {int(m[1]) + block.bytes} (line {int(m[2]) + block.lines})", message)

    error["message"] = placed(error["message"])
    return replace(reply, body=written(error), reason=placed(reply.reason))


def _bytes(text: bytes, characters: int) -> int:
    return len(text.decode("utf-8", "replace")[:characters].encode())
