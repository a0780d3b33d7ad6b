"""save_model: what one line in the notebook writes is served; what cannot be served is refused with a remedy."""

from __future__ import annotations

import ast
import importlib.metadata
import io
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from running import KIT, make_program
from save_model import SAMPLE_FILE, _names, _packages, import_mlflow, save_model
from serving.models.sample import load_sample
from serving.models.sample import save_sample as of_the_server

X = pd.DataFrame({"age": [31.5, 22.0, np.nan, 64.0], "shop, town": ["a", 'b "1"', "NA", "0123"], "used": [1, 0, 1, 0]})
Y = np.array([0, 1, 0, 1])
DEFAULT = "def transformation(model, rows):\n    return model.predict(rows)\n"
OWN = '''
class Own:
    """A model of one's own."""

    def predict(self, rows):
        return [len(rows)] * len(rows)
'''


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """The folder model of a kit in a directory with a blank in its name."""
    kit = tmp_path / "my kit"
    (kit / "local-test").mkdir(parents=True)
    program = make_program(kit)
    (kit / "program").rename(kit / "model")
    assert program.parent == kit
    for file in (kit / "model").glob("model.*"):
        file.unlink()
    return kit / "model"


def pipeline() -> Any:
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["shop, town"]), ("passthrough", ["used"])
    )
    return make_pipeline(encoder, LogisticRegression()).fit(X, Y)


def pin(package: str) -> str:
    return f"{package}=={importlib.metadata.version(package)}"


def check(room: Path) -> str:
    """What the image's build asks, in a process of its own."""
    environ = {**os.environ, "PYTHONPATH": str(room), "SAGEMAKER_BASE_DIR": str(room.parent / "none")}
    done = subprocess.run(
        [sys.executable, "-m", "serving", "check"], cwd=room, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pipeline_of_a_frame(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All five files are written, three lines say so, and the server predicts what the notebook would."""
    model = pipeline()
    save_model(model, X, room)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3
    assert "your first 3 rows" in said[0]
    assert said[1].endswith("local-test/payload.csv: your first 4 rows")
    assert said[-1] == f"next: cd '{room.parent}' && ./local-test/train-local.sh && ./local-test/serve-local.sh"
    assert "a Pipeline that takes 3 columns: age (number), shop, town (text), used (integer)" in check(room)
    assert (pickle.loads((room / "model.pkl").read_bytes()).predict(X) == model.predict(X)).all()
    assert load_sample(room / SAMPLE_FILE).names == tuple(X.columns)
    assert (room / ".python-version").read_text() == "{}.{}\n".format(*sys.version_info)
    assert {pin("scikit-learn"), pin("pandas"), pin("numpy")} <= set(
        (room / "requirements.txt").read_text().splitlines()
    )
    payload = pd.read_csv(room.parent / "local-test/payload.csv", dtype={"shop, town": str}, keep_default_na=False)
    assert list(payload.columns) == list(X.columns)
    assert list(payload["shop, town"]) == list(X["shop, town"])
    assert not list(room.glob(".*.new"))


def test_lightgbm_on_an_array(room: Path) -> None:
    """LightGBM's classes inherit from scikit-learn's, which its package does not require: both are listed."""
    lightgbm = pytest.importorskip("lightgbm")
    (room / "requirements.txt").write_text("")
    rows = X[["age", "used"]].to_numpy()
    save_model(lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(rows, Y), rows, room)
    listed = (room / "requirements.txt").read_text().splitlines()
    assert [line for line in listed if "==" in line] == [pin("lightgbm"), pin("numpy"), pin("scikit-learn")]
    assert (room.parent / "local-test/payload.csv").read_text() == "31.5,1.0\n22.0,0.0\n,1.0\n64.0,0.0\n"
    assert "LGBMRegressor" in check(room)


def test_a_class_of_the_notebook(room: Path) -> None:
    """It is refused with its name until predictor.py has it too; then the server finds it there."""
    notebook = (
        f"import sys\nsys.path.insert(0, {str(room)!r})\nfrom save_model import save_model\nimport pandas\n{OWN}\n"
        "save_model(Own(), pandas.DataFrame({'a': [1]}))"
    )
    run = [sys.executable, "-c", notebook]
    refused = subprocess.run(run, capture_output=True, text=True, cwd="/")
    assert refused.returncode
    assert re.search(r"ValueError: The model needs Own.*Put it into .*predictor\.py", refused.stderr.splitlines()[-1])
    assert not list(room.glob("model.*"))
    (room / "predictor.py").write_text(f"{OWN}\n\n{DEFAULT}")
    subprocess.run(run, check=True, capture_output=True, cwd="/")
    assert "an Own that takes 1 column: a (integer)" in check(room)


def test_a_dict(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its models' packages are found inside it, and what predictor.py must do is said."""
    (room / "predictor.py").write_text(DEFAULT)
    save_model({"model": pipeline(), "threshold": 0.5}, X, room)
    assert "note: a dict has no method predict" in capsys.readouterr().out
    assert pin("scikit-learn") in (room / "requirements.txt").read_text()
    (room / "predictor.py").write_text(
        "def transformation(model, rows):\n"
        "    return (model['model'].predict_proba(rows)[:, 1] > model['threshold']).astype(int)\n"
    )
    assert "a dict" in check(room)


@pytest.mark.parametrize(
    ("rows", "payload"),
    [
        (["a,b", " ", "x\ny"], '"a,b"\n" "\n"x\ny"\n'),
        ([{"b": 1, "a": "x"}, {"c": None}], "a,b,c\nx,1,\n,,\n"),
        ([{"a": [1, 2]}], None),
        (np.array([[1, 2], [3, 4]]), "1,2\n3,4\n"),
    ],
    ids=["texts", "objects", "lists in objects", "array"],
)
def test_the_payload(rows: Any, payload: str | None, room: Path) -> None:
    """It is what predict.sh sends as CSV; what CSV cannot hold leaves the payload as it was."""
    file = room.parent / "local-test/payload.csv"
    file.write_text("as it was")
    (room / "predictor.py").write_text("def transformation(model, rows):\n    return rows\n")
    save_model({"a": 1}, rows, room)
    assert file.read_text() == ("as it was" if payload is None else payload)


def test_a_column_too_many(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that was left among the columns is named; a blank for LightGBM's underscore is not another name."""
    save_model(pipeline(), X.assign(target=Y), room)
    assert "note: the model was not fitted on target." in capsys.readouterr().out


def test_requirements_stay_the_users(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only versions change: comments, extras, markers, options and other packages stay where they were."""
    (room / "requirements.txt").write_text(
        "# mine\n--extra-index-url https://packages.example\nnot-here>=2  # why\n"
        "Scikit_Learn[all]==0.1 ; python_version > '3'\n"
        "numpy @ https://packages.example/numpy.whl\npandas\n"
    )
    save_model(pipeline(), X, room)
    version = importlib.metadata.version
    expected = (
        "# mine\n--extra-index-url https://packages.example\nnot-here>=2  # why\n"
        f"Scikit_Learn[all]=={version('scikit-learn')} ; python_version > '3'\n"
        f"numpy @ https://packages.example/numpy.whl\npandas=={version('pandas')}\n"
    )
    assert (room / "requirements.txt").read_text() == expected
    said = capsys.readouterr().out
    assert "(was ==0.1)" in said
    assert "kept as they were: --extra-index-url https://packages.example, not-here>=2  # why, numpy @" in said
    save_model(pipeline(), X, room)
    assert (room / "requirements.txt").read_text() == expected


def test_another_model_needs_other_packages(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was added for the model before goes; what the user has added stays, also below."""
    lightgbm = pytest.importorskip("lightgbm")
    requirements = room / "requirements.txt"
    rows = X[["age", "used"]]
    save_model(lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(rows, Y), rows, room)
    assert pin("lightgbm") in requirements.read_text()
    requirements.write_text(f"{requirements.read_text()}not-here>=2\n")
    capsys.readouterr()
    save_model(LogisticRegression().fit(rows.fillna(0), Y), rows, room)
    assert f"removed: {pin('lightgbm')}" in capsys.readouterr().out
    assert "lightgbm" not in requirements.read_text()
    assert "not-here>=2\n" in requirements.read_text()
    once = requirements.read_text()
    save_model(LogisticRegression().fit(rows.fillna(0), Y), rows, room)
    assert requirements.read_text() == once


def test_skops(room: Path) -> None:
    """It takes the place of the pickle, with the packages that it needs; and the other way round."""
    pytest.importorskip("skops")
    save_model(pipeline(), X, room)
    save_model(pipeline(), X, room, form="skops")
    assert not (room / "model.pkl").exists()
    assert pin("skops") in (room / "requirements.txt").read_text()
    assert "Pipeline" in check(room)
    save_model(pipeline(), X, room)
    assert not (room / "model.skops").exists()


class LikeCatBoost:
    """It tells by a method whether it is fitted."""

    def is_fitted(self) -> bool:
        return False


TWICE = pd.DataFrame([[1, 2]], columns=["a", "a"])


@pytest.mark.parametrize(
    ("model", "rows", "says"),
    [
        (LogisticRegression(), X, "The LogisticRegression is not fitted: call its fit"),
        (make_pipeline(LogisticRegression()), X, "not fitted"),
        (LikeCatBoost(), X, "The LikeCatBoost is not fitted"),
        (LogisticRegression, X, "model is the class LogisticRegression; give a fitted object"),
        (pipeline(), X.to_dict("records"), "Give such a DataFrame: pandas.DataFrame(rows)"),
        (LogisticRegression().fit([[1], [2]], [0, 1]), [{"a": 1}], "rows are a list of dicts"),
        (X, pipeline(), "The model comes first"),
        (pipeline(), TWICE, "Two columns are called 'a'"),
        (pipeline(), X[:0], "rows are empty"),
        ({"a": lambda x: x}, X, "A lambda, or what is defined inside a function"),
        ({"a": sys.stdout}, X, "Remove what is open or running"),
        ({}, [[1, 2]], "numpy.array(rows)"),
        ({}, {"a": [1]}, "not a dict of others"),
        ({}, None, "not a NoneType of others"),
        ("model.pkl", X, "give the fitted model itself"),
    ],
    ids=str(list(range(15))).strip("[]").split(", "),
)
def test_wrong_uses(model: Any, rows: Any, says: str, room: Path) -> None:
    """One line with the remedy, and nothing has been written."""
    before = {path: path.read_bytes() for path in room.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        save_model(model, rows, room)
    assert "\n" not in str(caught.value)
    assert before == {path: path.read_bytes() for path in room.iterdir() if path.is_file()}


def test_wrong_places(room: Path) -> None:
    """A directory that is not there, the kit in place of its folder, and another model beside are named."""
    model = pipeline()
    with pytest.raises(ValueError, match="nowhere is not a directory"):
        save_model(model, X, room / "nowhere")
    with pytest.raises(ValueError, match="is the kit itself"):
        save_model(model, X, room.parent)
    with pytest.raises(ValueError, match="'pickle' or 'skops'"):
        save_model(model, X, room, form="onnx")
    (room / "model.joblib").write_bytes(b"")
    with pytest.raises(ValueError, match=r"another model, model\.joblib"):
        save_model(model, X, room)


def test_a_module_of_ones_own(room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused until it lies beside predictor.py; the command that copies it works as it stands."""
    (tmp_path / "my_parts_3.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_parts_3  # type: ignore[import-not-found]

    with pytest.raises(ValueError, match="needs the module my_parts_3, which is your own") as caught:
        save_model(my_parts_3.Own(), X, room)
    subprocess.run(str(caught.value).rpartition("save again: ")[2], shell=True, check=True, cwd="/")
    save_model(my_parts_3.Own(), X, room)
    assert "my_parts_3" not in (room / "requirements.txt").read_text()


def test_a_transformation_of_ones_own_may_take_other_rows(room: Path) -> None:
    """What the model was fitted on is not what it takes."""
    (room / "predictor.py").write_text("def transformation(model, rows):\n    return rows\n")
    save_model(pipeline(), [{"a": 1}], room)
    assert json.loads((room / SAMPLE_FILE).read_text())["form"] == "objects"


def test_a_model_of_objects(room: Path) -> None:
    """A DictVectorizer takes dicts, so they are right for it."""
    rows = [{"a": "x"}, {"a": "y", "b": 2}]
    save_model(make_pipeline(DictVectorizer(), LogisticRegression()).fit(rows, [0, 1]), rows, room)
    assert "Pipeline" in check(room)


@pytest.mark.parametrize("protocol", range(6))
def test_names_in_pickles(protocol: int) -> None:
    """All that a pickle imports is found, in every protocol, also where a name is used again."""
    model = {"a": pipeline(), "b": [pipeline(), np.float32(1), X], "c": os.path.join, "d": "not a.module"}

    class Told(pickle._Unpickler):  # type: ignore[name-defined,misc]
        def find_class(self, module: str, name: str) -> Any:
            seen.add((module, name))
            return super().find_class(module, name)

    seen: set[tuple[str, str]] = set()
    pickled = pickle.dumps(model, protocol)
    Told(io.BytesIO(pickled)).load()
    assert seen == _names(pickled)


def mlflow_model(directory: Path, flavour: str, values: dict[str, str], file: str, content: bytes) -> Path:
    """What MLflow 3.17 writes, without what is not read."""
    directory.mkdir()
    (directory / file).write_bytes(content)
    lines = "".join(f"    {key}: {value}\n" for key, value in values.items())
    (directory / "MLmodel").write_text(
        f"flavors:\n  python_function:\n    env:\n      conda: conda.yaml\n    data: {file}\n  {flavour}:\n{lines}"
        "    skops_trusted_types:\n    - collections.OrderedDict\nmlflow_version: 3.17.2\nsaved_input_example_info:\n"
        "  artifact_path: input_example.json\n  pandas_orient: split\n  type: dataframe\n"
        'signature:\n  inputs: \'[{"type": "double", "name": "age"},\n    {"name": "used"}]\'\n'
    )
    (directory / "input_example.json").write_text('{"columns": ["age", "used"], "data": [[31.5, 1], [22.0, 0]]}')
    versions = importlib.metadata.version
    (directory / "requirements.txt").write_text(
        f"mlflow==3.17.2\nscikit-learn=={versions('scikit-learn')}\nnumpy==1.2.3+local\ngit+https://example.com/x\n"
    )
    (directory / "python_env.yaml").write_text("python: 3.12.7\nbuild_dependencies:\n- pip\n")
    return directory


NUMBERS = X[["age", "used"]].fillna(0)


def test_mlflow_of_a_pickle(room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is copied and not loaded, and only on the user's word; versions and Python are those that MLflow noted."""
    pickled = pickle.dumps(LogisticRegression().fit(NUMBERS, Y))
    values = {"code": "null", "pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
    directory = mlflow_model(tmp_path / "a model", "sklearn", values, "model.pkl", pickled)
    with pytest.raises(ValueError, match=r"can run any code when it is loaded.*trust=True"):
        import_mlflow(directory, room)
    assert not list(room.glob("model.*"))
    import_mlflow(directory, room, trust=True)
    assert (room / "model.pkl").read_bytes() == pickled
    assert (room / ".python-version").read_text() == "3.12\n"
    listed = (room / "requirements.txt").read_text().splitlines()
    assert {"numpy==1.2.3", pin("scikit-learn")} <= set(listed)
    assert not [line for line in listed if line.startswith(("mlflow", "git"))]
    assert "MLflow also lists git+https://example.com/x" in capsys.readouterr().out
    assert (room.parent / "local-test/payload.csv").read_text() == "age,used\n31.5,1\n22.0,0\n"
    assert "takes 2 columns: age (number), used (integer)" in check(room)


def test_mlflow_of_skops(room: Path, tmp_path: Path) -> None:
    """It is data, of which the server trusts what it knows."""
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(LogisticRegression().fit(NUMBERS, Y))
    import_mlflow(mlflow_model(tmp_path / "m", "sklearn", {"pickled_model": "m.skops"}, "m.skops", content), room)
    assert "LogisticRegression" in check(room)


def test_mlflow_of_boosters(room: Path, tmp_path: Path) -> None:
    """What the libraries wrote in formats of their own is read by them, and saved as any other model."""
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=2).fit(NUMBERS, Y)
    model.save_model(tmp_path / "model.ubj")
    values = {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBClassifier"}
    content = (tmp_path / "model.ubj").read_bytes()
    import_mlflow(mlflow_model(tmp_path / "x", "xgboost", values, "model.ubj", content), room)
    assert (pickle.loads((room / "model.pkl").read_bytes()).predict(NUMBERS) == model.predict(NUMBERS)).all()
    assert "XGBClassifier" in check(room)
    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(NUMBERS, Y), 2)
    content = booster.model_to_string().encode()
    values = {"data": "model.lgb", "model_class": "lightgbm.basic.Booster"}
    import_mlflow(mlflow_model(tmp_path / "l", "lightgbm", values, "model.lgb", content), room)
    assert "Booster" in check(room)


def test_wrong_mlflow_directories(room: Path, tmp_path: Path) -> None:
    """Each is named with what to do, and nothing is written."""
    with pytest.raises(ValueError, match="has no file MLmodel"):
        import_mlflow(tmp_path, room)
    with pytest.raises(ValueError, match="is a model of python_function and spacy; known are"):
        import_mlflow(mlflow_model(tmp_path / "a", "spacy", {}, "m", b""), room)
    outside = {"pickled_model": "../outside.pkl"}
    (tmp_path / "outside.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match="which is not in"):
        import_mlflow(mlflow_model(tmp_path / "b", "sklearn", outside, "m", b""), room, trust=True)
    evil = {"data": "m.ubj", "model_class": "xgboost.os.system"}
    with pytest.raises(ValueError, match="does not have"):
        import_mlflow(mlflow_model(tmp_path / "c", "xgboost", evil, "m.ubj", b""), room, trust=True)
    bare = mlflow_model(tmp_path / "d", "sklearn", {"pickled_model": "m.pkl"}, "m.pkl", b"")
    (bare / "MLmodel").write_text((bare / "MLmodel").read_text().partition("saved_input")[0])
    with pytest.raises(ValueError, match=r"no input example.*rows=X_train\.head"):
        import_mlflow(bare, room, trust=True)
    assert not list(room.glob("model.*"))


def test_it_runs_alone_and_on_old_pythons(tmp_path: Path) -> None:
    """Python 3.9 can read the file; it imports the standard library alone, and writes what the server's own does."""
    source = (KIT / "model/save_model.py").read_text()
    tree = ast.parse(source, feature_version=(3, 9))
    at_the_top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in at_the_top if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in at_the_top if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    code = (
        "import sys\nfor name in ('numpy', 'pandas', 'sklearn', 'orjson', 'serving'): sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(KIT / 'model')!r})\nfrom save_model import save_model\n"
        f"save_model({{'a': 1}}, ['one', 'two'], {str(tmp_path)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
    assert (tmp_path / SAMPLE_FILE).read_bytes() == of_the_server(["one", "two"], tmp_path / "other.json").read_bytes()


def test_packages_on_old_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where importlib.metadata cannot tell whose module it is, the packages' own files do."""
    told = _packages()
    monkeypatch.delattr(importlib.metadata, "packages_distributions")
    found = _packages()
    for top in ("sklearn", "numpy", "pandas", "scipy", "joblib", "lightgbm", "skops"):
        assert sorted(set(found.get(top, []))) == told.get(top, [])
