"""A virtual environment per contender, under .envs/, made once and again when its requirements change."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = {"ours": HERE.parent / "model/requirements.lock", "classic": HERE / "classic/requirements.txt"}
SECONDS = 900


def python(name: str) -> str:
    """The interpreter of an environment that is installed. Raises RuntimeError with pip's last line."""
    requirements = REQUIREMENTS.get(name, HERE / f"requirements/{name}.txt")
    directory, wanted = HERE / ".envs" / name, hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = directory / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {requirements.relative_to(HERE.parent)} into benchmarks/.envs/{name}", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        venv.create(directory, with_pip=True)
        command = [str(directory / "bin/python"), "-m", "pip", "install", "-q", "-r", str(requirements)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        if done.returncode:
            raise RuntimeError("could not be installed: " + (done.stderr.strip().splitlines() or ["?"])[-1])
        stamp.write_text(wanted)
    return str(directory / "bin/python")


def version(name: str, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([python(name), "-c", code], capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        python(wanted)
