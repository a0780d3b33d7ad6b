"""What the model in model/ itself answers, on this machine, to hold the endpoint's answer against."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

KIT = Path(__file__).resolve().parent.parent
METHOD = "MODEL_SERVER_PREDICT_METHOD"


class CannotPredict(Exception):
    """The model cannot be asked on this machine: the message says why."""


def predictions(payload: bytes, model_dir: Path, environment: Mapping[str, str]) -> list[str]:
    """The lines that the server in `model_dir` answers to the CSV `payload`. Raises CannotPredict.

    A process of its own answers: it sees predictor.py as it is now, and leaves nothing in the notebook's kernel.
    """
    code = "from deploy import local; local.main()"
    path = os.pathsep.join([str(model_dir.resolve()), str(KIT)])
    env = {**os.environ, METHOD: "", **environment, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], input=payload, capture_output=True, cwd=model_dir, env=env)
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines() or [f"Python ended with status {done.returncode}"]
        raise CannotPredict(said[-1])
    return done.stdout.decode().splitlines()


def wrong_settings(environment: Mapping[str, str]) -> str:
    """What the server will say of these settings when it starts, and refuses to; nothing when they are right.

    MODEL_SERVER_USER names a user of the image, which this machine need not have.
    """
    ours = {name: value for name, value in environment.items() if name != "MODEL_SERVER_USER"}
    if not any(name.startswith("MODEL_SERVER_") for name in ours):
        return ""
    code = (
        "import json, sys; from serving import settings\n"
        "try: settings.load(json.load(sys.stdin))\n"
        "except settings.SettingError as wrong: print(wrong)"
    )
    env = {**os.environ, "PYTHONPATH": str(KIT / "model")}
    done = subprocess.run([sys.executable, "-c", code], input=json.dumps(ours).encode(), capture_output=True, env=env)
    return done.stdout.decode().strip()


def main() -> None:
    """The server's own steps from rows to text, without HTTP, and by the model itself, not by its program."""
    payload = sys.stdin.buffer.read()
    with redirect_stdout(sys.stderr):  # where a print() of predictor.py does no harm
        try:
            from serving import errors, settings
            from serving.batching import answering, messages
            from serving.models import loading
        except ImportError as problem:
            sys.exit(str(problem))
        try:
            model = loading.load(settings.PROGRAM_DIR, os.environ[METHOD], compiled=False)
        except errors.ModelNotUsable as problem:
            sys.exit(str(problem))
        request = messages.Request(payload, "text/csv", accept="text/csv")
        [reply] = answering.answer(model, [request], max_bytes=len(payload))
        body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
        if reply.status != 200:
            sys.exit(json.loads(body)["error"]["message"])
    sys.stdout.buffer.write(body)


def same(answer: list[str], expected: list[str]) -> bool:
    """Equal cell by cell: texts and whole numbers exactly, others up to the rounding that another CPU may bring."""
    ours, theirs = list(csv.reader(answer)), list(csv.reader(expected))
    return [len(row) for row in ours] == [len(row) for row in theirs] and all(
        _close(a, b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)
    )


def _close(a: str, b: str) -> bool:
    if a == b or (a.isdigit() and b.isdigit()):
        return a == b
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-5, abs_tol=1e-8)
    except ValueError:
        return False
