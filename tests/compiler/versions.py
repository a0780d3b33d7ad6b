"""The compiler's tests with the minor version before the installed one of each library that it proves against.

    python tests/compiler/versions.py [argument of pytest ...]

Each is put, without what it depends on, into a directory of its own under .venv-versions, which stands before the
environment in PYTHONPATH. Ends with 1 if a test fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BOOSTERS = ("-k", "booster")
NOT_FITTED = ("--deselect", "tests/compiler/test_boosters.py::test_what_a_booster_does_beyond_its_trees_is_declined")
"""xgboost 3.1 cannot be fitted on categories of pandas 3, which these tests decline."""
LIBRARIES: dict[str, tuple[str, ...]] = {
    "scikit-learn": (),
    "xgboost-cpu": (*BOOSTERS, *NOT_FITTED),
    "lightgbm": BOOSTERS,
}
"""Library → which of the tests ask it."""


def older(library: str) -> Path:
    """The directory with the newest version below the installed minor one."""
    major, minor, *_ = metadata.version(library).split(".")
    directory = ROOT / f".venv-versions/{library}-before-{major}.{minor}"
    if not directory.exists():
        wanted = f"{library}<{major}.{minor}"
        command = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*command, "--python", sys.executable, "--target", str(directory), wanted], check=True)
    return directory


def main(arguments: list[str]) -> int:
    failed = 0
    for library, those in LIBRARIES.items():
        directory = older(library)
        (found,) = metadata.distributions(name=library, path=[str(directory)])
        print(f"{library} {found.version}", flush=True)
        environment = {**os.environ, "PYTHONPATH": str(directory)}
        chosen = [str(HERE / f"test_{name}.py") for name in ("families", "boosters")]
        command = [sys.executable, "-m", "pytest", "-q", *chosen, *those, *arguments]
        failed |= subprocess.run(command, cwd=ROOT, env=environment).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
