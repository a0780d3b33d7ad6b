"""Installs what the model and the server need, into the Python that runs this file. Standard library only.

    python -P serving/install.py               install (the Dockerfile and the scripts of local-test/ call this)
    python -P serving/install.py --stamp       print the line that says which requirements a lock was made for
    python -P serving/install.py --make-lock   pin what the requirements need
`--help` has the options. requirements.lock pins every package, with hashes. It holds as long as it was made for the
requirements as they are now; else requirements.txt, or pyproject.toml and uv.lock, say what the model needs, and only
the server's own packages stay pinned. What pip or uv does is said in a line a package.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

SERVING = Path(__file__).resolve().parent
MODEL = SERVING.parent
LOCK = MODEL / "requirements.lock"
UV_LOCK = MODEL / "uv.lock"
INSTALLER = SERVING / "installer.lock"
SECRETS = Path("/run/secrets")

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


HANDED_ON = re.compile(r"[^\s`'\"]*/tmp\w+/requirements\.txt")
"""The list as pip and uv are given it, in a directory that is gone when its name is read."""


class Refused(Exception):
    """The requirements cannot be installed; the message says why and what to do."""


# ---- what is to be installed


def requirements_file() -> Path:
    """Where the model's packages are listed: requirements.txt, or pyproject.toml in its place."""
    text, project = MODEL / "requirements.txt", MODEL / "pyproject.toml"
    if text.exists() and project.exists():
        raise Refused("model/ has both requirements.txt and pyproject.toml: delete the one that is not to be used.")
    if not text.exists() and not project.exists():
        raise Refused("model/requirements.txt is missing. List your model's packages there, one a line.")
    return project if project.exists() else text


def requirements() -> list[str]:
    """The model's requirements, a line each."""
    path = requirements_file()
    if path.name == "requirements.txt":
        return path.read_text().splitlines()
    try:
        return list(tomllib.loads(path.read_text())["project"].get("dependencies", []))
    except (tomllib.TOMLDecodeError, KeyError, AttributeError) as exc:
        raise Refused(f"model/pyproject.toml has no table [project] that can be read ({exc}).") from exc


def stamp() -> str:
    """A line that changes when a requirement changes, and not with comments, blank lines or line ends."""
    listed = requirements() + (SERVING / "requirements.txt").read_text().splitlines()
    lines = sorted(filter(None, (line.split("#")[0].strip() for line in listed)))
    if has_uv_lock():
        lines.append(UV_LOCK.read_text())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return f"# requirements {digest[:16]}"


def has_uv_lock() -> bool:
    return requirements_file().name == "pyproject.toml" and UV_LOCK.exists()


def is_locked() -> bool:
    return LOCK.exists() and LOCK.read_text().startswith(stamp() + "\n")


def pins_of_uv_lock(uv: str, directory: Path) -> Path:
    """uv.lock as a requirements file with hashes. Raises Refused for what an index does not have."""
    pins = directory / "uv-pins.txt"
    command = [uv, "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate"]
    if subprocess.call([*command, "--project", str(MODEL), "--output-file", str(pins)], env=uv_environment()):
        raise Refused("model/uv.lock could not be read; the reason stands above. Make it again: uv lock")
    lines = [line.split(";")[0].strip() for line in pins.read_text().splitlines() if line[:1] not in ("", " ", "#")]
    if foreign := [line for line in lines if "==" not in line]:
        raise Refused(
            f"model/uv.lock takes {foreign[0]!r} from elsewhere than an index, where the image cannot get it."
        )
    return pins


def steps(uv: str | None, directory: Path) -> Iterator[list[str]]:
    """What to install, as arguments for pip or uv, one call after the other."""
    server = str(SERVING / "requirements.txt")
    if is_locked():
        yield ["--require-hashes", "-r", str(LOCK)]
        return
    if uv and has_uv_lock():
        print("note: uv.lock pins the model's packages. Run `make lock` to pin the server's with them.", flush=True)
        pins = pins_of_uv_lock(uv, directory)
        yield ["--require-hashes", "-r", str(pins)]
        yield ["-r", server, "-c", str(without_hashes(pins))]
        return
    print(f"note: {requirements_file().name} has changed since requirements.lock was made:", end=" ")
    print("only the server's own packages are pinned. Run `make lock` to pin all of them.", flush=True)
    listed = directory / "requirements.txt"
    listed.write_text("\n".join(requirements()) + "\n")
    yield ["-r", str(listed), "-r", server]


def without_hashes(pins: Path) -> Path:
    """The same pins as constraints, which may have no hashes where others have none."""
    bare = pins.with_suffix(".constraints")
    lines = [line.rstrip(" \\") for line in pins.read_text().splitlines() if line[:1] not in ("", " ", "#")]
    bare.write_text("\n".join(lines) + "\n")
    return bare


def make_lock(uv: str, directory: Path) -> None:
    """Pins what the requirements need, for all platforms, in requirements.lock, which stays as it is on an error."""
    made = LOCK.with_suffix(".lock.new")
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--emit-build-options", "--output-file", str(made)]
    command += [str(requirements_file()), str(SERVING / "requirements.txt")]
    if has_uv_lock():
        command += ["--constraint", str(without_hashes(pins_of_uv_lock(uv, directory)))]
    try:
        if subprocess.call(command, env=uv_environment(here=False)):
            raise Refused("requirements.lock was not made; the reason stands above.")
        made.write_text(f"{stamp()}\n{made.read_text()}")
        os.replace(made, LOCK)
    finally:
        made.unlink(missing_ok=True)


# ---- by whom, and from where


def pip_settings() -> dict[str, str]:
    """What pip is told by its variables and files, the variables first: {"index-url": "https://…"}."""
    files = configparser.RawConfigParser()
    files.read([*map(os.path.expanduser, PIP_FILES), os.environ.get("PIP_CONFIG_FILE", os.devnull)])
    found: dict[str, str] = {}
    for name in UV_NAMES:
        for section in ("global", "install"):
            found[name] = files.get(section, name, fallback=found.get(name, ""))
        found[name] = os.environ.get(f"PIP_{name.upper().replace('-', '_')}") or found[name]
    return {name: value for name, value in found.items() if value}


def uv_environment(here: bool = True) -> dict[str, str]:
    """Packages come from where pip would take them, over connections that the system trusts.

    Without `here`, directories of this machine are left out: they may hold its own few files of a package, and a lock
    is for the image and for others.
    """
    told = {UV_NAMES[name]: " ".join(value.split()) for name, value in pip_settings().items()}
    places = told.pop("UV_FIND_LINKS", "").split()  # a directory that is not there is not an error to pip
    told |= {"UV_FIND_LINKS": ",".join(place for place in places if "://" in place or Path(place).exists())}
    if not here:
        told = {name: " ".join(place for place in value.split() if not is_here(place)) for name, value in told.items()}
        told["UV_FIND_LINKS"] = ",".join(place for place in places if not is_here(place))
    return {"UV_SYSTEM_CERTS": "1", "UV_INDEX_STRATEGY": "unsafe-best-match", **told, **os.environ}


def is_here(place: str) -> bool:
    return place.startswith("file:") or "://" not in place


def read_secrets() -> None:
    """What BuildKit hands to this step of a build alone: the addresses of indexes, with passwords in them."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        if (SECRETS / name).is_file():
            os.environ[name] = (SECRETS / name).read_text().strip()
        elif os.environ.get(name) == "":
            del os.environ[name]  # an ARG that was not given


def fetched_uv(directory: Path) -> str | None:
    """uv of the version that installer.lock pins; None where the index does not have it."""
    command = [*PIP, "--quiet", "--require-hashes", "--target", str(directory), "-r", str(INSTALLER)]
    if subprocess.run(command, env=pip_environment(), capture_output=True).returncode:
        print("uv cannot be had here, so pip installs the packages, which takes longer.", flush=True)
        return None
    return str(directory / "bin/uv")


PIP = [sys.executable, "-m", "pip", "install", "--progress-bar", "off", "--no-warn-script-location"]


def pip_environment() -> dict[str, str]:
    return {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}


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
        if first in ("Collecting", "Processing"):
            count += 1
            print(f"package {count}{f' of {total}' if total else ''}: {rest.split(' (from')[0]}", flush=True)
        elif first == "Installing":
            print(f"Installing {rest.count(',') + 1} packages, which takes longest", flush=True)
        elif first in ("Downloading", "Building", "Prepared") or "Retrying" in line:
            print(line.strip()[:120], flush=True)
    return process.wait(), said


def explained(said: list[str], only_binary: bool) -> Iterator[str]:
    """What failed, in pip's or uv's own words without their progress, and what to do."""
    progress = ("Collecting", "Downloading", "Requirement", "Using", "Resolved", "Prepared", "Looking", "Processing")
    name = requirements_file().name
    yield from (HANDED_ON.sub(f"model/{name}", line) for line in said if not line.strip().startswith(progress))
    if any(sign in line for line in said for sign in UNREACHABLE):
        yield (
            "The packages could not be installed: their index could not be reached; the reason stands above. Is there "
            "a network, is a proxy needed (HTTPS_PROXY), or do packages come from another index (PIP_INDEX_URL)?"
        )
        return
    built = re.search("wheel|[Bb]uild", " ".join(said)) or (
        only_binary and "No matching distribution" in " ".join(said)
    )
    yield f"The packages could not be installed; the reason stands above. Correct model/{name}." + (
        " (If it speaks of building a package or of no wheel: that version has none for this Python, and the image "
        "has no compiler. Where no version has one: a line `--no-binary NAME` in requirements.txt builds it.)"
    ) * bool(built)


def install(options: argparse.Namespace, uv: str | None, directory: Path) -> int:
    command = [uv, "pip", "install", "--python", sys.executable] if uv else list(PIP)
    if options.prefix:
        command += ["--prefix", options.prefix, *(["--compile-bytecode"] if uv else [])]
    if options.only_binary:
        command += ["--only-binary", ":all:"]
    for what in [["-r", options.lock]] if options.lock else steps(uv, directory):
        lines = Path(what[-1]).read_text().splitlines() if options.lock or "--require-hashes" in what else []
        pins = [line for line in lines if "==" in line and "win32" not in line]  # a list that is not a lock has not all
        code, said = run([*command, *what], uv_environment() if uv else pip_environment(), len(pins))
        if code:
            print("\n".join(explained(said, options.only_binary)), file=sys.stderr)
            return code
    return 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Installs the model's and the server's packages.")
    parser.add_argument("--stamp", action="store_true", help="print the line at the top of a lock, and stop")
    parser.add_argument("--make-lock", action="store_true", help="make requirements.lock, and stop")
    parser.add_argument("--lock", metavar="FILE", help="install what this file lists instead")
    parser.add_argument("--uv", metavar="PROGRAM", help="install by this uv, not by pip")
    parser.add_argument("--with-uv", action="store_true", help="fetch uv for the time of the installation")
    parser.add_argument("--prefix", metavar="DIR", help="install below this directory")
    parser.add_argument("--only-binary", action="store_true", help="take wheels only")
    options = parser.parse_args(arguments)
    read_secrets()
    try:
        if options.stamp:
            print(stamp())
            return 0
        with tempfile.TemporaryDirectory() as name:
            uv, needed = options.uv, options.make_lock or (not options.lock and not is_locked() and has_uv_lock())
            if not uv and (options.with_uv or needed):
                uv = fetched_uv(Path(name) / "uv")
                if not uv and needed:
                    raise Refused("uv is needed for that, and could not be fetched: install it, or run where it is.")
            if options.make_lock:
                make_lock(uv, Path(name))
                return 0
            return install(options, uv, Path(name))
    except Refused as exc:
        print(f"The packages could not be installed: {exc}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
