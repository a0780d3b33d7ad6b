"""What can go wrong, with which HTTP status, and what the caller is told.

Every error that leaves the container is one of these, in one JSON shape:
{"error": {"code", "message", "row", "column", "expected", "got", "request_id", "inference_id"}}
with only the fields that apply. SageMaker hands status and body to the caller (ModelError: OriginalStatusCode,
OriginalMessage), so a message says what was wrong and what to do, in the caller's words. Rows and columns count
from 1. No traceback, ever.
"""

from __future__ import annotations

import json
import re
from typing import ClassVar

from . import wording


class ServingError(Exception):
    """An error with its HTTP status; `code` is stable, so a client may branch on it."""

    status = 500
    code = "internal_error"
    echoes_values: ClassVar[bool] = True
    """Whether callers are told values of their own requests; MODEL_SERVER_ECHO_VALUES sets it."""

    def __init__(
        self,
        message: str,
        *,
        row: int | None = None,
        column: str | int | None = None,
        expected: object = None,
        got: object = None,
    ) -> None:
        self.message, self.quiet = wording.shown(message), wording.quiet(message)
        super().__init__(self.message)
        self.details = {"row": row, "column": column, "expected": expected, "got": got}

    def add(self, remedy: str) -> None:
        """Another sentence at the end of the message."""
        if remedy:
            self.message, self.quiet = f"{self.message} {remedy}", f"{self.quiet} {remedy}"[:300]

    def body(self, request_id: str | None = None, inference_id: str | None = None) -> bytes:
        """The JSON body, UTF-8, one line."""
        ids = {"request_id": request_id, "inference_id": inference_id}
        fields = {"code": self.code, "message": self.message, **self.details, **ids}
        if not self.echoes_values:
            fields |= {"message": self.quiet, "got": None}
        shown = {name: value for name, value in fields.items() if value is not None}
        return written(shown)


def written(shown: dict[str, object]) -> bytes:
    """The fields of an error as its JSON body."""
    text = json.dumps({"error": shown}, default=str, ensure_ascii=False)
    return UNREADABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


UNREADABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What JSON would let through, and a terminal or an encoder would not."""


class BadRequest(ServingError):
    """The body is not what its Content-Type says, or its rows do not fit the model."""

    status = 400
    code = "bad_request"


class HeaderUnclear(BadRequest):
    """The first line of a CSV may be a header or a row."""

    code = "header_unclear"


class NotFound(ServingError):
    """There is nothing at this address."""

    status = 404
    code = "not_found"


class ModelNotLoaded(ServingError):
    """A multi-model server has no model of this name."""

    status = 404
    code = "model_not_loaded"


class MethodNotAllowed(ServingError):
    """The address does not take this method."""

    status = 405
    code = "method_not_allowed"


class NotAcceptable(ServingError):
    """Nothing that Accept asks for can be produced."""

    status = 406
    code = "not_acceptable"


class ModelAlreadyLoaded(ServingError):
    """A multi-model server has a model of this name already."""

    status = 409
    code = "model_already_loaded"


class RequestTimeout(ServingError):
    """A request has not arrived whole in time."""

    status = 408
    code = "request_timeout"


class PayloadTooLarge(ServingError):
    """The body is too large, or its rows would take too much memory."""

    status = 413
    code = "payload_too_large"


class UriTooLong(ServingError):
    """The request line is too long."""

    status = 414
    code = "uri_too_long"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request line is longer than {limit} bytes.")


class UnsupportedMediaType(ServingError):
    """No decoder for this Content-Type or Content-Encoding."""

    status = 415
    code = "unsupported_media_type"


class ExpectationFailed(ServingError):
    """The server does not know what the header Expect asks for."""

    status = 417
    code = "expectation_failed"


class MisdirectedRequest(ServingError):
    """A server that listens on this machine alone was asked by another name."""

    status = 421
    code = "misdirected_request"

    def __init__(self) -> None:
        super().__init__("This server answers on this machine alone: ask localhost or 127.0.0.1 (MODEL_SERVER_HOST).")


class HeadersTooLarge(ServingError):
    """The request's headers are too long."""

    status = 431
    code = "headers_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request's headers are longer than {limit} bytes.")


class NotImplementedHere(ServingError):
    """HTTP that this server does not speak."""

    status = 501
    code = "not_implemented"


class VersionNotSupported(ServingError):
    """The request is not HTTP/1.0 or HTTP/1.1."""

    status = 505
    code = "http_version_not_supported"

    def __init__(self, version: str) -> None:
        super().__init__(f"HTTP/{version} is not spoken here. Send HTTP/1.1.")


class ModelFailed(ServingError):
    """The user's transformation raised, or returned something that is not one prediction a row."""

    status = 500
    code = "model_failed"


class LoadFailed(ServingError):
    """A multi-model server was told to load an artifact that cannot serve: nobody's request is wrong, the model is."""

    status = 500
    code = "model_not_usable"


class NotReady(ServingError):
    """The model is not loaded, or its warm-up prediction has not worked."""

    status = 503
    code = "not_ready"


class Overloaded(ServingError):
    """More waits than could be answered in time. `retry_after` seconds go into the Retry-After header."""

    status = 503
    code = "overloaded"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"The server has more requests than it can answer in time. Try again in {retry_after} s.")
        self.retry_after = retry_after


class PredictionTimeout(ServingError):
    """No prediction within MODEL_SERVER_TIMEOUT."""

    status = 504
    code = "timeout"


class InsufficientMemory(ServingError):
    """A model does not fit beside those that are loaded. SageMaker unloads one and tries again."""

    status = 507
    code = "insufficient_memory"


class ModelNotUsable(Exception):
    """The artifact or predictor.py cannot serve: the message is the cause, then the remedy, in one line."""


class SettingError(Exception):
    """An environment variable has a wrong value: the message names it, its value and the form expected."""
