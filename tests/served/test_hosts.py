"""Outside a container the server is this machine's alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from running import EXPECTED, PAYLOAD, Native

Serve = Callable[..., Native]
FOREIGN = ["example.com", "localhost.example.com", "127.0.0.1.example.com", "192.168.1.7:8080", "localhost:80:80"]


def asked(running: Native, host: str, path: str = "/invocations") -> httpx.Response:
    headers = {"Host": host, "Content-Type": "text/csv"}
    return httpx.post(f"{running.url}{path}", content=PAYLOAD, headers=headers, timeout=30)


def listening(port: int) -> set[str]:
    """The addresses, in hexadecimal, that somebody listens at on this port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if local.endswith(f":{port:04X}") and state == "0A":
                found.add(local.partition(":")[0])
    return found


@pytest.mark.parametrize("nginx_in_front", [True, False], ids=["behind nginx", "without nginx"])
def test_natively_it_listens_on_this_machine_alone(nginx: None, serve: Serve, nginx_in_front: bool) -> None:
    """On 127.0.0.1, and a request for another machine's name (DNS rebinding) is a 421 in JSON, at every address."""
    running = serve(nginx=nginx_in_front, MODEL_SERVER_WORKERS="1").until_ready()
    assert listening(int(running.url.rsplit(":", 1)[1])) == {"0100007F"}
    for host in ("localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:7"):
        assert asked(running, host).text == EXPECTED
    for host in FOREIGN:
        answer = asked(running, host)
        assert answer.status_code in (400, 421), host
        assert answer.json()["error"]["code"] in ("misdirected_request", "bad_request")
    for path in ("/ping", "/metrics", "/execution-parameters", "/no-such-path"):
        assert asked(running, "example.com", path).status_code == 421, path


def test_it_listens_elsewhere_when_it_is_told(nginx: None, serve: Serve) -> None:
    """MODEL_SERVER_HOST=0.0.0.0, as in the image: on all interfaces, by any name."""
    running = serve(MODEL_SERVER_HOST="0.0.0.0", MODEL_SERVER_WORKERS="1").until_ready()
    assert listening(int(running.url.rsplit(":", 1)[1])) == {"00000000"}
    assert asked(running, "example.com").text == EXPECTED
