"""nginx.conf: the template, filled in from the settings."""

from __future__ import annotations

import grp
import json
import os
import pwd
import string
from pathlib import Path

from ..monitoring import exposition
from ..settings import Settings

NGINX_ERRORS = {
    400: ("bad_request", "The request is not valid HTTP."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This method is not allowed here."),
    408: ("request_timeout", "The request did not arrive in time."),
    413: ("payload_too_large", "The body is larger than %d MB. Send fewer rows, or raise MODEL_SERVER_MAX_BODY_MB."),
    414: ("uri_too_long", "The address is too long."),
    494: ("headers_too_large", "The request's headers are too large."),
    500: ("internal_error", "An error inside the server; its log tells more."),
    502: ("worker_lost", "The server is starting, or the worker that had this request has died; the log tells why."),
    503: ("not_ready", "The model server is starting or does not answer."),
    504: ("timeout", "The model did not answer in time (MODEL_SERVER_TIMEOUT)."),
}  # fmt: skip


class _Template(string.Template):
    delimiter = "%"  # nginx has its own $names


def render_nginx_conf(template: str, config: Settings, runtime_dir: Path) -> str:
    """nginx.conf with the settings filled in. nginx waits a little longer than a request may take."""
    return _Template(template).substitute(
        runtime_dir=runtime_dir,
        socket=f"{runtime_dir}/gunicorn.sock",
        port=config.port,
        max_body_mb=config.max_body_mb,
        proxy_timeout=config.timeout + 2,
        # nginx warns of each body and reply that it keeps in a file, as it is meant to
        error_level="info" if config.log_level == "debug" else "error",
        # a write of up to 4 KB into a pipe is whole: no line of another process gets into it
        access_log="/dev/stdout request buffer=4k flush=1s"
        if _logs_requests(config) and _can_open("/dev/stdout")
        else "off",
        error_codes="\n".join(f"    {status} {code};" for status, (code, _) in NGINX_ERRORS.items()),
        metrics_type=exposition.CONTENT_TYPE,
        user_line=_user_line(config),
        execution_parameters=config.execution_parameters,
        error_pages=_error_pages(config),
    )


def _error_pages(config: Settings) -> str:
    lines = []
    for status, (code, message) in NGINX_ERRORS.items():
        text = message % config.max_body_mb if "%d" in message else message
        body = json.dumps({"error": {"code": code, "message": text, "request_id": "$request_id"}}).replace("'", r"\'")
        sent = 400 if status == 494 else status  # 494 is nginx's own number for 400
        name = "@not_ready" if status == 503 else f"@error_{status}"
        lines.append(f"    error_page {status} ={sent} {name};")
        lines.append(f"    location {name} {{ internal; default_type application/json; return {sent} '{body}'; }}")
    return "\n".join(lines)


def _logs_requests(config: Settings) -> bool:
    return config.log_level not in ("warning", "error")


def _user_line(config: Settings) -> str:
    """nginx's workers run as gunicorn's, which own the socket. Only root may choose; for others it would warn."""
    if os.geteuid() != 0:
        return ""
    entry = pwd.getpwnam(config.user) if config.user else pwd.getpwuid(0)
    return f"user {entry.pw_name} {grp.getgrgid(entry.pw_gid).gr_name};"


def _can_open(path: str) -> bool:
    """Whether nginx can open its log: standard output may be a socket, or another user's."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    except OSError:
        return False
    return True
