"""What gunicorn imports: the loaded model, or the place for several, behind the Flask app.

Imported once, before the workers fork, so that they share the model's memory (gunicorn.conf.py knows the exceptions).
Nothing is predicted here: OpenMP's thread pools do not survive a fork. `start`, called in each worker, predicts a
sample row before it takes requests.
"""

import functools
import logging
import socket
import sys
from pathlib import Path

from serving import limits, settings
from serving.batching.engine import Engine
from serving.compiler import native
from serving.errors import ModelNotUsable, ServingError
from serving.http.gevent_loop import GeventLoop, in_threads
from serving.http.readiness import Readiness
from serving.http.routes import Routes
from serving.http.server import Server
from serving.http.worker import LoopWorker
from serving.http.wsgi import without_the_logs_header
from serving.models import artifact, loading
from serving.monitoring.restarts import UNUSABLE
from serving.multi_model.api import Models

config = settings.load()
ServingError.echoes_values = config.echo_values == "on"
log = logging.getLogger("serving")


def load() -> Engine:
    """The engine of the model that serves. Ends the process, with the reason in the log, when it cannot."""
    try:
        log.info(artifact.told_sha256(artifact.find(config), config.model_sha256))
        fast = config.fast_paths == "on"
        return Engine(loading.load(artifact.find(config), config.predict_method, compiled=fast), config)
    except ModelNotUsable as exc:
        log.error("the model cannot serve: %s", exc)
        log.debug("the traceback:", exc_info=exc)
        sys.exit(UNUSABLE)


def load_packages() -> None:
    """Those that the image's own model needs are shared by the workers; the models to come are likely to need them."""
    try:
        loading.load(artifact.find(config), config.predict_method, compiled=False)
    except ModelNotUsable as exc:
        log.info("the image's own model, which is not served, cannot be loaded: %s", exc)
    limits.give_back()


if config.multi_model:
    load_packages()
    models = Models(config)
    readiness, routes = (
        Readiness(models.engines, config.address),
        Routes(None, models, config.default_accept, config.local_only),
    )
else:
    models = None
    engine = load()
    readiness, routes = (
        Readiness([engine], config.address),
        Routes(engine.submit, None, config.default_accept, config.local_only),
    )


@functools.cache
def flask_app():
    """Flask's own import is a fifth of the start, and predictions do not need it."""
    from serving.http.app import create_app

    parts = routes, lambda: readiness.not_ready, readiness.metrics_text
    return create_app(*parts, config.max_body_mb, config.execution_parameters, description, config.no_page)


def description() -> bytes:
    """What GET /openapi.json answers."""
    from serving.http import openapi

    if models is not None:
        return openapi.of_several(models.signatures())
    return openapi.of_one(engine.model.signature, engine.model.source.name)


def app(environ, start_response):
    return flask_app()(environ, start_response)


def retire(worker) -> None:
    """Asks gunicorn for another worker in its place, when its requests are answered."""
    worker.alive = False


def start(worker) -> None:
    """Called by gunicorn.conf.py in each worker, after the fork."""
    runtime_dir = Path(worker.cfg.worker_tmp_dir)
    native.threads = limits.cpus()[0]
    native.spread = in_threads(native.threads)
    loop = GeventLoop()
    reader = loop.thread()
    readiness.start(runtime_dir, loop, reader, retire=lambda: retire(worker))
    if models is not None:
        models.start(runtime_dir, loop, reader, readiness.be_stuck)
    behind_nginx = worker.sockets[0].family == socket.AF_UNIX
    if isinstance(worker, LoopWorker):
        write_log = worker.log.request if worker.cfg.accesslog else None
        limits_of_callers = config.max_body_mb * 2**20, worker.cfg.keepalive
        worker.server = Server(loop, routes, app, *limits_of_callers, behind_nginx, write_log)
    elif not behind_nginx:
        worker.wsgi = without_the_logs_header(worker.wsgi)
