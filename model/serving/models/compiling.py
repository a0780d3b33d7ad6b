"""Writes model.compiled.npz for a model that is loaded: what `compile` and `train` do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..compiler import artifact
from ..compiler.compiling import NotCompiled, compiled
from ..rows.decoded import dressed
from . import inspection
from .loaded import LoadedModel


def write(model: LoadedModel, directory: Path, report: Callable[[str], None] = lambda line: None) -> Path:
    """Proves a program for the pickle and writes it into `directory`. `report` gets a line for each part.

    Raises NotCompiled with the reason; then an artifact of old is not there any more.
    """
    path = directory / artifact.path_beside(model.source).name
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        raise NotCompiled(f"{path} cannot be written: {exc.strerror}") from exc
    if not model.source.is_file():
        raise NotCompiled("predictor.py loads the model itself")
    samples = [dressed(rows, model.signature) for n in (1, 3) if (rows := model.sample_rows(n)) is not None]
    program = compiled(model.model, samples, report)
    try:
        artifact.save(program, inspection.signature_of(model.model), model.source, type(model.model).__module__, path)
    except (TypeError, ValueError, OSError) as exc:
        raise NotCompiled(f"{path.name} could not be written: {exc}") from exc
    return path
