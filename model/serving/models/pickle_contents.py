"""What a pickle would import, found without importing or calling anything.

The opcodes are read by Python's own reader of pickles, with inert stand-ins for whatever the pickle names. What is
found is told at the build and in `train`. A known way to run commands is refused, and so is what cannot be read to its
end. It cannot prove that a pickle is harmless: a module that it may import can do anything.
"""

# mypy: disable-error-code="attr-defined,misc,assignment,unused-ignore"
from __future__ import annotations

import bz2
import gzip
import importlib
import importlib.metadata
import io
import lzma
import pickle
import re
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from ..errors import ModelNotUsable
from . import artifact, diagnosis, file_kinds

COMMANDS = {
    "os", "posix", "nt", "subprocess", "pty", "shutil", "socket", "runpy", "code", "codeop", "importlib", "imp",
    "ctypes", "webbrowser", "commands", "popen2", "platform", "multiprocessing", "asyncio", "bdb", "pdb",
    "cProfile", "profile", "timeit", "trace", "pip", "pickle", "_pickle", "marshal", "shelve", "urllib", "http",
    "requests", "httpx", "sys", "signal", "resource", "tempfile", "ensurepip", "venv", "zipimport", "pkgutil",
    "pydoc", "doctest", "unittest", "_posixsubprocess", "_ctypes", "_socket", "_xxsubinterpreters",
    "_interpreters", "numpy.testing", "numpy.f2py", "numpy.distutils", "torch.hub", "torch.utils.cpp_extension",
    "pandas.io.pickle",
}  # fmt: skip
"""Modules of which a fitted model needs nothing, and by which a pickle runs commands or fetches code."""

BUILTINS = {
    "eval", "exec", "compile", "open", "__import__", "input", "breakpoint", "globals", "locals", "vars", "setattr",
    "delattr",
}  # fmt: skip
CALLS = {(module, name) for module in ("builtins", "__builtin__") for name in BUILTINS} | {
    *(("io", "open"), ("_io", "open"), ("operator", "methodcaller"), ("operator", "attrgetter")),
    *(("joblib", "load"), ("joblib.numpy_pickle", "load"), ("numpy", "load"), ("torch", "load")),
}
"""Single functions of the same kind."""

USUAL = {
    "sklearn", "numpy", "scipy", "pandas", "pyarrow", "joblib", "builtins", "__builtin__", "copy_reg", "copyreg",
    "__main__",
    "_codecs", "collections", "datetime", "functools", "re", "decimal", "fractions", "types", "operator",
    "_operator", "enum", "pathlib", "uuid", "itertools", "math", "random", "string", "threading", "array",
    "zoneinfo", "_loss", "_sgd_fast", "abc", "dataclasses", "typing", "_collections",
}  # fmt: skip
"""Top modules of scikit-learn's world and harmless ones of Python's own."""

OPENERS: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZ", bz2.BZ2File),
    (b"\xfd7z", lzma.LZMAFile),
    (b"\x5d\x00", lzma.LZMAFile),
    (b"\x04\x22\x4d\x18", lambda file: importlib.import_module("lz4.frame").open(file)),
    (b"\x78", lambda file: io.BytesIO(zlib.decompress(file.read()))),
)
"""How a compressed file begins → what reads it."""

Name = tuple[str, str]
CUT_OFF = "it is cut off"
"""What keeps a pickle from being read to its end, if nothing else does."""
ANY = "any"
"""Of the modules that a pickle may import: all, whether they can be told or not."""


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
    """Python's reader in Python; `names` collects what it was asked to import."""

    def __init__(self, file: IO[bytes], names: set[Name]) -> None:
        super().__init__(file)
        self.file, self.names = file, names

    def find_class(self, module: str, name: str) -> type[Thing]:
        self.names.add((module, name))
        return type(name[:40], (Thing,), {"named": f"{module}.{name}"})

    def get_extension(self, code: int) -> None:
        self.names.add(("copyreg", f"extension {code}"))
        self.append(Thing())

    def persistent_load(self, pid: Any) -> Thing:
        return Thing()

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = Thing(*arguments) if isinstance(arguments, tuple) else Thing()

    def load_newobj(self) -> None:
        """Of a class that the pickle itself has made (cloudpickle), an object stands here, not a class."""
        arguments = self.stack.pop()
        self.stack[-1] = self.stack[-1](*arguments)

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_newobj()

    def load_build(self) -> None:
        state = self.stack.pop()
        thing = self.stack[-1]
        if getattr(thing, "named", "") == "joblib.numpy_pickle.NumpyArrayWrapper" and isinstance(state, dict):
            self._skip_array(state)

    def _skip_array(self, state: dict[str, Any]) -> None:
        """joblib writes an array's bytes between the opcodes; of an array of objects, a pickle of its own."""
        arguments = getattr(state.get("dtype"), "arguments", ())
        known = re.fullmatch(r"[<>|=]?([a-zA-Z])(\d*)", str(arguments[0])) if arguments else None
        kind, size = known.groups() if known else ("O", "")
        if kind == "O":
            Reader(self.file, self.names).load()
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self.file.read(self.file.read(1)[0])
        count = int(size or 1) * (4 if kind == "U" else 1)
        for length in state["shape"]:
            count *= length
        self.file.seek(count, io.SEEK_CUR)

    dispatch = pickle._Unpickler.dispatch | {
        pickle.REDUCE[0]: load_reduce,
        pickle.BUILD[0]: load_build,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
    }


def imports(path: Path) -> tuple[set[Name], str | None]:
    """The names that loading the file would import, as (module, name); and what kept it from being read to its end."""
    names: set[Name] = set()
    try:
        with path.open("rb") as file:
            start = file.peek(6)[:6]
            opened = next((opener(file) for magic, opener in OPENERS if start.startswith(magic)), file)
            Reader(opened, names).load()
    except Exception as exc:  # noqa: BLE001 - any bytes may be in it
        if diagnosis.is_cut_off(exc):
            return names, CUT_OFF
        return names, " ".join(f"{type(exc).__name__}: {exc}".split())[:200]
    return names, None


def is_command(name: Name) -> bool:
    """Whether it is one of the known ways to run commands or to fetch code."""
    module, attribute = name
    parts = module.split(".")
    above = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return bool(above & COMMANDS) or (module, attribute.partition(".")[0]) in CALLS


def unknown(names: Iterable[Name], own: Iterable[Path], requirements: Path) -> list[str]:
    """The top modules that neither scikit-learn's world, the requirements nor the user's own files explain."""
    tops = {module.partition(".")[0] for module, _ in names} - USUAL
    tops -= {path.stem for path in own} | {path.name for path in own}
    listed = requirements.read_text(errors="replace") if requirements.is_file() else ""
    wanted = {_normal(match) for match in re.findall(r"^\s*([A-Za-z0-9][\w.-]*)", listed, re.MULTILINE)}
    if not tops:
        return []
    installed = importlib.metadata.packages_distributions()
    return sorted(top for top in tops if not wanted & {_normal(name) for name in installed.get(top, [top])})


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def look(path: Path, program_dir: Path, allowed: Iterable[str] = ()) -> list[str]:
    """Lines that say what a pickle imports besides the usual. Raises ModelNotUsable for a way to run commands that is
    not in `allowed` (modules, or ANY), and for what cannot be looked through."""
    names, problem = imports(path)
    allowed = {module for module, _ in names} | {ANY} if ANY in allowed else set(allowed)
    commands = {name for name in names if is_command(name) and name[0] not in allowed}
    refused = sorted(f"{module}.{name}" for module, name in commands)
    if refused:
        modules = sorted({module for module, _ in commands})
        raise ModelNotUsable(
            f"{path.name} would call {', '.join(refused[:5])} when it is loaded: a way to run commands, which a fitted "
            f"model does not need. If you know why it is there, set MODEL_SERVER_PICKLE_MAY_IMPORT={','.join(modules)}."
        )
    if problem == CUT_OFF and ANY not in allowed:
        raise ModelNotUsable(
            f"{diagnosis.of_cut_off(path)} (Where it loads all the same, it cannot be looked through: if you trust it, "
            f"set MODEL_SERVER_PICKLE_MAY_IMPORT={ANY}.)"
        )
    if problem is not None and ANY not in allowed:
        raise ModelNotUsable(
            f"{path.name} cannot be looked through to its end, so it may import anything ({problem}). It is damaged, "
            "or written in an unusual way: save the model again with joblib.dump. If you trust it, set "
            f"MODEL_SERVER_PICKLE_MAY_IMPORT={ANY}."
        )
    own = [*program_dir.iterdir(), *path.parent.iterdir()]
    named = {name for name in names if name[0] not in allowed}
    found = unknown(named, own, program_dir / "requirements.txt")
    notes = [
        f"{path.name} imports {name}, which is neither in requirements.txt nor beside predictor.py. If it is a "
        "package, list it there; if you do not know why the model needs it, do not load this file."
        for name in found
    ]
    if problem is not None:
        notes.append(f"{path.name} cannot be looked through to its end ({problem})")
    return notes


def look_in(directory: Path, program_dir: Path, allowed: Iterable[str] = ()) -> list[str]:
    """As `look`, at every pickle of a model's directory."""
    notes = []
    for path in artifact.pickles_in(directory):
        file_kinds.refuse_what_is_no_pickle(path)
        notes += look(path, program_dir, allowed)
    return notes
