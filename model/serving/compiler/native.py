"""native.c by ctypes: the library, where it is built. The interpreter's lock is free while its functions run.

Optional: where the library is not built, not for this machine or not of this source, `available` is False, and callers
do the same in Python (bodies.py, walks.py, links.py). Answers are equal to the last bit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .build import LIBRARY, source_hash

Array = npt.NDArray[Any]
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""What runs a function on each of several parts."""
spread: Each = map
threads = 1
"""What runs the parts of much work, and in how many threads. A server sets what uses its CPUs; parts need no lock."""


class Reading(ctypes.Structure):
    """A body, or a slice of it, that becomes a matrix; what each field means is told in native.c."""

    _fields_ = (
        ("body", ctypes.c_void_p),
        ("end", ctypes.c_void_p),
        ("begin", ctypes.c_int64),
        ("size", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("out", ctypes.c_void_p),
        ("filled", ctypes.c_int64),
        ("row", ctypes.c_int64),
        ("column", ctypes.c_int64),
        ("deferred", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("whole", ctypes.c_int64),
    )


class Forest(ctypes.Structure):
    """Trees; their arrays must be sound (trees.py)."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("nodes", "roots", "columns", "values", "sets", "boundaries")),
        *((name, ctypes.c_int64) for name in ("tree_count", "width", "outputs", "features", "kind")),
    )
    kept: list[Array]
    """The arrays that it points into."""


def load(path: Path = LIBRARY) -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(str(path))
        built_from = ctypes.c_char_p.in_dll(found, "source_hash").value
        if built_from != source_hash().encode():
            return None
    except (OSError, ValueError, AttributeError):
        return None
    for name in ("csv_matrix", "json_matrix"):
        getattr(found, name).argtypes = [ctypes.POINTER(Reading)]
        getattr(found, name).restype = ctypes.c_int64
    found.count_of.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32]
    found.count_of.restype = ctypes.c_int64
    found.trees_walk.argtypes = [
        *(ctypes.POINTER(Forest), ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64),
        *(ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64),
    ]
    found.trees_walk.restype = None
    for name in ("exp_doubles", "exp_floats"):
        getattr(found, name).argtypes = [ctypes.c_void_p, ctypes.c_int64]
        getattr(found, name).restype = None
    return found


library = load()
available = library is not None


def exp(values: Array) -> Array | None:
    """C's exp of each of an array of float64, its expf of each of an array of float32; None without the library."""
    if library is None:
        return None
    out = np.array(values, order="C")
    {np.dtype(np.float64): library.exp_doubles, np.dtype(np.float32): library.exp_floats}[out.dtype](
        out.ctypes.data, out.size
    )
    return out
