from __future__ import annotations

import os
from pathlib import Path

from .base import CSV, INSTANCES, Contender, Start

AS_THE_IMAGE_IS_BUILT = """
from serving.compiler import build
build.main()
from serving.commands import compile
raise SystemExit(compile.main())
"""
"""native.c where a C compiler is, and the model's program beside the pickle."""


class Ours(Contender):
    """This kit as `./local-test/serve-local.sh` starts it natively, behind nginx, with a model that is compiled."""

    name, title, environment = "ours", "this kit", "ours"
    models = ("rf", "lr", "hgb", "mixed", "gaps")
    protocols = {"own": CSV, "json": INSTANCES}
    rounds, start_seconds = 3, 2
    compiled: set[Path] = set()
    """The models that were, in this run."""

    def __init__(self, **settings: str) -> None:
        self.settings = settings

    def prepare(self, start: Start) -> list[str]:
        if start.base in self.compiled:
            return []
        self.compiled.add(start.base)
        return [start.python, "-c", AS_THE_IMAGE_IS_BUILT]

    def command(self, start: Start) -> list[str]:
        return [start.python, str(start.kit / "model/serve")]

    def variables(self, start: Start) -> dict[str, str]:
        own = {"SAGEMAKER_BASE_DIR": str(start.base), "SAGEMAKER_BIND_TO_PORT": str(start.port)}
        own["PYTHONPATH"] = os.pathsep.join((str(start.kit / "model"), str(start.served)))
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
