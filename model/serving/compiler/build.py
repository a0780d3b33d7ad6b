"""Builds native.c into libnative.so beside it, where a C compiler is. Standard library only; runs as a script.

    python serving/compiler/build.py     (a stage of the Dockerfile, and local-test's environment maker, call this)

The library carries the hash of the source that it was built from: native.py takes no other. Without a compiler, or if
it fails, one line says so, and everything works as before, only slower.
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
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wextra")
"""No -march: the image may run on another machine. No contraction: a fused multiply-add would change bits."""


def source_hash(source: Path = SOURCE) -> str:
    """Of the code that the library must have been built from; 64 hexadecimal digits."""
    return hashlib.sha256(source.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def is_current() -> bool:
    """Is there a library that was built from the source as it is now?"""
    return LIBRARY.exists() and source_hash().encode() in LIBRARY.read_bytes()


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
    if is_current():
        return 0
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        print("native.c is not built: there is no C compiler. Predictions are the same, only slower.", file=sys.stderr)
        return 0
    try:
        build(compiler)
    except (subprocess.CalledProcessError, OSError) as exc:
        reason = str(getattr(exc, "stderr", None) or exc).strip().splitlines() or ["no reason given"]
        print(f"native.c is not built: {compiler} failed: {reason[0]}. Predictions are slower.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
