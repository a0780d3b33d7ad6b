"""Requests that are asked in parts, each like a request of its own: large bodies block by block, and, in a transform
job, those with a bad record. Others are answered between two parts.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Sequence

from ..formats import blocks, joining
from ..formats.budget import MEGABYTE, Bounds
from ..formats.streams import BLOCK, Block, Whole
from ..models.loaded import LoadedModel
from ..settings import Settings
from . import answering, bad_records, in_blocks
from .in_blocks import Refused
from .loop import GivenUp, Loop, Thread
from .messages import Reply, Request

Done = Callable[[Reply], None]


class Parts:
    """`submit` in the loop's thread; `take(request, done)` asks for one part, `reader` is the thread that cuts."""

    def __init__(
        self, model: LoadedModel, config: Settings, loop: Loop, reader: Thread, take: Callable[[Request, Done], None]
    ) -> None:
        self._model, self._loop, self._reader, self._take = model, loop, reader, take
        self._timeout, self._marks = config.timeout, config.bad_records != "refuse"
        self._bounds = Bounds(config.max_body_mb * MEGABYTE, config.row_bytes)

    def submit(self, request: Request, done: Done, alone: bool = False) -> None:
        """`done` is told the reply, once, now or later, where it may not wait. `alone`: the model's rows depend on each
        other, so that all of a request are one call. Raises nothing."""
        large = len(request.body) > BLOCK and not alone
        # who looks at the request itself, by its context, is called once for it
        if large and not request.content_encoding and not self._model.takes_context:
            self._loop.soon(functools.partial(self._answer, request, done, self._in_blocks))
        else:
            self._take_whole(request, done)

    def _take_whole(self, request: Request, done: Done) -> None:
        self._take(request, functools.partial(self._look, request, done) if self._marks else done)

    def _look(self, request: Request, done: Done, reply: Reply) -> None:
        """A transform job keeps its file when a record of it is bad."""
        if reply.status == 400:
            self._loop.soon(functools.partial(self._answer, request, done, lambda _: self._marked(request, reply)))
        else:
            done(reply)

    def _answer(self, request: Request, done: Done, answer: Callable[[Request], Reply]) -> None:
        """`done` is told what is answered, whatever happens. May wait."""
        try:
            reply = answer(request)
        except (Whole, joining.NotOurs):
            self._take_whole(request, done)
            return
        except Refused as exc:
            reply = exc.reply
        except GivenUp:
            reply = answering.refuse(answering.late(self._timeout), request)
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            reply = answering.refuse(exc, request)
        done(reply)

    def _in_blocks(self, request: Request) -> Reply:
        cut = blocks.cut(io.BytesIO(request.body), request.content_type, self._model.signature)
        ask = functools.partial(self._ask, self._loop.now() + self._timeout)
        answers = list(in_blocks.answers(request, self._in_thread(cut), ask))
        rows, content_type = answers[-1].rows, answers[-1].content_type
        body = b"".join(answered.body for answered in answers)
        return Reply(200, body, content_type, rows=rows, measured=f"rows={rows}")

    def _in_thread(self, cut: Iterator[Block]) -> Iterator[Block]:
        """To look for the end of a record takes some milliseconds."""
        while (block := self._reader.run(lambda: next(cut, None), self._timeout)) is not None:
            yield block

    def _ask(self, latest: float, request: Request, before: int) -> Reply:
        if self._loop.now() > latest:
            raise GivenUp
        [reply] = self._ask_all([request])
        if reply.status == 200 and not isinstance(reply.body, bytes):  # a stream goes out as it is made
            raise joining.NotOurs
        return self._marked(request, reply, before) if reply.status == 400 and self._marks else reply

    def _ask_all(self, requests: Sequence[Request]) -> list[Reply]:
        return bad_records.ask_all(self._loop, self._take, requests)

    def _marked(self, request: Request, reply: Reply, before: int = 0) -> Reply:
        cut = functools.partial(bad_records.cut, request, self._model.signature, self._bounds)
        found = self._reader.run(cut, self._timeout)
        return bad_records.marked(request, reply, *found, self._ask_all, before)
