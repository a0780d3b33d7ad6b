"""Which models are loaded: one file that all workers read, and which worker holds which, as one small file each.

Only who has `lock` changes the list. Each worker makes what it holds equal to the list, as soon as it sees a change,
and marks what it holds; so whoever changes the list can wait until every worker has followed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..monitoring import health


@dataclass(frozen=True)
class Entry:
    """A model: `number` is never used again, `loaded` is false until every worker holds it."""

    number: int
    name: str
    url: str
    loaded: bool = False


class Registry:
    """`pid` is the worker that marks what it holds."""

    def __init__(self, runtime_dir: Path, pid: int) -> None:
        self.runtime_dir, self.pid = runtime_dir, pid
        self._list = runtime_dir / "models.json"
        self._marks = runtime_dir / "models"
        self._marks.mkdir(exist_ok=True)
        for stale in self._marks.glob(f"*.{pid}"):  # of a worker that has ended, whose pid we have now
            stale.unlink()
        self._seen: object = None
        self._entries: dict[str, Entry] = {}
        self._next = 1

    # ---- the list ----------------------------------------------------------------------------------------------------

    def entries(self) -> dict[str, Entry]:
        """The models by name, in the order of their loading."""
        try:
            state = self._list.stat()
        except FileNotFoundError:
            return {}
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        if seen != self._seen:
            content = json.loads(self._list.read_text())
            self._next = content["next"]
            self._entries = {row["name"]: Entry(**row) for row in content["models"]}
            self._seen = seen
        return self._entries

    def add(self, name: str, url: str) -> Entry:
        """A new entry, which the workers begin to load."""
        entries = self.entries()
        entry = Entry(self._next, name, url)
        self._write({**entries, name: entry}, self._next + 1)
        return entry

    def loaded(self, entry: Entry) -> None:
        self._write({**self.entries(), entry.name: replace(entry, loaded=True)}, self._next)

    def remove(self, *names: str) -> None:
        self._write({name: entry for name, entry in self.entries().items() if name not in names}, self._next)

    def _write(self, entries: dict[str, Entry], following: int) -> None:
        content = {"next": following, "models": [asdict(entry) for entry in entries.values()]}
        partial = self._list.with_suffix(f".{self.pid}")
        partial.write_text(json.dumps(content))
        os.replace(partial, self._list)

    # ---- marks -------------------------------------------------------------------------------------------------------

    def mark(self, entry: Entry, state: str, **more: Any) -> None:
        """This worker is `loading` the model, has it `held`, or `failed` to load it."""
        partial = self._list.with_suffix(f".{self.pid}")
        partial.write_text(json.dumps({"state": state, **more}))
        os.replace(partial, self._marks / f"{entry.number}.{self.pid}")

    def unmark(self, entry: Entry) -> None:
        """This worker no longer holds anything of it."""
        (self._marks / f"{entry.number}.{self.pid}").unlink(missing_ok=True)

    def marks(self, entry: Entry, pids: Iterable[int] | None = None) -> dict[int, dict[str, Any] | None]:
        """Process id → the worker's last mark of the model, None if it has none. By default of all living workers."""
        return {pid: self._mark(entry, pid) for pid in (health.living(self.runtime_dir) if pids is None else pids)}

    def _mark(self, entry: Entry, pid: int) -> dict[str, Any] | None:
        try:
            return json.loads((self._marks / f"{entry.number}.{pid}").read_text())  # type: ignore[no-any-return]
        except FileNotFoundError:
            return None

    # ---- locks -------------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, what: str, wait: Callable[[], None]) -> Iterator[None]:
        """Nobody else has the same lock. `wait` is called between attempts. The kernel frees it when its owner dies."""
        with (self.runtime_dir / f"{what}.lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    wait()
            yield
