"""`compile`: read the model into a program, prove that it answers to the last bit as the model does, and keep it in
model.compiled.npz beside the pickle. A line for each part; what is declined is served by the estimator itself."""

from __future__ import annotations

import logging
import sys

from .. import settings
from ..compiler.compiling import NotCompiled
from ..errors import ModelNotUsable, SettingError
from ..models import artifact, compiling, loading


def main() -> int:
    logging.basicConfig(level="WARNING", format="compile: %(message)s")
    try:
        config = settings.load()
        model = loading.load(artifact.find(config), config.predict_method, compiled=False)
        model.warm_up()
    except (ModelNotUsable, SettingError) as exc:
        print(f"compile: the model cannot serve: {exc}", file=sys.stderr)
        return 1
    try:
        path = compiling.write(model, model.source.parent, lambda line: print(f"compile: {line}"))
    except NotCompiled as exc:
        print(f"compile: declined, {exc}. The estimator answers by itself.")
        return 0
    print(f"compile: {path} ({path.stat().st_size / 1000:.0f} KB) answers as {model.source.name} does, to the last bit")
    return 0
