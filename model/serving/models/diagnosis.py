"""Why would this model not serve? From an exception to one line: the cause, then the remedy.

The same line is seen at image build, in `train`'s failure file, in the log at boot and in /ping's 503.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import textwrap
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType

from ..errors import ModelNotUsable
from ..rows.signature import Signature
from ..settings import PROGRAM_DIR
from . import python_code, versions
from .packages import add_to_requirements, installed
from .user_code import meant, place

CUT_OFF = "^EOF: |pickle data was truncated|exhausted before end of frame|mmap length is greater than file size"
"""How pickle and joblib say, when it is not an EOFError, that a file ends too early."""


def of_missing_function(predictor: ModuleType) -> str:
    functions = [n for n, v in vars(predictor).items() if callable(v) and not n.startswith("_")]
    return (
        f"predictor.py has no function `transformation`. Found: {', '.join(functions) or 'no function'}. It must be "
        "there, such as: def transformation(model, rows): return model.predict(rows)"
    )


def of_coroutine() -> str:
    return "transformation in predictor.py begins with async, and nothing awaits it here. Write def alone."


def of_wrong_parameters(function: Callable[..., object]) -> str:
    return (
        f"transformation{inspect.signature(function)} in predictor.py is called as transformation(model, rows), "
        "or as transformation(model, rows, context) if it has a third parameter."
    )


def of_predictor(exc: Exception) -> str:
    """predictor.py could not be imported."""
    if isinstance(exc, SyntaxError):
        file, text = Path(exc.filename or "predictor.py").name, (exc.text or "").strip()[:80]
        return f"{file}, line {exc.lineno}, is not Python ({exc.msg}): {text}"
    if isinstance(exc, ModuleNotFoundError) and exc.name == "predictor":
        return (
            "predictor.py is missing. It must be beside the model or in the kit's folder model, and may be no more "
            "than: def transformation(model, rows): return model.predict(rows)"
        )
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        return f"predictor.py imports {exc.name}, which is not installed. {add_to_requirements(exc.name)}"
    return f"predictor.py failed while it was imported, {place(exc)}: {named(exc)}.{meant(exc, Signature())}"


def of_loading(exc: Exception, path: Path) -> str:
    """The artifact could not be loaded."""
    if isinstance(exc, ModelNotUsable):
        return str(exc)
    text = str(exc)
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        return _of_missing_module(exc.name, path)
    if match := re.search(r"Can't get attribute '(\w+)' on <module '[\w.]*__main__'", text):
        name = match[1]
        return (
            f"{path.name} needs `{name}`, which was defined in a notebook or script (__main__) and is not in the file. "
            f"Define `{name}` in predictor.py, or import it there from a module beside it."
        )
    if match := re.search(r"Can't get attribute '(\w+)' on <module '([\w.]+)'", text):
        if file := own_file(match[2], path):
            return f"{path.name} needs `{match[1]}`, which {file} does not define any more. Define it there."
        return (
            f"{path.name} needs {match[2]}.{match[1]}, which {installed(match[2])} does not have. "
            f"{versions.pin(match[2], path)}"
        )
    if isinstance(exc, MemoryError):
        return f"{path.name} does not fit into memory. Use a larger instance or a smaller model."
    if re.search(FOREIGN_CODE, text):
        made = python_code.OLD if "must be str" in text else ""
        return f"{python_code.of_foreign(path.name, made)} ({named(exc)[:200]})"
    for pattern, cause in CAUSES:
        if match := re.search(pattern, text):
            return f"{path.name} {match.expand(cause)} ({named(exc)[:200]})."
    if path.is_file() and is_cut_off(exc):
        return of_cut_off(path)
    if path.is_dir():
        there = f" In {path}: {', '.join(sorted(p.name for p in path.iterdir())[:12])}." * isinstance(exc, OSError)
        return f"load_model in predictor.py failed: {named(exc)} ({place(exc)}).{meant(exc, Signature())}{there}"
    return f"{path.name} could not be loaded: {named(exc)[:250]} ({place(exc)}). {_remedy(exc, path)}"


def of_cut_off(path: Path) -> str:
    size = path.stat().st_size
    return f"{path.name} is cut off: it ends after {size} bytes, before the model does. Save or copy it again."


def is_cut_off(exc: Exception) -> bool:
    """Whether it says that a file ends too early."""
    return isinstance(exc, EOFError) or bool(re.search(CUT_OFF, str(exc)))


FOREIGN_CODE = r"\bcode\(\) |code expected|bad marshal data|unknown opcode"
CAUSES = (
    (
        "unsupported pickle protocol",
        "was made by a newer Python: build with --build-arg PYTHON_VERSION=3.…, or pickle it again with Python "
        + python_code.HERE,
    ),
    (
        "<class '.*'> is not a known BitGenerator",
        "was made with a newer NumPy than the installed one: put the NumPy that the model was trained with into "
        "model/requirements.txt, such as numpy>=2",
    ),
    (
        "not a known BitGenerator|not a legacy MT19937|numpy.dtype size changed|_ARRAY_API not found|"
        "compiled using NumPy 1",
        "and the installed NumPy do not fit: put the NumPy that the model was trained with into "
        "model/requirements.txt, such as numpy<2 or numpy>=2",
    ),
    (
        r"torch\.cuda\.is_available\(\) is False|Torch not compiled with CUDA",
        "lies on a GPU, and this machine has none: save it after model.to('cpu')",
    ),
    (
        r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object",
        r"needs the system library \1: install it by apt-get in the Dockerfile",
    ),
)
"""What a library says when it cannot load → the cause and the remedy."""


def of_warning(warning: Warning | str) -> str:
    """scikit-learn warns at load when the pickle is of another version; others pass through in one line."""
    made = getattr(warning, "original_sklearn_version", None)
    if made:
        return (
            f"the model was pickled with scikit-learn {made}, installed is {warning.current_sklearn_version}: "  # type: ignore[union-attr]
            f"predictions may differ. Put scikit-learn=={made} into model/requirements.txt, or train again."
        )
    return textwrap.shorten(str(warning), 300, placeholder=" …")


def _of_missing_module(name: str, path: Path) -> str:
    top = name.partition(".")[0]
    if top.startswith("_") and top != "__main__" and versions.of_scikit_learn(path):
        without = f"{path.name} needs {name}, a part of scikit-learn that {installed('sklearn')} does not have."
        return f"{without} {versions.told(path)}"
    if importlib.util.find_spec(top) is None:
        return f"{path.name} needs the module {top}, which is not installed. {add_to_requirements(top)}"
    return f"{path.name} needs {name}, which {installed(name)} does not have. {versions.pin(name, path)}"


def _remedy(exc: BaseException, path: Path) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    of_user = frames and {path.parent, PROGRAM_DIR} & {Path(frames[-1].filename).parent}
    return "Correct it there." if of_user else versions.pin(_failing_package(exc), path)


def _failing_package(exc: BaseException) -> str:
    """In whose code the exception was raised; "" if that is nobody's who keeps models."""
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        _, inside, below = frame.filename.replace("\\", "/").rpartition("/site-packages/")
        top = below.partition("/")[0] if inside else ""
        if top and top not in ("joblib", "cloudpickle", "serving"):
            return top.removesuffix(".py")
    return ""


def of_other_version(exc: BaseException, path: Path) -> str:
    """A sentence, where scikit-learn fails with a pickle that another version of it has made."""
    about = getattr(exc, "obj", None)
    of_sklearn = _failing_package(exc) == "sklearn" or type(about).__module__.startswith("sklearn.")
    made = versions.of_scikit_learn(path) if of_sklearn else []
    if not made or made[0] == metadata.version("scikit-learn"):
        return ""
    return f"The installed {installed('sklearn')} has not made this model. {versions.told(path)}"


def own_file(module: str, path: Path) -> str:
    """The name of the user's own file that is this module, if it is one beside the model or predictor.py."""
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "/")
    return file.name if {path.parent, PROGRAM_DIR} & set(file.parents) and "site-packages" not in file.parts else ""


def named(exc: BaseException) -> str:
    """The exception as a person quotes it: type and message, on one line."""
    return f"{type(exc).__name__}: {words(exc)}"


def words(exc: BaseException) -> str:
    """Its message, on one line."""
    return " ".join(str(exc).split())[:400]
