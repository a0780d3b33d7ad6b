"""The user's predictor.py: its transformation, and whether that takes a context."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ModelNotUsable
from . import diagnosis
from .own_modules import OwnModules


def _calling(model: Any, method: str) -> Callable[[Any, Any], Any]:
    if not callable(getattr(model, method, None)):
        raise ModelNotUsable(diagnosis.of_missing_method(model, method))
    return lambda model, rows: getattr(model, method)(rows)


@contextmanager
def _lent_to_main(predictor: ModuleType) -> Iterator[None]:
    """A class that was pickled from a notebook is looked for in __main__: let it be found in predictor.py."""
    main = vars(sys.modules["__main__"])
    lent = {k: v for k, v in vars(predictor).items() if not k.startswith("__") and k not in main}
    main.update(lent)
    try:
        yield
    finally:
        for name in lent:
            main.pop(name, None)


def _import_predictor(model_dir: Path, program_dir: Path, own: OwnModules | None) -> ModuleType:
    """The predictor.py beside the model, else the one in `program_dir`. Either finds the modules beside itself."""
    for directory in (program_dir,) if own else (program_dir, model_dir):
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the model's directory is not ours to write to
    try:
        predictor = own.load("predictor") if own and own.has("predictor") else importlib.import_module("predictor")
    except Exception as exc:
        raise ModelNotUsable(diagnosis.of_predictor(exc)) from exc
    finally:
        sys.dont_write_bytecode = writes
    if not callable(getattr(predictor, "transformation", None)):
        raise ModelNotUsable(diagnosis.of_missing_function(predictor))
    takes_context(predictor.transformation)
    return predictor


def takes_context(transformation: Callable[..., Any]) -> bool:
    """Whether it is called with (model, rows, context), not (model, rows): it must, or it names a parameter so."""
    parameters = inspect.signature(transformation)
    for count in (3, 2) if "context" in parameters.parameters else (2, 3):
        try:
            parameters.bind(*[None] * count)
        except TypeError:
            continue
        return count == 3
    raise ModelNotUsable(diagnosis.of_wrong_parameters(transformation))
