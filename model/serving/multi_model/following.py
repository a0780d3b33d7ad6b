"""The models that one worker holds: it follows the registry, loads what is listed and drops what is not.

Models are loaded one at a time, each in a thread, while requests for the others are answered. If a
model does not fit into memory, that is an InsufficientMemory error, and the worker tries again later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from .. import errors, limits
from ..batching.engine import Done, Engine
from ..batching.loop import GivenUp, Loop, Thread
from ..batching.messages import Reply, Request
from ..errors import ModelNotUsable, ServingError
from ..models import diagnosis, loading
from ..settings import Settings
from .registry import Entry, Registry

POLL_SECONDS = 0.025
RETRY_SECONDS = 5
"""A worker that could not load a model that the others hold (it was short of memory) tries again."""
T = TypeVar("T")
log = logging.getLogger(__name__)


class HeldModels:
    """`start` after the fork. Engines, failures and uses are known by the number of their entry in the registry."""

    def __init__(self, config: Settings) -> None:
        self.config = config
        self._engines: dict[int, Engine] = {}
        self._failures: dict[int, tuple[ServingError, float]] = {}
        self._wanted: set[int] = set()
        self._uses: Counter[int] = Counter()
        """Requests that are being answered (and the proof, while it is made)."""
        self._proved: set[int] = set()
        self._proving = threading.Lock()
        self._changed = threading.Event()
        self._followed: Mapping[str, Entry] | None = None
        """The list that this worker holds in full: until it changes there is nothing to do."""

    @property
    def engines(self) -> Collection[Engine]:
        """A view: always those that are held now."""
        return self._engines.values()

    def start(self, registry: Registry, loop: Loop, reader: Thread, stuck: Callable[[str], None]) -> None:
        """Begins to hold what the registry says. `stuck` is told when a load or a prediction does not return."""
        self.registry, self._loop, self._reader, self._stuck = registry, loop, reader, stuck
        self._loader = loop.thread()
        self._loop.soon(self._follow_for_ever)

    def look(self) -> None:
        """The registry may have changed: follow it now, not at the next look."""
        self._changed.set()

    def engine(self, entry: Entry) -> Engine | None:
        """None: this worker does not hold the model."""
        return self._engines.get(entry.number)

    def wanted(self, entry: Entry) -> Engine | None:
        """As `engine`, for a request that waits: its model is loaded first. Raises what kept it from being loaded."""
        self._wanted.add(entry.number)
        if entry.number in self._failures:
            raise self._failures[entry.number][0]
        return self.engine(entry)

    def submit(self, entry: Entry, engine: Engine, request: Request, done: Done) -> None:
        """As Engine.submit; the model stays until the request is answered."""
        number = entry.number
        if number not in self._proved:
            self._proved.add(number)
            self._loop.soon(partial(self._prove, number))
        self._uses[number] += 1

        def answered(reply: Reply) -> None:
            self._uses[number] -= 1
            done(reply)

        engine.submit(request, answered)

    def _prove(self, number: int) -> None:
        """Proves the program of a model that is in use. One model at a time: a proof takes up to a second."""
        with self._proving:
            engine = self._engines.get(number)
            if engine is not None and limits.free_memory() != 0:
                self._uses[number] += 1
                try:
                    log.info("model %s: %s", engine.metrics.name, engine.prove_fast_paths())
                finally:
                    self._uses[number] -= 1

    # ---- following the registry --------------------------------------------------------------------------------------

    def _follow_for_ever(self) -> None:
        held: dict[int, Entry] = {}
        while True:
            try:
                self._follow(held)
            except Exception:
                log.exception("following the list of models failed; trying again")
            self._changed.wait(POLL_SECONDS)
            self._changed.clear()

    def _follow(self, held: dict[int, Entry]) -> None:
        """Drops what is not listed any more, then loads what is, one by one: first what a request waits for."""
        while (entries := self.registry.entries()) is not self._followed:
            listed = {entry.number: entry for entry in entries.values()}
            for number in held.keys() - listed.keys():
                self._drop(held.pop(number))
            self._wanted &= listed.keys()
            missing = [e for n, e in listed.items() if n not in self._engines and not self._failed_lately(e)]
            if not missing:
                self._followed = None if self._failures else entries
                return
            entry = min(missing, key=lambda e: (e.number not in self._wanted, e.number))
            held[entry.number] = entry
            self._take(entry)

    def _failed_lately(self, entry: Entry) -> bool:
        _, since = self._failures.get(entry.number, (None, None))
        return since is not None and (not entry.loaded or time.monotonic() - since < RETRY_SECONDS)

    def _take(self, entry: Entry) -> None:
        self.registry.mark(entry, "loading")
        self._failures.pop(entry.number, None)
        with self.registry.lock("loading", lambda: time.sleep(POLL_SECONDS / 5)):
            current = self.registry.entries().get(entry.name)
            if current is None or current.number != entry.number:
                return
            try:
                engine = self._loaded(entry)
            except Exception as exc:  # noqa: BLE001 - a model may raise anything; it fails alone
                failure = _explained(exc, entry)
                exc.__traceback__ = exc.__cause__ = exc.__context__ = None  # its frames hold what was loaded so far
                time.sleep(POLL_SECONDS / 5)
                limits.give_back()
                log.error("model %s: %s", entry.name, failure.message)
                self._failures[entry.number] = failure, time.monotonic()
                self.registry.mark(entry, "failed", error=type(failure).__name__, message=failure.message)
                return
        self._engines[entry.number] = engine
        self.registry.mark(entry, "held")
        log.info("model %s: loaded from %s", entry.name, entry.url)

    def _loaded(self, entry: Entry) -> Engine:
        """The model's engine, ready. Raises InsufficientMemory, ModelNotUsable, or what else went wrong.

        Memory is looked at three times: the files' size before; a limit while the model is loaded, since compressed
        arrays grow; and what is left afterwards.
        """
        directory = Path(entry.url)
        room = limits.free_memory()
        size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        if room is not None and size > room:
            raise errors.InsufficientMemory(_short(entry, f"its files have {size / 2**20:.0f} MB", room))
        with limits.memory_limited(room):
            what = f"loading {entry.name}"
            method, fast = self.config.predict_method, self.config.fast_paths == "on"
            model = self._in_thread(lambda: loading.load(directory, method, several=True, compiled=fast), what)
            engine = Engine(model, self.config, entry.name)
            self._in_thread(engine.warm_up, what)
        try:
            if engine.not_ready is not None:
                raise ModelNotUsable(engine.not_ready)
            if limits.free_memory() == 0:
                raise errors.InsufficientMemory(_short(entry, "it was loaded and left less than the reserve", room))
        except Exception:
            model.close()
            raise
        engine.start(self._loop, self._reader, self._stuck)
        return engine

    def _in_thread(self, call: Callable[[], T], what: str) -> T:
        try:
            return self._loader.run(call, self.config.timeout)
        except GivenUp:
            self._stuck(f"{what} has not returned for {self.config.timeout} s")
            raise ModelNotUsable(
                f"{what} has not returned for {self.config.timeout} s (MODEL_SERVER_TIMEOUT)."
            ) from None

    def _drop(self, entry: Entry) -> None:
        """Answers what has come for it, then lets go of it and gives the memory back."""
        self._failures.pop(entry.number, None)
        engine = self._engines.pop(entry.number, None)
        if engine is not None:
            while self._uses[entry.number] > 0:
                time.sleep(POLL_SECONDS / 5)
            del self._uses[entry.number]
            self._proved.discard(entry.number)
            engine.stop()
            engine.model.close()
            del engine
            time.sleep(POLL_SECONDS / 5)  # what has just ended is in the loop's hands until it comes round
            limits.give_back()
            log.info("model %s: unloaded", entry.name)
        self.registry.unmark(entry)


def _explained(exc: Exception, entry: Entry) -> ServingError:
    """The error that the caller is told. A lack of memory may be the cause of any other exception."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, MemoryError):
            return errors.InsufficientMemory(_short(entry, "loading it needed more than there is", None))
        cause = cause.__cause__ or cause.__context__
    if isinstance(exc, ServingError):
        return exc
    return errors.LoadFailed(str(exc) if isinstance(exc, ModelNotUsable) else diagnosis.named(exc))


def _short(entry: Entry, why: str, room: int | None) -> str:
    left = "" if room is None else f" Before that {room / 2**20:.0f} MB could be taken."
    return f"The model {entry.name} does not fit into memory: {why}.{left} Unload another model, or use more memory."
