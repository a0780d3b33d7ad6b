"""model.compiled.npz: it comes back as it was, it is ignored when it does not fit, and nobody's file can do harm."""

from __future__ import annotations

import functools
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from running import KIT
from serving.compiler import artifact
from serving.compiler.compiling import compiled
from serving.compiler.evaluate import evaluator
from serving.compiler.operations import Unsound
from serving.compiler.program import from_arrays, read, to_arrays, write
from serving.compiler.proof import examples, same_bits
from serving.models.inspection import signature_of

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"age": RNG.normal(40, 9, 90), "town": RNG.choice(["A", "B", "C"], 90)})
LABELS = RNG.choice(["no", "yes"], 90)
NUMBERS = RNG.normal(0, 1, (90, 3))


@functools.cache
def models() -> dict:
    columns = make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(handle_unknown="ignore"), ["town"]))
    return {
        "forest": RandomForestClassifier(5).fit(NUMBERS, LABELS),
        "categories": HistGradientBoostingClassifier(max_iter=3, categorical_features=[1]).fit(
            np.column_stack([NUMBERS, np.arange(90) % 5])[:, [0, 3]], LABELS
        ),
        "columns": make_pipeline(columns, LogisticRegression()).fit(FRAME, LABELS.astype(object)),
    }


@functools.cache
def program_of(name: str):
    return compiled(models()[name]).program


NAMES = ("forest", "categories", "columns")


@pytest.mark.parametrize("name", NAMES)
def test_a_program_comes_back_from_its_file(name, tmp_path):
    """The same answers from the arrays in the file, which are mapped."""
    program = program_of(name)
    write(tmp_path / "program.npz", to_arrays(program))
    arrays = read(tmp_path / "program.npz")
    again = from_arrays(arrays)
    assert (again.names, list(again.methods)) == (program.names, list(program.methods))
    assert np.load(tmp_path / "program.npz")["program"].tobytes() == arrays["program"].tobytes()
    for rows in examples(program):
        if isinstance(rows, np.ndarray):
            for method, node in program.methods.items():
                with np.errstate(all="ignore"):
                    assert same_bits(_said(evaluator(again.methods[method]), rows), _said(evaluator(node), rows))


def _said(evaluate, rows):
    try:
        return evaluate(rows)
    except ValueError as exc:
        return str(exc)


@pytest.fixture
def saved(tmp_path) -> Path:
    """A pickle with its artifact."""
    model = models()["forest"]
    put(tmp_path, model)
    return tmp_path / "model.pkl"


def put(directory: Path, model) -> None:
    """The model's pickle and its artifact."""
    path = directory / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    artifact.save(compiled(model), signature_of(model), path, type(model).__module__)


def test_it_is_found_with_the_signature(saved):
    program, signature = artifact.find(saved)
    assert program.describe() == "RandomForestClassifier (predict, predict_proba)"
    assert signature == signature_of(pickle.loads(saved.read_bytes()))


def about(path: Path, **changes) -> None:
    """The artifact with other facts in it."""
    arrays = dict(read(path))
    facts = {**json.loads(arrays["about"].tobytes()), **changes}
    content = {name: array.copy() for name, array in arrays.items()}
    write(path, {**content, "about": np.frombuffer(json.dumps(facts).encode(), np.uint8)})


STALE = {
    "another pickle": ({"pickle": "0" * 64}, "model.pkl has changed since"),
    "another version": ({"versions": {"scikit-learn": "0.1"}}, "scikit-learn 0.1, and "),
    "a library that is not there": ({"versions": {"no-such-library": "1"}}, "none is installed"),
    "another machine": ({"machine": "pdp11"}, "made on pdp11"),
    "another format": ({"format": 99}, "format is 99"),
    "no facts": ({"signature": 5}, "damaged"),
}


@pytest.mark.parametrize("name", STALE)
def test_what_does_not_fit_is_ignored_with_one_line(name, saved, caplog):
    changes, reason = STALE[name]
    about(artifact.path_beside(saved), **changes)
    with caplog.at_level("INFO"):
        assert artifact.find(saved) is None
    assert len(caplog.records) == 1
    assert reason in caplog.text


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x05\x06" + bytes(18)], ids=repr)
def test_what_is_no_npz_is_ignored(content, saved, caplog):
    artifact.path_beside(saved).write_bytes(content)
    assert artifact.find(saved) is None
    assert "damaged" in caplog.text


def test_pickled_arrays_are_not_read(tmp_path):
    np.savez(tmp_path / "evil.npz", program=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Unsound, match="plain arrays"):
        read(tmp_path / "evil.npz")


def test_compressed_arrays_are_not_read(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", program=np.zeros(10**6))
    with pytest.raises(Unsound, match="compressed"):
        read(tmp_path / "bomb.npz")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_changed_in_a_program_it_is_refused_or_harmless(name, seed):
    """Numbers of any array, and of the description, replaced at random: no index leads outside, no walk is endless."""
    rng = np.random.default_rng(seed)
    program = program_of(name)
    original = to_arrays(program)
    batches = [rows for rows in examples(program) if isinstance(rows, np.ndarray)]
    refused = 0
    for _ in range(60):
        arrays = {key: array.copy() for key, array in original.items()}
        key = sorted(arrays)[rng.integers(len(arrays))]
        if key == "program":
            text = json.loads(arrays[key].tobytes())
            step = text["steps"][rng.integers(len(text["steps"]))]
            if step["values"] and rng.random() < 0.7:
                field = sorted(step["values"])[rng.integers(len(step["values"]))]
                step["values"][field] = [-1, 10**9, "x", None, True][rng.integers(5)]
            else:
                step["inputs"] = rng.integers(-2, 9, rng.integers(0, 3)).tolist()
            arrays[key] = np.frombuffer(json.dumps(text).encode(), np.uint8)
        elif not arrays[key].size or rng.random() < 0.3:
            arrays[key] = (
                arrays[key][: rng.integers(arrays[key].shape[0] + 1)] if arrays[key].ndim else arrays[key][None]
            )
        elif arrays[key].dtype.kind in "iuf":
            place = rng.integers(arrays[key].size)
            arrays[key].reshape(-1)[place] = rng.choice(np.array([0, 1, 7, 2**24, 2**26, 2**31 - 1])).astype(
                arrays[key].dtype
            )
        try:
            changed = from_arrays(arrays)
        except Unsound:
            refused += 1
            continue
        for node in changed.methods.values():
            for natively in (False, True):
                for rows in batches[:4]:
                    with np.errstate(all="ignore"):
                        try:
                            evaluator(node, natively)(rows)
                        except (ValueError, IndexError, TypeError):
                            continue
    assert refused


# -- a server that starts with it --------------------------------------------------------------------------------------

HEAVY = ("sklearn", "scipy", "pandas", "joblib", "xgboost", "lightgbm", "flask")
STARTED = """
import json, sys
from pathlib import Path
from serving.batching import answering
from serving.batching.messages import Request
from serving.models import loading
here = Path(sys.argv[1])
model = loading.load(here, program_dir=here)
model.warm_up()
for body, kind in json.loads(sys.argv[2]):
    reply = answering.answer(model, [Request(body.encode(), kind)], 10**6)[0]
    print(reply.status, reply.body.decode().strip().partition('"request_id"')[0])
print(sorted({name.split(".")[0] for name in sys.modules} & set(sys.argv[3].split())))
"""


def started(directory: Path, bodies: list[tuple[str, str]]) -> list[str]:
    command = [sys.executable, "-c", STARTED, str(directory), json.dumps(bodies), " ".join(HEAVY)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(directory)})
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.fixture
def program_dir(tmp_path) -> Path:
    shutil.copytree(KIT / "model", tmp_path / "program", ignore=shutil.ignore_patterns("*.npz", "__pycache__"))
    return tmp_path / "program"


def compile_in(directory: Path) -> str:
    command = [sys.executable, "-m", "serving", "compile"]
    env = {"PYTHONPATH": str(directory), "SAGEMAKER_BASE_DIR": str(directory / "none"), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, cwd=directory)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_committed_model_is_served_without_its_libraries(program_dir):
    """Good rows, named rows, JSON, and rows that the model refuses: none of them needs scikit-learn or pandas."""
    assert "Pipeline: read (predict" in compile_in(program_dir)
    names = ",".join(["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"])
    lines = started(
        program_dir,
        [
            ("5.1,3.5,1.4,0.2\n", "text/csv"),
            (f"{names}\n6.7,3.0,5.2,2.3\n", "text/csv"),
            ('{"instances": [[5.1, 3.5, 1.4, 0.2]]}', "application/json"),
            ("5.1,,1.4,0.2\n", "text/csv"),
            ("5.1,inf,1.4,0.2\n", "text/csv"),
        ],
    )
    assert lines[:3] == ["200 setosa", "200 virginica", '200 {"predictions":["setosa"]}']
    assert all(line.startswith("400 ") and "sepal width (cm)" in line for line in lines[3:5])
    assert lines[-1] == "[]"


def test_a_model_of_texts_is_served_without_its_libraries(program_dir):
    """Unknown categories and missing values included; an unknown category that the encoder refuses is a 400."""
    columns = make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(), ["town"]))
    model = make_pipeline(columns, LogisticRegression()).fit(FRAME, LABELS)
    put(program_dir, model)
    lines = started(
        program_dir, [("41.5,B\n", "text/csv"), ("41.5,Z\n", "text/csv"), ("age,town\n41.5,B\n", "text/csv")]
    )
    expected = model.predict(pd.DataFrame({"age": [41.5], "town": ["B"]}))[0]
    assert lines[0] == lines[2] == f"200 {expected}"
    assert lines[1].startswith("400 ")
    assert "does not know the value 'Z'" in lines[1]
    assert lines[-1] == "[]"


def test_columns_of_several_types_become_one_matrix(program_dir):
    """A sample file makes some columns integers: the answers are those of a frame, and no frame is made."""
    names = ["a", "b", "c"]
    model = LogisticRegression().fit(pd.DataFrame(NUMBERS * 9, columns=names), LABELS)
    put(program_dir, model)
    kinds = {"a": "integer", "b": "number", "c": "number"}
    dtypes = {"integer": "int64", "number": "float64"}
    columns = [{"name": name, "kind": kind, "dtype": dtypes[kind]} for name, kind in kinds.items()]
    sample = {"form": "frame", "columns": columns, "rows": [[1, 2.5, 3.5]]}
    (program_dir / "model.sample.json").write_text(json.dumps(sample))
    lines = started(program_dir, [("7,-0.5,3.25\n", "text/csv")])
    assert lines[0] == f"200 {model.predict(pd.DataFrame([[7, -0.5, 3.25]], columns=names))[0]}"
    assert lines[-1] == "[]"


def test_a_changed_pickle_is_served_by_itself(program_dir):
    put(program_dir, models()["forest"])
    model = RandomForestClassifier(3, random_state=0).fit(NUMBERS, LABELS)
    (program_dir / "model.pkl").write_bytes(pickle.dumps(model))
    lines = started(program_dir, [("0.1,0.2,0.3\n", "text/csv")])
    assert lines[0] == f"200 {model.predict([[0.1, 0.2, 0.3]])[0]}"
    assert "'sklearn'" in lines[-1]


def test_a_transformation_that_asks_for_more_gets_the_estimator(program_dir):
    """Attributes are the estimator's own; what only calls a proven method never loads it."""
    model = models()["forest"]
    put(program_dir, model)
    ask = "def transformation(model, rows):\n    assert len(model.classes_) == 2\n    return model.predict(rows)\n"
    (program_dir / "predictor.py").write_text(ask)
    lines = started(program_dir, [("0.1,0.2,0.3\n", "text/csv")])
    assert lines[0] == f"200 {model.predict([[0.1, 0.2, 0.3]])[0]}"
    assert "'sklearn'" in lines[-1]


def test_compile_says_what_is_declined_and_keeps_nothing_of_old(program_dir):
    """A model that no reader knows is not an error: it serves by itself, and the program of another is gone."""
    put(program_dir, models()["forest"])
    model = KNeighborsClassifier().fit(NUMBERS, LABELS)
    (program_dir / "model.pkl").write_bytes(pickle.dumps(model))
    assert "declined, sklearn.neighbors._classification.KNeighborsClassifier is not a family" in compile_in(program_dir)
    assert not (program_dir / "model.compiled.npz").exists()


def test_the_file_is_an_ordinary_npz(saved):
    with zipfile.ZipFile(artifact.path_beside(saved)) as file:
        assert file.testzip() is None
        assert "about.npy" in file.namelist()
