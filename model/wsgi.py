"""What gunicorn imports: the loaded model, or the place for several, behind the Flask app.

Imported once, before the workers fork, so that they share the model's memory (gunicorn.conf.py knows the exceptions).
Nothing is predicted here: OpenMP's thread pools do not survive a fork. `start`, called in each worker, predicts a
sample row before it takes requests.
"""

import logging
import sys
from pathlib import Path

from serving import limits, settings
from serving.batching.engine import Engine
from serving.errors import ModelNotUsable
from serving.http.app import create_app, with_short_cut
from serving.http.worker import Worker
from serving.models import artifact, loading
from serving.monitoring.restarts import UNUSABLE
from serving.multi_model.api import Models

config = settings.load()
log = logging.getLogger("serving")


def load() -> Engine:
    """The engine of the model that serves. Ends the process, with the reason in the log, when it cannot."""
    try:
        return Engine(loading.load(artifact.find(config), config.predict_method), config)
    except ModelNotUsable as exc:
        log.error("the model cannot serve: %s", exc)
        log.debug("the traceback:", exc_info=exc)
        sys.exit(UNUSABLE)


def load_packages() -> None:
    """Those that the image's own model needs are shared by the workers; the models to come are likely to need them."""
    try:
        loading.load(artifact.find(config), config.predict_method)
    except ModelNotUsable as exc:
        log.info("the image's own model, which is not served, cannot be loaded: %s", exc)
    limits.give_back()


if config.multi_model:
    load_packages()
    models = Models(config)
    worker, answer = Worker(models.engines), models.refuse
else:
    models = None
    engine = load()
    worker, answer = Worker([engine]), engine.answer


def start(of_gunicorn) -> None:
    """Called by gunicorn.conf.py in each worker, after the fork."""
    runtime_dir = Path(of_gunicorn.cfg.worker_tmp_dir)
    worker.start(runtime_dir, retire=lambda: setattr(of_gunicorn, "alive", False))
    if models is not None:
        models.start(runtime_dir, worker.be_stuck)


flask_app = create_app(
    answer,
    lambda: worker.not_ready,
    worker.metrics_text,
    config.max_body_mb,
    config.execution_parameters,
    config.default_accept,
    models,
)
app = with_short_cut(flask_app, answer, config.max_body_mb, config.default_accept, models)
