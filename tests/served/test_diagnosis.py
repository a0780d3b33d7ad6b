"""Why a model would not serve: one line, cause first, then the remedy."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import DBSCAN, KMeans
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from running import KIT, make_program
from serving.errors import ModelNotUsable
from serving.models.loaded import LoadedModel
from serving.models.loading import load
from serving.rows.signature import Signature


def check(program: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "serving", "check"], cwd=program, capture_output=True, text=True)


def pickled_elsewhere(code: str, expression: str) -> bytes:
    """What `expression` pickles to in a program (__main__) that has run `code`."""
    program = f"import pickle, sys\n{code}\nsys.stdout.buffer.write(pickle.dumps({expression}))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout


def test_a_good_model_is_told(tmp_path: Path) -> None:
    """`check` says what would serve and exits 0."""
    done = check(KIT / "model")
    assert done.returncode == 0
    assert "is a Pipeline that takes" in done.stdout


def test_the_artifact_is_missing(tmp_path: Path) -> None:
    """No model.pkl: what is there instead, and what to do."""
    program = make_program(tmp_path)
    (program / "model.pkl").unlink()
    (program / "notes.txt").touch()
    done = check(program)
    assert done.returncode == 1
    assert "has no model.pkl" in done.stderr
    assert "Save the model as model.pkl" in done.stderr


def test_a_single_pickle_of_another_name_is_taken(tmp_path: Path) -> None:
    """A directory with one pickle needs no renaming."""
    program = make_program(tmp_path)
    (program / "model.pkl").rename(program / "iris.joblib")
    assert check(program).returncode == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Run `git lfs pull`"),
        (b"<html>", "is not a pickle"),
        (pickle.dumps({"a": 1})[:-4], "is cut off: it ends after"),
        (pickle.dumps(1.5, protocol=2)[:-1], "Save or copy it again."),
        (b"\x80\x04\xff", "It is damaged"),
    ],
)
def test_what_is_no_pickle_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    """Empty files, LFS pointers, HTML and truncated pickles are told apart."""
    done = check(make_program(tmp_path, model=content))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("compress", [0, 3, ("xz", 3)])
@pytest.mark.parametrize("several", [False, True])
def test_a_joblib_file_that_ends_in_an_array_is_cut_off(tmp_path: Path, compress: object, several: bool) -> None:
    """However it is written and read; no version is blamed."""
    path = tmp_path / "model.pkl"
    joblib.dump(np.random.default_rng(0).random(5000), path, compress=compress)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ModelNotUsable, match=r"model.pkl is cut off: it ends after \d+ bytes"):
        load(tmp_path, several=several)


@pytest.mark.parametrize(
    "model", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression()), GridSearchCV(KMeans(), {})]
)
def test_a_model_that_was_never_fitted_is_told(tmp_path: Path, model: object) -> None:
    """It says of no row what it expects, so no warm-up would find it: every request would fail."""
    done = check(make_program(tmp_path, model=pickle.dumps(model)))
    assert done.returncode == 1
    assert f"a {type(model).__name__}, is not fitted. Fit it and save that very object" in done.stderr


def test_a_pipeline_of_texts_that_was_never_fitted_is_told(tmp_path: Path) -> None:
    """Its rows are known, and the warm-up finds it: in the same words."""
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    assert "a Pipeline, is not fitted. Fit it" in check(make_program(tmp_path, model=pickle.dumps(model))).stderr


class Constant(BaseEstimator):
    """A user's own estimator: what it has learned has no underscore at its end, so scikit-learn cannot see it."""

    def fit(self, rows: Any, _: Any = None) -> Constant:
        self.mean = float(np.mean(rows))
        return self

    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), self.mean)


@pytest.mark.parametrize(
    "model",
    [
        Constant().fit([[1.0]]),
        make_pipeline(Normalizer(), Constant()).fit([[1.0]]),
        Normalizer(),
        HashingVectorizer(),
        FunctionTransformer(),
        SelectFromModel(LogisticRegression().fit([[1.0], [2.0]], [0, 1]), prefit=True),
        DBSCAN(),
        {"no": "estimator"},
        LogisticRegression,
    ],
)
def test_what_needs_no_fit_or_hides_it_is_not_refused(model: object) -> None:
    """Stateless transformers, estimators of the user's own, and those that transformation itself fits."""
    LoadedModel(model, lambda model, rows: [0] * len(rows), Signature(), Path("model.pkl")).warm_up()


def test_a_missing_package_is_named_as_pip_names_it(tmp_path: Path) -> None:
    """The pickle needs a module that is not installed: the line for requirements.txt."""
    code = "import sys, types\nm = types.ModuleType('cv2')\nexec('class Net: pass', m.__dict__)\nsys.modules['cv2'] = m"
    done = check(make_program(tmp_path, model=pickled_elsewhere(code, "m.Net()")))
    assert "needs the module cv2, which is not installed. Add opencv-python-headless" in done.stderr


def test_a_class_from_a_notebook_is_explained(tmp_path: Path) -> None:
    """A class of __main__ that predictor.py does not define: where to define it."""
    model = pickled_elsewhere("class Tall:\n    pass", "Tall()")
    done = check(make_program(tmp_path, model=model))
    assert "needs `Tall`, which was defined in a notebook or script" in done.stderr


def test_a_class_from_a_notebook_is_found_in_predictor_py(tmp_path: Path) -> None:
    """Once predictor.py defines it, the same pickle loads."""
    model = pickled_elsewhere("class Tall:\n    pass", "Tall()")
    done = check(make_program(tmp_path, "notebook_class", model))
    assert done.returncode == 0, done.stderr


def test_another_version_of_scikit_learn_is_told(tmp_path: Path) -> None:
    """A pickle of another scikit-learn: both versions and the line for requirements.txt."""
    import sklearn

    older = (KIT / "model/model.pkl").read_bytes().replace(sklearn.__version__.encode(), b"1.0.2")
    done = check(make_program(tmp_path, model=older))
    assert f"pickled with scikit-learn 1.0.2, installed is {sklearn.__version__}" in done.stderr
    assert "scikit-learn==1.0.2" in done.stderr


def test_a_class_that_the_installed_version_lacks_is_told(tmp_path: Path) -> None:
    """A pickle that needs a module or class of an older package: which, and what is installed."""
    code = (
        "import sys, types\nm = types.ModuleType('sklearn.ensemble.forest')\n"
        "exec('class Forest: pass', m.__dict__)\nm.Forest.__module__ = m.__name__\nsys.modules[m.__name__] = m"
    )
    done = check(make_program(tmp_path, model=pickled_elsewhere(code, "m.Forest()")))
    assert "needs sklearn.ensemble.forest, which scikit-learn" in done.stderr


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def transformation(model):\n    return 1\n", "transformation(model) in predictor.py is called as"),
        (
            "def transformation(model, rows):\n    return model.predict(rows)[0]\n",
            "for 3 rows; expected a list or an array",
        ),
        ("def transformation(model, rows):\n    return [1]\n", "returned 1 prediction (list) for 3 rows"),
        ("def transformation(model, rows):\n    pass\n", "returned None. Is `return` missing?"),
    ],
)
def test_a_transformation_that_would_fail_every_request_is_told(tmp_path: Path, code: str, said: str) -> None:
    """Wrong parameters and wrong results are found before anything is served."""
    done = check(make_program(tmp_path, files={"predictor.py": code}))
    assert done.returncode == 1
    assert said in done.stderr
