"""gunicorn's worker class: a Server on gevent's loop, from the fork to the last reply.

Told to stop, it takes no new connection, answers what is in flight, and tells the rest 503 before it closes.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import gevent
from gevent.event import Event
from gunicorn.workers.base import Worker

from .own_socket import OwnSocket
from .server import Server

LOOK_SECONDS = 0.5
CLOSING_SECONDS = 2
"""Seconds of gunicorn's graceful timeout that are kept for closing."""


class LoopWorker(Worker):  # type: ignore[misc]
    """`server` is made by wsgi.start, before `run`."""

    server: Server

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self._sleeping = Event()
        self._told_to_stop = False

    def run(self) -> None:
        for listening in self.sockets:
            self.server.listening.add(listening)
        own = self._own_socket()
        wake = gevent.get_hub().loop.io(self.PIPE[0], 1)  # a signal writes into it
        wake.start(self._woken)
        while self.alive:
            self.notify()
            self.server.sweep()
            if self.ppid != os.getppid():
                self.log.info("the parent process has gone: stopping")
                break
            self._sleeping.wait(LOOK_SECONDS)
            self._sleeping.clear()
        wake.stop()
        if self._told_to_stop:
            self.server.listening.refuse()
        self.server.listening.stop()
        if own is not None:
            self.server.handover.end()
            own.close()
        self._stop(self.cfg.graceful_timeout - CLOSING_SECONDS)

    def handle_exit(self, sig: int, frame: object) -> None:
        """SIGTERM: all workers end. One that is only replaced gets no signal."""
        self._told_to_stop = True
        super().handle_exit(sig, frame)

    def _own_socket(self) -> OwnSocket | None:
        """The worker's own socket, where nginx is in front. The one that all workers share stays as a reserve."""
        if self.sockets[0].family != socket.AF_UNIX:
            return None
        try:
            own = OwnSocket(Path(self.cfg.worker_tmp_dir), self.cfg.workers)
        except OSError as exc:
            self.log.warning("this worker has no socket of its own: %s", exc)
            return None
        assert own.path is not None
        self.server.handover.begin(own.place, own.socket.fileno(), own.path)
        self.server.listening.add(own.socket)
        return own

    def _woken(self) -> None:
        os.read(self.PIPE[0], 4096)
        self._sleeping.set()

    def _stop(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        draining = gevent.spawn(self.server.drain, seconds)
        while not draining.ready() and time.monotonic() < deadline:
            self.notify()
            draining.join(LOOK_SECONDS)
        self.notify()
        self.server.close()
