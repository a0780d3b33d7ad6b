"""A server whose model was compiled: it starts, answers and refuses without the model's libraries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from running import Native, make_program, runtime_dir

Serve = Callable[..., Native]
LIBRARIES = ("sklearn", "scipy", "pandas")


def compiled_program(directory: Path) -> Path:
    program = make_program(directory)
    places = {"PYTHONPATH": str(program), "SAGEMAKER_BASE_DIR": str(directory / "none"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "serving", "compile"]
    done = subprocess.run(command, env=places, cwd=program, capture_output=True, text=True, timeout=120)
    assert (program / "model.compiled.npz").is_file(), done.stdout + done.stderr
    return program


def libraries(running: Native) -> set[str]:
    """Those that a worker has loaded."""
    workers = (runtime_dir(running) / "workers").iterdir()
    maps = "".join(Path(f"/proc/{worker.name}/maps").read_text() for worker in workers)
    return {name for name in LIBRARIES if f"/{name}/" in maps}


def test_no_library_is_loaded_for_ordinary_requests(serve: Serve, tmp_path: Path) -> None:
    """Good rows, bad rows, /ping and /metrics; the log says that the model is compiled."""
    running = serve(program=compiled_program(tmp_path), MODEL_SERVER_WORKERS="2").until_ready()
    assert running.post(b"5.1,3.4,1.5,0.2\n").text == "setosa\n"
    refused = running.post(b"5.1,,1.5,0.2\n")
    assert (refused.status_code, refused.json()["error"]["column"]) == (400, "sepal width (cm)")
    assert running.ping().status_code == 200
    assert libraries(running) == set()
    assert "compiled: Pipeline (predict, decision_function, predict_proba)" in running.log


@pytest.mark.parametrize("off", [True, False])
def test_the_estimator_serves_where_programs_are_off_or_stale(serve: Serve, tmp_path: Path, off: bool) -> None:
    program = compiled_program(tmp_path)
    if not off:
        path = program / "model.compiled.npz"
        path.write_bytes(path.read_bytes()[:-100])
    options = {"MODEL_SERVER_FAST_PATHS": "off"} if off else {}
    running = serve(program=program, MODEL_SERVER_WORKERS="1", **options).until_ready()
    assert running.post(b"5.1,3.4,1.5,0.2\n").text == "setosa\n"
    assert "sklearn" in libraries(running)
    assert off or "model.compiled.npz is ignored" in running.log
