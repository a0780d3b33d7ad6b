"""A body of any size → bodies of some megabytes, each complete by itself, so that memory does not grow with the body.

A record is never cut, and a header goes with each block. Each block must be read as in the whole: where a model does
not say what its columns hold, types are guessed from all rows, and the body stays whole. So does a body that has no
place to be cut at; `Whole` says why.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import orjson

from ..errors import BadRequest, PayloadTooLarge
from ..rows.signature import Signature
from . import array_blocks, csv_rows, json_blocks, parquet, records
from .budget import MEGABYTE
from .media_types import NOT_TEXT, type_of
from .streams import BLOCK, Block, File, Stream, Whole

Parts = Iterator[tuple[bytes, bytes, str]]
"""What is put before it, a piece of the body, and what is added to the Content-Type."""


def cut(
    file: File, content_type: str | None, signature: Signature, most: int | None = None, alone: bool = False
) -> Iterator[Block]:
    """The blocks. A short body is one, as it is; so is one of up to `most` bytes that cannot be cut. `alone`: none can.

    Raises a ServingError (400, 413), also after some blocks; without `most`, Whole for a body that cannot be cut.
    """
    stream = Stream(file)
    head = stream.fill(BLOCK + 1)
    if len(head) <= BLOCK:
        yield Block(stream.take(BLOCK), content_type)
        return
    media_type, parameters = type_of(content_type, head)
    said = content_type if content_type and content_type.split(";")[0].strip().lower() == media_type else media_type
    try:
        if alone:
            raise Whole("MODEL_SERVER_BATCH_ROWS=1 says that rows depend on each other")
        if media_type not in CUTTERS or (most is None and media_type in PARQUET):
            raise Whole(f"{media_type} has no place to be cut at")
        charset = parameters.get("charset", "utf-8")
        _refuse_wide(charset, head)
        mark = len(codecs.BOM_UTF8) if charset == "utf-8" and head.startswith(codecs.BOM_UTF8) else 0
        stream.take(mark)
        pieces = CUTTERS[media_type](stream, media_type, parameters, signature)
    except Whole as reason:
        if most is None:
            raise
        yield _whole(stream, content_type, most, str(reason))
        return
    place = lines = 0
    for before, piece, more in pieces:
        yield Block(before + piece, said + more, place - len(before), lines - before.count(b"\n"))
        place, lines = stream.taken - mark, stream.lines


def _whole(stream: Stream, content_type: str | None, most: int, reason: str) -> Block:
    body = stream.fill(most + 1)
    if len(body) > most:
        raise PayloadTooLarge(
            f"The body is larger than {most // MEGABYTE} MB and is read as a whole: {reason}.",
            expected=f"at most {most} bytes",
        )
    mark = codecs.BOM_UTF8 if stream.taken else b""
    return Block(mark + stream.take(len(body)), content_type)


def _refuse_wide(charset: str, head: bytes) -> None:
    """In UTF-16 and UTF-32 a line feed is not a byte of its own."""
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        raise Whole("its charset is not known") from None
    if name.startswith(("utf-16", "utf-32")) or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Whole("it is UTF-16 or UTF-32; UTF-8 can be cut")


def _refuse_guesses(signature: Signature, may_be_objects: bool = True) -> None:
    """Where the type of a column follows from all its cells."""
    if signature.as_sent and may_be_objects:
        return
    columns = signature.columns or ()
    guessed = [c for c in columns if c.kind == "any" or (c.kind == "category" and not c.categories)]
    if signature.form != "texts" and (guessed or not columns):
        raise Whole(
            "the model does not say what its columns hold, so types are guessed from all rows. save_model or "
            "model.sample.json would tell"
        )


# ---- a function per media type ---------------------------------------------------------------------------------------


def _csv(stream: Stream, media_type: str, parameters: Mapping[str, str], signature: Signature) -> Parts:
    _refuse_guesses(signature, may_be_objects=False)
    head = stream.ahead[:MEGABYTE]
    head = head[: records.end_of_lines(head)] or stream.ahead
    first = records.cut(head, media_type, parameters, signature)
    more = "" if "header" in parameters else "; header=present" if first.header else "; header=absent"
    start, without = stream.taken, bool(first.header) + csv_rows.says_comma(head)

    def whole(body: bytes) -> int:
        return records.whole(body, first.width, without if stream.taken == start else 0)

    return _with_header(stream, whole, first.header, more)


def _with_header(stream: Stream, whole: Callable[[bytes], int], header: bytes, more: str) -> Parts:
    """A blank line stands before a piece whose first cell would be taken for another format's mark."""
    marked = stream.taken > 0
    for number, piece in enumerate(stream.pieces(whole)):
        strange = piece.startswith(tuple(NOT_TEXT)) or (number > 0 and piece[:4].lower() == b"sep=")
        blank = b"\n" if strange and (number or marked) else b""
        yield (header or blank, piece, more) if number else (blank, piece, more if header else "")


def _json_lines(stream: Stream, media_type: str, parameters: Mapping[str, str], signature: Signature) -> Parts:
    _refuse_guesses(signature)
    if json_blocks.is_by_name(_first_line(stream.ahead), signature):
        raise Whole(json_blocks.BY_NAME)
    return _of_lines(stream, signature)


def _of_lines(stream: Stream, signature: Signature) -> Parts:
    for piece in stream.pieces(records.whole_lines):
        if json_blocks.is_by_name(_first_line(piece), signature):
            raise BadRequest(json_blocks.MIXED)
        yield b"", piece, ""


def _first_line(piece: bytes) -> object:
    try:
        return orjson.loads(piece.lstrip().split(b"\n", 1)[0])
    except orjson.JSONDecodeError:
        return None


def _text(stream: Stream, media_type: str, parameters: Mapping[str, str], signature: Signature) -> Parts:
    return _with_header(stream, lambda body: records.whole_lines(body[: body.rfind(b"\n") + 1]), b"", "")


def _json(stream: Stream, media_type: str, parameters: Mapping[str, str], signature: Signature) -> Parts:
    _refuse_guesses(signature)
    return json_blocks.parts(stream, signature)


def _recordio(stream: Stream, media_type: str, parameters: Mapping[str, str], signature: Signature) -> Parts:
    if signature.count is None:
        raise Whole("the model does not say how many columns it takes")
    return ((b"", piece, "") for piece in stream.pieces(array_blocks.whole_records))


def _npy(stream: Stream, media_type: str, parameters: Mapping[str, str], signature: Signature) -> Parts:
    return array_blocks.parts(stream, signature, partial(_refuse_guesses, signature))


def _parquet(stream: Stream, media_type: str, parameters: Mapping[str, str], signature: Signature) -> Parts:
    _refuse_guesses(signature, may_be_objects=False)
    return ((b"", part, "") for part in parquet.parts(stream, BLOCK, signature))


PARQUET = ("application/vnd.apache.parquet", "application/x-parquet")
"""A server reads it whole: of a stranger's file it must know what all pages inflate to (parquet_pages.py)."""

CUTTERS: dict[str, Callable[[Stream, str, Mapping[str, str], Signature], Parts]] = {
    "text/csv": _csv,
    "application/json": _json,
    "application/jsonlines": _json_lines,
    "application/x-ndjson": _json_lines,
    "application/jsonl": _json_lines,
    "application/x-npy": _npy,
    **dict.fromkeys(PARQUET, _parquet),
    "application/x-recordio-protobuf": _recordio,
    "text/plain": _text,
}
"""Types that can be cut. An npz file keeps the list of its arrays at its end."""
