"""Files that several processes read and write. Whoever reads them trusts neither their names nor what is in them:
the user's model runs in the processes that write them.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

LARGEST = 16 * 2**20


def write_whole(path: Path, text: str) -> None:
    """Whoever reads the file sees the old text or the new one. Raises OSError."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(partial, path)


def read(path: Path) -> str:
    """The text of a regular file, however strange its bytes. Raises OSError for anything else, and for one too large.
    It never waits, as a FIFO would let it."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode) or state.st_size > LARGEST:
            raise OSError(f"{path} is not a regular file of at most {LARGEST} bytes")
        return os.read(handle, LARGEST).decode("utf-8", "replace")
    finally:
        os.close(handle)


def of_workers(directory: Path) -> dict[int, Path]:
    """Process id → the file with that name. Files with other names are left out."""
    try:
        names = os.listdir(directory)
    except OSError:
        return {}
    return {int(name): directory / name for name in sorted(names) if re.fullmatch(r"[1-9][0-9]{0,8}", name, re.ASCII)}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is another user's, so it is there
    return True
