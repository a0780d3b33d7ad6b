"""A virtual environment per contender, under .envs/, made once and again when its requirements change."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = {"ours": HERE.parent / "model/requirements.lock", "classic": HERE / "classic/requirements.txt"}
SECONDS = 900


def prepare(names: Iterable[str]) -> None:
    """Installs what is not there yet. One that cannot be installed is told, and fails again when it is started."""
    for name in dict.fromkeys(names):
        try:
            python(name)
        except (RuntimeError, OSError, subprocess.SubprocessError) as exc:
            print(f"  {name}: {exc}", flush=True)


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
    """Of a package that is installed; empty if it is not."""
    found = (HERE / ".envs" / name).glob(f"lib/*/site-packages/{package.replace('-', '_')}-*.dist-info")
    return next((path.name.removesuffix(".dist-info").rpartition("-")[2] for path in found), "")


def megabytes(name: str) -> int:
    """What the packages of an environment take on the disk, pip itself left out."""
    files = (path for site in (HERE / ".envs" / name).glob("lib/*/site-packages") for path in site.rglob("*"))
    return round(sum(path.stat().st_size for path in files if path.is_file() and "pip" not in path.parts) / 1e6)


if __name__ == "__main__":
    prepare(sys.argv[1:])
