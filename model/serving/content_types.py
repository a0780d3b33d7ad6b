"""Bytes to rows and predictions to bytes, chosen by Content-Type and Accept."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import orjson

from .errors import BadRequest, UnsupportedMediaType
from .signature import Signature


@dataclass(frozen=True)
class Decoded:
    rows: Any
    count: int
    media_type: str
    batch_key: Any = None


@dataclass(frozen=True)
class Encoded:
    body: Any
    content_type: str


def decode(body: bytes, content_type: str | None, content_encoding: str | None, signature: Signature, max_bytes: int) -> Decoded:
    import numpy as np

    media_type = (content_type or "text/csv").partition(";")[0].strip().lower()
    if media_type == "text/csv":
        table: Any = [r for r in csv.reader(io.StringIO(body.decode("utf-8-sig"))) if r]
    elif media_type == "application/json":
        table = orjson.loads(body)
        table = table.get("instances", table) if isinstance(table, dict) else table
    else:
        raise UnsupportedMediaType(f"{media_type} is not known.", expected=["text/csv", "application/json"])
    try:
        rows = np.array(table, dtype=float)
    except ValueError as exc:
        raise BadRequest(str(exc)) from exc
    if rows.ndim != 2 or not len(rows):
        raise BadRequest("The body holds no rows.")
    return Decoded(signature.align(rows), len(rows), media_type)


def encode(predictions: Any, count: int, accept: str | None, media_type: str) -> Encoded:
    values = predictions.tolist()
    if media_type == "text/csv":
        return Encoded("".join(f"{v}\n" for v in values).encode(), "text/csv; charset=utf-8")
    return Encoded(orjson.dumps({"predictions": values}), "application/json")
