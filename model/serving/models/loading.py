"""Which model is in memory: find the artifact, load it with the user's predictor.py, and prove that it predicts.

SageMaker extracts model.tar.gz into /opt/ml/model; where nothing was extracted, the model that is baked into the image
serves. Whatever goes wrong becomes ModelNotUsable: one line with cause and remedy (diagnosis.py).
"""

from __future__ import annotations

import logging
import time
import warnings
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from ..compiler import artifact
from ..compiler.artifact import Compiled
from ..compiler.facade import Estimator, Facade
from ..errors import ModelNotUsable
from ..settings import PROGRAM_DIR
from . import diagnosis, file_kinds, inspection, methods, python_code, sample, skops_file
from .artifact import pickle_in
from .loaded import LoadedModel
from .own_modules import OwnModules
from .predictor import Use, calling, import_predictor, lent_to_main, takes_context, use_of

log = logging.getLogger(__name__)


def load(
    model_dir: Path, method: str = "", program_dir: Path = PROGRAM_DIR, several: bool = False, compiled: bool = True
) -> LoadedModel:
    """Loads the model in `model_dir` by its predictor.py: the one beside it, else the one in `program_dir`.

    `method` names a method of the model that is called instead of `transformation`. With `several` this model is one
    of many in the process: the modules beside it are its own (own_modules.py), and the arrays of a joblib file stay in
    the file, mapped, so that processes which load the same file share its memory. `compiled`: a fitting
    model.compiled.npz is used, and the pickle is not read as long as that suffices.
    """
    own = OwnModules(model_dir) if several else None
    try:
        return _load(model_dir, method, program_dir, own, compiled)
    except BaseException as exc:
        if own:
            own.forget()
        if isinstance(exc, SystemExit):  # it would end the worker
            raise ModelNotUsable("predictor.py or the model called sys.exit() while it was loaded.") from exc
        raise


def _load(model_dir: Path, method: str, program_dir: Path, own: OwnModules | None, compiled: bool) -> LoadedModel:
    began = time.monotonic()
    predictor = import_predictor(model_dir, program_dir, own)
    loader = getattr(predictor, "load_model", None)
    source = model_dir if loader else pickle_in(model_dir, program_dir)
    use = Use(frozenset({method}), method) if method else use_of(getattr(predictor, "__file__", None))
    found = artifact.find(source) if compiled and not loader else None
    told = model_dir / sample.SAMPLE_FILE

    def read() -> Any:
        try:
            with own.found_by_pickle() if own else nullcontext():
                return loader(str(model_dir)) if loader else _unpickle(source, predictor, share=own is not None)
        except Exception as exc:
            raise ModelNotUsable(diagnosis.of_loading(exc, source)) from exc

    if model_dir != program_dir and (model_dir / "code").is_dir():
        log.warning(
            "%s is not used: this server asks transformation in predictor.py, beside the model", model_dir / "code"
        )
    artifact.forget()
    if found is not None:
        program, expected = found
        suffices = _suffices(program, use)
        # what the program cannot do is loaded now, before the fork, so that the workers share it
        model: Any = Facade(program, Estimator(read, program.name, None if suffices else read()))
    else:
        model = read()
        if use.method and not method and not methods.has(model, use.method):
            raise ModelNotUsable(methods.of_no_method(model, use.method, use.line))
        expected = inspection.signature_of(model)
    if told.is_file():
        of_sample = sample.load_sample(told)
        if use.method and (why := sample.of_another_model(of_sample, expected)):
            raise ModelNotUsable(why)
        expected = sample.with_sample(expected, of_sample)
    seconds = time.monotonic() - began
    function = calling(model, method) if method else predictor.transformation
    context = not method and takes_context(function)
    return LoadedModel(model, function, expected, source, context, seconds, own, use.method)


def needs_no_pickle(model_dir: Path, method: str = "", program_dir: Path = PROGRAM_DIR) -> bool:
    """Whether a compiled model answers all that transformation asks of it. Nothing is imported to tell."""
    predictor = next((d / "predictor.py" for d in (model_dir, program_dir) if (d / "predictor.py").is_file()), None)
    use = use_of(predictor)
    try:
        found = None if use.loads else artifact.find(pickle_in(model_dir, program_dir))
    except ModelNotUsable:
        return False
    return found is not None and _suffices(found[0], Use(frozenset({method})) if method else use)


def _suffices(found: Compiled, use: Use) -> bool:
    asked, program = use.attributes, found.program
    return asked is not None and asked <= program.methods.keys() and not program.is_partial


def _unpickle(path: Path, predictor: ModuleType, share: bool) -> Any:
    if path.suffix.lower() == ".skops":
        return skops_file.read(path, getattr(predictor, "TRUSTED_TYPES", ()))
    file_kinds.refuse_what_is_no_pickle(path)
    python_code.refuse_foreign(path)
    with lent_to_main(predictor), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = _read(path, share)
        except ModuleNotFoundError as exc:
            if exc.name != "__builtin__":
                raise
            model = _read_by_dill(path)
    for line in dict.fromkeys(diagnosis.of_warning(w.message) for w in caught):
        log.warning(line)
    return model


def _read(path: Path, share: bool) -> Any:
    """joblib reads its own files and plain pickles; without it (no scikit-learn) pickle does."""
    try:
        import joblib
    except ImportError:
        import pickle

        return pickle.loads(path.read_bytes())  # noqa: S301 - the model is the user's own code
    if share:
        try:
            warnings.filterwarnings("ignore", message=".*mmap_mode.*")  # a compressed file, or one that is not joblib's
            return joblib.load(path, mmap_mode="r")
        except Exception as exc:  # noqa: BLE001 - some estimators cannot be rebuilt from arrays that are read-only
            log.info("%s is read whole: mapped it could not be loaded (%s)", path, diagnosis.named(exc))
    return joblib.load(path)


def _read_by_dill(path: Path) -> Any:
    """dill calls the notebook's own names by a word of Python 2 that dill alone understands."""
    import dill

    with path.open("rb") as file:
        return dill.load(file_kinds.unpacked(file))  # noqa: S301 - the model is the user's own code
