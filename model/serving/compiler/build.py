"""Builds each C file into a library beside it, where a C compiler is. Standard library only; runs as a script.

    python serving/compiler/build.py     (a stage of the Dockerfile, and local-test's environment maker, call this)

A library carries the hash of the source that it was built from: native.py and handover.py take no other. Without a
compiler, or if it fails, one line for each says what is lost.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().with_name("native.c")
LIBRARY = SOURCE.with_name("libnative.so")
HANDOVER = SOURCE.parent.parent / "http/handover.c"
WITHOUT = {
    SOURCE: "Predictions are the same, only slower.",
    HANDOVER: "Who is in a worker whose interpreter is held waits.",
}
"""What is built, and how it is without."""
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra")
"""No -march: the image may run on another machine. No contraction: a fused multiply-add would change bits."""


def source_hash(source: Path = SOURCE) -> str:
    """Of the code that the library must have been built from; 64 hexadecimal digits."""
    return hashlib.sha256(source.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def library_of(source: Path) -> Path:
    """`native.c` → `libnative.so`, beside it."""
    return source.with_name(f"lib{source.stem}.so")


def is_current(source: Path = SOURCE) -> bool:
    """Is there a library that was built from the source as it is now?"""
    library = library_of(source)
    return library.exists() and source_hash(source).encode() in library.read_bytes()


def build(compiler: str, library: Path = LIBRARY, flags: tuple[str, ...] = FLAGS, source: Path = SOURCE) -> None:
    """Raises CalledProcessError with the compiler's words in `stderr`, or OSError."""
    partial = library.with_name(f"{library.name}.{os.getpid()}")  # a library in use must not be written into
    command = [compiler, *flags, f'-DSOURCE_HASH="{source_hash(source)}"', str(source), "-o", str(partial), "-lm"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        os.replace(partial, library)
    finally:
        partial.unlink(missing_ok=True)


def main() -> int:
    missing = [source for source in WITHOUT if source.exists() and not is_current(source)]
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    failed = 0
    for source in missing:
        if compiler is None:
            reason = "there is no C compiler"
        elif (said := _built(compiler, source)) is not None:
            failed, reason = 1, f"{compiler} failed: {said}"
        else:
            continue
        print(f"{source.name} is not built: {reason}. {WITHOUT[source]}", file=sys.stderr)
    return failed


def _built(compiler: str, source: Path) -> str | None:
    """None, or the first line of what is wrong."""
    try:
        build(compiler, library_of(source), source=source)
    except (subprocess.CalledProcessError, OSError) as exc:
        lines = str(getattr(exc, "stderr", None) or exc).strip().splitlines()
        return lines[0] if lines else "no reason given"
    return None


if __name__ == "__main__":
    sys.exit(main())
