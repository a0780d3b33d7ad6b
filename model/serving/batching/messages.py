"""What comes in and what goes out, free of HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

JSON = "application/json"
GONE = "gone"
"""The code of a reply that nobody waits for, since another process has been given the request."""


@dataclass(slots=True)
class Request:
    """A request for predictions, free of HTTP: the body and what describes it."""

    body: bytes
    content_type: str | None = None
    content_encoding: str | None = None
    accept: str | None = None
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    inference_id: str | None = None
    custom_attributes: str | None = None
    connection: int = 0
    """Which another process may have the request of, until it is in a call; 0: none may."""

    @property
    def name(self) -> str:
        """As the log calls it."""
        inference = "" if self.inference_id is None else f" (inference id {self.inference_id!a})"
        return f"request {self.request_id}{inference}"


@dataclass(slots=True)
class Reply:
    status: int
    body: bytes | Iterator[bytes]
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    code: str = ""
    """An error's code."""
    reason: str = ""
    """An error's message without values, for the log."""
    rows: int = 0
    """How many rows it answers."""
    measured: str = ""
    """What the request log tells of it besides, as `name=number` pairs."""
