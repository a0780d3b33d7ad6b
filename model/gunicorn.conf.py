"""gunicorn's settings; `serve` adds where to listen. https://gunicorn.org/reference/settings/"""

from gevent import monkey

monkey.patch_all()  # first of all: a lock that is made before it would block the whole worker

from serving.http import locks  # noqa: E402

locks.use()

import gc  # noqa: E402

gc.disable()  # until all is loaded: looking through what imports and unpickling make is a seventh of the start

import faulthandler  # noqa: E402
import logging  # noqa: E402
import signal  # noqa: E402

from gunicorn import glogging  # noqa: E402

from serving import settings  # noqa: E402
from serving.http import arbiter, gevent_loop, handover, request_log  # noqa: E402
from serving.models import artifact, loading  # noqa: E402
from serving.monitoring import logs  # noqa: E402

gevent_loop.log_with_real_locks()


class Log(glogging.Logger):
    """gunicorn's messages in the form of all others, without those of every start. One JSON line per request, as nginx
    writes it: `serve` switches it on where there is no nginx."""

    def setup(self, cfg):
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(logs.Formatter("%(levelname)s gunicorn: %(message)s"))
        if cfg.loglevel != "debug":
            self.error_log.setLevel(max(self.error_log.level, logging.WARNING))

    def access(self, resp, req, environ, request_time):
        """What gunicorn's own workers call; a request that was refused may lack anything."""

        def header(name):
            key = name.upper().replace("-", "_")
            return environ.get(key if key == "CONTENT_LENGTH" else f"HTTP_{key}")

        method, target = environ.get("REQUEST_METHOD", ""), environ.get("RAW_URI", "")
        seconds = request_time.total_seconds()
        self.request(
            header,
            method,
            target,
            resp.status_code,
            environ.get(request_log.HEADER, resp.headers),
            getattr(resp, "sent", 0),
            seconds,
        )

    def request(self, header, method, target, status, headers, bytes_out, seconds):
        if self.access_log_enabled and request_log.is_logged(target):
            self.access_log.info("%s", request_log.line(header, method, target, status, headers, bytes_out, seconds))


chosen = settings.load()
logs.configure(chosen.log_level)

wsgi_app = "wsgi:app"
worker_class = "serving.http.worker.LoopWorker" if chosen.worker_class == "loop" else "gevent"
workers = chosen.workers
handover.share(workers)
directory = artifact.find(chosen)
compiled = (
    chosen.fast_paths == "on" and not chosen.multi_model and loading.needs_no_pickle(directory, chosen.predict_method)
)
shy = artifact.shy_of_fork(directory, compiled=compiled) if chosen.preload == "auto" else None
preload_app = chosen.preload != "off" and shy is None
umask = 0o077  # the socket is for nginx's workers, which run as the same user
timeout = chosen.timeout + 2  # a worker whose loop is blocked; the engine answers before that
worker_connections = 4096
graceful_timeout = 20  # SageMaker kills 30 s after SIGTERM; the supervisor stops waiting after 25
keepalive = 90  # longer than nginx keeps a connection, so that it never sends into one that is being closed
loglevel = chosen.log_level
logger_class = Log
control_socket_disable = True  # it would be made in $HOME, which may be read-only
limit_request_line = 8190


def on_starting(server):
    if shy:
        logging.getLogger("serving").info("%s does not survive a fork: each worker loads the model itself", shy)


def when_ready(server):
    gc.freeze()  # the collector would touch, and so copy, every page of the model that the workers share


def post_fork(server, worker):
    """The master's handlers would put a signal into a queue that nobody reads here."""
    for signum in arbiter.OF_A_WORKER:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, arbiter.OF_A_WORKER)


def post_worker_init(worker):
    import wsgi

    locks.use()  # gunicorn's own gevent worker has patched once more
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    faulthandler.enable()  # a crash, and the end of a worker that hangs, say where
    wsgi.start(worker)
    gc.freeze()
    gc.enable()


def worker_exit(server, worker):
    """A predictor thread that never returns would keep the process from ending."""
    import os

    import wsgi

    wsgi.readiness.print_embedded_metrics()
    if wsgi.readiness.stuck:
        os._exit(0)
