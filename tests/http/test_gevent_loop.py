"""Threads of the system's under gevent, where all that looks like a thread is a greenlet."""

from __future__ import annotations

import subprocess
import sys

from running import KIT

SCRIPT = """
from gevent import monkey

monkey.patch_all()
import time
from _thread import get_ident

from gevent.monkey import get_original

from serving.http import gevent_loop
from serving.http.gevent_loop import in_threads

sleep, ident = get_original("time", "sleep"), get_original("_thread", "get_ident")
seen = {}


def slowly(part):
    sleep(0.05)
    seen[part] = ident()


list(in_threads(3)(slowly, range(7)))
assert sorted(seen) == list(range(7)), seen
assert len(set(seen.values())) == 3, seen
assert seen[0] == seen[3] == seen[6] == ident(), seen


def fails(part):
    seen[part] = "again"
    if part == 1:
        raise KeyError(part)


try:
    in_threads(2)(fails, range(4))
except KeyError as exc:
    assert exc.args == (1,)
else:
    raise AssertionError("no failure")
assert [seen[part] for part in (0, 1, 2)] == ["again"] * 3


def no_more(*_):
    raise RuntimeError("can't start new thread")


gevent_loop.start_new_thread = no_more
seen.clear()
list(in_threads(3)(slowly, range(4)))
assert seen == dict.fromkeys(range(4), ident()), seen
list(in_threads(3)(slowly, []))
print("all parts, three threads")
"""


def test_parts_run_in_threads_of_the_system() -> None:
    """As many as asked for, the caller's own among them; all parts are done, and a failure is raised.

    Where no thread can be started, the caller's own does all.
    """
    path = str(KIT / "model")
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=path, timeout=60)
    assert done.stdout == "all parts, three threads\n", done.stderr
