"""What gunicorn imports: the loaded model behind the Flask app.

Imported once, before the workers fork, so that they share the model's memory. Nothing is predicted here: OpenMP's
thread pools do not survive a fork. Each worker predicts a sample row before it takes requests (gunicorn.conf.py).
"""

import logging
import sys

from serving import answering, loaded_models, settings
from serving.answering import Reply, Request
from serving.app import MEGABYTE, create_app
from serving.errors import ModelNotUsable

config = settings.load()
log = logging.getLogger("serving")
reason_not_ready: str | None = "no prediction has been made yet"

try:
    model = loaded_models.load(loaded_models.find(config))
except ModelNotUsable as exc:
    log.error("the model cannot serve: %s", exc)
    log.debug("the traceback:", exc_info=exc)
    sys.exit(1)


def warm_up() -> None:
    """Predicts a sample row in this worker; /ping tells the reason when that fails."""
    global reason_not_ready
    try:
        model.warm_up()
        reason_not_ready = None
    except ModelNotUsable as exc:
        reason_not_ready = str(exc)
        log.error("not ready: %s", exc)


def answer(request: Request) -> Reply:
    return answering.answer(model, [request], config.max_body_mb * MEGABYTE)[0]


app = create_app(answer, lambda: reason_not_ready, config.max_body_mb)
