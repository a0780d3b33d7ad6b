from __future__ import annotations

import shutil

from .base import CSV, INSTANCES, Contender, Start


class Ours(Contender):
    """This kit, as `./local-test/serve-local.sh` starts it natively: nginx, gunicorn (gevent), Flask."""

    name, title, environment = "ours", "this kit", "ours"
    models = ("rf", "lr", "hgb", "mixed")
    protocols = {"own": CSV, "json": INSTANCES}
    rounds = 3

    def __init__(self, flask_only: bool = False, **settings: str) -> None:
        self.flask_only, self.settings = flask_only, settings

    def prepare(self, start: Start) -> list[str]:
        """A copy of model/ where Flask answers every request: there is no setting for that."""
        if self.flask_only:
            copy = shutil.copytree(start.kit / "model", start.scratch / "model")
            config = (copy / "gunicorn.conf.py").read_text()
            assert '"wsgi:app"' in config
            (copy / "gunicorn.conf.py").write_text(config.replace('"wsgi:app"', '"wsgi:flask_app"'))
        return []

    def command(self, start: Start) -> list[str]:
        return [start.python, str((start.scratch if self.flask_only else start.kit) / "model/serve")]

    def variables(self, start: Start) -> dict[str, str]:
        own = {"SAGEMAKER_BASE_DIR": str(start.base), "SAGEMAKER_BIND_TO_PORT": str(start.port)}
        return {**own, "MODEL_SERVER_WORKERS": str(start.workers), **self.settings}


NO_FAST_PATHS, NO_BATCHES = {"MODEL_SERVER_FAST_PATHS": "off"}, {"MODEL_SERVER_BATCH_ROWS": "1"}
NO_PRELOAD = {"MODEL_SERVER_PRELOAD": "off"}
STEPS: dict[str, Ours] = {
    "as it is": Ours(),
    "without fast paths": Ours(**NO_FAST_PATHS),
    "without batches": Ours(**NO_BATCHES),
    "Flask for every request": Ours(flask_only=True),
    "without preload": Ours(**NO_PRELOAD),
    "without all four": Ours(flask_only=True, **NO_FAST_PATHS, **NO_BATCHES, **NO_PRELOAD),
}
"""The kit with one of its steps taken back at a time: what each gives."""
