"""What transformation does with the model, told from its source alone."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from running import KIT, make_program
from serving.models import artifact, loading
from serving.models.predictor import Use, use_of

CALL = "def transformation(model, rows):\n    return model.predict(rows)\n"
USES = {
    "the default": (CALL, {"predict"}, "predict"),
    "with a docstring": ('def transformation(m, x):\n    """Words."""\n    return m.predict_proba(x)\n',
                         {"predict_proba"}, "predict_proba"),
    "with a context": ("def transformation(model, rows, context):\n    return model.predict(rows)\n",
                       {"predict"}, "predict"),
    "rows are changed first": (
        "def transformation(model, rows):\n    return model.predict(rows * 2)\n", {"predict"}, "",
    ),
    "a keyword": ("def transformation(model, rows):\n    return model.predict(X=rows)\n", {"predict"}, ""),
    "two methods": (
        "def transformation(model, rows):\n    if len(rows) > 3:\n        return model.predict(rows)\n"
        "    return model.decision_function(rows)\n", {"predict", "decision_function"}, "",
    ),
    "an attribute": ("def transformation(model, rows):\n    return model.classes_[0]\n", {"classes_"}, ""),
    "handed on": ("def transformation(model, rows):\n    return helper(model, rows)\n", None, ""),
    "set": ("def transformation(model, rows):\n    model.n_jobs = 2\n    return model.predict(rows)\n", None, ""),
    "bound anew": (
        "def transformation(model, rows):\n    model = model[0]\n    return model.predict(rows)\n", None, "",
    ),
    "decorated": (f"@wrapped\n{CALL}", None, ""),
    "replaced": (f"{CALL}transformation = other(transformation)\n", None, ""),
    "imported": ("from other import transformation\n", None, ""),
    "imported with all": (f"{CALL}from other import *\n", None, ""),
    "in a condition": (f"if True:\n    {CALL}".replace("\n    return", "\n        return"), None, ""),
    "not Python": ("def transformation(", None, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
def test_what_transformation_asks_the_model_for(name: str, tmp_path: Path) -> None:
    source, attributes, method = USES[name]
    (tmp_path / "predictor.py").write_text(source)
    found = use_of(tmp_path / "predictor.py")
    assert (found.attributes, found.method) == (None if attributes is None else frozenset(attributes), method)


def test_a_loader_is_seen(tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(CALL + "def load_model(model_dir):\n    return 1\n")
    assert use_of(tmp_path / "predictor.py").loads


def test_the_committed_predictor_only_calls_predict() -> None:
    assert use_of(KIT / "model/predictor.py") == Use(frozenset({"predict"}), "predict")


@pytest.mark.parametrize(("change", "needed"), [
    ("nothing", False), ("predictor", True), ("pickle", True), ("method", True), ("loader", True), ("artifact", True),
])  # fmt: skip
def test_a_booster_that_is_compiled_does_not_keep_workers_from_sharing(
    change: str, needed: bool, tmp_path: Path
) -> None:
    """Its library, which does not survive a fork, is not imported, unless the pickle must be read after all."""
    xgboost = pytest.importorskip("xgboost")
    from serving.models import compiling

    rows = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 3.0]]
    model = xgboost.XGBClassifier(n_estimators=2).fit(rows, [0, 1, 0, 1])
    program = make_program(tmp_path, model=pickle.dumps(model))
    (program / "requirements.txt").write_text("xgboost\n")
    compiling.write(loading.load(program, program_dir=KIT / "model", compiled=False), program)
    if change == "predictor":
        (program / "predictor.py").write_text("def transformation(model, rows):\n    return model.apply(rows)\n")
    elif change == "loader":
        (program / "predictor.py").write_text(CALL + "def load_model(model_dir):\n    return 1\n")
    elif change == "pickle":
        (program / "model.pkl").write_bytes(pickle.dumps(model) + b" ")
    elif change == "artifact":
        (program / "model.compiled.npz").unlink()
    needs_none = loading.needs_no_pickle(program, "apply" if change == "method" else "", program)
    assert needs_none is not needed
    assert artifact.shy_of_fork(program, program, needs_none) == ("xgboost" if needed else None)
