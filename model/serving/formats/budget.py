"""How much memory a body may take: as it comes, and as rows. What rows will take is computed before they are built.

A body of a few kilobytes can stand for gigabytes (a run of zeros in gzip, one-byte numbers that become eight bytes).
Each reader counts its cells first and asks `afford`; what is too much is a 413 with both figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import PayloadTooLarge

MEGABYTE = 2**20
NUMBER_BYTES = 8
TEXT_BYTES = 80
"""A text of up to seven characters as a Python object (56 or 64 bytes), and its place in two arrays."""


@dataclass(frozen=True)
class Bounds:
    """The most bytes of one body after decompression, and of the rows that are made of it."""

    body: int
    rows: int

    @classmethod
    def of(cls, bounds: int | Bounds) -> Bounds:
        """A number bounds the body alone; its rows may then take sixteen times as much."""
        return bounds if isinstance(bounds, Bounds) else cls(bounds, 16 * bounds)

    @property
    def inflated(self) -> int:
        """A decompressed body is in memory like its rows."""
        return min(self.body, max(self.rows, MEGABYTE))

    def afford(self, needed: int, what: str = "The rows of this body") -> None:
        """Raises PayloadTooLarge if rows of so many bytes are more than one request may have."""
        if needed > max(self.rows, MEGABYTE):
            raise PayloadTooLarge(
                f"{what} would take {_megabytes(needed)} of memory; the limit is {_megabytes(self.rows)}. "
                "Send fewer rows in a request, or raise MODEL_SERVER_ROWS_MB.",
                expected=f"at most {self.rows} bytes", got=needed,
            )  # fmt: skip


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:,.1f} MB" if size < 10 * MEGABYTE else f"{size // MEGABYTE:,} MB"
