"""`train`: the model is trained already; copy its artifact to where SageMaker packs model.tar.gz from.

It runs without input data; what the job was given is named in the log and not used. The artifact must load and predict
first, so that a training job fails and says why where otherwise an endpoint would never come up. On any error the
reason goes to /opt/ml/output/failure, whose first 1024 characters become the job's FailureReason, and the exit code is
not 0.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from types import FrameType

from .. import settings
from ..compiler.compiling import NotCompiled
from ..errors import ModelNotUsable, SettingError
from ..http import ready_line
from ..models import artifact, compiling, loading, pickle_contents
from ..models.loaded import LoadedModel
from ..monitoring import logs
from ..settings import PROGRAM_DIR

FAILURE_CHARACTERS = 1024


def main() -> int:
    failure = settings.base_dir() / "output/failure"
    logs.configure("info", "train: %(message)s")
    try:
        config = settings.load()
        failure = config.base_dir / "output/failure"
        signal.signal(signal.SIGTERM, partial(_stop, failure, config.model_dir))
        print(f"train: {given(config.base_dir / 'input/config')}", flush=True)
        for line in pickle_contents.look_in(PROGRAM_DIR, PROGRAM_DIR, config.pickle_may_import):
            print(f"train: note: {logs.escaped(line)}", flush=True)
        print(f"train: {logs.escaped(artifact.told_sha256(PROGRAM_DIR, config.model_sha256))}", flush=True)
        model = loading.load(PROGRAM_DIR, config.predict_method, compiled=config.fast_paths == "on")
        model.warm_up()
        copied = copy_artifact(PROGRAM_DIR, config.model_dir)
        if model.compiled is None and config.fast_paths == "on":
            print(f"train: {_compiled(model, config.model_dir)}", flush=True)
    except (ModelNotUsable, SettingError) as exc:
        return _fail(failure, str(exc), 1)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the job's FailureReason must say it
        return _fail(failure, f"{type(exc).__name__}: {exc}", 1)
    print(f"train: {model.source.name} is {logs.escaped(ready_line.what(model))}", flush=True)
    print(f"train: copied {', '.join(copied)} to {config.model_dir}", flush=True)
    return 0


def _compiled(model: LoadedModel, directory: Path) -> str:
    """The program goes into model.tar.gz too: an endpoint starts at once with it."""
    try:
        return f"compiled {compiling.write(model, directory).name}"
    except NotCompiled as exc:
        return f"not compiled, {exc}"


def given(directory: Path) -> str:
    """What the platform's files say of the job, by name alone: a hyperparameter may be a secret. It never fails."""
    job = {
        name: _object(directory / f"{name}.json") for name in ("hyperparameters", "inputdataconfig", "resourceconfig")
    }
    words = [
        f"{what}: {', '.join(map(str, job[name])) or 'none'}" if isinstance(job[name], dict) else f"{what}: {job[name]}"
        for name, what in (("hyperparameters", "hyperparameters"), ("inputdataconfig", "channels"))
    ]
    resources = job["resourceconfig"]
    if isinstance(resources, dict) and resources:
        words.append(f"host: {resources.get('current_host')} of {resources.get('hosts')}")
    return "; ".join(words) + "; the model is trained already and needs none of it"


def _object(path: Path) -> dict[str, object] | str:
    """The JSON object in the file, or why there is none."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as exc:
        return f"{path.name} cannot be read ({type(exc).__name__})"
    return value if isinstance(value, dict) else f"{path.name} is not a JSON object"


def copy_artifact(program_dir: Path, model_dir: Path) -> list[str]:
    """Copies the model and what belongs to it, each file whole or not at all, and removes what an earlier one left."""
    files = artifact.belonging(program_dir)
    model_dir.mkdir(parents=True, exist_ok=True)
    names = [path.name for path in files]
    for path in files:
        half = model_dir / f".{path.name}.partial"
        shutil.copyfile(path, half)
        half.chmod(0o644)  # the container that serves it may run as another user
        os.replace(half, model_dir / path.name)
    for path in model_dir.iterdir():
        of_ours = path.name.startswith("model.") or path.suffix.lower() in artifact.FILES
        if path.is_file() and of_ours and path.name not in names:
            path.unlink()
    return names


def _fail(path: Path, reason: str, code: int) -> int:
    print(f"train: {reason}", file=sys.stderr, flush=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reason[:FAILURE_CHARACTERS])
    except OSError as exc:
        print(f"train: {path} could not be written: {exc}", file=sys.stderr, flush=True)
    return code


def _stop(failure: Path, model_dir: Path, signum: int, frame: FrameType | None) -> None:
    """SIGTERM: the job was stopped, or its time is over. Ends at once, so that no handler in the user's code can keep
    the process."""
    for half in model_dir.glob(".*.partial"):
        half.unlink(missing_ok=True)
    os._exit(_fail(failure, "stopped by SIGTERM before the model was copied", 128 + signum))
