"""What gunicorn imports: the loaded model behind the Flask app.

Imported once, before the workers fork, so that they share the model's memory (gunicorn.conf.py knows the exceptions).
Nothing is predicted here: OpenMP's thread pools do not survive a fork. `start`, called in each worker, predicts a
sample row before it takes requests.
"""

import logging
import sys
from pathlib import Path

from serving import loaded_models, settings
from serving.app import create_app, with_short_cut
from serving.engine import Engine
from serving.errors import ModelNotUsable
from serving.worker import Worker

config = settings.load()
log = logging.getLogger("serving")


try:
    model = loaded_models.load(loaded_models.find(config), config.predict_method)
except ModelNotUsable as exc:
    log.error("the model cannot serve: %s", exc)
    log.debug("the traceback:", exc_info=exc)
    sys.exit(1)

engine = Engine(model, config)
worker = Worker([engine])


def start(of_gunicorn) -> None:
    """Called by gunicorn.conf.py in each worker, after the fork."""
    worker.start(Path(of_gunicorn.cfg.worker_tmp_dir), retire=lambda: setattr(of_gunicorn, "alive", False))


flask_app = create_app(engine.answer, lambda: worker.not_ready, config.max_body_mb, config.execution_parameters)
app = with_short_cut(flask_app, engine.answer, config.max_body_mb)
