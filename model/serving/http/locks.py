"""Locks that both gevent's greenlets and the system's threads may wait for, and programs that both may start.

gevent's own locks may leave one of them waiting for ever when a greenlet and a thread of the system's, or two threads,
want one at the same time. Here the lock is the system's. A thread that has no loop waits for it as ever; a greenlet
lets its loop go on, and is told when the lock is free. Whoever is told also looks by itself, twenty times a second.
"""

from __future__ import annotations

import _thread
import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent.event
from gevent import monkey
from gevent._hub_local import get_hub_if_exists
from gevent.monkey import get_original
from greenlet import getcurrent

LOOK_SECONDS = 0.05
real_lock = get_original("_thread", "allocate_lock")


class Lock:
    """As threading.Lock."""

    __slots__ = ("__weakref__", "_real", "_waiting", "locked")

    def __init__(self) -> None:
        self._real = real_lock()
        self._waiting: deque[Callable[[], object]] = deque()
        self.locked = self._real.locked

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._real.acquire(False):
            return True
        if not blocking:
            return False
        hub = get_hub_if_exists()
        if hub is None or getcurrent() is hub:
            return bool(self._real.acquire(True, timeout))
        return self._wait(hub, timeout)

    def _wait(self, hub: Any, timeout: float) -> bool:
        end = time.monotonic() + timeout
        free = gevent.event.Event()
        tell = partial(hub.loop.run_callback_threadsafe, free.set)
        self._waiting.append(tell)
        try:
            while not self._real.acquire(False):
                left = LOOK_SECONDS if timeout < 0 else min(LOOK_SECONDS, end - time.monotonic())
                if left <= 0:
                    return False
                free.wait(left)
                free.clear()
            return True
        finally:
            self._waiting.remove(tell)

    def release(self) -> None:
        self._real.release()
        for tell in tuple(self._waiting)[:1]:
            tell()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._real._at_fork_reinit()
        self._waiting.clear()


def use() -> None:
    """To be called at once after gevent has patched the process. What is made of locks is Python's own again: events,
    conditions, queues. Locks that were made before stay as they are. So is subprocess, since gevent's works in the
    loop's thread alone; and os.close, since gevent's closes later, when subprocess already waits for it."""
    for module, names in (
        (_thread, ("allocate_lock", "allocate", "LockType")),
        (threading, ("Lock", "_allocate_lock")),
    ):
        for name in names:
            setattr(module, name, Lock)
    threading.Event = get_original("threading", "Event")  # type: ignore[misc]
    for name in ("Queue", "LifoQueue", "PriorityQueue"):
        setattr(queue, name, get_original("queue", name))
    for name in monkey.saved.get("subprocess", ()):
        setattr(subprocess, name, get_original("subprocess", name))
    os.close = get_original("os", "close")
    queue.SimpleQueue = queue._PySimpleQueue  # type: ignore[attr-defined,misc]
