"""Where the limits of this process's cgroup stand, in version 2 and in version 1."""

from __future__ import annotations

from pathlib import Path

MOUNTS = {"cpu": ("cpu", "cpu,cpuacct"), "memory": ("memory",)}
"""Where version 1 mounts a controller, below the place where version 2 is mounted."""


def directories(controller: str, root: Path = Path("/")) -> list[Path]:
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
