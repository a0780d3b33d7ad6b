"""nginx.conf: the template, filled in from the settings. What nginx refuses itself it refuses in JSON."""

from __future__ import annotations

import grp
import json
import os
import resource
import string
from pathlib import Path

from .. import errors, limits
from ..http import own_socket, protocol
from ..monitoring import exposition, health
from ..settings import Settings

NGINX_ERRORS = {
    400: ("bad_request", "The request is not valid HTTP."),
    403: ("forbidden", "This may not be read."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This method is not allowed here."),
    408: ("request_timeout", "The request did not arrive in time."),
    411: ("length_required", "The request has no Content-Length."),
    412: ("precondition_failed", "Conditional requests are not answered here."),
    413: ("payload_too_large", "The body is larger than %d MB. Send fewer rows, or raise MODEL_SERVER_MAX_BODY_MB."),
    414: ("uri_too_long", "The address is too long."),
    416: ("range_not_satisfiable", "Ranges are not answered here."),
    421: ("misdirected_request", str(errors.MisdirectedRequest())),
    494: ("headers_too_large", "The request's headers are too large."),
    500: ("internal_error", "An error inside the server; its log tells more."),
    501: ("not_implemented", "The server does not know this Transfer-Encoding. Send chunked, or a Content-Length."),
    502: ("worker_lost", "The server is starting, or the worker that had this request has died; the log tells why."),
    503: ("not_ready", "The model server is starting or does not answer."),
    504: ("timeout", "The model did not answer in time (MODEL_SERVER_TIMEOUT)."),
    505: ("http_version_not_supported", "This version of HTTP is not spoken here. Send HTTP/1.1."),
    507: ("insufficient_storage", "The disk of the server is full, so that it cannot keep the body."),
    529: ("overloaded", "The server has more requests than it can answer in time. Try again in 1 s."),
}  # fmt: skip
"""What nginx may answer itself, by its own number."""

SENT = {494: 431, 529: 503}
"""nginx's own numbers that mean another status."""

STOPPING = ("stopping", "The server stops, and could not answer before. Try again: another one answers.")
STARTING = ("not_ready", "The model is being loaded, or no worker answers; the log tells more.")
RETRIED = {502, 503, 504, 529}
"""Those that a caller should send again. While the server stops, they say so."""

LOCAL_HOSTS = r'"~*^([a-z0-9_-]+|127\.0\.0\.1|\[::1\])(:[0-9]+)?$"'
FROZEN_SECONDS = 3600
MOST_PROCESSES = 4
MOST_CONNECTIONS = 4096
"""Of one nginx process: each costs memory (400 bytes) from the start."""
OTHER_FILES = 40
"""Open files of an nginx process that are not connections or bodies."""


class _Template(string.Template):
    delimiter = "%"  # nginx has its own $names


def render_nginx_conf(template: str, config: Settings, runtime_dir: Path) -> str:
    """nginx.conf with the settings filled in."""
    processes = min(limits.cpus()[0], MOST_PROCESSES)
    connections = _connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return _Template(template).substitute(
        runtime_dir=runtime_dir,
        workers=_workers(config, runtime_dir),
        user_line=_user_line(),
        nginx_workers=processes,
        connections=connections,
        # each takes two connections, to the caller and to a worker
        requests_inside=max(1, processes * connections * 2 // 5),
        head_buffers=f"{protocol.MAX_HEAD // protocol.MAX_LINE} {protocol.MAX_LINE}",
        listening=config.listening,
        known_hosts=LOCAL_HOSTS if config.local_only else "~.",
        max_body_mb=config.max_body_mb,
        # workers end what takes too long; nginx would count time in which the container was frozen
        proxy_timeout=config.timeout + FROZEN_SECONDS,
        # nginx warns of each body and reply that it keeps in a file, as it is meant to
        error_level="info" if config.log_level == "debug" else "error",
        # a write of up to 4 KB into a pipe is whole: no line of another process gets into it
        access_log="/dev/stdout request buffer=4k flush=1s"
        if logs_requests(config) and can_open("/dev/stdout")
        else "off",
        metrics_type=exposition.CONTENT_TYPE,
        execution_parameters=config.execution_parameters,
        starting=_body(*STARTING),
        error_pages="\n".join(f"    error_page {status} = /.errors/{status};" for status in NGINX_ERRORS),
        error_locations="\n".join(_location(status, config, runtime_dir) for status in NGINX_ERRORS),
    )


def _workers(config: Settings, runtime_dir: Path) -> str:
    """The sockets of the workers. gunicorn's own workers have but the one that all share. A place that was found closed
    is tried again in the next second: nginx counts whole ones, and 0 is the fewest that may pass."""
    shared = f"    server unix:{runtime_dir}/gunicorn.sock max_fails=0"
    if config.worker_class != "loop":
        return f"{shared};"
    places = (own_socket.path(runtime_dir, place) for place in range(config.workers))
    return "".join(f"    server unix:{path} max_fails=1 fail_timeout=0;\n" for path in places) + f"{shared} backup;"


def _user_line() -> str:
    """nginx's workers are who starts them: as root they would become `nobody`, who cannot enter the directory."""
    return f"user root {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""


def _connections(files: int) -> int:
    """Connections of one nginx process that may have so many files open. Every second one may have a body on disk."""
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(16, min(MOST_CONNECTIONS, (files - OTHER_FILES) * 2 // 3))


def _location(status: int, config: Settings, runtime_dir: Path) -> str:
    code, message = NGINX_ERRORS[status]
    body = _body(code, message % config.max_body_mb if "%d" in message else message)
    sent = SENT.get(status, status)
    again = "add_header Retry-After 1 always; " if sent == 503 else ""
    instead = _if_there(runtime_dir / "stopping", 503, *STOPPING) if status in RETRIED else ""
    if status == 502:
        instead += _if_there(runtime_dir / health.LATE, 504, *NGINX_ERRORS[504])
    return (
        f"    location = /.errors/{status} {{ internal; default_type application/json; {again}{instead}"
        f"set $own_error {code}; return {sent} '{body}'; }}"
    )


def _if_there(flag: Path, status: int, code: str, message: str) -> str:
    """Another answer while the file is there."""
    return f"if (-f {flag}) {{ set $own_error {code}; return {status} '{_body(code, message)}'; }} "


def _body(code: str, message: str) -> str:
    body = json.dumps({"error": {"code": code, "message": message, "request_id": "$request_id"}})
    return body.replace("'", r"\'")


def logs_requests(config: Settings) -> bool:
    return config.log_level not in ("warning", "error")


def can_open(path: str) -> bool:
    """Whether nginx can open its log: standard output may be a socket, or another user's."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    except OSError:
        return False
    return True
