"""What gunicorn imports: the loaded model behind the Flask app.

Imported once, before the workers fork, so that they share the model's memory. Nothing is predicted here: OpenMP's
thread pools do not survive a fork. `start`, called in each worker, predicts a sample row before it takes requests.
"""

import logging
import sys
from pathlib import Path

from serving import loaded_models, settings
from serving.app import create_app
from serving.engine import Engine
from serving.errors import ModelNotUsable

config = settings.load()
log = logging.getLogger("serving")


def load() -> Engine:
    try:
        return Engine(loaded_models.load(loaded_models.find(config), config.predict_method), config)
    except ModelNotUsable as exc:
        log.error("the model cannot serve: %s", exc)
        log.debug("the traceback:", exc_info=exc)
        sys.exit(1)


engine = load()


def start(worker) -> None:
    """Called by gunicorn.conf.py in each worker, after the fork."""
    if config.preload == "auto" and (shy := loaded_models.shy_of_fork()):
        log.info("%s does not survive a fork: this worker loads a model of its own", shy)
        engine.model = load().model
    engine.start(Path(worker.cfg.worker_tmp_dir), retire=lambda: setattr(worker, "alive", False))


app = create_app(engine.answer, lambda: engine.not_ready, config.max_body_mb)
