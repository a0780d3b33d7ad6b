"""local-test/load-test.sh against real servers: the verdict and the report, wrong uses, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from running import KIT, Native, free_port, wait_until

SCRIPT = str(KIT / "local-test/load-test.sh")
QUICK = ("--seconds", "0.2", "--repeats", "1", "--p99", "60000")


def port_of(running: Native) -> str:
    return running.url.rpartition(":")[2]


def load(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], env={**os.environ, **environ}, capture_output=True, text=True, timeout=120
    )


def senders() -> list[str]:
    """Processes of a load of ours."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [line] if str(KIT / "loadtest") in line else []
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Native(tmp_path_factory.mktemp("load")) as running:
        yield running.until_ready()


def test_it_loads_the_server_that_answers(served: Native, tmp_path: Path) -> None:
    """The server of the port is loaded, and goes on; the report has what was seen, the server's counters too."""
    report = tmp_path / "a report.html"
    done = load(*QUICK, "--report", str(report), "--rate", "70", PORT=port_of(served))
    assert done.returncode == 0, done.stderr
    assert f"loading the server that answers on port {port_of(served)}" in done.stderr
    assert re.search(r"One CPU of this machine carries [\d,.]+ requests a second with p99 ≤ 60000 ms\.", done.stdout)
    assert "make prices REGION=" in done.stdout
    assert f"The report, with pictures: {report}" in done.stdout
    page = report.read_text()
    assert "reading and writing, ms" in page, "the server's counters were not read"
    assert "text/csv" in page
    assert page.count('<tr class="first"><td>70</td>') == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a report.html"]
    ping = served.ping()
    assert ping is not None
    assert ping.status_code == 200
    assert senders() == []


def test_the_payload_has_the_type_of_its_name(served: Native, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('{"instances": [[5.1, 3.4, 1.5, 0.2]]}')
    options = ("--payload", str(tmp_path / "rows.json"), "--report", str(tmp_path / "r.html"))
    done = load(*QUICK, *options, PORT=port_of(served), ACCEPT="application/json")
    assert done.returncode == 0, done.stderr
    assert "rows.json (37 bytes, application/json)" in (tmp_path / "r.html").read_text()


def test_a_payload_that_is_refused_is_not_sent_again(served: Native, tmp_path: Path) -> None:
    """The server's own words, exit code 1, and no report."""
    (tmp_path / "rows.csv").write_text("1,2,oops,4\n")
    options = ("--payload", str(tmp_path / "rows.csv"), "--report", str(tmp_path / "r.html"))
    done = load(*QUICK, *options, PORT=port_of(served))
    assert done.returncode == 1
    assert "the server refuses the payload with 400, so there is no load" in done.stderr
    assert "oops" in done.stderr
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "unknown option --nonsense"),
        (["rows.csv"], "a payload is named by --payload"),
        (["--p99"], "--p99 needs a value"),
        (["--payload", "/nonexistent.csv"], "there is no file /nonexistent.csv"),
        (["--p99", "soon"], "--p99: 'soon' is not a number above 0"),
        (["--p99", "0"], "--p99: '0' is not a number above 0"),
        (["--repeats", "-1"], "--repeats: '-1' is not a number from 1 to 999"),
        (["--report", "/nonexistent/r.html"], "the report cannot be written to /nonexistent/r.html"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_uses_are_told(served: Native, arguments: list[str], said: str) -> None:
    done = load(*arguments, PORT=port_of(served))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_nobody_at_the_named_address_is_said(tmp_path: Path) -> None:
    for url in (f"http://127.0.0.1:{free_port()}", "ftp://127.0.0.1"):
        done = load(*QUICK, "--url", url, "--report", str(tmp_path / "r.html"))
        assert done.returncode == 1
        assert ("nothing answers on" in done.stderr) or ("is not an address" in done.stderr), done.stderr


def test_a_server_that_is_not_ready_is_not_loaded() -> None:
    """Another server on the port, or one that answers 503 to /ping: what was seen is said, and nothing is started."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = load(PORT=str(server.server_port))
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 1
    assert "does not say 200 to /ping, but HTTP/1.0 503" in done.stderr
    assert "PORT=" in done.stderr


def test_it_starts_a_server_and_ends_it(tmp_path: Path) -> None:
    """Where nobody answers; the report's default place; nothing of the server is left."""
    port, report = free_port(), KIT / "local-test/test-dir/output/load-test.html"
    try:
        done = load(*QUICK, "--native", PORT=str(port), MODEL_SERVER_WORKERS="1", TMPDIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert f"starting a server on port {port}" in done.stderr
        assert "<svg" in report.read_text()
    finally:
        report.unlink(missing_ok=True)
    assert not nobody_answers(port)()
    assert list(tmp_path.iterdir()) == []


def nobody_answers(port: int) -> Callable[[], bool]:
    def answers() -> bool:
        return any(f":{port}" in line for line in subprocess.run(
            ["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout.splitlines())  # fmt: skip

    return answers


@pytest.mark.parametrize("word", ["loading the server", "1 client, 1 of 3", "4 clients, 2 of 3"])
def test_ctrl_c_under_load_leaves_nothing(served: Native, tmp_path: Path, word: str) -> None:
    """Exit code 130 at once; no process of the load, no file; the server that was there goes on."""
    options = ["--report", str(tmp_path / "r.html")]
    environ = {**os.environ, "PORT": port_of(served), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [SCRIPT, *options], env=environ, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr
    assert any(word in line for line in process.stderr), word
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert wait_until(lambda: not senders() or None, 3)
    assert list(tmp_path.iterdir()) == []
    ping = served.ping()
    assert ping is not None
    assert ping.status_code == 200
