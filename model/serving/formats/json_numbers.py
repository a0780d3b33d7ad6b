"""JSON of nothing but rows of numbers, read at once by native code. A None is not a verdict: orjson reads it then."""

from __future__ import annotations

import numpy as np

from ..compiler import bodies
from ..rows.signature import Signature
from ..rows.table import Table, takes_block


def numeric_table(body: bytes, signature: Signature) -> Table | None:
    """[[…], …] and {"instances": [[…], …]}, if numbers are all that the model takes."""
    if not takes_block(signature, None) or signature.position.keys() & {"instances", "inputs"}:
        return None
    block, whole = bodies.matrix_json(body)
    if not isinstance(block, np.ndarray) or signature.count not in (None, block.shape[1]):
        return None
    if whole and signature.columns is None:  # JSON said that they are integers
        block = block.astype(np.int64)
    return Table((), len(block), block=block)


def numeric_lines(body: bytes, signature: Signature) -> Table | None:
    """A row on each line; blank lines are left to the other reader."""
    if not takes_block(signature, None):
        return None
    body = body.strip().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    table = numeric_table(b"[" + body.replace(b"\n", b",") + b"]", signature)
    return table if table is not None and table.count == body.count(b"\n") + 1 else None
