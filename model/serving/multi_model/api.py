"""Several models in one server: loaded, listed, asked and unloaded while it runs, the same in all workers.

Whichever worker is told to load or unload changes the registry and waits until every worker has followed: what was
answered with 200 is true everywhere. A model that one worker cannot load is dropped by all. following.py has what a
worker does for that.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from .. import errors
from ..batching import answering
from ..batching.engine import Done, Engine
from ..batching.loop import Loop, Thread
from ..batching.messages import Reply, Request
from ..rows.signature import Signature
from ..settings import Settings
from .following import POLL_SECONDS, HeldModels
from .registry import Entry, Registry
from .wishes import wish

PAGE = 100
"""Most models in one reply of GET /models, as the platform's own model server has it."""


class Models:
    """Call `start` after the fork. The others may wait, but `submit` does not."""

    def __init__(self, config: Settings) -> None:
        self.config, self.held = config, HeldModels(config)

    @property
    def engines(self) -> Collection[Engine]:
        """A view: always those that are held now."""
        return self.held.engines

    def start(self, runtime_dir: Path, loop: Loop, reader: Thread, stuck: Callable[[str], None]) -> None:
        """Begins to hold what the registry says. `stuck` is told when a load or a prediction does not return."""
        self._loop = loop
        self.registry = Registry(runtime_dir, os.getpid())
        with suppress(BlockingIOError), self.registry.lock("change", _not_now):
            self._forget_what_was_not_finished()
        self.held.start(self.registry, loop, reader, stuck)

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

    def signatures(self) -> dict[str, Signature]:
        """What each loaded model expects, by its name; a worker that has just come may not hold all of them yet."""
        loaded = [entry for entry in self.registry.entries().values() if entry.loaded]
        return {e.name: engine.model.signature for e in loaded if (engine := self.held.engine(e)) is not None}

    def submit(self, name: str, request: Request, done: Done) -> None:
        """POST /models/NAME/invoke. The same as Engine.submit, for a model by its name."""
        try:
            entry = self._entry(name)
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            done(answering.refuse(exc, request))
            return
        engine = self.held.engine(entry)
        if engine is None:
            self._loop.soon(partial(self._submit_later, entry, request, done))
        else:
            self.held.submit(entry, engine, request, done)

    def _submit_later(self, entry: Entry, request: Request, done: Done) -> None:
        try:
            engine = self._awaited(entry)
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            done(answering.refuse(exc, request))
        else:
            self.held.submit(entry, engine, request, done)

    def _entry(self, name: str) -> Entry:
        entry = self.registry.entries().get(name)
        if entry is None or not entry.loaded:
            raise errors.ModelNotLoaded(f"No model {name} is loaded. Load it by POST /models; GET /models lists them.")
        return entry

    def _awaited(self, entry: Entry) -> Engine:
        """The engine of a model that the others hold: this worker is new, and is loading it."""
        deadline = time.monotonic() + self.config.timeout
        while (engine := self.held.wanted(entry)) is None:
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
        """Ask it with the lock: a model that is still being loaded then was left by a worker that has ended."""
        self.registry.remove(*(entry.name for entry in self.registry.entries().values() if not entry.loaded))

    def _until_held(self, entry: Entry, deadline: float) -> None:
        """Raises what kept a worker from loading the model."""
        present = self.registry.marks(entry).keys()
        while True:
            self.held.look()
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
            self.held.look()
            _pause(deadline, f"{entry.name} is still in use", self.config.timeout)


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
