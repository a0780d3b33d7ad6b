"""gunicorn's master, which starts workers and replaces those that have ended; it never ends because one has.

gunicorn's own ends the server when a worker exits with 3 or 4, and ends workers whose beat is old by the clock on the
wall. Here restarts.py decides, and time in which the container was frozen does not count.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from gunicorn import arbiter
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.errors import HaltServer

from .. import settings
from ..monitoring import health
from ..monitoring.clocks import AwakeClock, Silence
from ..monitoring.restarts import Restarts

OF_A_WORKER = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


class Arbiter(arbiter.Arbiter):  # type: ignore[misc]
    WORKER_BOOT_ERROR = APP_LOAD_ERROR = -1
    """Exit codes that would end the server. No process has this one."""

    def __init__(self, app: Any) -> None:
        self._clock, self._silence = AwakeClock(), Silence()
        self._late: float | None = None
        super().__init__(app)
        self._runtime_dir = Path(self.cfg.worker_tmp_dir)
        self._restarts = Restarts(self.num_workers, settings.load().patience)

    def spawn_workers(self) -> None:
        missing = self.num_workers - len(self.WORKERS) - self._restarts.held_back(self._clock.time())
        for _ in range(missing):
            self.spawn_worker()

    def spawn_worker(self) -> Any:
        """A signal that comes before the worker has handlers of its own waits until it has (gunicorn.conf.py)."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, OF_A_WORKER)
        try:
            return super().spawn_worker()
        except OSError as exc:  # no more processes, or no room for a file
            pause = self._restarts.ended(self._clock.time(), 1, False)
            self.log.error("a worker cannot be started (%s); trying again in %.1f s", exc, pause)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def reap_workers(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            worker = self.WORKERS.pop(pid, None)
            if worker is not None:
                worker.tmp.close()
                self._has_ended(pid, os.waitstatus_to_exitcode(status))

    def _has_ended(self, pid: int, code: int) -> None:
        pause = self._restarts.ended(self._clock.time(), code, health.has_been_ready(self._runtime_dir, pid))
        if code == 0 or (code == -signal.SIGTERM and not self.LISTENERS):
            return
        how = f"exited with code {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"
        cause = ". Was the memory exhausted?" if code == -signal.SIGKILL else ""
        again = f" Another one is started in {pause:.1f} s" if pause else ""
        self.log.error("worker %s %s%s%s", pid, how, cause, again)

    def murder_workers(self) -> None:
        """Ends workers that are silent for longer than a prediction may take, and the server when there is no hope."""
        now = self._clock.time()
        self._silence.keep(self.WORKERS)
        if self._late is not None and now - self._late > 1:
            self._late = None
            with suppress(OSError):
                (self._runtime_dir / health.LATE).unlink(missing_ok=True)
        serving = set(health.living(self._runtime_dir))  # loading the model may take longer
        for pid, worker in [(pid, worker) for pid, worker in self.WORKERS.items() if pid in serving]:
            try:
                beaten = worker.tmp.last_update()
            except (OSError, ValueError):
                continue
            if self._silence.of(pid, beaten, now) > self.timeout:
                self.log.error("worker %s does not answer for %s s and is ended", pid, self.timeout)
                self._late = now
                with suppress(OSError):
                    (self._runtime_dir / health.LATE).touch()
                self.kill_worker(pid, signal.SIGKILL if worker.aborted else signal.SIGABRT)
                worker.aborted = True
        ready = health.is_ready(self._runtime_dir)
        reason = self._restarts.hopeless(now, ready, [] if ready else health.reasons(self._runtime_dir))
        if reason:
            raise HaltServer(reason, 1)


class Application(WSGIApplication):  # type: ignore[misc]
    def run(self) -> None:
        Arbiter(self).run()


if __name__ == "__main__":
    Application("%(prog)s [OPTIONS] [APP_MODULE]").run()
