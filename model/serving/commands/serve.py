"""nginx and gunicorn live and die together. This is PID 1 of the container.

Renders nginx.conf, starts both, waits for the first exit or a signal, stops all. The first exit decides the code: a
child that dies makes the container exit non-zero, so that the platform sees it. After SIGTERM nginx stops accepting
and every request in flight is answered, within 25 s: SageMaker kills 30 s after its SIGTERM. Nothing that a worker or
a caller can write ends this process.
"""

from __future__ import annotations

import signal

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP}
WAITED_FOR = STOP_SIGNALS | {signal.SIGCHLD, signal.SIGALRM}
signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)  # before all else: one that comes now is waiting when we look

import dataclasses  # noqa: E402
import fcntl  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager, suppress  # noqa: E402
from pathlib import Path  # noqa: E402

from .. import __version__, limits, settings  # noqa: E402
from ..errors import SettingError  # noqa: E402
from ..monitoring import exposition, health  # noqa: E402
from ..monitoring.clocks import AwakeClock  # noqa: E402
from ..settings import PROGRAM_DIR, Settings  # noqa: E402
from . import privileges, processes  # noqa: E402
from .nginx import can_open, logs_requests, render_nginx_conf  # noqa: E402
from .processes import Child  # noqa: E402

ANSWER_SECONDS, DRAIN_SECONDS = 20.0, 25.0
"""After SIGTERM: until when requests are answered by their workers, and until when all have ended."""


def main() -> int:
    try:
        config = _as_user(settings.load())
    except SettingError as exc:
        say(f"wrong setting: {exc}")
        return 2
    privileges.renounce()
    privileges.open_as_many_files_as_allowed()
    _append_to_the_log()
    try:
        with _runtime_dir() as runtime_dir:
            return run(config, runtime_dir)
    except OSError as exc:
        say(f"{exc}. The server needs to write a few files to /tmp (docker run --tmpfs /tmp), and to start processes")
        return 1


def run(config: Settings, runtime_dir: Path) -> int:
    """Serves until a child exits or a signal comes; returns the exit code."""
    say(announcement(config))
    children: list[Child] = []
    counted = exposition.Exposition(runtime_dir)
    watch = health.Watch(runtime_dir, config.timeout + 2, AwakeClock())
    code = None
    try:
        counted.publish(False)
        children.append(start_gunicorn(config, runtime_dir))
        if shutil.which("nginx"):
            children.append(start_nginx(config, runtime_dir))
        code = wait(children, watch, counted)
    finally:
        with suppress(OSError):
            (runtime_dir / "stopping").touch()  # nginx tells so who is not answered
        orderly = code == 0
        processes.stop(children, ANSWER_SECONDS if orderly else 0.0, DRAIN_SECONDS if orderly else 2.0)
    return code


def announcement(config: Settings) -> str:
    """What was derived, and from what, in one line."""
    count, source = limits.cpus()
    body = "body of any size" if config.max_body_mb == settings.ANY_SIZE_MB else f"body up to {config.max_body_mb} MB"
    return (
        f"version {__version__}, {_counted(config.workers, 'worker')} x {_counted(config.threads, 'thread')} "
        f"({_counted(count, 'CPU')} by the {source}), timeout {config.timeout} s, {body}, "
        f"port {config.port}, "
        + (f"runs as {config.user}" if config.user else f"uid {os.geteuid()}")
        + (f", transform job, bad records: {config.bad_records}" if config.batch else "")
        + (", several models" if config.multi_model else "")
    )


def start_gunicorn(config: Settings, runtime_dir: Path) -> Child:
    """Behind nginx it listens on a unix socket, without nginx on the port itself."""
    bind = f"unix:{runtime_dir}/gunicorn.sock" if shutil.which("nginx") else config.listening
    threads = dict.fromkeys(settings.THREADS, str(config.threads))
    command = [sys.executable, "-m", "serving.http.arbiter", "--config", str(PROGRAM_DIR / "gunicorn.conf.py")]
    command += ["--bind", bind, "--worker-tmp-dir", str(runtime_dir)]
    if not shutil.which("nginx") and logs_requests(config):
        command += ["--access-logfile", "-"]  # nginx would write it
    return processes.start("gunicorn", command, {**threads, **os.environ})


def start_nginx(config: Settings, runtime_dir: Path) -> Child:
    rendered = runtime_dir / "nginx.conf"
    if logs_requests(config) and not can_open("/dev/stdout"):
        say("note: no request log, since nginx may not open standard output (it is a socket, or another user's)")
    rendered.write_text(render_nginx_conf((PROGRAM_DIR / "nginx.conf").read_text(), config, runtime_dir))
    command = ["nginx", "-e", "stderr", "-p", str(runtime_dir), "-c", str(rendered)]
    return processes.start("nginx", command, dict(os.environ), clean_errors=True)


def wait(children: list[Child], watch: health.Watch, counted: exposition.Exposition) -> int:
    """Sleeps until a child has exited (its code, never 0) or a stop signal came (0). Reaps orphans: PID 1 must.

    Wakes twice a second to look at the workers' health and counts.
    """
    signal.setitimer(signal.ITIMER_REAL, health.BEAT_SECONDS, health.BEAT_SECONDS)
    while True:
        received = signal.sigwait(WAITED_FOR)
        if received == signal.SIGALRM:
            counted.publish(watch.publish())
            continue
        if received in STOP_SIGNALS:
            say(f"{signal.Signals(received).name}: draining, up to {DRAIN_SECONDS:.0f} s")
            return 0
        for child in children:
            code = child.process.poll()
            if code is not None:
                say(f"{child.name} has exited ({_meaning(code)}): stopping")
                return code if code > 0 else 128 - code if code < 0 else 1
        processes.reap_orphans({child.process.pid for child in children})


def say(line: str) -> None:
    print(f"serve: {line}", flush=True)


def _as_user(config: Settings) -> Settings:
    """From here on the unprivileged user, where there is one and we are root."""
    if os.geteuid() != 0 or not config.user:
        return config
    if config.port < limits.first_free_port():
        raise SettingError(
            f"SAGEMAKER_BIND_TO_PORT={config.port}: only root may listen there; MODEL_SERVER_USER= stays root"
        )
    closed = privileges.become(config.user, (PROGRAM_DIR, config.model_dir))
    if closed is None:
        return config
    say(f"note: only root can read {closed}, so all runs as root; chmod -R a+rX before it is packed ends that")
    return dataclasses.replace(config, user="")


@contextmanager
def _runtime_dir() -> Iterator[Path]:
    """A directory for sockets, temporary bodies and the rendered configuration; short, as sockets' paths must be."""
    path = Path(tempfile.mkdtemp(prefix="model-server-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _append_to_the_log() -> None:
    """nginx opens standard output anew. Where that is a file (`serve > log`), each would write over others' lines."""
    for stream in (1, 2):
        with suppress(OSError):  # it is closed
            fcntl.fcntl(stream, fcntl.F_SETFL, fcntl.fcntl(stream, fcntl.F_GETFL) | os.O_APPEND)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _meaning(code: int) -> str:
    return f"code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
