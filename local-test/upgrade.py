"""Replaces the machinery of a kit by that of a newer one. Standard library only; upgrade.sh calls it.

    python -P local-test/upgrade.py KIT FROM [--keep FILE]…
    python -P local-test/upgrade.py KIT --release            writes releases/VERSION.sha256 for the kit as it is

A kit knows every release before it: releases/VERSION.sha256 has the hash of each of its files. So the newer kit can
tell which files of the older one were changed. Nothing is written before all files were compared. VERSION comes last:
what was interrupted is taken up by the next run.
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

USERS = ("model/model.*", "model/predictor.py", "model/requirements.*", "model/pyproject.toml", "model/uv.lock")
USERS += ("model/.python-version", "local-test/payload.csv", "local-test/test-dir/*", "loadtest/prices/*")
BESIDE = ("README.md", "deploy_model.ipynb")
"""What people change because they are meant to: theirs stays, and the new notebook is put beside it."""
RELEASES = Path("local-test/releases")


class Refused(Exception):
    """The upgrade cannot be made; the message says why."""


def is_users(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in USERS)


def digest(path: Path) -> str:
    """Of the text with Unix line ends, so that a checkout on Windows is not a change."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def machinery(kit: Path) -> dict[str, str]:
    """The files of a kit that are not the user's, and their hashes. In a git checkout what git knows, else all."""
    listed = subprocess.run(["git", "-C", str(kit), "ls-files", "-z"], capture_output=True, text=True)
    names = listed.stdout.split("\0") if (kit / ".git").exists() and listed.returncode == 0 else _walked(kit)
    return {
        name: digest(kit / name) for name in sorted(names) if name and (kit / name).is_file() and not is_users(name)
    }


def _walked(kit: Path) -> list[str]:
    hidden = (".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".ipynb")
    paths = (path.relative_to(kit) for path in kit.rglob("*"))
    return [path.as_posix() for path in paths if not any(part.startswith(hidden) for part in path.parts)]


def version_of(kit: Path) -> str:
    try:
        return (kit / "VERSION").read_text().strip()
    except OSError:
        raise Refused(
            f"{kit} has no VERSION: it is not a kit, or one of before version 2. Copy your files by hand."
        ) from None


def release(kit: Path) -> None:
    """Notes the hashes of a version. The file itself is not among them."""
    path = kit / RELEASES / f"{version_of(kit)}.sha256"
    hashes = {name: value for name, value in machinery(kit).items() if not name.startswith(str(RELEASES))}
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{value}  {name}\n" for name, value in hashes.items()))
    print(f"{path.relative_to(kit)} has {len(hashes)} files")


def upgrade(kit: Path, source: Path, keep: list[str]) -> None:
    old, new = version_of(kit), version_of(source)
    if old == new:
        print(f"This is version {old} already: nothing to do.")
        return
    known = source / RELEASES / f"{old}.sha256"
    if not known.exists():
        raise Refused(f"the kit in {source} (version {new}) does not know version {old}: is it older than yours?")
    before = {name: value for value, name in (line.split("  ", 1) for line in known.read_text().splitlines())}
    after = machinery(source)
    changed = [
        name for name, value in before.items()
        if (kit / name).is_file() and digest(kit / name) not in (value, after.get(name)) and name not in keep
    ]  # fmt: skip
    in_the_way = [
        name for name in after.keys() - before.keys()
        if (kit / name).is_file() and digest(kit / name) != after[name] and name not in keep
    ]  # fmt: skip
    if refused := sorted(set(changed + in_the_way) - set(BESIDE)):
        for name in refused:
            sys.stdout.writelines(difference(kit / name, source / name, name))
        raise Refused(
            f"{', '.join(refused)} {'was' if len(refused) == 1 else 'were'} changed here; the difference stands above. "
            "Nothing was replaced. Take your change back, or keep your file: --keep FILE"
        )
    replace(kit, source, before, after, {*keep, *(name for name in BESIDE if name in changed)})
    print(f"Upgraded from version {old} to {new}; CHANGELOG.md says what is new. Test it: make serve")


def difference(ours: Path, theirs: Path, name: str) -> list[str]:
    texts = [
        path.read_text(errors="replace").splitlines(keepends=True) if path.exists() else [] for path in (ours, theirs)
    ]
    return list(difflib.unified_diff(*texts, f"yours/{name}", f"new/{name}", n=1))


def replace(kit: Path, source: Path, before: dict[str, str], after: dict[str, str], kept: set[str]) -> None:
    for name in sorted(after, key=lambda name: name == "VERSION"):
        target = kit / name
        if name in kept:
            print(f"{name} stays as yours")
            if name != "deploy_model.ipynb":
                continue
            target = target.with_suffix(".new.ipynb")
        if target.exists() and digest(target) == after[name]:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.upgrade")
        shutil.copy2(source / name, partial)
        os.replace(partial, target)  # a script that runs goes on reading its old self
    for name in before.keys() - after.keys() - kept:
        (kit / name).unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Replaces the machinery of a kit by that of a newer one.")
    parser.add_argument("kit", type=Path)
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--keep", action="append", default=[], metavar="FILE")
    parser.add_argument("--release", action="store_true")
    options = parser.parse_args(arguments)
    try:
        if options.release:
            release(options.kit)
        else:
            upgrade(options.kit, options.source, options.keep)
    except Refused as exc:
        print(f"upgrade: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
