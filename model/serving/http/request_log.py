"""The request log where nginx does not write it: the same line, one JSON object per request (nginx.conf has the other).

The worker tells rows and times in a header of the reply, as `error=code rows=1 batch=3 queue=0.0001 model=0.0002`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

HEADER = "X-Model-Server-Log"


def line(
    environ: Mapping[str, Any], status: int, headers: Iterable[tuple[str, str]], bytes_out: int, took: timedelta
) -> str:
    """Whatever a caller has sent, the line is JSON in ASCII."""
    told = next((value for name, value in headers if name.lower() == HEADER.lower()), "")
    facts = dict(pair.split("=", 1) for pair in told.split())
    length = environ.get("CONTENT_LENGTH") or ""

    def number(name: str) -> float | None:
        return json.loads(facts[name]) if name in facts else None

    return json.dumps(
        {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "request_id": environ.get("HTTP_X_REQUEST_ID", ""),
            "inference_id": environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID", ""),
            "method": environ.get("REQUEST_METHOD", ""),
            "path": environ.get("RAW_URI", ""),
            "status": status,
            "error": facts.get("error", ""),
            "rows": number("rows"),
            "batch_rows": number("batch"),
            "queue_seconds": number("queue"),
            "model_seconds": number("model"),
            "seconds": round(took.total_seconds(), 6),
            "bytes_in": int(length) if length.isascii() and length.isdigit() else None,
            "bytes_out": bytes_out,
        }
    )
