"""The run of `predict`: the model as the server loads it, the input in blocks, each block's answer written whole.

What the model's own code prints goes to standard error: standard output has nothing but answers. Ctrl-C ends at once,
and where a block's answer is being written, after it.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import signal
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, cast

from .. import limits
from ..batching import answering, bad_records, in_blocks
from ..batching.in_blocks import Refused
from ..batching.messages import Reply, Request
from ..compiler import native
from ..errors import BadRequest, ModelNotUsable, ServingError
from ..formats import blocks, media_types
from ..formats.budget import MEGABYTE, Bounds
from ..formats.joining import NotOurs
from ..formats.streams import BLOCK
from ..models import artifact, loading
from ..models.loaded import LoadedModel
from ..monitoring import logs
from ..settings import Settings
from .progress import Progress, counted

NOBODY_READS = 128 + signal.SIGPIPE


def run(asked: argparse.Namespace, config: Settings) -> int:
    logs.configure("error" if asked.quiet else "warning", "predict: %(message)s")
    ServingError.echoes_values = config.echo_values == "on"
    answers = Answers()
    try:
        rows = Input(asked.file)
    except OSError as exc:
        return _fail(f"{asked.file} cannot be read: {exc.strerror}", 2)
    if not rows.begins and not rows.name:
        return _fail("standard input is empty. In a container: docker run -i IMAGE predict < rows.csv", 1)
    size = asked.size or rows.size
    progress = Progress(size, asked.quiet)
    try:
        model = _loaded(config, size)
    except ModelNotUsable as exc:
        return _fail(f"the model cannot serve: {exc}", 1)
    try:
        return Run(asked, config, model, rows, answers, progress).run()
    except BrokenPipeError:
        return NOBODY_READS
    except OSError as exc:
        return _fail(f"the input cannot be read, or the answers not written: {exc}", 1)


def _loaded(config: Settings, size: int | None) -> LoadedModel:
    """As the server has it. A program is made where none came with the model, unless the input is short."""
    native.threads = limits.cpus()[0]
    native.spread = ThreadPoolExecutor(native.threads).map
    directory = artifact.find(config)
    artifact.told_sha256(directory, config.model_sha256)
    model = loading.load(directory, config.predict_method, compiled=config.fast_paths == "on")
    model.warm_up()
    if config.fast_paths == "on" and (size is None or size > BLOCK):
        model.compile()
    return model


class Run:
    """One input, one answer."""

    def __init__(
        self, asked: argparse.Namespace, config: Settings, model: LoadedModel, rows: Input, answers: Answers,
        progress: Progress,
    ) -> None:  # fmt: skip
        self._config, self._model, self._rows, self._answers, self._progress = config, model, rows, answers, progress
        self._content_type = asked.content_type or media_types.of_name(rows.name)
        accept = asked.accept or ""
        self._accept = config.default_accept if config.default_accept and accept in ("", "*/*") else accept or None
        self._bounds = Bounds(max(config.max_body_mb * MEGABYTE, BLOCK), config.row_bytes)

    def run(self) -> int:
        request = Request(b"", self._content_type, accept=self._accept, request_id="")
        self._progress.say(f"{self._model.source.name} predicts {self._model.signature.describe()}")
        self._progress.begin()
        count = 0
        try:
            how = self._content_type, self._model.signature, self._bounds.body, self._config.batch_rows == 1
            for answered in in_blocks.answers(request, blocks.cut(self._rows, *how), self._ask):
                self._answers.write(answered.body)
                count = answered.rows
                self._progress.at(count, self._rows.read_bytes)
        except Refused as exc:
            before = f" The {counted(count)} before are answered." if count else ""
            return _fail(f"{_told(exc.reply)}{before}", 1)
        except NotOurs as exc:
            return _fail(str(exc), 1)
        self._answers.end()
        self._progress.end(count, self._rows.read_bytes)
        return 0

    def _ask(self, request: Request, before: int) -> Reply:
        """The server's own reply, with marks for bad records where that is set."""
        [reply] = self._ask_all([request])
        if reply.status != 400 or self._config.bad_records == "refuse":
            return reply
        found = bad_records.cut(request, self._model.signature, self._bounds)
        return bad_records.marked(request, reply, *found, self._ask_all, before)

    def _ask_all(self, requests: Any) -> list[Reply]:
        return answering.answer(self._model, requests, self._bounds, self._config.batch_rows)


def _told(reply: Reply) -> str:
    """The error in the words that the server has for it."""
    assert isinstance(reply.body, bytes)
    error = json.loads(reply.body)["error"]
    return f"{error['message']} ({reply.status} {error['code']})"


def _fail(reason: str, code: int) -> int:
    print(f"predict: {logs.escaped(reason)}", file=sys.stderr, flush=True)
    return code


# ---- what comes in and what goes out ---------------------------------------------------------------------------------


class Input:
    """A file or standard input; gzip is undone, whoever has packed it. Raises OSError."""

    def __init__(self, name: str) -> None:
        opened = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - until the process ends
        self._file = cast(io.BufferedReader, opened)
        self.name = "" if name == "-" else name.removesuffix(".gz")
        status = os.fstat(self._file.fileno())
        self.size = status.st_size or None
        self.read_bytes = 0
        self._inflated: gzip.GzipFile | None = None
        self.begins = self._file.peek(2)[:2]
        if self.begins == GZIP:
            self._inflated = gzip.GzipFile(fileobj=_Counted(self))  # type: ignore[call-overload]

    def seekable(self) -> bool:
        return self._inflated is None and self._file.seekable()

    def read(self, size: int) -> bytes:
        if self._inflated is None:
            return self.read_plainly(size)
        try:
            return self._inflated.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            raise BadRequest("The body ends in the middle of its gzip data, or is broken.", got=str(exc)) from exc

    def read_plainly(self, size: int) -> bytes:
        found = self._file.read(size)
        self.read_bytes += len(found)
        return found

    def seek(self, *place: int) -> int:
        self.read_bytes = 0
        return self._file.seek(*place)

    def tell(self) -> int:
        return self._file.tell()


class _Counted:
    """What gzip reads from."""

    def __init__(self, rows: Input) -> None:
        self.read = rows.read_plainly


GZIP = b"\x1f\x8b"


class Answers:
    """Standard output, for answers alone; and Ctrl-C, which waits while one is written."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._writing, self._stopped, self._last = False, 0, b"\n"
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._stop)

    def write(self, body: bytes) -> None:
        """Raises OSError; BrokenPipeError where nobody reads."""
        self._writing, self._last = True, body[-1:] or self._last
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(self._out, rest) :]
        self._writing = False
        if self._stopped:
            os._exit(self._stopped)

    def end(self) -> None:
        """A terminal's prompt begins on a line of its own."""
        if os.isatty(self._out) and self._last != b"\n":
            self.write(b"\n")

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        """The second time, or where nothing is written, it ends at once."""
        if not self._writing or self._stopped:
            os._exit(128 + signum)
        self._stopped = 128 + signum
