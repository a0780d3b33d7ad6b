"""nginx and gunicorn live and die together. This is PID 1 of the container.

Renders nginx.conf, starts both, waits for the first exit or a signal, stops all. The first exit decides the code: a
child that dies makes the container exit non-zero, so that the platform sees it. After SIGTERM nginx stops accepting
and every request in flight is answered, within 25 s: SageMaker kills 30 s after its SIGTERM.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .. import limits, settings
from ..errors import SettingError
from ..monitoring import exposition, health
from ..settings import PROGRAM_DIR, Settings
from .nginx import _logs_requests, render_nginx_conf

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP}
WAITED_FOR = STOP_SIGNALS | {signal.SIGCHLD, signal.SIGALRM}
DRAIN_SECONDS = 25

STOP_ORDER = (
    # name, the signal that asks for an orderly end, when to stop waiting for it (seconds after the stop began)
    ("nginx", signal.SIGQUIT, DRAIN_SECONDS - 2),
    ("gunicorn", signal.SIGTERM, DRAIN_SECONDS),
)


@dataclass
class Child:
    name: str
    process: subprocess.Popen[bytes]


def main() -> int:
    try:
        config = settings.load()
    except SettingError as exc:
        say(f"wrong setting: {exc}")
        return 2
    _append_to_the_log()
    with _runtime_dir(config) as runtime_dir:
        return run(config, runtime_dir)


def run(config: Settings, runtime_dir: Path) -> int:
    """Serves until a child exits or a signal comes; returns the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)
    say(announcement(config))
    children: list[Child] = []
    counted = exposition.Exposition(runtime_dir)
    try:
        counted.publish(False)
        children.append(start_gunicorn(config, runtime_dir))
        if shutil.which("nginx"):
            children.append(start_nginx(config, runtime_dir))
        code = wait(children, config, runtime_dir, counted)
    finally:
        stop(children)
    return code


def announcement(config: Settings) -> str:
    """What was derived, and from what, in one line."""
    count, source = limits.cpus()
    body = "body of any size" if config.max_body_mb == settings.ANY_SIZE_MB else f"body up to {config.max_body_mb} MB"
    return (
        f"{_counted(config.workers, 'worker')} x {_counted(config.threads, 'thread')} "
        f"({_counted(count, 'CPU')} by the {source}), timeout {config.timeout} s, {body}, "
        f"rows of a request up to {config.row_bytes // 2**20} MB of {limits.memory() // 2**20} MB, "
        f"port {config.port}, "
        + (f"workers run as {config.user}" if config.user else f"uid {os.geteuid()}")
        + (f", transform job, bad records: {config.bad_records}" if config.batch else "")
        + (", several models" if config.multi_model else "")
    )


def start_gunicorn(config: Settings, runtime_dir: Path) -> Child:
    """Behind nginx it listens on a unix socket, without nginx on the port itself."""
    bind = f"unix:{runtime_dir}/gunicorn.sock" if shutil.which("nginx") else f"0.0.0.0:{config.port}"
    threads = {name: str(config.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, "-m", "gunicorn", "--config", str(PROGRAM_DIR / "gunicorn.conf.py")]
    command += ["--bind", bind, "--worker-tmp-dir", str(runtime_dir)]
    if not shutil.which("nginx") and _logs_requests(config):
        command += ["--access-logfile", "-"]  # nginx would write it
    return _start("gunicorn", command, {**threads, **os.environ})


def start_nginx(config: Settings, runtime_dir: Path) -> Child:
    rendered = runtime_dir / "nginx.conf"
    rendered.write_text(render_nginx_conf((PROGRAM_DIR / "nginx.conf").read_text(), config, runtime_dir))
    return _start("nginx", ["nginx", "-e", "stderr", "-p", str(runtime_dir), "-c", str(rendered)], dict(os.environ))


def wait(children: list[Child], config: Settings, runtime_dir: Path, counted: exposition.Exposition) -> int:
    """Sleeps until a child has exited (its code, never 0) or a stop signal came (0). Reaps orphans: PID 1 must.

    Wakes twice a second to look at the workers' health and counts. A worker may be silent as long as a prediction may
    take.
    """
    signal.setitimer(signal.ITIMER_REAL, health.BEAT_SECONDS, health.BEAT_SECONDS)
    while True:
        received = signal.sigwait(WAITED_FOR)
        if received == signal.SIGALRM:
            counted.publish(health.publish(runtime_dir, config.timeout + 2))
            continue
        if received in STOP_SIGNALS:
            say(f"{signal.Signals(received).name}: draining, up to {DRAIN_SECONDS} s")
            return 0
        for child in children:
            code = child.process.poll()
            if code is not None:
                say(f"{child.name} has exited ({_meaning(code)}): stopping")
                return code if code > 0 else 128 - code if code < 0 else 1
        _reap_orphans({child.process.pid for child in children})


def stop(children: list[Child]) -> None:
    """Asks each to end in order, waits, and kills what is left when its time is over."""
    began = time.monotonic()
    by_name = {child.name: child.process for child in children}
    for name, asking, deadline in STOP_ORDER:
        process = by_name.get(name)
        if process is None or process.poll() is not None:
            continue
        process.send_signal(asking)
        try:
            process.wait(max(0.0, began + deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            say(f"{name} did not end within {deadline} s: killed")
            process.kill()
            process.wait()


def say(line: str) -> None:
    print(f"serve: {line}", flush=True)


def _start(name: str, command: list[str], environ: dict[str, str]) -> Child:
    """In a session of its own: Ctrl-C reaches the supervisor alone, which then stops the children in order."""

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, set())

    return Child(
        name, subprocess.Popen(command, cwd=PROGRAM_DIR, env=environ, start_new_session=True, preexec_fn=unblock)
    )


@contextmanager
def _runtime_dir(config: Settings) -> Iterator[Path]:
    """A directory for sockets, temporary bodies and the rendered configuration; short, as sockets' paths must be."""
    path = Path(tempfile.mkdtemp(prefix="model-server-", dir="/tmp"))
    if config.user:
        entry = pwd.getpwnam(config.user)
        os.chown(path, entry.pw_uid, entry.pw_gid)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _append_to_the_log() -> None:
    """nginx opens standard output anew. Where that is a file (`serve > log`), each would write over others' lines."""
    for stream in (1, 2):
        with suppress(OSError):  # it is closed
            fcntl.fcntl(stream, fcntl.F_SETFL, fcntl.fcntl(stream, fcntl.F_GETFL) | os.O_APPEND)


def _reap_orphans(own: set[int]) -> None:
    """Collects processes whose parents have died. Our own children are left to their Popen objects."""
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except (ChildProcessError, AttributeError):
            return
        if info is None or info.si_pid in own:
            return
        os.waitpid(info.si_pid, 0)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _meaning(code: int) -> str:
    return f"code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
