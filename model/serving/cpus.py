"""How many CPUs this process may use: the affinity mask, cut by the cgroup's quota (v2 or v1).

os.cpu_count() says what the host has. A container that is limited to one of 64 CPUs must not start 64 workers.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from . import cgroups


def available(root: Path = Path("/")) -> tuple[int, str]:
    """The number of CPUs (at least 1, a fraction rounded up) and where it comes from."""
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(root)
    if quota is not None and math.ceil(quota) < mask:
        return max(1, math.ceil(quota)), "cgroup quota"
    return mask, "affinity mask" if hasattr(os, "sched_getaffinity") else "system"


def _quota(root: Path) -> float | None:
    """The strictest CPU quota of the process's own cgroup and of those above it, in CPUs."""
    quotas = []
    for directory in cgroups.directories("cpu", root):
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
