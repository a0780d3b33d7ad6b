"""`check`: load the model, predict a sample row, say what would serve. The image's build runs it and fails with it."""

from __future__ import annotations

import sys

from .. import settings
from ..errors import ModelNotUsable, SettingError
from ..http import ready_line
from ..models import artifact, loading, pickle_contents
from ..monitoring import logs
from ..settings import PROGRAM_DIR


def main() -> int:
    logs.configure("info", "check: %(message)s")
    try:
        config = settings.load()
        directory = artifact.find(config)
        for line in pickle_contents.look_in(directory, PROGRAM_DIR, config.pickle_may_import):
            print(f"check: note: {logs.escaped(line)}")
        print(f"check: {logs.escaped(artifact.told_sha256(directory, config.model_sha256))}")
        model = loading.load(directory, config.predict_method, compiled=config.fast_paths == "on")
        model.warm_up()
    except (ModelNotUsable, SettingError) as exc:
        print(f"check: the model cannot serve: {logs.escaped(str(exc))}", file=sys.stderr)
        return 1
    print(f"check: {model.source} is {logs.escaped(ready_line.what(model))}")
    return 0
