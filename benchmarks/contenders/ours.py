from __future__ import annotations

from .base import CSV, INSTANCES, Contender, Start


class Ours(Contender):
    """This kit, as `./local-test/serve-local.sh` starts it natively, behind nginx."""

    name, title, environment = "ours", "this kit", "ours"
    models = ("rf", "lr", "hgb", "mixed")
    protocols = {"own": CSV, "json": INSTANCES}
    rounds = 3

    def __init__(self, **settings: str) -> None:
        self.settings = settings

    def command(self, start: Start) -> list[str]:
        return [start.python, str(start.kit / "model/serve")]

    def variables(self, start: Start) -> dict[str, str]:
        own = {"SAGEMAKER_BASE_DIR": str(start.base), "SAGEMAKER_BIND_TO_PORT": str(start.port)}
        return {**own, "MODEL_SERVER_WORKERS": str(start.workers), **self.settings}


NO_FAST_PATHS, NO_BATCHES = {"MODEL_SERVER_FAST_PATHS": "off"}, {"MODEL_SERVER_BATCH_ROWS": "1"}
NO_PRELOAD, FLASK = {"MODEL_SERVER_PRELOAD": "off"}, {"MODEL_SERVER_WORKER_CLASS": "gevent"}
STEPS: dict[str, Ours] = {
    "as it is": Ours(),
    "without fast paths": Ours(**NO_FAST_PATHS),
    "without batches": Ours(**NO_BATCHES),
    "Flask for every request": Ours(**FLASK),
    "without preload": Ours(**NO_PRELOAD),
    "without all four": Ours(**FLASK, **NO_FAST_PATHS, **NO_BATCHES, **NO_PRELOAD),
}
"""The kit with one of its steps taken back at a time: what each gives."""
