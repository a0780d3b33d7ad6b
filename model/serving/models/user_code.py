"""An exception in the user's own code: where it arose, whether it is the code's fault alone, and what was meant."""

from __future__ import annotations

import builtins
import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from ..rows.signature import Signature

OURS = ("wsgi.py", "gunicorn.conf.py", "save_model.py")
"""What stands beside predictor.py and is not the user's."""


def place(exc: BaseException) -> str:
    """File and line where it happened: the last in the user's own files, if the call went through predictor.py."""
    if isinstance(exc.__cause__, SystemExit):
        return place(exc.__cause__)
    frames = traceback.extract_tb(exc.__traceback__)
    homes = {Path(frame.filename).parent for frame in frames if Path(frame.filename).name == "predictor.py"}
    frame = next((frame for frame in reversed(frames) if _is_users(Path(frame.filename), homes)), None)
    frame = frame or (frames[-1] if frames else None)
    return f"{Path(frame.filename).name}, line {frame.lineno}" if frame else "no line"


def _is_users(path: Path, homes: Iterable[Path]) -> bool:
    home = next((home for home in homes if home in path.parents), None)
    if home is None or path.name in OURS:
        return False
    return not {"serving", "site-packages"} & set(path.relative_to(home).parts)


def is_at_fault(exc: BaseException, model: object) -> bool:
    """Whether it would come with any rows: a name that is not there, something asked of a model or a module that does
    not have it, a call of itself, or sys.exit()."""
    if isinstance(exc, AttributeError):
        return exc.obj is not None and (exc.obj is model or isinstance(exc.obj, ModuleType) or hasattr(exc.obj, "fit"))
    return isinstance(exc, NameError | ImportError | RecursionError) or isinstance(exc.__cause__, SystemExit)


def is_missing_part(exc: BaseException, model: object) -> bool:
    """Whether the user's own code has asked a dict of parts for one that it does not have."""
    if not (isinstance(exc, KeyError) and isinstance(model, dict) and exc.args and exc.args[0] not in model):
        return False
    return Path(traceback.extract_tb(exc.__traceback__)[-1].filename).name == "predictor.py"


def meant(exc: BaseException, expected: Signature) -> str:
    """A sentence with the name that was probably meant; nothing if none is like it."""
    return did_you_mean(*_named(exc, expected), alike=0.6 if isinstance(exc, KeyError) else 0.75)


def did_you_mean(name: str, known: Iterable[str], alike: float = 0.75) -> str:
    like = difflib.get_close_matches(name, list(known), 1, alike)
    return f" Did you mean {like[0]}?" if like and like[0] != name else ""


def _named(exc: BaseException, expected: Signature) -> tuple[str, Iterable[str]]:
    """The name that was not found, and those that there are."""
    if isinstance(exc, AttributeError):
        return exc.name or "", [name for name in dir(exc.obj) if not name.startswith("_")]
    if isinstance(exc, NameError) and exc.__traceback__ is not None:
        frames = [frame for frame, _ in traceback.walk_tb(exc.__traceback__)]
        return exc.name or "", [*frames[-1].f_locals, *frames[-1].f_globals, *dir(builtins)]
    if isinstance(exc, KeyError) and exc.args:
        return str(exc.args[0]), expected.names or ()
    return "", ()
