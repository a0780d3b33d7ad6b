"""model.compiled.npz beside the pickle: the program, what it was proven with, and what the model expects of rows.

It is used only where the pickle's hash, the versions of the libraries and the machine's kind are those of the proof;
else it is ignored with a line in the log. Reading it checks everything: a file from anybody is safe to read.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import platform
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..rows.signature import Column, Signature
from . import native
from .build import source_hash
from .evaluate import evaluators
from .operations import Unsound, must
from .program import Program, from_arrays, read, to_arrays, write
from .proof import Proven

FORMAT = 2
SUFFIX = ".compiled.npz"
LIBRARIES = ("numpy", "scikit-learn", "scipy", "xgboost", "lightgbm")
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Compiled:
    """A program and for what it was proven. `name`: the class of the estimator."""

    program: Program
    proven: Proven
    name: str

    @functools.cached_property
    def evaluators(self) -> dict[str, Callable[[Any], Any]]:
        """For each method. Made before a fork, their arrays are shared."""
        return evaluators(self.program, self.natively)

    def evaluators_with(self, estimator: Callable[[], Any]) -> dict[str, Callable[[Any], Any]]:
        """The same; those of a partial program ask the estimator."""
        if self.program.is_partial:
            return evaluators(self.program, self.natively, estimator)
        return self.evaluators

    @property
    def natively(self) -> bool:
        return self.proven.natively and native.available

    def describe(self) -> str:
        rest = "; the last steps by themselves" if self.program.is_partial else ""
        return f"{self.name} ({', '.join(self.program.methods)}{rest})"


def path_beside(pickle: Path) -> Path:
    return pickle.with_name(pickle.stem + SUFFIX)


def save(compiled: Compiled, signature: Signature, pickle: Path, module: str, path: Path | None = None) -> Path:
    """Writes the artifact of a pickle, whole or not at all. `module`: of the estimator's class. Raises OSError, or
    TypeError where the signature has values that JSON has not."""
    path = path or path_beside(pickle)
    about = {
        "format": FORMAT,
        "pickle": _hash(pickle),
        "machine": platform.machine(),
        "versions": {name: version for name in _libraries(module) if (version := _version(name))},
        "model": compiled.name,
        "dtypes": compiled.proven.dtypes,
        "native": source_hash() if compiled.proven.natively else "",
        "signature": _as_json(signature),
    }
    text = json.dumps(about, default=_plain).encode()
    partial = path.with_name(f".{path.name}.partial")
    write(partial, {"about": np.frombuffer(text, np.uint8), **to_arrays(compiled.program)})
    partial.chmod(0o644)  # the container that serves it may run as another user
    partial.replace(path)
    return path


def find(pickle: Path) -> tuple[Compiled, Signature] | None:
    """What was compiled of this pickle, if it fits; a line in the log says why it does not."""
    path = path_beside(pickle)
    try:
        stat, model = path.stat(), pickle.stat()
    except OSError:
        return None
    return _find(path, pickle, stat.st_mtime_ns, stat.st_size, model.st_mtime_ns, model.st_size)


@functools.lru_cache(maxsize=1)  # the server asks twice: whether the pickle must be read, and for the program
def _find(path: Path, pickle: Path, *_: int) -> tuple[Compiled, Signature] | None:
    try:
        arrays = read(path)
        about = json.loads(arrays["about"].tobytes())
        stale = _stale(about, pickle)
        if stale:
            log.info("%s is ignored: %s; `python -m serving compile` makes it anew", path.name, stale)
            return None
        program = from_arrays(arrays)
        dtypes = tuple(about["dtypes"])
        must(set(dtypes) <= {"float64", "float32", "int64"} and "float64" in dtypes, "types of numbers")
        natively = native.available and about["native"] == source_hash()
        found = Compiled(program, Proven(dtypes, natively), str(about["model"]))
        must(found.evaluators, "no method")  # native code looks at its arrays too
        return found, _from_json(about["signature"])
    except (Unsound, KeyError, TypeError, ValueError, AttributeError, RecursionError) as exc:
        log.warning("%s is ignored: it is damaged (%s)", path.name, exc)
        return None


forget = _find.cache_clear
"""Lets go of what was found: who has loaded it holds it."""


def _stale(about: dict[str, Any], pickle: Path) -> str:
    """Why it does not fit; empty if it does."""
    if about["format"] != FORMAT:
        return f"its format is {about['format']}, not {FORMAT}"
    if about["machine"] != platform.machine():
        return f"it was made on {about['machine']}"
    for name, version in about["versions"].items():
        if _version(name) != version:
            return f"it was made with {name} {version}, and {_version(name) or 'none'} is installed"
    return "" if about["pickle"] == _hash(pickle) else f"{pickle.name} has changed since"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _libraries(module: str) -> Iterable[str]:
    """Those whose results the proof compared with."""
    return [name for name in LIBRARIES if name not in ("xgboost", "lightgbm") or module.startswith(name)]


@functools.cache
def _version(library: str) -> str:
    """Without importing it. A package of another name may bring it (xgboost-cpu)."""
    for name in (library, f"{library}-cpu"):
        with suppress(metadata.PackageNotFoundError, ValueError):
            return metadata.version(name)
    return ""


def _as_json(signature: Signature) -> dict[str, Any]:
    return {"form": signature.form, "columns": [dataclasses.asdict(column) for column in signature.columns or ()]}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in the signature")


def _from_json(content: dict[str, Any]) -> Signature:
    columns = []
    for column in content["columns"]:
        known, usual = column.pop("categories"), tuple(column.pop("usual"))
        columns.append(Column(**column, categories=None if known is None else tuple(known), usual=usual))
    must(content["form"] in ("frame", "array"), "a signature")
    return Signature(content["form"], tuple(columns))
