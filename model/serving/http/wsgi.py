"""A WSGI application asked without a socket: the environment from an HttpRequest, the answer as an object.

https://peps.python.org/pep-3333/
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from .protocol import HttpRequest
from .request_log import HEADER

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PLAIN = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    pieces: Iterable[bytes]
    length: int | None
    """Of all pieces, where it is known: then they are all there. For HEAD that of what is not sent."""


def run(app: WSGIApplication, request: HttpRequest, peer: str) -> Answer:
    """The application's answer. Raises what the application does."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [(status, headers)]
        return lambda data: None

    pieces = app(environ(request, peer), start_response)
    status, headers = started[0]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), None)
    kept = [(name, value) for name, value in headers if name.lower() not in ("content-length", "connection")]
    return Answer(int(status.split(" ", 1)[0]), kept, pieces, length)


def without_the_logs_header(app: WSGIApplication) -> WSGIApplication:
    """The application, without the header that is meant for the request log: it is left in the environment instead."""

    def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            environ[HEADER] = [header for header in headers if header[0] == HEADER]
            return start_response(status, [header for header in headers if header[0] != HEADER], exc_info)

        return app(environ, started)

    return wrapped


def environ(request: HttpRequest, peer: str) -> dict[str, Any]:
    """PEP 3333's. The path is unquoted, as Latin-1; RAW_URI has it as it was sent."""
    path, _, query = request.target.partition("?")
    host, _, port = request.fields.get("host", "localhost").rpartition(":")
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": request.target,
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "SERVER_NAME": host or "localhost",
        "SERVER_PORT": port if port.isdigit() else "80",
        "REMOTE_ADDR": peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **{PLAIN.get(name) or f"HTTP_{name.upper().replace('-', '_')}": v for name, v in request.fields.items()},
        "CONTENT_LENGTH": str(len(request.body)),
    }
