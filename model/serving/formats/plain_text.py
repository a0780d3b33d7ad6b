"""text/plain: a text a line."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import UnsupportedMediaType
from ..rows.signature import Signature
from .budget import TEXT_BYTES, Bounds
from .pieces import Words, windows


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> list[str]:
    """One text per line; blank lines are skipped."""
    if signature.form not in ("texts", "unknown"):
        takes = signature.describe()
        raise UnsupportedMediaType(
            f"text/plain is for models of texts; this one takes {takes}. Send text/csv or application/json.",
            expected="text/csv or application/json",
        )
    bounds.afford((body.count(b"\n") + 1) * TEXT_BYTES + len(body))
    texts, words = [], Words()
    for window in windows(body, at_returns=False):
        # not splitlines(): a text may hold the line separators that only Unicode knows
        lines = window.decode("utf-8").replace("\r\n", "\n").split("\n")
        texts += words.shared(line for line in lines if line.strip())
    return texts
