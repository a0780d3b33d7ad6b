"""What this process may use: CPUs (the affinity mask, cut by the cgroup's quota) and memory (cut by its limit).

os.cpu_count() says what the host has. A container that is limited to one of 64 CPUs must not start 64 workers. The
kernel ends a process that goes over the container's memory limit, without a word: whoever is about to take much looks
at `free_memory` first, and takes it within `memory_limited`, where what does not fit is a MemoryError. Both versions
of cgroups are read. Standard library only.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cpus(root: Path = Path("/")) -> tuple[int, str]:
    """The number of CPUs (at least 1, a fraction rounded up) and where it comes from."""
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(root)
    if quota is not None and math.ceil(quota) < mask:
        return max(1, math.ceil(quota)), "cgroup quota"
    return mask, "affinity mask" if hasattr(os, "sched_getaffinity") else "system"


def _cpu_quota(root: Path) -> float | None:
    """The strictest CPU quota of the process's own cgroup and of those above it, in CPUs."""
    quotas = []
    for directory in _cgroups("cpu", root):
        try:
            if (v2 := directory / "cpu.max").exists():
                limit, period = v2.read_text().split()
            else:
                limit = (directory / "cpu.cfs_quota_us").read_text().strip()
                period = (directory / "cpu.cfs_period_us").read_text().strip()
            if limit not in ("max", "-1"):
                quotas.append(int(limit) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue  # no such controller here, or not one that limits
    return min(quotas, default=None)


def first_free_port(root: Path = Path("/")) -> int:
    """The lowest port that a user other than root may listen on."""
    return _number(root / "proc/sys/net/ipv4/ip_unprivileged_port_start") or 0


# ---- memory ---------------------------------------------------------------------------------------------------------

SMALLEST_RESERVE = 48 * 2**20
RESERVE = 0.05
"""Share of the memory that is left free, for requests and predictions."""


UNKNOWN_MEMORY = 2**31
"""Bytes that are assumed where the system does not tell (macOS)."""


def memory(root: Path = Path("/")) -> int:
    """Bytes that this container may use in all: the machine's, or less where a cgroup of ours has a limit."""
    total = _fields(root / "proc/meminfo", unit=1024).get("MemTotal", UNKNOWN_MEMORY)
    for directory in _cgroups("memory", root):
        limit = _number(directory / "memory.max") or _number(directory / "memory.limit_in_bytes")
        total = min(total, limit or total)
    return total


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes above the reserve that can still be taken, at least 0; None where the system does not tell."""
    system = _fields(root / "proc/meminfo", unit=1024)
    if "MemAvailable" not in system:
        return None
    total, free = system["MemTotal"], system["MemAvailable"]
    for directory in _cgroups("memory", root):
        limit = _number(directory / "memory.max") or _number(directory / "memory.limit_in_bytes")
        used = _number(directory / "memory.current") or _number(directory / "memory.usage_in_bytes")
        if limit is not None and used is not None and limit < system["MemTotal"]:
            total = min(total, limit)
            free = min(free, limit - used + _reclaimable(directory))
    return max(0, free - max(SMALLEST_RESERVE, int(RESERVE * total)))


@contextmanager
def memory_limited(more: int | None) -> Iterator[None]:
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


# ---- cgroups --------------------------------------------------------------------------------------------------------

MOUNTS = {"cpu": ("cpu", "cpu,cpuacct"), "memory": ("memory",)}
"""Where version 1 mounts a controller, below the place where version 2 is mounted."""


def _cgroups(controller: str, root: Path = Path("/")) -> list[Path]:
    """The process's own cgroup and those above it, under the v2 mount and the v1 mounts; not all of them exist."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        for mount in (root / "sys/fs/cgroup" / name for name in ("", *MOUNTS[controller])):
            leaf = mount / path.lstrip("/")
            found += [directory for directory in (leaf, *leaf.parents) if directory.is_relative_to(mount)]
    return found
