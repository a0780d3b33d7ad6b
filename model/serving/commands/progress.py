"""How far a long run is, on standard error: at once what is read, then every few seconds, at last the sum."""

from __future__ import annotations

import sys
import time

MEGABYTE = 1e6
EVERY_SECONDS = 3.0


class Progress:
    """`size`: bytes of the input, if that is known. Quiet, nothing is said."""

    def __init__(self, size: int | None, quiet: bool) -> None:
        self._size, self._quiet = size, quiet
        self._began = self._said = time.monotonic()

    def begin(self) -> None:
        """The model is loaded: from now on rows are counted."""
        self._began = self._said = time.monotonic()

    def say(self, line: str) -> None:
        if not self._quiet:
            print(f"predict: {line}", file=sys.stderr, flush=True)

    def at(self, rows: int, read: int) -> None:
        """So many rows are answered, and so many bytes are read."""
        now = time.monotonic()
        if now - self._said >= EVERY_SECONDS:
            self._said = now
            self.say(self.words(rows, read, now - self._began))

    def words(self, rows: int, read: int, seconds: float) -> str:
        known = f" of {self._size / MEGABYTE:,.0f}" if self._size else ""
        line = f"{counted(rows)}, {read / MEGABYTE:,.0f}{known} MB, {rows / seconds:,.0f} rows/s"
        if self._size and read:
            line += f", about {seconds * max(0, self._size - read) / read:,.0f} s left"
        return line

    def end(self, rows: int, read: int) -> None:
        seconds = max(time.monotonic() - self._began, 1e-9)
        self.say(f"{counted(rows)} in {seconds:,.1f} s ({read / MEGABYTE:,.1f} MB, {rows / seconds:,.0f} rows/s)")


def counted(rows: int) -> str:
    return f"{rows:,} row{'s' * (rows != 1)}"
