"""Which libraries keep a model from being loaded before the fork, and where they are named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from running import KIT, make_program
from serving.models import artifact, loading


def test_the_committed_model_is_shared() -> None:
    """The kit as it is cloned loads its model once."""
    assert artifact.shy_of_fork(KIT / "model", KIT / "model") is None


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("requirements.txt", "scikit-learn\nLightGBM==4.7.0\n", "lightgbm"),
        ("requirements.txt", "# torch\nscikit-learn\n", None),
        ("predictor.py", "import xgboost as xgb\n", "xgboost"),
        ("predictor.py", "# import xgboost\n", None),
        ("model.pkl", "\x80\x04cxgboost.sklearn\nXGBClassifier\n", "xgboost"),
        ("requirements.txt", "", None),
    ],
)
def test_a_library_that_does_not_survive_a_fork_is_found_by_name(
    tmp_path: Path, name: str, content: str, found: str | None
) -> None:
    """In the requirements, among predictor.py's imports or in the pickle; not in comments."""
    program = make_program(tmp_path, files={name: content})
    assert artifact.shy_of_fork(program, program) == found


def test_a_predictor_beside_the_model_wins(tmp_path: Path) -> None:
    """It is used instead of the image's, with its helpers. One model of several leaves nothing behind when closed."""
    before = set(sys.modules)
    shutil.copy(KIT / "model/model.pkl", tmp_path)
    (tmp_path / "predictor.py").write_text(
        "import helpers.words as w\nfrom helpers import words\n"
        "def transformation(model, rows):\n    assert w is words\n    return [words.WORD] * len(rows)\n"
    )
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers/__init__.py").touch()
    (tmp_path / "helpers/words.py").write_text("from .deeper import WORD\n")
    (tmp_path / "helpers/deeper.py").write_text("import json\nWORD = json.loads('\"own\"')\n")
    model = loading.load(tmp_path, program_dir=KIT / "model", several=True)
    assert model.predict([1, 2]) == ["own", "own"]
    assert loading.load(KIT / "model", program_dir=KIT / "model").predict(model.sample_rows(1)) != ["own"]
    model.close()
    assert not {name for name in set(sys.modules) - before if name.startswith(("helpers", "_model_"))}
    assert not list(tmp_path.rglob("*.pyc"))


def test_the_model_of_an_endpoint_has_its_modules_on_the_path(tmp_path: Path) -> None:
    """One model alone needs no isolation: what lies beside it is imported as usual, and no byte code is written."""
    shutil.copy(KIT / "model/model.pkl", tmp_path)
    (tmp_path / "predictor.py").write_text(
        "def transformation(model, rows):\n    import beside_it\n    return [beside_it.WORD] * len(rows)\n"
    )
    (tmp_path / "beside_it.py").write_text("WORD = 'beside'\n")
    code = (
        "import sys; from pathlib import Path; from serving.models import loading\n"
        "model = loading.load(Path(sys.argv[1]), program_dir=Path(sys.argv[2]))\n"
        "print(model.predict([1, 2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(KIT / "model")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=KIT / "model", check=True)
    assert done.stdout.startswith("['beside', 'beside']")
    assert not list(tmp_path.rglob("predictor*.pyc"))
