"""What reading costs grows with the body, and no faster: measured in this process's CPU time, at n and at 4 n."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from serving.errors import ServingError
from serving.formats.content_types import decode
from serving.rows.signature import Column, Signature

LIMIT = 100_000_000
MOST_GROWTH = 9
"""Linear is 4, quadratic is 16."""

NUMBERS = Signature("array", (Column(kind="number"),) * 3)
FRAME = Signature("frame", tuple(Column(name, "number") for name in "abc"))
MIXED = Signature("frame", (Column("a", "number"), Column("b", "text"), Column("c", "integer")))
WIDE = Signature("frame", tuple(Column(f"column_{i}", "number") for i in range(2000)))
SILENT = Signature()
SIGNATURES = {"array": NUMBERS, "frame": FRAME, "mixed": MIXED, "wide": WIDE, "silent": SILENT}

CSV: dict[str, Callable[[int], bytes]] = {
    "digits and a letter": lambda n: b"1,2," + b"7" * n + b"x\n",
    "digits and a letter in the first line": lambda n: b"7" * n + b"x,b,c\n1,2,3\n",
    "digits, a point, digits and a letter": lambda n: b"1,2," + b"7" * (n // 2) + b"." + b"7" * (n // 2) + b"x\n",
    "blanks and a letter": lambda n: b"1,2," + b" " * n + b"x\n",
    "minuses": lambda n: b"-" * n,
    "commas": lambda n: b"," * n,
    "quotes": lambda n: b'"' * n,
    "short rows": lambda n: b"1\n" * (n // 2),
    "a wide header": lambda n: b",".join(b"x%d" % i for i in range(n // 8)) + b"\n1,2\n",
}


def cpu_seconds(body: bytes, content_type: str, signature: Signature) -> float:
    """The least of two: what else runs in this process (a collection) is not the reader's."""
    spent = []
    for _ in range(2):
        began = time.process_time()
        with contextlib.suppress(ServingError):
            decode(body, content_type, None, signature, LIMIT)
        spent.append(time.process_time() - began)
    return min(spent)


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
@pytest.mark.parametrize("what", CSV)
def test_csv_is_linear(what: str, signature: Signature) -> None:
    """Four times the CSV costs four times the time, whatever is in it."""
    size = 50_000
    small, large = (cpu_seconds(CSV[what](n), "text/csv", signature) for n in (size, 4 * size))
    assert large <= MOST_GROWTH * max(small, 0.02)
