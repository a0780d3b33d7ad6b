"""What several files of tests send and get: what a library saves, the encoded answer, models of every form."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from serving.formats import content_types
from serving.rows.predictions import Encoded
from serving.rows.signature import Column, Signature

SIGNATURES = (
    Signature(),
    Signature("texts", (Column(kind="text"),)),
    Signature("array", (Column(kind="number"),) * 2),
    Signature("frame", (Column("a", "number"), Column("b", "number"))),
    Signature(
        "frame",
        (
            Column("a", "integer"),
            Column("t", "text", ("x", None)),
            Column("c", "category", ("x", "y")),
            Column("f", "boolean"),
            Column("d", "datetime", dtype="datetime64[ns]"),
            Column("z", "any"),
            Column("i", "number", dtype="float32"),
        ),
    ),
)
"""A model that says nothing, and one of each form; the last has a column of each kind."""


def saved(save: Callable[..., Any], value: object) -> bytes:
    """What `save(stream, value)` writes."""
    stream = io.BytesIO()
    save(stream, value)
    return stream.getvalue()


def encode(predictions: Any, count: int, accept: str | None, media_type: str) -> Encoded:
    """The answer to a request with this Accept and Content-Type."""
    return content_types.encode(predictions, count, content_types.negotiate(accept, media_type))
