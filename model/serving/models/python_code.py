"""Functions that cloudpickle and dill have put into a pickle: are they of this Python?

To another Python their instructions mean something else, and it obeys: wrong answers, or a crash. What is not plainly
of this Python is refused before it is loaded.
"""

from __future__ import annotations

import mmap
import opcode
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from ..errors import ModelNotUsable
from . import pickle_reader

MAKES_CODE = rb"CodeType|_create_code"
"""How a pickle that holds functions by value names what makes them: cloudpickle's and dill's words."""
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
BEGINS = {128: "3.14", 149: "3.13", 151: "3.11" if HERE == "3.12" else "3.12"}
"""The number of the instruction RESUME, by which a function begins since Python 3.11 → the Python, if not this one."""
BEFORE = {"COPY_FREE_VARS", "MAKE_CELL", "RETURN_GENERATOR", "POP_TOP", "EXTENDED_ARG"}
"""What may stand before it."""
OLD = "3.10 or older"


def refuse_foreign(path: Path) -> None:
    """Raises ModelNotUsable, with the Python that has made them, where functions in the file are not of this one."""
    if _mentions(path) and (made := maker(pickle_reader.read(path).codes)):
        raise ModelNotUsable(of_foreign(path.name, made))


def of_foreign(name: str, made: str) -> str:
    """`made`: the Python that has made them; "" if that is not known."""
    remedy = f"save the model again with Python {HERE}, or with its functions in a module beside predictor.py"
    if made == OLD:
        made = f"Python {OLD}, on which this server cannot run; here it is Python {HERE} (the image's PYTHON_VERSION)"
    else:
        remedy = f"build the image with --build-arg PYTHON_VERSION={made or '3.…'}, or {remedy}"
        made = f"{f'Python {made}' if made else 'another Python'}; here it is Python {HERE}"
    return f"{name} holds functions of {made}. Their code means something else to another Python: {remedy}."


def maker(codes: Iterable[bytes]) -> str:
    """The Python that has made these instructions; "" where they are this one's."""
    foreign = next((code for code in codes if not is_ours(code)), b"")
    pairs = [foreign[i : i + 2] for i in range(0, min(len(foreign), 24), 2)]
    return next((BEGINS[op] for op, argument in pairs if argument == 0 and op in BEGINS), OLD) if foreign else ""


def is_ours(code: bytes) -> bool:
    """Whether each instruction is one of this Python, with as much room after it as this Python keeps there."""
    begun, position = False, 0
    while position < len(code):
        number = code[position]
        name = opcode.opname[number]
        begun = begun or name == "RESUME"
        if name.startswith("<") or name == "CACHE" or not (begun or name in BEFORE):
            return False
        room = 2 * _room_after(number)
        if any(code[position + 2 : position + 2 + room : 2]):
            return False
        position += 2 + room
    return begun and position == len(code)


def _room_after(number: int) -> int:
    entries = opcode._inline_cache_entries  # type: ignore[attr-defined]  # by number; by name since 3.13
    return int(entries.get(opcode.opname[number], 0) if isinstance(entries, dict) else entries[number])


def _mentions(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return bool(re.search(MAKES_CODE, content))
