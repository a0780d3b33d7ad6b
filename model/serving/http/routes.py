"""What is asked at which address, and what a request's headers say. Each route of predictions stands here, once: the
worker takes it past Flask, and Flask knows it too.

POST /invocations          predictions for the rows of the body
POST /models/NAME/invoke   the same, of one of several models; the name is quoted as one segment of the address
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

from .. import errors
from ..batching import answering
from ..batching.messages import Reply, Request
from ..multi_model.api import Models
from . import request_log

Done = Callable[[Reply], None]
Submit = Callable[[Request, Done], None]
"""Takes a request, and something to call with its reply."""
Header = Callable[[str], str | None]
"""A header's value by its name in lower case."""
LOCAL_HOST = re.compile(r"([a-z0-9_-]+|127\.0\.0\.1|\[::1\])(:[0-9]+)?", re.IGNORECASE)
"""A name without a dot is of this network: nobody else can make it lead here."""
STREAMS_ASK_FOR = "x-amzn-sagemaker-accept"

SEVERAL = (
    "This is a multi-model server (SAGEMAKER_MULTI_MODEL=true). Load a model by POST /models with "
    '{"model_name": NAME, "url": DIRECTORY}, then ask POST /models/NAME/invoke.'
)


class Routes:
    """`submit` predicts by the one model; or `models` holds several."""

    def __init__(
        self, submit: Submit | None, models: Models | None = None, default_accept: str = "", local_only: bool = False
    ) -> None:
        """`default_accept` holds for requests that leave the choice to the server. With `local_only` only those are
        answered whose Host is this machine's own name."""
        self.local_only = local_only
        self.submit = submit or _name_a_model
        self.models, self.default_accept = models, default_accept

    def predicting(self, path: str) -> Submit | None:
        """What a POST to this path, as it was sent, asks for; None: it is not a route of predictions."""
        path = path.removesuffix("/")
        if path == "/invocations":
            return self.submit
        if self.models is not None:
            match path.split("/"):
                case ["", "models", name, "invoke"] if name:
                    return partial(self.models.submit, unquote(name))
        return None

    def check_host(self, host: str | None) -> None:
        """Raises MisdirectedRequest. A page in a browser may ask this machine by a name of its own (DNS rebinding)."""
        if self.local_only and host is not None and not LOCAL_HOST.fullmatch(host):
            raise errors.MisdirectedRequest

    def read(self, header: Header, body: bytes) -> Request:
        """The request, free of HTTP. nginx gives it an id; without nginx it gets one here."""
        accept = header("accept") or header(STREAMS_ASK_FOR)
        if self.default_accept and (accept or "*/*").strip() == "*/*":
            accept = self.default_accept
        return Request(
            body,
            header("content-type"),
            header("content-encoding"),
            accept,
            header("x-request-id") or new_id(),
            header("x-amzn-sagemaker-inference-id") or None,
            header("x-amzn-sagemaker-custom-attributes"),
        )


def new_id() -> str:
    """A request's number where nginx gives none."""
    return uuid.uuid4().hex


def _name_a_model(request: Request, done: Done) -> None:
    done(answering.refuse(errors.NotFound(SEVERAL), request))


def headers(reply: Reply) -> list[tuple[str, str]]:
    """A reply's headers, but for those that tell the body's length. nginx must not gather a stream: its caller gets
    each piece at once."""
    found = [("Content-Type", reply.content_type), *reply.headers]
    if told := request_log.told(reply.code, reply.reason, reply.measured):
        found.append((request_log.HEADER, told))
    if not isinstance(reply.body, bytes):
        found.append(("X-Accel-Buffering", "no"))
    return found
