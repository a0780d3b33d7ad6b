"""The request log: one JSON line per request, the same behind nginx and without, whatever callers send."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from running import Native, make_program, wait_until

Serve = Callable[..., Native]
ROW = b"5.1,3.4,1.5,0.2\n"
FIELDS = [
    "time", "request_id", "inference_id", "method", "path", "status", "error", "reason", "rows", "batch_rows",
    "queue_seconds", "model_seconds", "seconds", "bytes_in", "bytes_out",
]  # fmt: skip
both = pytest.mark.parametrize("nginx_in_front", [True, False], ids=["behind nginx", "without nginx"])


def entries(running: Native) -> list[dict]:
    """Every line that begins as an object is one; all of it is UTF-8."""
    lines = running.log_file.read_bytes().decode("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@both
def test_each_request_is_one_json_line(nginx: None, serve: Serve, nginx_in_front: bool) -> None:
    """Ids, path, status, rows, times and bytes of a prediction; an error has its code and no times."""
    running = serve(nginx=nginx_in_front, MODEL_SERVER_WORKERS="1").until_ready()
    good = running.post(ROW * 3, X_Amzn_SageMaker_Inference_Id="order-7")
    bad = running.post(b"1,2\n")
    httpx.get(f"{running.url}/no-such-path?a=b")
    httpx.get(f"{running.url}/metrics")
    running.stop()
    first, second, third = entries(running)
    assert list(first) == FIELDS
    shown = {k: first[k] for k in ("inference_id", "method", "path", "status", "error", "reason", "rows", "batch_rows")}
    assert shown == {
        "inference_id": "order-7", "method": "POST", "path": "/invocations", "status": 200, "error": "", "reason": "",
        "rows": 3, "batch_rows": 3,
    }  # fmt: skip
    assert len(first["request_id"]) == 32
    assert first["queue_seconds"] >= 0
    assert 0 < first["model_seconds"] <= first["seconds"] + 0.001, "nginx counts whole milliseconds"
    assert first["bytes_in"] >= len(ROW * 3)
    assert first["bytes_out"] == len(good.content)
    assert (second["status"], second["error"]) == (400, "bad_request")
    assert second["reason"].startswith("Row 1 has 2 values; expected 4: sepal")
    assert first["reason"] == ""
    assert second["request_id"] == bad.json()["error"]["request_id"]
    assert second["rows"] is second["batch_rows"] is second["queue_seconds"] is second["model_seconds"] is None
    assert (third["method"], third["path"], third["status"]) == ("GET", "/no-such-path?a=b", 404)
    assert third["error"] == "not_found"
    assert not {entry["path"] for entry in (first, second, third)} & {"/ping", "/metrics"}


NASTY = [b'"}, {"a":\\ \\u00 %s \t\x7f {', b'"\\ \x80\xff\xc3\xa9', b'a"b\\c{']


@both
def test_no_caller_can_break_a_line(nginx: None, serve: Serve, nginx_in_front: bool) -> None:
    """Quotes, backslashes, control characters and bytes that are not UTF-8, in each place that is logged."""
    running = serve(nginx=nginx_in_front, MODEL_SERVER_WORKERS="1").until_ready()
    sent = [
        b'POST /invocations?"\\x=\xff\xc3\xa9 HTTP/1.1',
        b"POST /invocations HTTP/1.1",
        b"GET /no-such\xff HTTP/1.1",
        b'"\\ HTTP/1.1',
        b"GET /",
    ]
    for line in sent:
        head = line + b"\r\nHost: x\r\nConnection: close\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n" % len(ROW)
        for nasty in NASTY:
            exchange(running, head + b"X-Amzn-SageMaker-Inference-Id: " + nasty + b"\r\n\r\n" + ROW)
    running.stop()
    logged = entries(running)
    assert len(logged) >= (9 if nginx_in_front else 2), "gunicorn does not log what it cannot parse"
    assert all(list(entry) == FIELDS for entry in logged)
    assert 'a"b\\c{' in [entry["inference_id"] for entry in logged]


def exchange(running: Native, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", int(running.url.rsplit(":", 1)[1])), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_nginx_refuses_has_its_code(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """A request that no worker has answered is in the log too, as it was asked: too large (413), and a worker that died
    (502)."""
    program = make_program(tmp_path, "dies")
    running = serve(program=program, MODEL_SERVER_WORKERS="1", MODEL_SERVER_MAX_BODY_MB="1").until_ready()
    assert running.post(b"1" * (2**20 + 1)).status_code == 413
    assert running.post(b"-1,1,1,1\n").status_code == 502
    running.stop()
    assert [(entry["method"], entry["status"], entry["error"]) for entry in entries(running)] == [
        ("POST", 413, "payload_too_large"),
        ("POST", 502, "worker_lost"),
    ]


@both
def test_warning_switches_the_request_log_off(nginx: None, serve: Serve, nginx_in_front: bool) -> None:
    """With MODEL_SERVER_LOG_LEVEL=warning a prediction leaves no line."""
    running = serve(nginx=nginx_in_front, MODEL_SERVER_WORKERS="1", MODEL_SERVER_LOG_LEVEL="warning").until_ready()
    assert running.post().status_code == 200
    running.stop()
    assert entries(running) == []


def test_nginx_keeps_the_measurements_to_itself(nginx: None, serve: Serve) -> None:
    """The header by which a worker tells the log is not the caller's."""
    running = serve(MODEL_SERVER_WORKERS="1").until_ready()
    assert "x-model-server-log" not in running.post().headers
    wait_until(lambda: "batch_rows" in running.log)


def test_a_log_that_is_a_file_keeps_every_line(nginx: None, serve: Serve) -> None:
    """`serve > log`: nginx, gunicorn and the supervisor write into one file, and none writes over another's lines."""
    running = serve(mode="wb").until_ready()
    for count in (1, 2, 3):
        assert running.post(b"1,2\n").status_code == 400
        wait_until(lambda count=count: running.log.count('"bad_request"') == count)
    assert running.stop() == 0
    assert len(entries(running)) == 3
    assert running.log.startswith("serve: ")
    assert "serve: SIGTERM: draining" in running.log
