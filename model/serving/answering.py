"""The core: requests in, replies out. decode → align → transformation → encode, for plain objects.

Imports neither flask nor gunicorn: a view, a worker or a test calls `answer`. Every request gets a reply; an error is
a reply too, and what the caller must not see (a traceback) is logged under the same request id.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import content_types, diagnosis
from .errors import ModelFailed, ServingError
from .loaded_models import LoadedModel

JSON = "application/json"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """A request for predictions, free of HTTP: the body and what describes it."""

    body: bytes
    content_type: str | None = None
    content_encoding: str | None = None
    accept: str | None = None
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes | Iterator[bytes]
    content_type: str = JSON


def answer(model: LoadedModel, requests: Sequence[Request], max_bytes: int) -> list[Reply]:
    """One reply per request, in their order. Raises nothing."""
    return [_answer_one(model, request, max_bytes) for request in requests]


def _answer_one(model: LoadedModel, request: Request, max_bytes: int) -> Reply:
    try:
        decoded = content_types.decode(
            request.body, request.content_type, request.content_encoding, model.signature, max_bytes
        )
        encoded = content_types.encode(_predict(model, decoded.rows), decoded.count, request.accept, decoded.media_type)
        return Reply(200, encoded.body, encoded.content_type)
    except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
        return refuse(exc, request.request_id)


def _predict(model: LoadedModel, rows: Any) -> Any:
    try:
        return model.predict(rows)
    except ServingError:
        raise
    except Exception as exc:
        raise ModelFailed(f"transformation failed: {diagnosis.named(exc)}") from exc


def refuse(exc: BaseException, request_id: str) -> Reply:
    """The reply that tells of an error. What is the server's fault is logged with its traceback."""
    if not isinstance(exc, ServingError):
        log.error("request %s failed", request_id, exc_info=exc)
        exc = ServingError("An error inside the server; its log has the traceback under this request id.")
    elif exc.status >= 500:
        log.error("request %s: %s", request_id, exc.message, exc_info=exc.__cause__)
    return Reply(exc.status, exc.body(request_id))
