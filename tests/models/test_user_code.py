"""Faults in predictor.py and beside it: file, line, what was probably meant, and no word of what is not to blame."""

from __future__ import annotations

import importlib
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from running import KIT, make_program
from serving.errors import ModelNotUsable
from serving.models import loading, packages, pickle_contents, predictor

FRAME = pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0], "debt": [4.0, 3.0, 2.0, 5.0]})
Y = np.array([0, 1, 0, 1])
MODEL = LogisticRegression().fit(FRAME, Y)
SCALER = StandardScaler().fit(FRAME)
ABOUT_ROWS = ("made up of", "save a sample", "save_sample")


@pytest.fixture
def alone() -> Iterator[None]:
    """The predictor and the modules beside it are imported anew, and forgotten."""
    before, path = set(sys.modules), list(sys.path)
    kept = sys.modules.pop("predictor", None)
    yield
    for name in set(sys.modules) - before | {"predictor"}:
        if name in ("predictor", "helpers"):
            sys.modules.pop(name, None)
    if kept:
        sys.modules["predictor"] = kept
    sys.path[:] = path
    importlib.invalidate_caches()


def refusal(directory: Path, code: str, model: Any = MODEL, helpers: str = "") -> str:
    """Why a model does not serve with this predictor.py, and a module helpers.py beside it."""
    (directory / "predictor.py").write_text(code)
    (directory / "helpers.py").write_text(helpers)
    (directory / "model.pkl").write_bytes(pickle.dumps(model))
    sys.modules.pop("predictor", None)
    with pytest.raises(ModelNotUsable) as caught:
        loading.load(directory, program_dir=directory).warm_up()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def transformation(line: str, above: str = "") -> str:
    return f"{above}\n\ndef transformation(model, rows):\n    {line}\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("return model.predic(rows)", ["predictor.py, line 4", "Did you mean predict?"]),
        ("return model.predictproba(rows)", ["predictor.py, line 4", "Did you mean predict_proba?"]),
        ("x = 1; return model.predic(rows)", ["predictor.py, line 4", "Did you mean predict?"]),
        ("return modle.predict(rows)", ["(predictor.py, line 4)", "Did you mean model?", "Correct it there."]),
        ("return model.predict(row)", ["(predictor.py, line 4)", "Did you mean rows?", "Correct it there."]),
        ("return pintr(rows)", ["(predictor.py, line 4)", "Did you mean print?", "Correct it there."]),
        ("import jsno", ["(predictor.py, line 4)", "Add jsno to model/requirements.txt"]),
        ("import sys; sys.exit(1)", ["called sys.exit() (predictor.py, line 4)", "Correct it there."]),
        ("return transformation(model, rows)", ["RecursionError", "(predictor.py, line 4)", "Correct it there."]),
        ("import math; return math.sqrtt(2)", ["(predictor.py, line 4)", "Did you mean sqrt?"]),
        ("return model.predict(nothing_like_it)", ["(predictor.py, line 4)", "Correct it there."]),
    ],
    ids=[
        "method",
        "longer method",
        "method in more",
        "model",
        "rows",
        "builtin",
        "module",
        "exit",
        "itself",
        "in a module",
        "nothing",
    ],
)
def test_a_wrong_name_is_the_codes_fault(tmp_path: Path, alone: None, line: str, says: list[str]) -> None:
    """File, line and the name that was meant; the made-up row is not mentioned."""
    said = refusal(tmp_path, transformation(line))
    assert all(words in said for words in says), said
    assert not any(words in said for words in ABOUT_ROWS), said


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("return model.predict(rows[['agee', 'debt']])", ["predictor.py, line 4"]),
        ("return rows['agee']", ["predictor.py, line 4", "Did you mean age?"]),
        ("return rows.agee", ["predictor.py, line 4", "Did you mean age?"]),
        ("raise ValueError('no such shop')", ["ValueError: no such shop (predictor.py, line 4)"]),
    ],
    ids=["columns", "column", "attribute", "own"],
)
def test_what_other_rows_might_mend_says_so(tmp_path: Path, alone: None, line: str, says: list[str]) -> None:
    """The row was made up, so other columns may be what is missing."""
    said = refusal(tmp_path, transformation(line))
    assert all(words in said for words in [*says, "made up of 2 columns: age, debt"]), said


def test_a_fault_in_a_module_beside_it(tmp_path: Path, alone: None) -> None:
    """The line in that module is named, not the one that called it, nor one in a library."""
    above = "import helpers"
    helpers = "\nimport numpy as np\n\n\ndef scaled(rows):\n    return np.linalg.norm(rowz)\n"
    assert "(helpers.py, line 6). Did you mean rows?" in refusal(
        tmp_path, transformation("return helpers.scaled(rows)", above), helpers=helpers
    )


def test_a_line_that_is_not_python(tmp_path: Path, alone: None) -> None:
    """Its file and its text, also where predictor.py imports it."""
    said = refusal(tmp_path, "def transformation(model, rows)\n    return 1\n")
    assert "predictor.py, line 1, is not Python (expected ':'): def transformation(model, rows)" in said
    said = refusal(tmp_path, transformation("return 1", "import helpers"), helpers="x = 1\ny = = 2\n")
    assert "helpers.py, line 2, is not Python (invalid syntax): y = = 2" in said


def test_a_name_that_fails_at_the_import(tmp_path: Path, alone: None) -> None:
    """Before any row is seen."""
    said = refusal(tmp_path, transformation("return LIMITS", "LIMIT = 3\nHALF = LIMITT / 2"))
    assert "predictor.py, line 2: NameError: name 'LIMITT' is not defined. Did you mean LIMIT?" in said


@pytest.mark.parametrize(
    ("model", "example"),
    [
        ({"model": MODEL, "threshold": 0.5}, "return model['model'].predict(rows)"),
        ({"scaler": SCALER, "model": MODEL}, "return model['model'].predict(model['scaler'].transform(rows))"),
        ([SCALER, MODEL], "return model[1].predict(model[0].transform(rows))"),
        (
            {"north": MODEL, "south": MODEL},
            "return {'north': model['north'].predict(rows), 'south': model['south'].predict(rows)}",
        ),
    ],
    ids=["one", "a step before", "a list", "several"],
)
def test_what_is_said_of_parts_works_as_it_stands(tmp_path: Path, alone: None, model: Any, example: str) -> None:
    """The line that is proposed is put into predictor.py, and the model serves."""
    said = refusal(tmp_path, transformation("return model.predict(rows)"), model)
    assert said.endswith(example), said
    assert "predictor.py, line 4" in said
    sys.modules.pop("predictor", None)
    (tmp_path / "predictor.py").write_text(transformation(example))
    importlib.invalidate_caches()
    loaded = loading.load(tmp_path, program_dir=tmp_path)
    loaded.warm_up()
    assert len(loaded.predict(FRAME)) in (2, 4)


def test_parts_of_which_none_predicts(tmp_path: Path, alone: None) -> None:
    """No line can be proposed, so none is."""
    said = refusal(tmp_path, transformation("return model.predict(rows)"), {"scaler": SCALER, "labels": ["a"]})
    assert "Save the fitted model itself, or write in predictor.py" in said


def test_a_package_that_is_listed_and_not_installed(
    tmp_path: Path, alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is right, so what is installed is to be renewed; else the package is to be listed."""
    monkeypatch.setattr(packages, "PROGRAM_DIR", tmp_path)
    code = transformation("return 1", "import cv2")
    for listed, says in (
        ("opencv-python-headless==4.9\n", "lists opencv-python-headless, so what is installed is older"),
        (
            "# opencv-python-headless\nopencv-python-headless-more\n",
            "Add opencv-python-headless to model/requirements.txt",
        ),
    ):
        (tmp_path / "requirements.txt").write_text(listed)
        assert says in refusal(tmp_path, code)


def test_use_tells_the_line(tmp_path: Path) -> None:
    """Where the one call stands."""
    path = tmp_path / "predictor.py"
    path.write_text(transformation("return model.predict(rows)", "# a comment"))
    assert predictor.use_of(path).line == 4


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "def load_model(d):\n    return open(d + '/x.bin')\n",
            ["load_model in predictor.py failed", "line 2", "model.pkl"],
        ),
        ("def load_model(d):\n    return joblib.load(d)\n", ["load_model in predictor.py failed: NameError", "line 2"]),
        (
            "def load_model(d):\n    pass\n",
            ["predictor.py, line 6, calls model.predict", "Is `return` missing"],
        ),
    ],
    ids=["no such file", "a wrong name", "no return"],
)
def test_a_loader_of_ones_own_that_fails(tmp_path: Path, alone: None, code: str, says: list[str]) -> None:
    """Its line is named, and no version is blamed."""
    said = refusal(tmp_path, code + transformation("return model.predict(rows)"))
    assert all(words in said for words in says), said
    assert "Pin the versions" not in said


def test_what_predictor_py_must_hold(tmp_path: Path, alone: None) -> None:
    """A function of that name that is not a coroutine; the whole of it is two lines."""
    assert "such as: def transformation(model, rows): return" in refusal(tmp_path, "def predict(m, r):\n    return 1\n")
    said = refusal(tmp_path, "async def transformation(model, rows):\n    return 1\n")
    assert "Write def alone." in said


def test_predictor_py_is_missing(tmp_path: Path) -> None:
    """It is not a package that could be installed. In a process of its own: this one has a predictor somewhere."""
    program = make_program(tmp_path)
    (program / "predictor.py").unlink()
    done = subprocess.run([sys.executable, "-m", "serving", "check"], cwd=program, capture_output=True, text=True)
    assert "predictor.py is missing" in done.stderr
    assert "requirements.txt" not in done.stderr
    (program / "model.pkl").unlink()
    shutil.copy(KIT / "model/predictor.py", program)
    done = subprocess.run([sys.executable, "-m", "serving", "check"], cwd=program, capture_output=True, text=True)
    assert "has no model.pkl. Found: nothing else. Save the model" in done.stderr


def test_a_pickle_that_is_cut_off_is_called_so_before_it_is_loaded(tmp_path: Path) -> None:
    """The remedy is to copy it again."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(MODEL)[:200])
    with pytest.raises(ModelNotUsable, match="cut off: it ends after 200 bytes") as caught:
        pickle_contents.look(path, tmp_path)
    assert "Save or copy it again." in str(caught.value)


def test_a_loop_over_columns(tmp_path: Path, alone: None) -> None:
    """As many predictions as there are columns: what a loop over a DataFrame gives."""
    loop = transformation("return [1.0 for row in rows]")
    assert "for row in rows.itertuples(index=False)." in refusal(tmp_path, loop)
    assert "itertuples" not in refusal(tmp_path, transformation("return [1.0]"))
