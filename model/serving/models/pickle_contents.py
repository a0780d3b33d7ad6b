"""What a pickle would import, found without importing or calling anything.

What pickle_reader.py finds is told at the build and in `train`. A known way to run commands is refused, and so is what
cannot be read to its end. It cannot prove that a pickle is harmless: a module that it may import can do anything.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import ModelNotUsable
from . import artifact, diagnosis, file_kinds, pickle_reader, python_code
from .pickle_reader import Contents, Name

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

OF_DILL = ("builtins", "setattr")
"""dill sets the attributes of a class by it, which it has made of functions that could do the same."""
CUT_OFF = "it is cut off"
"""What keeps a pickle from being read to its end, if nothing else does."""
ANY = "any"
"""Of the modules that a pickle may import: all, whether they can be told or not."""


def imports(path: Path) -> tuple[set[Name], str | None]:
    """The names that loading the file would import, and what kept it from being read to its end."""
    return _told(pickle_reader.read(path))


def _told(found: Contents) -> tuple[set[Name], str | None]:
    if found.problem is None:
        return found.names, None
    return found.names, CUT_OFF if diagnosis.is_cut_off(found.problem) else diagnosis.named(found.problem)[:200]


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
    not in `allowed` (modules, or ANY), for functions of another Python, and for what cannot be looked through."""
    read = pickle_reader.read(path)
    names, problem = _told(read)
    allowed = {module for module, _ in names} | {ANY} if ANY in allowed else set(allowed)
    of_dill = {OF_DILL} if any(module == "dill._dill" for module, _ in names) else set()
    commands = {name for name in names - of_dill if is_command(name) and name[0] not in allowed}
    refused = sorted(f"{module}.{name}" for module, name in commands)
    if refused:
        modules = sorted({module for module, _ in commands})
        raise ModelNotUsable(
            f"{path.name} would call {', '.join(refused[:5])} when it is loaded: a way to run commands, which a fitted "
            f"model does not need. If you know why it is there, set MODEL_SERVER_PICKLE_MAY_IMPORT={','.join(modules)}."
        )
    if made := python_code.maker(read.codes):
        raise ModelNotUsable(python_code.of_foreign(path.name, made))
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
