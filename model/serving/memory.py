"""How much memory this process may still take: what the system has, cut by the cgroup's limit (v2 or v1).

The kernel ends a process of a container that goes over its limit, without a word. Whoever is about to take much
looks here first, and takes it within `limited`: what does not fit is then a MemoryError.
"""

from __future__ import annotations

import ctypes
import gc
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import cgroups

SMALLEST_RESERVE = 48 * 2**20
RESERVE = 0.05
"""Share of the memory that is left free, for requests and predictions."""


def available(root: Path = Path("/")) -> int | None:
    """Bytes above the reserve that can still be taken, at least 0; None where the system does not tell."""
    system = _fields(root / "proc/meminfo", unit=1024)
    if "MemAvailable" not in system:
        return None
    total, free = system["MemTotal"], system["MemAvailable"]
    for directory in cgroups.directories("memory", root):
        limit = _number(directory / "memory.max") or _number(directory / "memory.limit_in_bytes")
        used = _number(directory / "memory.current") or _number(directory / "memory.usage_in_bytes")
        if limit is not None and used is not None and limit < system["MemTotal"]:
            total = min(total, limit)
            free = min(free, limit - used + _reclaimable(directory))
    return max(0, free - max(SMALLEST_RESERVE, int(RESERVE * total)))


@contextmanager
def limited(more: int | None) -> Iterator[None]:
    """Within it, this process gets at most so many more bytes; then MemoryError. None: as many as there are."""
    if more is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    held = _fields(Path("/proc/self/status"), unit=1024)["VmData"]
    resource.setrlimit(resource.RLIMIT_DATA, (held + more if hard < 0 else min(held + more, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def give_back() -> None:
    """Frees what is unreachable, and gives what is free back to the system: the allocator would keep it."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def _reclaimable(directory: Path) -> int:
    """Pages of files that the kernel can drop. Those that are mapped are in use: models that the workers share."""
    stat = _fields(directory / "memory.stat", unit=1)
    if "total_inactive_file" in stat:  # v1
        return max(0, stat["total_inactive_file"] + stat["total_active_file"] - stat["total_mapped_file"])
    return max(0, stat.get("inactive_file", 0) + stat.get("active_file", 0) - stat.get("file_mapped", 0))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such controller here, or "max"
        return None


def _fields(path: Path, unit: int) -> dict[str, int]:
    try:
        text = path.read_text()
    except OSError:
        return {}
    return {name: int(number) * unit for name, number in re.findall(r"^(\w+):?\s+(\d+)", text, re.MULTILINE)}
