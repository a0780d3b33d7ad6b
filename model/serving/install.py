"""Installs what the model and the server need, into the Python that runs this file. Standard library only.

    python serving/install.py            install (the Dockerfile and local-test/serve-local.sh call this)
    python serving/install.py --stamp    print the line that says which requirements a lock was made for

requirements.lock pins every package, with hashes. It holds as long as it was made for the two requirements files as
they are now. When you have edited requirements.txt and not yet run `make lock`, your file decides and only the
server's own packages stay pinned.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

SERVING = Path(__file__).resolve().parent
REQUIREMENTS = [SERVING.parent / "requirements.txt", SERVING / "requirements.txt"]
LOCK = SERVING.parent / "requirements.lock"


def stamp() -> str:
    """A line that changes when a requirement changes, and not with comments, blank lines or line ends."""
    lines = [line.split("#")[0].strip() for path in REQUIREMENTS for line in path.read_text().splitlines()]
    digest = hashlib.sha256("\n".join(sorted(filter(None, lines))).encode()).hexdigest()
    return f"# requirements {digest[:16]}"


def pip_arguments() -> list[str]:
    if LOCK.exists() and LOCK.read_text().startswith(stamp() + "\n"):
        return ["--require-hashes", "-r", str(LOCK)]
    print("requirements.txt has changed since requirements.lock was made: only the server's own packages are pinned.")
    print("Run `make lock` to pin all of them.", flush=True)
    return [argument for path in REQUIREMENTS for argument in ("-r", str(path))]


def main() -> int:
    if sys.argv[1:] == ["--stamp"]:
        print(stamp())
        return 0
    command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--quiet"]
    code = subprocess.call([*command, *pip_arguments()])
    if code:
        print(
            "The packages could not be installed; pip's reason stands above. Correct model/requirements.txt. (If pip "
            "tried to build a package: that version has no wheel for this Python, and the image has no compiler.)",
            file=sys.stderr,
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
