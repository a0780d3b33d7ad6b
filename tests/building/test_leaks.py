"""What never enters an image, and what the build warns of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from running import REPOSITORY

LEAKS = REPOSITORY / "model/serving/leaks.py"
OUT = (".env", ".env.local", ".aws/credentials", "sub/.netrc", "key.pem", "tls.key", "id_rsa", "pip.conf", "n.ipynb")
IN = ("predictor.py", "model.pkl", "features/steps.py", "environment.txt", "keys.csv")


def warnings(directory: Path) -> str:
    command = [sys.executable, "-P", str(LEAKS), str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("key = 'AKIA" + "ABCDEFGHIJKLMNOP'", "an AWS access key"),
        ("aws_secret_access_key=" + "a1b2" * 10, "an AWS secret key"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", "a private key"),
        ("ghp_" + "a1B2c3D4e5F6" * 3, "a token of GitHub"),
        ("--extra-index-url https://me:pass" + "word@host/simple", "an address with a password"),
        ("DB_PASSWORD = 'hunter2" + "hunter2'", "a password"),
    ],
)
def test_what_looks_like_a_secret_is_warned_of(tmp_path: Path, line: str, what: str) -> None:
    """The file, the line and the kind; never the secret."""
    (tmp_path / "config.py").write_text(f"# nothing here\n{line}\n")
    said = warnings(tmp_path)
    assert said.startswith(f"warning: model/config.py, line 2, looks like {what};")
    assert line not in said


def test_what_does_not_look_like_one_is_not_warned_of(tmp_path: Path) -> None:
    """Names of variables, addresses without a password, empty values, places to fill in, data, and our own files."""
    lines = [
        *("password = os.environ['DB_PASSWORD']", "token = ''", "https://host:8080/path", "secret: {secret}"),
        *("max_tokens = 'none'", "url = f'https://{user}:{password}@host'", "api_key=None", "s3://bucket/key@2"),
    ]
    (tmp_path / "predictor.py").write_text("\n".join(lines))
    (tmp_path / "model.pkl").write_bytes(b"\0password = 'abcdefghijkl'")
    assert warnings(tmp_path) == ""
    assert warnings(REPOSITORY / "model") == ""


def test_credentials_stay_outside_the_build(engine: None, tmp_path: Path) -> None:
    """What .dockerignore keeps out never reaches the engine; a model's own files do."""
    for name in OUT + IN:
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "README.md").write_text("x")
    (tmp_path / ".dockerignore").write_bytes((REPOSITORY / ".dockerignore").read_bytes())
    (tmp_path / "Dockerfile").write_text("FROM python:3.12-slim\nCOPY . /seen/\nRUN find /seen -type f | sort\n")
    command = ["docker", "build", "--no-cache", "--force-rm", "--quiet", str(tmp_path)]
    built = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "DOCKER_BUILDKIT": "0"})
    image = built.stdout.strip()
    try:
        listed = subprocess.run(
            ["docker", "run", "--rm", image, "find", "/seen", "-type", "f"], capture_output=True, text=True, check=True
        ).stdout.split()
    finally:
        subprocess.run(["docker", "image", "rm", image], capture_output=True)
    assert sorted(listed) == sorted(f"/seen/model/{name}" for name in IN)
