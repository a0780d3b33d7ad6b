"""One rule says which file is the model: for the server, for `train`, for check and for the scripts."""

from __future__ import annotations

import gzip
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

from running import KIT
from serving.commands.train import copy_artifact
from serving.errors import ModelNotUsable
from serving.models import artifact, loading
from serving.settings import PROGRAM_DIR, Settings

MODEL = pickle.dumps(LinearRegression().fit([[1.0], [2.0]], [1, 2]))
STOCK = (KIT / "model/predictor.py").read_text()
LOADER = (
    "def transformation(model, rows):\n    return model.predict(rows)\n\n\ndef load_model(model_dir):\n    return 1\n"
)


def program(directory: Path, *names: str, predictor: str = STOCK) -> Path:
    """A directory like /opt/program with these models in it."""
    (directory / "predictor.py").write_text(predictor)
    for name in names:
        (directory / name).write_bytes(MODEL)
    return directory


def asked(directory: Path) -> subprocess.CompletedProcess[str]:
    """As a script asks, with the standard library alone."""
    words = [sys.executable, "-S", "-m", "serving.models.artifact", str(directory)]
    return subprocess.run(words, cwd=KIT / "model", capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "names", [("model.pkl",), ("churn.pkl",), ("model.joblib",), ("x.pickle", "notes.txt"), ("Model.PKL",)]
)
def test_one_model_is_found_whatever_its_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    """It is what serves, what a script is told, and what `train` copies, with what belongs to it."""
    directory, out = program(tmp_path, *names), tmp_path / "out"
    (directory / "model.sample.json").write_text("{}")
    assert artifact.pickle_in(directory, directory) == directory / names[0]
    assert asked(directory).stdout.strip() == str(directory / names[0])
    assert copy_artifact(directory, out) == sorted([names[0], "model.sample.json"])
    assert (out / names[0]).read_bytes() == MODEL


def test_what_is_left_of_a_deleted_model_is_not_a_model(tmp_path: Path) -> None:
    """The image's own model is served, not refused because of a file that was made for another."""
    settings = Settings(base_dir=tmp_path)
    settings.model_dir.mkdir()
    (settings.model_dir / "model.compiled.npz").write_bytes(b"PK")
    (settings.model_dir / "model.sample.json").write_text("{}")
    assert artifact.find(settings) == PROGRAM_DIR
    (settings.model_dir / "weights.bin").write_bytes(b"what a load_model may read")
    assert artifact.find(settings) == settings.model_dir


@pytest.mark.parametrize("names", [("model.pkl", "model.joblib"), ("churn.pkl", "model.pkl"), ("a.pickle", "b.PKL")])
def test_two_models_are_refused_with_both_names(tmp_path: Path, names: tuple[str, str]) -> None:
    """Never is one of them served silently, nor copied."""
    directory = program(tmp_path, *names)
    for refused in (
        lambda: artifact.pickle_in(directory, directory),
        lambda: loading.load(directory, program_dir=directory),
        lambda: copy_artifact(directory, tmp_path / "out"),
    ):
        with pytest.raises(ModelNotUsable) as caught:
            refused()
        assert all(name in str(caught.value) for name in names)
    assert asked(directory).returncode == 3


def test_what_predictor_names_is_its_own(tmp_path: Path) -> None:
    """A scaler that predictor.py reads stands beside the model, and goes along with it."""
    directory = program(tmp_path, "model.pkl", "scaler.pkl", predictor=STOCK + "# reads scaler.pkl\n")
    assert artifact.pickle_in(directory, directory) == directory / "model.pkl"
    assert copy_artifact(directory, tmp_path / "out") == ["model.pkl", "scaler.pkl"]


def test_a_model_with_a_loader_of_its_own(tmp_path: Path) -> None:
    """load_model reads what it likes; what `train` would copy is every model.*, and nothing at all is refused."""
    directory = program(tmp_path, predictor=LOADER)
    with pytest.raises(ModelNotUsable, match="load_model"):
        copy_artifact(directory, tmp_path / "out")
    (directory / "model.json").write_text("{}")
    assert copy_artifact(directory, tmp_path / "out") == ["model.json"]


def test_train_mirrors(tmp_path: Path) -> None:
    """What an earlier run has left is gone: a sample that was deleted, a model of another name; other files stay."""
    directory, out = program(tmp_path, "model.pkl"), tmp_path / "out"
    (directory / "model.sample.json").write_text("{}")
    copy_artifact(directory, out)
    (out / "notes.txt").write_text("mine")
    (directory / "model.sample.json").unlink()
    (directory / "model.pkl").rename(directory / "model.joblib")
    copy_artifact(directory, out)
    assert sorted(path.name for path in out.iterdir()) == ["model.joblib", "notes.txt"]


def test_what_a_computer_leaves_is_not_a_model(tmp_path: Path) -> None:
    """macOS, a disk and Jupyter add files of their own to an archive."""
    settings = Settings(base_dir=tmp_path)
    for name in ("._model.pkl", ".DS_Store", ".ipynb_checkpoints/model-checkpoint.pkl", "__MACOSX/._model.pkl"):
        (settings.model_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.model_dir / name).write_bytes(b"x")
    (settings.model_dir / "lost+found").mkdir()
    assert artifact.find(settings) == PROGRAM_DIR
    (settings.model_dir / "model.pkl").write_bytes(MODEL)
    assert artifact.pickle_in(settings.model_dir, tmp_path) == settings.model_dir / "model.pkl"
    assert artifact.pickles_in(settings.model_dir) == [settings.model_dir / "model.pkl"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "export/1/model.pkl",
            MODEL,
            'there is export/1/model.pkl. Move it to the top.*tar -czf model.tar.gz -C ".*1" ',
        ),
        ("model/MLmodel", b"", "model is not a pickle but an MLflow model, a directory.*import_mlflow"),
        ("model.joblib/part", b"", "model.joblib is not a pickle but a directory"),
        ("churn.sav", MODEL, "churn.sav is a pickle: call it model.pkl"),
        ("model.pkl.gz", gzip.compress(MODEL), "model.pkl.gz is a pickle: call it model.pkl"),
        ("model.cbm", b"CBM1", r"model.cbm is a CatBoost model. Write load_model.*CatBoostClassifier\(\).load_model"),
        ("model.onnx", b"\x08\x07\x12\x07pytorch", "model.onnx is an ONNX model.*onnxruntime"),
        ("notes.txt", b"tree\nversion=v4", "Found: notes.txt. Save the model as model.pkl"),
        ("weights.bin", bytes(9), "Found: weights.bin. Save the model as model.pkl"),
    ],
)
def test_what_is_there_instead_is_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """A model in a sub-directory, of another format or under another name: where it is, what it is, what to do."""
    directory = program(tmp_path)
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(content)
    with pytest.raises(ModelNotUsable, match=said):
        artifact.pickle_in(directory, directory)
    assert asked(directory).returncode == 3


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    """It is told, not met as an error of a file; a link to a model is the model."""
    directory = program(tmp_path)
    (directory / "model.pkl").symlink_to("elsewhere.pkl")
    assert artifact.pickles_in(directory) == []
    assert "is a link to elsewhere.pkl, which is not there" in asked(directory).stdout
    (directory / "elsewhere.pkl").write_bytes(MODEL)
    (directory / "elsewhere.pkl").rename(tmp_path / "elsewhere.bin")
    (directory / "model.pkl").unlink()
    (directory / "model.pkl").symlink_to("elsewhere.bin")
    assert copy_artifact(directory, tmp_path / "out") == ["model.pkl"]
    assert not (tmp_path / "out/model.pkl").is_symlink()


def test_scripts_are_told_what_is_no_pickle(tmp_path: Path) -> None:
    """Before a build that would end with it minutes later."""
    directory = program(tmp_path)
    (directory / "model.pkl").write_bytes(b"<html>")
    assert asked(directory).returncode == 3
    assert "model.pkl is not a pickle but a page of HTML" in asked(directory).stdout


def test_no_model(tmp_path: Path) -> None:
    """An empty directory is refused with what is there."""
    directory = program(tmp_path)
    assert "predictor.py" in asked(directory).stdout
    with pytest.raises(ModelNotUsable, match=r"no model\.pkl"):
        copy_artifact(directory, tmp_path / "out")
