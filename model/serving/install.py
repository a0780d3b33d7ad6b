"""Installs what the model and the server need, into the Python that runs this file. Standard library only.

    python -P serving/install.py               install (the Dockerfile and the scripts of local-test/ call this)
    python -P serving/install.py --stamp       print the line that says which requirements a lock was made for
    python -P serving/install.py --lock FILE   install what this file lists instead
    python -P serving/install.py --uv PROGRAM --make-lock    pin what the requirements need
With --uv PROGRAM packages are installed by uv, else by pip.

requirements.lock pins every package, with hashes. It holds as long as it was made for the requirements as they are now.
When you have edited requirements.txt and not yet run `make lock`, your file decides and only the server's own packages
stay pinned. What pip or uv does is said in a line a package; all of it is shown when it fails.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SERVING = Path(__file__).resolve().parent
REQUIREMENTS = [SERVING.parent / "requirements.txt", SERVING / "requirements.txt"]
LOCK = SERVING.parent / "requirements.lock"

PIP_FILES = ("/etc/pip.conf", "/etc/xdg/pip/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
UV_NAMES = {
    # uv reads nothing that is meant for pip: what pip would be told, and what uv calls it
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
UNREACHABLE = (
    *("Failed to establish a new connection", "NameResolutionError", "Temporary failure in name resolution"),
    *("ProxyError", "ConnectTimeoutError", "CERTIFICATE_VERIFY_FAILED", "error sending request", "Failed to fetch"),
)


def stamp() -> str:
    """A line that changes when a requirement changes, and not with comments, blank lines or line ends."""
    lines = [line.split("#")[0].strip() for path in REQUIREMENTS for line in path.read_text().splitlines()]
    digest = hashlib.sha256("\n".join(sorted(filter(None, lines))).encode()).hexdigest()
    return f"# requirements {digest[:16]}"


def wanted() -> list[str]:
    """What to install, as arguments for pip or uv."""
    if LOCK.exists() and LOCK.read_text().startswith(stamp() + "\n"):
        return ["--require-hashes", "-r", str(LOCK)]
    print(
        "note: requirements.txt has changed since requirements.lock was made: only the server's own packages are "
        "pinned. Run `make lock` to pin all of them.",
        flush=True,
    )
    return [argument for path in REQUIREMENTS for argument in ("-r", str(path))]


def pip_settings() -> dict[str, str]:
    """What pip is told by its variables and files, the variables first: {"index-url": "https://…"}."""
    files = configparser.RawConfigParser()
    files.read([*map(os.path.expanduser, PIP_FILES), os.environ.get("PIP_CONFIG_FILE", os.devnull)])
    found: dict[str, str] = {}
    for name in UV_NAMES:
        for section in ("global", "install"):
            found[name] = files.get(section, name, fallback=found.get(name, ""))
        found[name] = os.environ.get(f"PIP_{name.upper().replace('-', '_')}", found[name])
    return {name: value for name, value in found.items() if value}


def uv_environment() -> dict[str, str]:
    """Packages come from where pip would take them, over connections that the system trusts."""
    told = {UV_NAMES[name]: " ".join(value.split()) for name, value in pip_settings().items()}
    return {"UV_SYSTEM_CERTS": "1", "UV_INDEX_STRATEGY": "unsafe-best-match", **told, **os.environ}


def make_lock(uv: str) -> int:
    """Pins what the requirements need, for all platforms, in requirements.lock, which stays as it is on an error."""
    made = LOCK.with_suffix(".lock.new")
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--output-file", str(made), *map(str, REQUIREMENTS)]
    try:
        if code := subprocess.call(command, env=uv_environment()):
            print("requirements.lock was not made; the reason stands above.", file=sys.stderr)
            return code
        made.write_text(f"{stamp()}\n{made.read_text()}")
        os.replace(made, LOCK)
        return 0
    finally:
        made.unlink(missing_ok=True)


def run(command: list[str], environ: dict[str, str], total: int) -> tuple[int, list[str]]:
    """The exit code, and all that was said; meanwhile a line a package is printed. `total` packages, 0: unknown."""
    said = []
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdout is not None
    count = 0
    for line in process.stdout:
        said.append(line.rstrip())
        first, _, rest = line.strip().partition(" ")
        if first == "Collecting":
            count += 1
            print(f"package {count}{f' of {total}' if total else ''}: {rest.split(' (from')[0]}", flush=True)
        elif first == "Installing":
            print(f"Installing {count} packages", flush=True)
        elif first in ("Downloading", "Building", "Prepared") or "Retrying" in line:
            print(line.strip()[:120], flush=True)
    return process.wait(), said


def explained(said: list[str]) -> Iterator[str]:
    """What failed, in pip's or uv's own words without their progress, and what to do."""
    progress = ("Collecting", "Requirement", "Using", "Resolved", "Prepared", "")
    yield from (line for line in said if line.split(" ")[0] not in progress)
    if any(sign in line for line in said for sign in UNREACHABLE):
        yield (
            "The packages could not be installed: their index could not be reached; the reason stands above. Is there "
            "a network, is a proxy needed (HTTPS_PROXY), or do packages come from another index (PIP_INDEX_URL)?"
        )
    else:
        yield (
            "The packages could not be installed; the reason stands above. Correct model/requirements.txt. (If it "
            "speaks of building a package: that version has no wheel for this Python, and the image has no compiler.)"
        )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Installs the model's and the server's packages.")
    parser.add_argument("--stamp", action="store_true")
    parser.add_argument("--lock", metavar="FILE")
    parser.add_argument("--uv", metavar="PROGRAM")
    parser.add_argument("--make-lock", action="store_true")
    options = parser.parse_args(arguments)
    if options.stamp:
        print(stamp())
        return 0
    if options.make_lock:
        return make_lock(options.uv or parser.error("--make-lock needs --uv"))
    if options.uv:
        command, environ = [options.uv, "pip", "install", "--python", sys.executable], uv_environment()
    else:
        command, environ = [sys.executable, "-m", "pip", "install", "--progress-bar", "off"], dict(os.environ)
        environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    what = ["-r", options.lock] if options.lock else wanted()
    pins = Path(what[-1]).read_text().count("==") if len(what) < 4 else 0
    code, said = run([*command, *what], environ, pins)
    if code:
        print("\n".join(explained(said)), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
