"""The HTTP surface as a Flask app: thin views. The worker takes predictions past it (server.py); everything else, and
every request under gunicorn's own gevent worker, is answered here, with the same bytes.

GET|POST /ping         200 with an empty body when a prediction has worked in this worker, else 503 with the reason
GET      /execution-parameters  what a transform job should send
GET      /metrics      what has been counted, as Prometheus text (behind nginx, nginx answers it)
and the routes of predictions (routes.py). A multi-model server has besides:
GET|POST        /models              lists what is loaded; loads a model
GET|DELETE      /models/NAME         one model; unloads it
Where MODEL_SERVER_TRY_PAGE offers it:
GET      /             the page to try the model
GET      /openapi.json the description of all this, which the page reads
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from flask import Flask, Response, request
from gevent.event import AsyncResult
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from .. import errors
from ..batching import answering
from ..batching.messages import Reply
from ..multi_model.api import Models
from . import routes, try_page
from .routes import Routes, Submit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MEGABYTE = 2**20


def create_app(
    where: Routes,
    not_ready: Callable[[], str | None],
    metrics: Callable[[], tuple[str, str]],
    max_body_mb: int,
    execution_parameters: str,
    openapi: Callable[[], bytes],
    no_page: str,
) -> Flask:
    """`not_ready` gives the reason why predictions would fail, or None; `metrics` a text and its Content-Type;
    `openapi` the description; `no_page` why there is no page to try the model, or nothing."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_mb * MEGABYTE
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.strict_slashes = app.url_map.merge_slashes = False  # Flask would redirect, with a page

    @app.before_request
    def check_host() -> None:
        where.check_host(request.headers.get("Host"))

    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> Response:
        reason = not_ready()
        return _response(Reply(200, b"") if reason is None else _refuse(where, errors.NotReady(reason)))

    def predict(name: str = "") -> Response:
        submit = where.predicting(request.path)
        if submit is None:
            raise NotFound
        return _response(_waited(submit, where))

    app.post("/invocations")(predict)

    @app.get("/metrics")
    def counted() -> Response:
        text, content_type = metrics()
        return Response(text, content_type=content_type)

    @app.get("/execution-parameters")
    def parameters() -> Response:
        return _response(Reply(200, execution_parameters.encode()))

    if where.models is not None:
        app.post("/models/<name>/invoke")(predict)
        _add_models(app, where.models, where)
        app.wsgi_app = partial(_with_the_path_as_sent, app.wsgi_app)  # type: ignore[method-assign]

    if not no_page:
        _add_page(app, openapi)

    @app.errorhandler(Exception)
    def error(exc: Exception) -> Response:
        if no_page and isinstance(exc, NotFound) and request.path in try_page.PATHS:
            exc = errors.NotFound(no_page)
        response = _response(_refuse(where, _translated(exc, app, max_body_mb)))
        if isinstance(exc, MethodNotAllowed) and exc.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(exc.valid_methods))
        return response

    return app


def _add_models(app: Flask, models: Models, where: Routes) -> None:
    def request_id() -> str:
        return where.read(_header, b"").request_id

    @app.get("/models")
    def list_models() -> Response:
        return _response(models.listed(request.args.get("next_page_token"), request.args.get("limit"), request_id()))

    @app.post("/models")
    def load_model() -> Response:
        return _response(models.load(request.get_data(cache=False), request_id()))

    @app.get("/models/<name>")
    def describe_model(name: str) -> Response:
        return _response(models.describe(unquote(name), request_id()))

    @app.delete("/models/<name>")
    def unload_model(name: str) -> Response:
        return _response(models.unload(unquote(name), request_id()))


def _add_page(app: Flask, openapi: Callable[[], bytes]) -> None:
    text, headers = try_page.load()

    @app.get("/")
    def page() -> Response:
        return Response(text, headers=headers)

    @app.get("/openapi.json")
    def described() -> Response:
        return Response(openapi(), headers=[("Content-Type", "application/json"), *try_page.PRIVATE])


def _with_the_path_as_sent(
    app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]],
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """A model's name may have any character: the address is taken apart before it is unquoted."""
    environ["PATH_INFO"] = environ["RAW_URI"].partition("?")[0]
    return app(environ, start_response)


def _translated(exc: Exception, app: Flask, max_body_mb: int) -> Exception:
    """Werkzeug's exceptions in our words."""
    match exc:
        case NotFound() if request.path == "/invocations-bidirectional-stream":
            return errors.NotFound("Bidirectional streaming is not offered; POST /invocations can stream its answer.")
        case NotFound():
            there = ", ".join(sorted({rule.rule for rule in app.url_map.iter_rules()}))
            return errors.NotFound(f"There is nothing at {request.path}. There is: {there}.")
        case MethodNotAllowed():
            methods = sorted(exc.valid_methods or ())
            remedy = "POST rows to it" if methods == ["POST"] else f"It takes {', '.join(methods)}"
            return errors.MethodNotAllowed(
                f"{request.path} does not take {request.method}. {remedy}.", expected=methods
            )
        case RequestEntityTooLarge():
            return errors.PayloadTooLarge(
                f"The body is larger than {max_body_mb} MB. Send fewer rows, or raise MODEL_SERVER_MAX_BODY_MB."
            )
        case HTTPException():
            return errors.BadRequest(exc.description or exc.name)
    return exc


def _header(name: str) -> str | None:
    """A header of Flask's request. A request without an id is given one."""
    if name == "x-request-id" and not request.headers.get(name):
        request.environ["HTTP_X_REQUEST_ID"] = routes.new_id()
    return request.headers.get(name)


def _waited(submit: Submit, where: Routes) -> Reply:
    """The reply, when it is there: the calling greenlet waits."""
    result = AsyncResult()
    submit(where.read(_header, request.get_data(cache=False)), result.set)
    return result.get()  # type: ignore[no-any-return]


def _refuse(where: Routes, exc: Exception) -> Reply:
    return answering.refuse(exc, where.read(_header, b""))


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, routes.headers(reply))
