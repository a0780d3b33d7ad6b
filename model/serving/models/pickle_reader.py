"""Reads a pickle without importing or calling anything: Python's own reader of pickles, with inert stand-ins for
whatever the pickle names. Any bytes may be in it, and reading may end with any exception."""

# mypy: disable-error-code="attr-defined,misc,assignment,unused-ignore"
from __future__ import annotations

import io
import pickle
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from . import file_kinds

Name = tuple[str, str]


@dataclass
class Contents:
    """What a pickle holds, as far as it could be read."""

    names: set[Name] = field(default_factory=set)
    """What loading it would import, as (module, name)."""
    codes: list[bytes] = field(default_factory=list)
    """The instructions of functions that it holds by value."""
    scikit_learn: list[str] = field(default_factory=list)
    """The versions that its estimators say they were made with."""
    problem: Exception | None = None
    """What kept it from being read to its end."""


def read(path: Path) -> Contents:
    """The contents of the file, which may be compressed. It does not raise for what is in the file."""
    found = Contents()
    try:
        with path.open("rb") as file:
            Reader(file_kinds.unpacked(file), found).load()
    except Exception as exc:  # noqa: BLE001 - any bytes may be in it
        found.problem = exc
    return found


class Thing:
    """Stands for every class, function and object of a pickle: takes everything, does nothing."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.arguments, self.state = arguments, None

    def __call__(self, *arguments: Any, **named: Any) -> Thing:
        return Thing(*arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def nothing(self, *arguments: Any) -> None:
        """Appends, adds or sets an item."""

    append = extend = add = update = __setitem__ = nothing


class Reader(pickle._Unpickler):
    """Python's reader in Python; `found` collects what it has seen."""

    def __init__(self, file: IO[bytes], found: Contents) -> None:
        super().__init__(file)
        self.file, self.found = file, found

    def find_class(self, module: str, name: str) -> type[Thing]:
        self.found.names.add((module, name))
        return type(name[:40], (Thing,), {"named": f"{module}.{name}"})

    def get_extension(self, code: int) -> None:
        self.found.names.add(("copyreg", f"extension {code}"))
        self.append(Thing())

    def persistent_load(self, pid: Any) -> Thing:
        return Thing()

    def load_reduce(self) -> None:
        """The class or function may be one that the pickle has made itself: a stand-in, not a class."""
        arguments = self.stack.pop()
        made = self.stack[-1] if isinstance(self.stack[-1], type) else Thing
        self.stack[-1] = made(*arguments) if isinstance(arguments, tuple) else made()
        if isinstance(arguments, tuple) and (code := _code_in(arguments)):
            self.found.codes.append(code)

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_reduce()

    def load_build(self) -> None:
        state = self.stack.pop()
        if isinstance(state, dict) and isinstance(version := state.get("_sklearn_version"), str):
            self.found.scikit_learn.append(version)
        thing = self.stack[-1]
        if getattr(thing, "named", "") == "joblib.numpy_pickle.NumpyArrayWrapper" and isinstance(state, dict):
            self._skip_array(state)

    def _skip_array(self, state: dict[str, Any]) -> None:
        """joblib writes an array's bytes between the opcodes; of an array of objects, a pickle of its own."""
        arguments = getattr(state.get("dtype"), "arguments", ())
        known = re.fullmatch(r"[<>|=]?([a-zA-Z])(\d*)", str(arguments[0])) if arguments else None
        kind, size = known.groups() if known else ("O", "")
        if kind == "O":
            Reader(self.file, self.found).load()
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self.file.read(self.file.read(1)[0])
        count = int(size or 1) * (4 if kind == "U" else 1)
        for length in state["shape"]:
            count *= length
        self.file.seek(count, io.SEEK_CUR)

    dispatch = pickle._Unpickler.dispatch | {
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_reduce,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
    }


def _code_in(arguments: tuple[Any, ...]) -> bytes | None:
    """The instructions, where these are what makes a function's code: some numbers, the instructions, its constants."""
    numbers = 0
    for this, following in pairwise(arguments):
        if isinstance(this, bytes) and isinstance(following, tuple) and numbers > 3:
            return this
        numbers += isinstance(this, int)
    return None
