"""The supervisor's children: each leads a process group, and ends with all of it, so that nobody is left."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from ..settings import PROGRAM_DIR
from . import privileges

CONTROL = bytes(byte if byte in (9, 10) or 32 <= byte != 127 else ord("?") for byte in range(256))
"""Bytes of an error log as they may be shown: what a caller sends can steer a terminal."""


@dataclass
class Child:
    name: str
    process: subprocess.Popen[bytes]

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def ask(self, signum: int) -> None:
        if self.lives:
            self.process.send_signal(signum)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within that time."""
        try:
            self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def end_group(self) -> None:
        """Ends whatever is left of it, at once: of a master that has died, the workers."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start(name: str, command: list[str], environ: dict[str, str], clean_errors: bool = False) -> Child:
    """In a session of its own: Ctrl-C reaches the supervisor alone, which then stops the children in order. When the
    supervisor itself dies, they are asked to end."""

    def prepare() -> None:
        privileges.end_with_parent(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())

    errors = subprocess.PIPE if clean_errors else None
    process = subprocess.Popen(
        command, cwd=PROGRAM_DIR, env=environ, start_new_session=True, preexec_fn=prepare, stderr=errors
    )
    if process.stderr is not None:
        threading.Thread(target=_clean, args=(process.stderr,), daemon=True).start()
    return Child(name, process)


def _clean(stream: IO[bytes]) -> None:
    """Copies lines to standard error without control characters."""
    with suppress(OSError, ValueError):
        for line in iter(lambda: stream.readline(65_536), b""):
            os.write(2, line.translate(CONTROL))


def stop(children: list[Child], answer_seconds: float, end_seconds: float) -> None:
    """nginx first: it takes nothing new, and ends when all is answered. What is not answered after `answer_seconds`
    loses its worker, so that nginx answers it; after `end_seconds` all are killed."""
    began = time.monotonic()
    by_name = {child.name: child for child in children}
    nginx, gunicorn = by_name.get("nginx"), by_name.get("gunicorn")
    if nginx is None and gunicorn is not None:
        gunicorn.ask(signal.SIGTERM)
        gunicorn.wait(end_seconds)
    elif nginx is not None:
        nginx.ask(signal.SIGQUIT)
        if nginx.wait(answer_seconds) and gunicorn is not None:
            gunicorn.ask(signal.SIGTERM)
            gunicorn.wait(began + end_seconds - time.monotonic())
        elif gunicorn is not None:
            gunicorn.end_group()
            nginx.wait(began + end_seconds - time.monotonic())
    for child in children:
        child.end_group()


def reap_orphans(own: set[int]) -> None:
    """Collects processes whose parents have died. Our own children are left to their Popen objects."""
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except (ChildProcessError, AttributeError):
            return
        if info is None or info.si_pid in own:
            return
        with suppress(ChildProcessError):
            os.waitpid(info.si_pid, 0)
