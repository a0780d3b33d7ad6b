"""Which model is in memory: find the artifact, load it with the user's predictor.py, and prove that it predicts.

SageMaker extracts model.tar.gz into /opt/ml/model; where nothing was extracted, the model that is baked into the image
serves. Whatever goes wrong becomes ModelNotUsable: one line with cause and remedy (diagnosis.py).
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import mmap
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ModelNotUsable
from ..rows import predictions, signature, table
from ..rows.signature import Signature
from ..settings import PROGRAM_DIR, Settings
from . import diagnosis, inspection
from .context import Context
from .own_modules import OwnModules

SHY_OF_FORK = b"xgboost|lightgbm|catboost|tensorflow|onnxruntime|torch|pyspark"
"""Libraries that start threads while a model is loaded. A forked process lacks them and waits for them for ever."""
WHERE_NAMED = {
    ".py": rb"(?m)^\s*(?:import|from)\s+(%s)\b",
    ".txt": rb"(?mi)^\s*(%s)\b",
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), rb"(%s)"),
}
"""How a source file, a list of requirements and a pickle name a library."""
PICKLES = (".pkl", ".pickle", ".joblib")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A model, the user's function, and what the model expects."""

    model: Any
    transformation: Callable[..., Any]
    signature: Signature
    source: Path
    takes_context: bool = False
    """Whether transformation has a third parameter (context.py)."""
    load_seconds: float = 0.0
    own_modules: OwnModules | None = None

    def close(self) -> None:
        """Lets go of what the process keeps for the model besides itself."""
        if self.own_modules is not None:
            self.own_modules.forget()

    def sample_rows(self, n: int) -> Any:
        """`n` rows that the model should take, in the form that transformation gets; None if none can be made up."""
        return table.sample_rows(self.signature, n)

    def predict(self, rows: Any, context: Context | None = None) -> Any:
        """The user's transformation on `rows`: one prediction per row."""
        try:
            if self.takes_context:
                return self.transformation(self.model, rows, context or Context())
            return self.transformation(self.model, rows)
        except SystemExit as exc:  # it would end the worker, and with it everybody's requests
            raise RuntimeError("transformation called sys.exit()") from exc

    def warm_up(self) -> None:
        """Predicts two sample rows. Raises ModelNotUsable when that fails, or when no plausible row is known and the
        model is plainly not fitted."""
        rows = self.sample_rows(2)
        if rows is None:
            if _is_unfitted(self.model):
                raise ModelNotUsable(diagnosis.of_unfitted(self.model))
            log.info("no warm-up prediction: the model does not tell which rows it expects")
            return
        try:
            result = self.predict(rows)
            if not predictions.is_whole(result):
                predictions.per_row(result, 2)
        except Exception as exc:
            raise ModelNotUsable(diagnosis.of_warm_up(exc, self.model, self.signature)) from exc


def _is_unfitted(model: Any) -> bool:
    """Whether all of it is scikit-learn's own, and nothing in it was ever fitted although its methods ask for that.

    Anybody else's estimator may keep what it has learned where scikit-learn does not look. One without a method to
    predict by (DBSCAN) is fitted by the transformation itself.
    """
    if not type(model).__module__.startswith("sklearn."):
        return False
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        parts = [part for part in (model, *model.get_params().values()) if isinstance(part, BaseEstimator)]
        if not parts or not any(hasattr(model, method) for method in diagnosis.METHODS):
            return False
        if any(not type(part).__module__.startswith("sklearn.") or _has_learned(part) for part in parts):
            return False
        check_is_fitted(model)
    except NotFittedError:
        return True
    except Exception:  # noqa: BLE001 - a model that misbehaves when asked says nothing
        return False
    return False


def _has_learned(estimator: Any) -> bool:
    return any(name.endswith("_") and not name.startswith("_") for name in vars(estimator))


def find(settings: Settings) -> Path:
    """The directory that holds the model: /opt/ml/model when anything is in it, else the image's own."""
    if settings.model_dir.is_dir() and any(_artifacts(settings.model_dir)):
        return settings.model_dir
    return PROGRAM_DIR


def shy_of_fork(model_dir: Path, program_dir: Path = PROGRAM_DIR) -> str | None:
    """The library for which each worker must load the model itself, if the model, predictor.py or the requirements
    name one. Looked up before anything is loaded: afterwards it is too late."""
    for path in (program_dir / "predictor.py", program_dir / "requirements.txt", *_artifacts(model_dir)):
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


def load(model_dir: Path, method: str = "", program_dir: Path = PROGRAM_DIR, share: bool = False) -> LoadedModel:
    """Loads the model in `model_dir` by its predictor.py: the one beside it, else the one in `program_dir`.

    `method` names a method of the model that is called instead of `transformation`. With `share` the arrays of a
    joblib file stay in the file, mapped, so that processes which load the same one share its memory.
    """
    own = None if model_dir == program_dir else OwnModules(model_dir)
    try:
        return _load(model_dir, method, program_dir, share, own)
    except BaseException as exc:
        if own:
            own.forget()
        if isinstance(exc, SystemExit):  # it would end the worker
            raise ModelNotUsable("predictor.py or the model called sys.exit() while it was loaded.") from exc
        raise


def _load(model_dir: Path, method: str, program_dir: Path, share: bool, own: OwnModules | None) -> LoadedModel:
    began = time.monotonic()
    predictor = _import_predictor(program_dir, own)
    loader = getattr(predictor, "load_model", None)
    source = model_dir if loader else _pickle_in(model_dir)
    if not loader:
        _import_scikit_learn_for(source)
    try:
        with own.found_by_pickle() if own else nullcontext():
            model = loader(str(model_dir)) if loader else _unpickle(source, predictor, share)
    except Exception as exc:
        raise ModelNotUsable(diagnosis.of_loading(exc, source)) from exc
    sample = model_dir / signature.SAMPLE_FILE
    expected = inspection.signature_of(model, sample if sample.is_file() else None)
    seconds = time.monotonic() - began
    if method:
        return LoadedModel(model, _calling(model, method), expected, source, load_seconds=seconds, own_modules=own)
    function = predictor.transformation
    return LoadedModel(model, function, expected, source, _takes_context(function), seconds, own)


def _calling(model: Any, method: str) -> Callable[[Any, Any], Any]:
    if not callable(getattr(model, method, None)):
        raise ModelNotUsable(diagnosis.of_missing_method(model, method))
    return lambda model, rows: getattr(model, method)(rows)


def _artifacts(directory: Path) -> list[Path]:
    """The files of a model directory. SageMaker's local mode leaves the archive itself there; hidden files are none."""
    return sorted(p for p in directory.iterdir() if not p.name.startswith(".") and p.name != "model.tar.gz")


def _pickle_in(directory: Path) -> Path:
    """model.pkl, or the one pickle that has another name."""
    if (directory / "model.pkl").is_file():
        return directory / "model.pkl"
    pickles = [p for p in _artifacts(directory) if p.suffix in PICKLES]
    if len(pickles) == 1:
        return pickles[0]
    raise ModelNotUsable(diagnosis.of_missing_artifact(directory, [p.name for p in _artifacts(directory)]))


def _unpickle(path: Path, predictor: ModuleType, share: bool) -> Any:
    diagnosis.refuse_what_is_no_pickle(path)
    with _lent_to_main(predictor), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = _read(path, share)
    for line in dict.fromkeys(diagnosis.of_warning(w.message) for w in caught):
        log.warning(line)
    return model


def _import_scikit_learn_for(path: Path) -> None:
    """scikit-learn imports pandas (30 MB, a quarter of a second) for its OpenML reader alone, and does without where
    there is none: a model that was fitted on arrays is spared it until somebody imports pandas."""
    if (
        sys.modules.keys() & {"pandas", "sklearn.utils.fixes"}
        or not _mentions(path, b"sklearn")
        or _mentions(path, b"pandas|feature_names_in_")
    ):
        return
    sys.modules["pandas"] = None  # type: ignore[assignment] # what Python takes as: not installed
    with contextlib.suppress(ImportError):
        importlib.import_module("sklearn.utils.fixes")
    del sys.modules["pandas"]


def _read(path: Path, share: bool) -> Any:
    """joblib reads its own files and plain pickles; without it (no scikit-learn) pickle does."""
    try:
        import joblib
    except ImportError:
        import pickle

        return pickle.loads(path.read_bytes())  # noqa: S301 - the model is the user's own code
    if share:
        try:
            warnings.filterwarnings("ignore", message=".*mmap_mode.*")  # a compressed file, or one that is no joblib's
            return joblib.load(path, mmap_mode="r")
        except Exception as exc:  # noqa: BLE001 - some estimators cannot be rebuilt from arrays that are read-only
            log.info("%s is read whole: mapped it could not be loaded (%s)", path, diagnosis.named(exc))
    return joblib.load(path)


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


def _import_predictor(program_dir: Path, own: OwnModules | None) -> ModuleType:
    if str(program_dir) not in sys.path:
        sys.path.insert(0, str(program_dir))
    try:
        predictor = own.load("predictor") if own and own.has("predictor") else importlib.import_module("predictor")
    except Exception as exc:
        raise ModelNotUsable(diagnosis.of_predictor(exc)) from exc
    if not callable(getattr(predictor, "transformation", None)):
        raise ModelNotUsable(diagnosis.of_missing_function(predictor))
    _takes_context(predictor.transformation)
    return predictor


def _takes_context(transformation: Callable[..., Any]) -> bool:
    """Whether it is called with (model, rows, context), not (model, rows): it must, or it names a parameter so."""
    parameters = inspect.signature(transformation)
    for count in (3, 2) if "context" in parameters.parameters else (2, 3):
        try:
            parameters.bind(*[None] * count)
        except TypeError:
            continue
        return count == 3
    raise ModelNotUsable(diagnosis.of_wrong_parameters(transformation))
