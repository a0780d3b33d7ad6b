"""Warns of what looks like a secret in the files that an image would hold. Standard library only; the build runs it.

python -P serving/leaks.py DIRECTORY

Everybody who can pull an image can read it. A line says the file, the line and what it looks like, never the secret.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

LARGEST = 1_000_000  # bytes; what is larger is data

SIGNS = {
    "an AWS access key": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",
    "an AWS secret key": r"(?i)aws_?secret_?access_?key['\"]?\s*[=:]\s*['\"]?[A-Za-z0-9/+]{40}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a token of GitHub": r"\bgh[pousr]_[A-Za-z0-9]{36}",
    "a token of Slack": r"\bxox[baprs]-[A-Za-z0-9-]{10}",
    "an address with a password": r"\b[a-z][a-z0-9+]*://[^/\s:@'\"{}$]+:[^/\s:@'\"{}$]+@",
    "a password": r"(?i)\b\w*(password|passwd|secret|api_?key|token)['\"]?\s*[=:]\s*['\"][^'\"\s{}$]{8,}['\"]",
}


def found(directory: Path) -> Iterator[str]:
    """A sentence for each line that looks like a secret, in the order of the files' names."""
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if name.parts[0] == "serving" or not path.is_file() or path.stat().st_size > LARGEST:
            continue
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            for what, sign in SIGNS.items():
                if re.search(sign, line):
                    yield f"model/{name}, line {number}, looks like {what}"
                    break


if __name__ == "__main__":
    for sentence in found(Path(sys.argv[1])):
        print(
            f"warning: {sentence}; all who can pull the image could read it. Keep it outside model/, and take it from "
            "the environment or from AWS Secrets Manager when the model is loaded."
        )
