"""Several models in one server: loaded, listed, asked and unloaded while it runs, the same in all workers.

Whichever worker is told to load or unload changes the registry and waits until every worker has followed: what was
answered with 200 is true everywhere. A model that one worker cannot load is dropped by all. Models are loaded one at
a time, each in a thread, while requests for the others are answered.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .. import errors, limits
from ..batching import answering
from ..batching.engine import Done, Engine
from ..batching.loop import GivenUp, Loop, Thread
from ..batching.messages import Reply, Request
from ..errors import ModelNotUsable, ServingError
from ..models import diagnosis, loading
from ..settings import Settings
from .registry import Entry, Registry
from .wishes import wish

POLL_SECONDS = 0.025
RETRY_SECONDS = 5
"""A worker that could not load a model that the others hold (it was short of memory) tries again."""
PAGE = 100
"""Most models in one reply of GET /models, as the platform's own model server has it."""
T = TypeVar("T")
log = logging.getLogger(__name__)


class Models:
    """What one worker holds. `start` after the fork; the rest where a call may wait, but `submit`, which does not."""

    def __init__(self, config: Settings) -> None:
        self.config = config
        self._engines: dict[int, Engine] = {}
        self._failures: dict[int, tuple[ServingError, float]] = {}
        self._wanted: set[int] = set()
        self._uses: Counter[int] = Counter()
        """Requests that are being answered (and the proof, while it is made), by the model's number."""
        self._proved: set[int] = set()
        self._proving = threading.Lock()
        self._changed = threading.Event()
        self._followed: Mapping[str, Entry] | None = None
        """The list that this worker holds in full: until it changes there is nothing to do."""

    @property
    def engines(self) -> Collection[Engine]:
        """Those of now, whenever it is looked through."""
        return self._engines.values()

    def start(self, runtime_dir: Path, loop: Loop, reader: Thread, stuck: Callable[[str], None]) -> None:
        """Begins to hold what the registry says. `stuck` is told when a load or a prediction does not return."""
        self._loop, self._reader, self._stuck = loop, reader, stuck
        self._loader = loop.thread()
        self.registry = Registry(runtime_dir, os.getpid())
        with suppress(BlockingIOError), self.registry.lock("change", _not_now):
            self._forget_what_was_not_finished()
        self._loop.soon(self._follow_for_ever)

    # ---- what the platform asks for ----------------------------------------------------------------------------------

    def load(self, body: bytes, request_id: str) -> Reply:
        """POST /models."""

        def loading() -> Mapping[str, Any]:
            name, url = wish(body, self.config.models_dir)
            with self._changing(f"loading {name}") as deadline:
                if name in self.registry.entries():
                    raise errors.ModelAlreadyLoaded(f"A model {name} is loaded already. DELETE it first.")
                entry = self.registry.add(name, str(url))
                try:
                    self._until_held(entry, deadline)
                except BaseException:
                    self.registry.remove(name)
                    self._until_gone(entry, deadline)
                    raise
                self.registry.loaded(entry)
            return _shown(entry)

        return _reply(loading, request_id)

    def unload(self, name: str, request_id: str) -> Reply:
        """DELETE /models/NAME."""

        def unloading() -> Mapping[str, Any]:
            with self._changing(f"unloading {name}") as deadline:
                entry = self._entry(name)
                self.registry.remove(name)
                self._until_gone(entry, deadline)
            return _shown(entry)

        return _reply(unloading, request_id)

    def describe(self, name: str, request_id: str) -> Reply:
        """GET /models/NAME."""
        return _reply(lambda: _shown(self._entry(name)), request_id)

    def listed(self, token: str | None, limit: str | None, request_id: str) -> Reply:
        """GET /models. The token is the number of the last model that was listed."""

        def listing() -> Mapping[str, Any]:
            after, most = _whole(token, "next_page_token", 0), min(_whole(limit, "limit", PAGE), PAGE)
            if most == 0:
                raise errors.BadRequest("limit: expected a whole number from 1 to 100.", got=limit)
            later = [e for e in self.registry.entries().values() if e.loaded and e.number > after]
            page: dict[str, Any] = {"models": [_shown(entry) for entry in later[:most]]}
            if len(later) > most:
                page["nextPageToken"] = str(later[most - 1].number)
            return page

        return _reply(listing, request_id)

    def submit(self, name: str, request: Request, done: Done) -> None:
        """POST /models/NAME/invoke: all as Engine.submit."""
        try:
            entry = self._entry(name)
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            done(answering.refuse(exc, request))
            return
        engine = self._engines.get(entry.number)
        if engine is None:
            self._loop.soon(partial(self._submit_later, entry, request, done))
        else:
            self._submit(entry.number, engine, request, done)

    def _submit_later(self, entry: Entry, request: Request, done: Done) -> None:
        try:
            engine = self._awaited(entry)
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            done(answering.refuse(exc, request))
        else:
            self._submit(entry.number, engine, request, done)

    def _submit(self, number: int, engine: Engine, request: Request, done: Done) -> None:
        if number not in self._proved:
            self._proved.add(number)
            self._loop.soon(partial(self._prove, number))
        self._uses[number] += 1

        def answered(reply: Reply) -> None:
            self._uses[number] -= 1
            done(reply)

        engine.submit(request, answered)

    def _prove(self, number: int) -> None:
        """The program of a model that is asked at all, one model after the other: a proof costs up to a second."""
        with self._proving:
            engine = self._engines.get(number)
            if engine is not None and limits.free_memory() != 0:
                self._uses[number] += 1
                try:
                    log.info("model %s: %s", engine.metrics.name, engine.prove_fast_paths())
                finally:
                    self._uses[number] -= 1

    def _entry(self, name: str) -> Entry:
        entry = self.registry.entries().get(name)
        if entry is None or not entry.loaded:
            raise errors.ModelNotLoaded(f"No model {name} is loaded. Load it by POST /models; GET /models lists them.")
        return entry

    def _awaited(self, entry: Entry) -> Engine:
        """The engine of a model that the others hold: this worker is new, and is loading it."""
        self._wanted.add(entry.number)
        deadline = time.monotonic() + self.config.timeout
        while (engine := self._engines.get(entry.number)) is None:
            if entry.number in self._failures:
                raise self._failures[entry.number][0]
            self._entry(entry.name)
            _pause(deadline, f"this worker is still loading {entry.name}", self.config.timeout)
        return engine

    # ---- a change, and waiting for all workers -----------------------------------------------------------------------

    @contextmanager
    def _changing(self, what: str) -> Iterator[float]:
        """One change at a time. Gives the time by which it must be done."""
        deadline = time.monotonic() + self.config.timeout
        with self.registry.lock("change", lambda: _pause(deadline, f"{what} had to wait", self.config.timeout)):
            self._forget_what_was_not_finished()
            yield deadline

    def _forget_what_was_not_finished(self) -> None:
        """Who has the lock and sees a model that is being loaded has survived the worker that was to load it."""
        self.registry.remove(*(entry.name for entry in self.registry.entries().values() if not entry.loaded))

    def _until_held(self, entry: Entry, deadline: float) -> None:
        """Raises what kept a worker from loading the model."""
        present = self.registry.marks(entry).keys()
        while True:
            self._changed.set()
            marks = self.registry.marks(entry)
            failures = [mark for mark in marks.values() if mark is not None and mark["state"] == "failed"]
            if failures:
                raise getattr(errors, failures[0]["error"])(failures[0]["message"])
            lost = self.registry.marks(entry, present - marks.keys())
            if any(mark is not None and mark["state"] == "loading" for mark in lost.values()):
                raise errors.InsufficientMemory(
                    f"A worker process ended while it loaded {entry.name}: the memory was exhausted, or native code "
                    "crashed. The log may tell."
                )
            present = marks.keys()
            if all(mark is not None and mark["state"] == "held" for mark in marks.values()):
                return
            _pause(deadline, f"{entry.name} is not loaded by all workers", self.config.timeout)

    def _until_gone(self, entry: Entry, deadline: float) -> None:
        while any(self.registry.marks(entry).values()):
            self._changed.set()
            _pause(deadline, f"{entry.name} is still in use", self.config.timeout)

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

        The size of the files says early what cannot fit; what a file does not show (compressed arrays) meets the limit
        while it is loaded; what was taken beside it is looked at afterwards.
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
            while self._uses[entry.number]:
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


def _whole(text: str | None, name: str, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise errors.BadRequest(f"{name}: expected a whole number.", got=text)
    return int(text)


def _shown(entry: Entry) -> dict[str, str]:
    return {"modelName": entry.name, "modelUrl": entry.url}


def _reply(call: Callable[[], Mapping[str, Any]], request_id: str) -> Reply:
    try:
        return Reply(200, json.dumps(call()).encode())
    except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
        return answering.refuse(exc, Request(b"", request_id=request_id))


def _pause(deadline: float, what: str, timeout: int) -> None:
    if time.monotonic() > deadline:
        raise errors.PredictionTimeout(f"Not done within {timeout} s (MODEL_SERVER_TIMEOUT): {what}. Try again.")
    time.sleep(POLL_SECONDS / 5)


def _not_now() -> None:
    raise BlockingIOError


def _explained(exc: Exception, entry: Entry) -> ServingError:
    """In the words of the caller. Memory that is not there may come as any exception's cause."""
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
