"""`check`: load the model, predict a sample row, say what would serve. The image's build runs it and fails with it."""

from __future__ import annotations

import sys

from .. import settings
from ..errors import ModelNotUsable, SettingError
from ..models import artifact, loading
from ..monitoring import logs


def main() -> int:
    logs.configure("info", "check: %(message)s")
    try:
        config = settings.load()
        model = loading.load(artifact.find(config), config.predict_method, compiled=config.fast_paths == "on")
        model.warm_up()
    except (ModelNotUsable, SettingError) as exc:
        print(f"check: the model cannot serve: {exc}", file=sys.stderr)
        return 1
    name = model.compiled.name if model.compiled else type(model.model).__name__
    print(f"check: {model.source} is a {name} and predicts {model.signature.describe()}")
    return 0
