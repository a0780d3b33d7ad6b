"""Greenlets of the loop and threads of the system's want the same lock at the same time, and none waits for ever."""

from __future__ import annotations

import subprocess
import sys

import pytest

from running import KIT

TOGETHER = """
from gevent import monkey
monkey.patch_all()
from serving.http import locks
locks.use()
import gevent, os, queue, threading
from serving.http import gevent_loop
import numpy as np
loop = gevent_loop.GeventLoop()

def together(call, times=200, greenlets=2, threads=3):
    '''Calls it so often in each; ends the process, with a code that is not 0, when one has not come back.'''
    def on_the_loop():
        for number in range(times):
            call(number)
            if number % 20 == 0:
                gevent.sleep(0)
    def in_a_thread():
        for number in range(times):
            call(number)
    waiting = [gevent.spawn(on_the_loop) for _ in range(greenlets)]
    waiting += [gevent.spawn(loop.thread().run, in_a_thread, 60.0) for _ in range(threads)]
    gevent.joinall(waiting, timeout=60)
    print([repr(one.exception) for one in waiting if not one.successful()] or "done", flush=True)
    os._exit(0)
"""
USES = {
    "Lock": """
lock = threading.Lock()
def call(number):
    with lock:
        sum(range(2000))
together(call)""",
    "RLock": """
lock = threading.RLock()
def call(number):
    with lock, lock:
        sum(range(2000))
together(call)""",
    "a lock that is held while it waits": """
lock = threading.Lock()
def call(number):
    with lock:
        gevent.sleep(0.001)
together(call, times=20)""",
    "Condition": """
condition = threading.Condition()
def call(number):
    with condition:
        condition.notify_all()
        sum(range(1000))
together(call)""",
    "Event": """
events = [threading.Event() for _ in range(200)]
def call(number):
    events[number].set()
    events[number * 7 % 200].wait(0.001)
together(call)""",
    "Queue": """
there, back = queue.Queue(), queue.SimpleQueue()
def call(number):
    there.put(number)
    there.get()
    back.put(number)
    back.get()
together(call)""",
    "hand over hand": """
there, back = queue.Queue(), queue.Queue()
def echo():
    for _ in range(300):
        back.put(there.get())
answering = gevent.spawn(loop.thread().run, echo, 60.0)
def call(number):
    there.put(number)
    assert back.get() == number
together(call, times=300, greenlets=1, threads=0)""",
    "numpy.random": "together(lambda number: np.random.random(20_000))",
    "an executor": """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(3)
together(lambda number: pool.submit(sum, range(1000)).result())""",
    "imports": """
import importlib, pathlib, sys, tempfile
room = pathlib.Path(tempfile.mkdtemp())
sys.path.insert(0, str(room))
for n in range(40):
    more = f"import part{n + 1}" if n % 4 < 3 else ""
    (room / f"part{n}.py").write_text(f"sum(range(20_000))\\n{more}\\n")
together(lambda number: importlib.import_module(f"part{number}"), times=40)""",
    "temporary files": """
import tempfile
together(lambda number: tempfile.TemporaryFile().close(), times=50)""",
    "other programs": """
import subprocess
def call(number):
    done = subprocess.run(["sh", "-c", f"cat; exit {number % 7}"], input=b"told", capture_output=True)
    assert (done.stdout, done.returncode) == (b"told", number % 7)
together(call, times=15)""",
    "joblib's threads": """
import joblib
def call(number):
    assert joblib.Parallel(2, backend="threading")(joblib.delayed(abs)(n) for n in range(4)) == [0, 1, 2, 3]
together(call, times=5)""",
}


@pytest.mark.parametrize("use", USES)
def test_threads_and_greenlets_share_a_lock(use: str) -> None:
    """With gevent's own locks half of these wait for ever."""
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER + USES[use]], capture_output=True, text=True, timeout=90, cwd=KIT / "model"
    )
    assert done.stdout == "done\n", done.stdout + done.stderr


ALONE = """
from gevent import monkey
monkey.patch_all()
from serving.http import locks
locks.use()
import gevent, threading, time
lock = threading.Lock()
assert lock.acquire() and lock.locked() and not lock.acquire(False) and not lock.acquire(timeout=0.01)
gevent.spawn_later(0.01, lock.release)
assert lock.acquire(timeout=5)
lock.release()
try:
    lock.release()
except RuntimeError:
    print("not held")
owner = threading.RLock()
with owner, owner:
    print(gevent.spawn(owner.acquire, False).get())
assert not lock._waiting
lock.acquire()
lock._at_fork_reinit()
assert not lock.locked()
"""


def test_a_lock_is_as_pythons_own() -> None:
    """Tried, with a timeout, released by another, held twice by its owner alone."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=60, cwd=KIT / "model")
    assert done.stdout == "not held\nFalse\n", done.stdout + done.stderr
