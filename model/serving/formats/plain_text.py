"""text/plain: a text a line."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import UnsupportedMediaType
from ..rows.signature import Signature
from .budget import Bounds


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> list[str]:
    """One text per line; blank lines are skipped."""
    if signature.form not in ("texts", "unknown"):
        takes = signature.describe()
        raise UnsupportedMediaType(
            f"text/plain is for models of texts; this one takes {takes}.", expected="text/csv or application/json"
        )
    # not splitlines(): a text may hold the line separators that only Unicode knows
    lines = body.decode("utf-8").replace("\r\n", "\n").split("\n")
    return [line for line in lines if line.strip()]
