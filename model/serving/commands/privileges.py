"""Who the server is: started as root it becomes the unprivileged user, for good, before it starts or writes anything.

From then on nothing of it is root: not the supervisor, not nginx, not gunicorn, which loads the model. No process gets
rights by running another program. Linux; elsewhere nothing runs as root anyway.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..errors import SettingError

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
MOST_FILES = 65_536


def become(user: str, read: Iterable[Path]) -> str | None:
    """From root to `user`, without supplementary groups. Raises SettingError when that is not allowed.

    Stays root when `user` cannot read one of the directories or files in `read`, and returns which: a model that root
    alone may read is served all the same.
    """
    entry = pwd.getpwnam(user)
    for path in read:
        if (closed := _closed_to(entry, path)) is not None:
            return str(closed)
    for stream in (1, 2):
        _give(stream, entry.pw_uid)
    try:
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except OSError as exc:
        raise SettingError(
            f"the server was started as root without the right to become {user} ({exc.strerror}). Leave it the "
            f"capabilities SETUID and SETGID, start it as another user (docker run --user 1000), or set "
            "MODEL_SERVER_USER= to stay root"
        ) from None
    return None


def renounce() -> None:
    """No program that is run from now on gets more rights (setuid bits)."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def end_with_parent(signal: int) -> None:
    """This process gets the signal when its parent dies. Called between fork and exec."""
    _prctl(PR_SET_PDEATHSIG, signal)


def open_as_many_files_as_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


def _give(stream: int, uid: int) -> None:
    """nginx opens standard output by its name, which needs a right to it. Files of the host are left alone."""
    with suppress(OSError):
        if not stat.S_ISREG(os.fstat(stream).st_mode):
            os.fchown(stream, uid, -1)


def _closed_to(entry: pwd.struct_passwd, path: Path) -> Path | None:
    """The first thing at, above or directly in `path` that the user may not read, by its mode."""
    with suppress(OSError):  # what is not there is somebody else's complaint
        places: list[Path] = [*reversed(path.parents), path, *(path.iterdir() if path.is_dir() else ())]
        for place in places:
            wanted = 0o1 if place in path.parents else 0o5 if place.is_dir() else 0o4
            if not _may(entry, place.stat(), wanted):
                return place
    return None


def _may(entry: pwd.struct_passwd, state: os.stat_result, wanted: int) -> bool:
    shift = 6 if state.st_uid == entry.pw_uid else 3 if state.st_gid == entry.pw_gid else 0
    return (state.st_mode >> shift) & wanted == wanted
