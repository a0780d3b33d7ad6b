"""`train`, started as a user and as SageMaker start it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from running import KIT, make_program, wait_until


def train(program: Path, base: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "SAGEMAKER_BASE_DIR": str(base)}
    return subprocess.run([sys.executable, str(program / "train")], env=environ, capture_output=True, text=True)


def test_train_copies_the_model_and_needs_no_input(tmp_path: Path) -> None:
    """`train` exits 0 with no /opt/ml at all, and copies the model byte for byte."""
    done = train(KIT / "model", tmp_path / "ml")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ml/model/model.pkl").read_bytes() == (KIT / "model/model.pkl").read_bytes()
    assert "train: compiled model.compiled.npz" in done.stdout
    assert (tmp_path / "ml/model/model.compiled.npz").is_file()
    assert not (tmp_path / "ml/output/failure").exists()


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({}, "hyperparameters: none; channels: none; "),
        (
            {
                "hyperparameters": '{"depth": "3", "token": "secret"}',
                "inputdataconfig": '{"training": {"TrainingInputMode": "File"}, "test": {}}',
                "resourceconfig": '{"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}',
            },
            "hyperparameters: depth, token; channels: training, test; host: algo-2 of ['algo-1', 'algo-2']; ",
        ),
        (
            {"hyperparameters": '{"depth": ', "inputdataconfig": "[1]", "resourceconfig": "\x00"},
            "hyperparameters: hyperparameters.json cannot be read (JSONDecodeError); "
            "channels: inputdataconfig.json is not a JSON object; ",
        ),
    ],
    ids=["none", "all", "malformed"],
)
def test_what_the_job_was_given_is_named_and_never_fails_it(tmp_path: Path, files: dict[str, str], line: str) -> None:
    """One line names hyperparameters, channels and hosts, without values; a malformed file does not fail the job."""
    config = tmp_path / "ml/input/config"
    config.mkdir(parents=True)
    for name, text in files.items():
        (config / f"{name}.json").write_text(text)
    done = train(KIT / "model", tmp_path / "ml")
    assert done.returncode == 0, done.stderr
    assert f"train: {line}the model is trained already" in done.stdout
    assert "secret" not in done.stdout


def test_train_copies_all_that_belongs_to_the_model(tmp_path: Path) -> None:
    """Every file model.* is the artifact; a user's load_model finds its own there."""
    files = {"model.txt": "3.0", "thresholds.py": "def above(rows, limit):\n    return [0] * len(rows)\n"}
    program = make_program(tmp_path, "own_loader", files=files)
    (program / "model.pkl").unlink()
    done = train(program, tmp_path / "ml")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "ml/model").iterdir()) == ["model.txt"]


@pytest.mark.parametrize(
    ("predictor", "model", "reason"),
    [
        ("missing_function", None, "predictor.py has no function `transformation`."),
        ("syntax_error", None, "predictor.py, line 1, is not Python (expected ':')"),
        ("missing_module", None, "predictor.py imports no_such_package_anywhere, which is not installed."),
        ("always_fails", None, "the warm-up prediction failed: KeyError: 'petal'"),
        (None, b"", "model.pkl is empty."),
        (None, b"\x80\x05garbage", "model.pkl cannot be looked through to its end"),
    ],
)
def test_a_failure_is_written_where_sagemaker_reads_it(
    tmp_path: Path, predictor: str | None, model: bytes | None, reason: str
) -> None:
    """The failure file begins with the cause, is at most 1024 characters long, and the exit code is not 0."""
    done = train(make_program(tmp_path, predictor, model), tmp_path / "ml")
    assert done.returncode == 1
    failure = (tmp_path / "ml/output/failure").read_text()
    assert failure.startswith(reason)
    assert len(failure) <= 1024
    assert failure in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_ends_train_with_a_failure_and_no_half_copy(tmp_path: Path) -> None:
    """SIGTERM (stopped job, spot, time over): a reason, a non-zero exit, nothing half copied."""
    files = {"sitecustomize.py": ""}
    program = make_program(tmp_path, "slow", files=files)
    environ = {**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path / "ml")}
    marker = tmp_path / "begun"
    (program / "predictor.py").write_text(
        f"import pathlib, time\ndef transformation(model, rows):\n"
        f"    pathlib.Path({str(marker)!r}).touch()\n    time.sleep(30)\n"
    )
    running = subprocess.Popen([sys.executable, str(program / "train")], env=environ)
    wait_until(marker.exists)
    running.send_signal(signal.SIGTERM)
    assert running.wait(10) == 128 + signal.SIGTERM
    assert "SIGTERM" in (tmp_path / "ml/output/failure").read_text()
    assert not list((tmp_path / "ml").glob("model/*"))


def test_the_committed_model_can_be_made_again(tmp_path: Path) -> None:
    """examples/train_model.py gives a model that predicts exactly what the committed one does."""
    for name in ("model", "local-test"):
        (tmp_path / name).mkdir()
    script = (KIT / "examples/train_model.py").read_text()
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/train_model.py").write_text(script)
    subprocess.run([sys.executable, str(tmp_path / "examples/train_model.py")], check=True, capture_output=True)
    for path in ("local-test/payload.csv", "local-test/test-dir/input/data/training/leaf_train.csv"):
        assert (tmp_path / path).read_bytes() == (KIT / path).read_bytes()
    again, committed = (pickle.loads((root / "model/model.pkl").read_bytes()) for root in (tmp_path, KIT))
    assert list(again.feature_names_in_) == list(committed.feature_names_in_)
    assert (abs(again[-1].coef_ - committed[-1].coef_) < 1e-12).all()
