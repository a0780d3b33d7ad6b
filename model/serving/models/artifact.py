"""Which file is the model: the one place that looks for it."""

from __future__ import annotations

import hashlib
import mmap
import re
from pathlib import Path

from ..errors import ModelNotUsable
from ..settings import PROGRAM_DIR, Settings
from . import diagnosis

SHY_OF_FORK = b"xgboost|lightgbm|catboost|tensorflow|onnxruntime|torch|pyspark"
"""Libraries that start threads while a model is loaded. A forked process lacks them and waits for them for ever."""


WHERE_NAMED = {
    ".py": rb"(?m)^\s*(?:import|from)\s+(%s)\b",
    ".txt": rb"(?mi)^\s*(%s)\b",
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), rb"(%s)"),
}
"""How a source file, a list of requirements and a pickle name a library."""


PICKLES = (".pkl", ".pickle", ".joblib")
FILES = (*PICKLES, ".skops")
"""What is loaded without the user's own loader."""


def find(settings: Settings) -> Path:
    """The directory that holds the model: /opt/ml/model when anything is in it, else the image's own."""
    if settings.model_dir.is_dir() and any(_artifacts(settings.model_dir)):
        return settings.model_dir
    return PROGRAM_DIR


def shy_of_fork(model_dir: Path, program_dir: Path = PROGRAM_DIR, compiled: bool = False) -> str | None:
    """The library for which each worker must load the model itself, if the model, predictor.py or the requirements
    name one. Looked up before anything is loaded: afterwards it is too late. `compiled`: the pickle is not read."""
    files = () if compiled else (program_dir / "requirements.txt", *_artifacts(model_dir))
    for path in (program_dir / "predictor.py", model_dir / "predictor.py", *files):
        pattern = WHERE_NAMED.get(path.suffix)
        if pattern and (match := _mentions(path, pattern % SHY_OF_FORK)):
            return match.decode().lower()
    return None


def _mentions(path: Path, pattern: bytes) -> bytes | None:
    """What `pattern` (or its group 1) first matches in the file."""
    if not path.is_file() or not path.stat().st_size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        match = re.search(pattern, content)
        return bytes(match[match.lastindex or 0]) if match else None


def pickles_in(directory: Path) -> list[Path]:
    """All files that are called as a pickle is."""
    return [path for path in _artifacts(directory) if path.suffix in PICKLES]


def told_sha256(directory: Path, expected: str) -> str:
    """`NAME has the sha256 …`, of the model's file. Raises ModelNotUsable when another one is expected."""
    try:
        path = _pickle_in(directory)
    except ModelNotUsable:
        if not expected:
            return "the model is not one file, so it has no sha256"
        raise
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if expected and found != expected:
        raise ModelNotUsable(
            f"{path.name} has the sha256 {found}; MODEL_SERVER_MODEL_SHA256 expects {expected}. It is another model."
        )
    return f"{path.name} has the sha256 {found}"


def _artifacts(directory: Path) -> list[Path]:
    """The files of a model directory. SageMaker's local mode leaves the archive itself there; hidden files are none."""
    return sorted(p for p in directory.iterdir() if not p.name.startswith(".") and p.name != "model.tar.gz")


def _pickle_in(directory: Path) -> Path:
    """model.pkl, or the one pickle or skops file that has another name."""
    if (directory / "model.pkl").is_file():
        return directory / "model.pkl"
    pickles = [p for p in _artifacts(directory) if p.suffix in FILES]
    if len(pickles) == 1:
        return pickles[0]
    raise ModelNotUsable(diagnosis.of_missing_artifact(directory, [p.name for p in _artifacts(directory)]))
