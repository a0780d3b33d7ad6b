"""Which libraries keep a model from being loaded before the fork, and where they are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import KIT, make_program
from serving import loaded_models


def test_the_committed_model_is_shared() -> None:
    """The kit as it is cloned loads its model once."""
    assert loaded_models.shy_of_fork(KIT / "model", KIT / "model") is None


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
    assert loaded_models.shy_of_fork(program, program) == found
