"""The user's predictor.py: its transformation, and whether that takes a context."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ModelNotUsable
from . import diagnosis, methods
from .own_modules import OwnModules


def calling(model: Any, method: str) -> Callable[[Any, Any], Any]:
    if not methods.has(model, method):
        raise ModelNotUsable(methods.of_missing_method(model, method))
    return lambda model, rows: getattr(model, method)(rows)


@contextmanager
def lent_to_main(predictor: ModuleType) -> Iterator[None]:
    """A class that was pickled from a notebook is looked for in __main__: let it be found in predictor.py."""
    main = vars(sys.modules["__main__"])
    lent = {k: v for k, v in vars(predictor).items() if not k.startswith("__") and k not in main}
    main.update(lent)
    try:
        yield
    finally:
        for name in lent:
            main.pop(name, None)


def import_predictor(model_dir: Path, program_dir: Path, own: OwnModules | None) -> ModuleType:
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
    if inspect.iscoroutinefunction(predictor.transformation) or inspect.isasyncgenfunction(predictor.transformation):
        raise ModelNotUsable(diagnosis.of_coroutine())
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


@dataclass(frozen=True)
class Use:
    """What transformation does with the model, told from its source."""

    attributes: frozenset[str] | None
    """Those it asks the model for; None where that cannot be told."""
    method: str = ""
    """Set where it does nothing but `return model.METHOD(rows)`."""
    line: int = field(default=0, compare=False)
    """Where in predictor.py that stands."""
    loads: bool = False
    """predictor.py has a load_model of its own."""


def use_of(predictor: str | Path | None) -> Use:
    """Told from the file. Nothing is known where it is not there, or where the function is not what stands in it."""
    try:
        tree = ast.parse(Path(predictor or "").read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError):
        return Use(None)
    use = _use(tree)
    return replace(use, loads=any(_binds(node, "load_model") for node in ast.walk(tree)))


def _use(tree: ast.Module) -> Use:
    found = [node for node in ast.walk(tree) if _binds(node, "transformation")]
    if len(found) != 1 or not isinstance(found[0], ast.FunctionDef) or found[0] not in tree.body:
        return Use(None)
    function = found[0]
    arguments = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    if function.decorator_list or len(arguments) < 2:
        return Use(None)
    model, rows = arguments[:2]
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == model]
    asked = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == model
    ]
    if len(asked) != len(names) or not all(isinstance(node.ctx, ast.Load) for node in asked):
        return Use(None)  # it is handed on, or set
    return Use(frozenset(node.attr for node in asked), *_only_call(function, model, rows))


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == name
    if isinstance(node, ast.alias):
        return (node.asname or node.name) in (name, "*")
    return isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)


def _only_call(function: ast.FunctionDef, model: str, rows: str) -> tuple[str, int]:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if len(body) == 1 and isinstance(body[0], ast.Return) and isinstance(call := body[0].value, ast.Call):
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if ast.unparse(call) == f"{model}.{method}({rows})":
            return method, body[0].lineno
    return "", 0
