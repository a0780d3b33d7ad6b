"""The HTTP surface: thin Flask views over the core.

GET|POST /ping         200 with an empty body when a prediction has worked in this worker, else 503 with the reason
POST     /invocations  predictions for the rows of the body
GET      /execution-parameters  what a transform job should send
GET      /metrics      what has been counted, as Prometheus text (behind nginx, nginx answers it)

A multi-model server has instead of the last, with each model's name quoted as one segment of the address:
GET|POST        /models              lists what is loaded; loads a model
GET|DELETE      /models/NAME         one model; unloads it
POST            /models/NAME/invoke  as /invocations
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from .. import errors
from ..batching import answering
from ..batching.messages import Reply, Request
from ..multi_model.api import Models
from . import request_log

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MEGABYTE = 2**20
Answer = Callable[[Request], Reply]


def create_app(
    answer: Answer,
    not_ready: Callable[[], str | None],
    metrics: Callable[[], tuple[str, str]],
    max_body_mb: int,
    execution_parameters: str,
    default_accept: str = "",
    models: Models | None = None,
) -> Flask:
    """`answer` replies to POST /invocations; `not_ready` gives the reason why predictions would fail, or None;
    `metrics` a text and its Content-Type; `default_accept` holds for requests that leave the choice to the server."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_mb * MEGABYTE
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.strict_slashes = app.url_map.merge_slashes = False  # Flask would redirect, with a page

    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> Response:
        reason = not_ready()
        return _response(Reply(200, b"") if reason is None else _refuse(errors.NotReady(reason)))

    @app.post("/invocations")
    def invocations() -> Response:
        return _response(answer(_request(default_accept)))

    @app.get("/metrics")
    def counted() -> Response:
        text, content_type = metrics()
        return Response(text, content_type=content_type)

    if models is not None:
        _add_models(app, models, default_accept)

    @app.get("/execution-parameters")
    def parameters() -> Response:
        return _response(Reply(200, execution_parameters.encode()))

    @app.errorhandler(Exception)
    def error(exc: Exception) -> Response:
        response = _response(_refuse(_translated(exc, app, max_body_mb)))
        if isinstance(exc, MethodNotAllowed) and exc.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(exc.valid_methods))
        return response

    return app


def _add_models(app: Flask, models: Models, default_accept: str) -> None:
    @app.get("/models")
    def list_models() -> Response:
        return _response(models.listed(request.args.get("next_page_token"), request.args.get("limit"), _request_id()))

    @app.post("/models")
    def load_model() -> Response:
        return _response(models.load(request.get_data(cache=False), _request_id()))

    @app.get("/models/<name>")
    def describe_model(name: str) -> Response:
        return _response(models.describe(unquote(name), _request_id()))

    @app.delete("/models/<name>")
    def unload_model(name: str) -> Response:
        return _response(models.unload(unquote(name), _request_id()))

    @app.post("/models/<name>/invoke")
    def invoke(name: str) -> Response:
        return _response(models.invoke(unquote(name), _request(default_accept)))


def with_short_cut(
    app: Flask, answer: Answer, max_body_mb: int, default_accept: str = "", models: Models | None = None
) -> WSGIApplication:
    """Predictions straight to `answer`, everything else to Flask, whose own work is a third of a fast prediction.

    Both ways give the same bytes (a test holds that). Bodies without a length, or over the limit, are Flask's.
    """

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH", "")
        path = environ["PATH_INFO"]
        if models is not None:  # a name may have any character: the address is taken apart before it is unquoted
            path = environ["PATH_INFO"] = environ["RAW_URI"].partition("?")[0]
        respond = answer if path == "/invocations" else _invoking(models, path)
        if (
            respond is None
            or environ["REQUEST_METHOD"] != "POST"
            or not (length.isascii() and length.isdigit() and int(length) <= max_body_mb * MEGABYTE)
        ):
            return app(environ, start_response)
        reply = respond(_read(environ, environ["wsgi.input"].read(int(length)), default_accept))
        headers = _headers(reply)
        if isinstance(reply.body, bytes):
            headers.append(("Content-Length", str(len(reply.body))))
        start_response(f"{reply.status} {HTTPStatus(reply.status).phrase.upper()}", headers)
        return [reply.body] if isinstance(reply.body, bytes) else reply.body

    return application


def _invoking(models: Models | None, path: str) -> Answer | None:
    match path.split("/"):
        case ["", "models", name, "invoke"] if models is not None and name:
            return partial(models.invoke, unquote(name))
    return None


def _translated(exc: Exception, app: Flask, max_body_mb: int) -> Exception:
    """Werkzeug's exceptions in our words."""
    match exc:
        case NotFound() if request.path == "/invocations-bidirectional-stream":
            return errors.NotFound("Bidirectional streaming is not offered; POST /invocations can stream its answer.")
        case NotFound():
            routes = ", ".join(sorted({rule.rule for rule in app.url_map.iter_rules()}))
            return errors.NotFound(f"There is nothing at {request.path}. There is: {routes}.")
        case MethodNotAllowed():
            methods = sorted(exc.valid_methods or ())
            remedy = "POST rows to it" if methods == ["POST"] else f"It takes {', '.join(methods)}"
            return errors.MethodNotAllowed(
                f"{request.path} does not take {request.method}. {remedy}.", expected=exc.valid_methods
            )
        case RequestEntityTooLarge():
            return errors.PayloadTooLarge(
                f"The body is larger than {max_body_mb} MB. Send fewer rows, or raise MODEL_SERVER_MAX_BODY_MB."
            )
        case HTTPException():
            return errors.BadRequest(exc.description or exc.name)
    return exc


def _read(environ: WSGIEnvironment, body: bytes, default_accept: str) -> Request:
    """nginx numbers the requests; without it we do, once per request."""
    get = environ.get
    accept = get("HTTP_ACCEPT") or get("HTTP_X_AMZN_SAGEMAKER_ACCEPT")  # the name that callers of streams use
    if default_accept and (accept or "*/*").strip() == "*/*":
        accept = default_accept
    return Request(
        body,
        get("CONTENT_TYPE"),
        get("HTTP_CONTENT_ENCODING"),
        accept,
        get("HTTP_X_REQUEST_ID") or environ.setdefault("HTTP_X_REQUEST_ID", uuid.uuid4().hex),
        get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID") or None,
        get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES"),
    )


def _refuse(exc: Exception) -> Reply:
    return answering.refuse(exc, _read(request.environ, b"", ""))


def _request(default_accept: str) -> Request:
    return _read(request.environ, request.get_data(cache=False), default_accept)


def _request_id() -> str:
    return _read(request.environ, b"", "").request_id


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, _headers(reply))


def _headers(reply: Reply) -> list[tuple[str, str]]:
    """A stream must not be gathered by nginx: each piece is the caller's as soon as it is there."""
    headers = [("Content-Type", reply.content_type), *reply.headers]
    if reply.code or reply.measured:
        headers.append((request_log.HEADER, f"error={reply.code} {reply.measured}" if reply.code else reply.measured))
    if not isinstance(reply.body, bytes):
        headers.append(("X-Accel-Buffering", "no"))
    return headers
