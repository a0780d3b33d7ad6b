"""The loop and the system's threads log at the same time, and neither waits for ever."""

from __future__ import annotations

import subprocess
import sys

from running import KIT

TOGETHER = """
from gevent import monkey
monkey.patch_all()
import gevent, io, logging
from serving.http import gevent_loop
gevent_loop.log_with_real_locks()
logging.basicConfig(level="INFO", stream=io.StringIO(), force=True)
log = logging.getLogger("x")
loop = gevent_loop.GeventLoop()
threads = [loop.thread() for _ in range(3)]
def from_the_loop():
    for number in range(3000):
        log.info("line %d", number)
        if number % 100 == 0:
            gevent.sleep(0)
def from_a_thread():
    for number in range(3000):
        log.info("line %d", number)
greenlets = [gevent.spawn(from_the_loop) for _ in range(3)]
others = [gevent.spawn(thread.run, from_a_thread, 60.0) for thread in threads]
gevent.joinall(greenlets + others, timeout=60)
assert all(one.successful() for one in greenlets + others)
assert [type(handler.lock).__module__ for handler in logging.root.handlers] == ["_thread"]
print("done")
"""


def test_threads_and_greenlets_log_together() -> None:
    """A handler's lock is the system's own: gevent's may lose the loop's turn when a thread holds it."""
    command = [sys.executable, "-c", TOGETHER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=KIT / "model")
    assert done.stdout == "done\n", done.stderr
