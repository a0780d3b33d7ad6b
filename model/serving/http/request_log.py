"""The request log where nginx does not write it: the same line, one JSON object per request (nginx.conf has the other).

The worker tells rows and times in a header of the reply, as `rows=1 batch=3 queue=0.0001 model=0.0002`, or why it has
refused, as `error=code why=in words without the values of the request`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

HEADER = "X-Model-Server-Log"


def told(code: str, reason: str, measured: str) -> str:
    """The header's value; empty when there is nothing to tell."""
    facts = [f"error={code}"] * bool(code) + [measured] * bool(measured) + [f"why={reason}"] * bool(reason)
    return " ".join(facts)


def line(
    header: Callable[[str], str | None],
    method: str,
    target: str,
    status: int,
    headers: Iterable[tuple[str, str]],
    bytes_out: int,
    seconds: float,
) -> str:
    """`header` gives one of the request's by its name in lower case, `headers` are the reply's. Whatever a caller has
    sent, the line is JSON in ASCII."""
    value = next((value for name, value in headers if name.lower() == HEADER.lower()), "")
    pairs, _, reason = value.partition("why=")
    facts = dict(pair.split("=", 1) for pair in pairs.split())
    length = header("content-length") or ""

    def number(name: str) -> float | None:
        return json.loads(facts[name]) if name in facts else None

    return json.dumps(
        {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "request_id": header("x-request-id") or "",
            "inference_id": header("x-amzn-sagemaker-inference-id") or "",
            "method": method,
            "path": target,
            "status": status,
            "error": facts.get("error", ""),
            "reason": reason,
            "rows": number("rows"),
            "batch_rows": number("batch"),
            "queue_seconds": number("queue"),
            "model_seconds": number("model"),
            "seconds": round(seconds, 6),
            "bytes_in": int(length) if length.isascii() and length.isdigit() else None,
            "bytes_out": bytes_out,
        }
    )


def is_logged(target: str) -> bool:
    """Not what is asked every second."""
    return target.partition("?")[0] not in ("/ping", "/metrics")
