"""Which model is in memory: find the artifact, load it with the user's predictor.py, and prove that it predicts.

SageMaker extracts model.tar.gz into /opt/ml/model; where nothing was extracted, the model that is baked into the image
serves. Whatever goes wrong becomes ModelNotUsable: one line with cause and remedy (diagnosis.py).
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import time
import warnings
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ModelNotUsable
from ..settings import PROGRAM_DIR
from . import diagnosis, file_kinds, inspection, sample
from .artifact import _mentions, _pickle_in
from .loaded import LoadedModel
from .own_modules import OwnModules
from .predictor import _calling, _import_predictor, _lent_to_main, takes_context

log = logging.getLogger(__name__)


def load(model_dir: Path, method: str = "", program_dir: Path = PROGRAM_DIR, several: bool = False) -> LoadedModel:
    """Loads the model in `model_dir` by its predictor.py: the one beside it, else the one in `program_dir`.

    `method` names a method of the model that is called instead of `transformation`. With `several` this model is one
    of many in the process: the modules beside it are its own (own_modules.py), and the arrays of a joblib file stay in
    the file, mapped, so that processes which load the same one share its memory.
    """
    own = OwnModules(model_dir) if several else None
    try:
        return _load(model_dir, method, program_dir, own)
    except BaseException as exc:
        if own:
            own.forget()
        if isinstance(exc, SystemExit):  # it would end the worker
            raise ModelNotUsable("predictor.py or the model called sys.exit() while it was loaded.") from exc
        raise


def _load(model_dir: Path, method: str, program_dir: Path, own: OwnModules | None) -> LoadedModel:
    began = time.monotonic()
    predictor = _import_predictor(model_dir, program_dir, own)
    loader = getattr(predictor, "load_model", None)
    source = model_dir if loader else _pickle_in(model_dir)
    if not loader:
        _import_scikit_learn_for(source)
    try:
        with own.found_by_pickle() if own else nullcontext():
            model = loader(str(model_dir)) if loader else _unpickle(source, predictor, share=own is not None)
    except Exception as exc:
        raise ModelNotUsable(diagnosis.of_loading(exc, source)) from exc
    told = model_dir / sample.SAMPLE_FILE
    expected = inspection.signature_of(model, told if told.is_file() else None)
    seconds = time.monotonic() - began
    if method:
        return LoadedModel(model, _calling(model, method), expected, source, load_seconds=seconds, own_modules=own)
    function = predictor.transformation
    return LoadedModel(model, function, expected, source, takes_context(function), seconds, own)


def _unpickle(path: Path, predictor: ModuleType, share: bool) -> Any:
    file_kinds.refuse_what_is_no_pickle(path)
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
