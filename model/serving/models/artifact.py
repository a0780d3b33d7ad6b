"""Which file is the model: the one place that looks for it, for the server, `train` and the scripts.

Standard library only: the scripts ask where nothing is installed.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import sys
from pathlib import Path

from ..errors import ModelNotUsable
from ..settings import PROGRAM_DIR, Settings
from . import file_kinds

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


MACHINERY = frozenset(
    [
        *("serving", "save_model.py", "train", "serve", "wsgi.py", "gunicorn.conf.py", "nginx.conf", "predictor.py"),
        *("requirements.txt", "requirements.lock", "pyproject.toml", "uv.lock"),
    ]
)
"""What stands in the kit's folder model, whatever the model is."""
MADE_FOR_A_MODEL = (".compiled.npz", ".sample.json")
"""What stands beside a model and is not one. Where somebody has deleted the model, these may be left."""


def find(settings: Settings) -> Path:
    """The directory that holds the model: /opt/ml/model when a model may be in it, else the image's own."""
    there = _artifacts(settings.model_dir) if settings.model_dir.is_dir() else []
    if any(not path.name.endswith(MADE_FOR_A_MODEL) for path in there):
        return settings.model_dir
    return PROGRAM_DIR


def shy_of_fork(model_dir: Path, program_dir: Path = PROGRAM_DIR, compiled: bool = False) -> str | None:
    """The library for which each worker must load the model itself, if the model, predictor.py or the requirements
    name one. Looked up before anything is loaded: afterwards it is too late. `compiled`: the pickle is not read."""
    files = () if compiled else (program_dir / "requirements.txt", *_artifacts(model_dir))
    for path in (program_dir / "predictor.py", model_dir / "predictor.py", *files):
        pattern = WHERE_NAMED.get(path.suffix.lower())
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
    """All files whose names end as a pickle's do, in capitals or not."""
    return [path for path in _artifacts(directory) if path.suffix.lower() in PICKLES and path.is_file()]


def told_sha256(directory: Path, expected: str) -> str:
    """`NAME has the sha256 …`, of the model's file. Raises ModelNotUsable when another one is expected."""
    try:
        path = pickle_in(directory)
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
    """What is in a model directory, but for hidden files, what macOS and a disk leave, and the archive, which
    SageMaker's local mode puts there."""
    return sorted(p for p in directory.iterdir() if not p.name.startswith(".") and p.name not in LEFT_BEHIND)


LEFT_BEHIND = ("model.tar.gz", "__MACOSX", "lost+found")


def pickle_in(directory: Path, program_dir: Path = PROGRAM_DIR) -> Path:
    """The one pickle or skops file in the directory, whatever its name; those that predictor.py names are its own.

    Raises ModelNotUsable with the names of two that might be meant, or with what is there instead.
    """
    said = _predictor(directory, program_dir)
    pickles = [p for p in _artifacts(directory) if p.suffix.lower() in FILES and p.is_file()]
    meant = [p for p in pickles if p.name == "model.pkl" or p.name not in said] or pickles
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise ModelNotUsable(_missing(directory))
    names = " and ".join(path.name for path in meant[:6])
    raise ModelNotUsable(
        f"{directory} holds more than one model: {names}. Keep the one that is to be served. A file that predictor.py "
        "loads itself must be named there."
    )


def belonging(program_dir: Path) -> list[Path]:
    """The files of /opt/program that are the model: what `train` puts into model.tar.gz, and what serves from there.

    The pickle, pickles that predictor.py names, and every model.*; with load_model, whatever of these is there.
    """
    said = _predictor(program_dir, program_dir)
    files = {path for path in program_dir.glob("model.*") if path.is_file()}
    files |= {p for p in _artifacts(program_dir) if p.suffix.lower() in FILES and p.is_file() and p.name in said}
    if not LOADER.search(said):
        files.add(pickle_in(program_dir, program_dir))
    if not files:
        raise ModelNotUsable(f"{program_dir} has no file model.* that load_model could read from model.tar.gz.")
    return sorted(files)


LOADER = re.compile(r"^(async )?def load_model\b|^load_model *=|import .*\bload_model\b", re.MULTILINE)


def _predictor(*directories: Path) -> str:
    """The text of predictor.py, from the first directory that has one."""
    path = next((d / "predictor.py" for d in directories if (d / "predictor.py").is_file()), None)
    return path.read_text(encoding="utf-8", errors="replace") if path else ""


def _missing(directory: Path) -> str:
    """Why there is no model: what is there instead, and what to do about it."""
    there = [path for path in _artifacts(directory) if path.name not in MACHINERY]
    for path in there:
        if path.is_symlink() and not path.exists():
            return f"{path} is a link to {path.readlink()}, which is not there. Put the model itself in its place."
    for path in there:
        if path.is_dir() and (path.suffix.lower() in FILES or file_kinds.is_known_directory(path)):
            return file_kinds.of_directory(path)
        below = [p for p in path.rglob("*") if p.suffix.lower() in FILES and not p.name.startswith(".")]
        if below:
            return (
                f"{directory} has no model.pkl at its top; there is {below[0].relative_to(directory)}. Move it to the "
                f'top. In model.tar.gz it is there when it is packed so: tar -czf model.tar.gz -C "{below[0].parent}" .'
            )
    names = ", ".join(path.name for path in there[:12]) or "nothing else"
    told = next((said for path in there if path.is_file() and (said := file_kinds.of_other_name(path))), None)
    remedy = told or (
        "Save the model as model.pkl (README: save_model), or write load_model(model_dir) in predictor.py."
    )
    return f"{directory} has no model.pkl. Found: {names}. {remedy}"


def main(arguments: list[str]) -> int:
    """`python3 -m serving.models.artifact DIRECTORY`: the model's path, or why there is none (exit 3). For scripts."""
    directory = Path(arguments[0]).absolute()
    try:
        path = directory if LOADER.search(_predictor(directory)) else pickle_in(directory, directory)
        if path.suffix.lower() in PICKLES:
            file_kinds.refuse_what_is_no_pickle(path)
        print(path)
    except (ModelNotUsable, OSError) as exc:
        print(exc)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
