"""deploy/capacity.py: the load on an endpoint, its report, and the target. Against servers of this machine."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from deploy import Stop, capacity, plan
from deploy.__main__ import main
from deploy.account import Account
from deploy.deployment import Deployment
from deploy.money import Prices

from cloud import REGION, ROLE, Cloud
from loadtest import prices
from loadtest.figures import Goal, Run, Step
from loadtest.measuring import Measured, Senders, Target
from loadtest.prices import Offer, PriceList
from loadtest.report import Report
from running import KIT

ROWS = b"5.1,3.4,1.5,0.2\n" * 3


@contextmanager
def server(status: Callable[[int], int], tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[Any]]]:
    """Answers with the status for the request of this number; keeps what it was sent."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            seen.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status(len(seen)))
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"setosa\n")

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # all connect at once

    http = Server(("127.0.0.1", 0), Handler)
    if tls:
        http.socket = tls.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", seen
    finally:
        http.shutdown()
        http.server_close()


def measured(url: str, **settings: Any) -> Measured:
    cloud = Cloud()
    cloud.url = url
    wished = plan.of({"role_arn": ROLE, "region": REGION, "load_seconds": 0.1, **settings})
    return capacity.measure(Account(REGION, cloud.session), wished, ROWS)


def seen(*rates: tuple[float, float], limit: float = 500, clients: float = 50) -> Measured:
    """What would be measured of an endpoint that answers so many a second with this p95."""

    def step(rate: float, p95: float, clients: int = 0) -> Step:
        run = Run(rate, {50: p95 / 2, 95: p95, 99: p95 * 2}, p95 / 2, 100)
        return Step([run] * 2, clients, 0.0 if clients else rate)

    return Measured(Goal(limit, 95), [step(clients, 20, 1)], [step(*each) for each in rates], [], 1e6)


def test_requests_are_signed_for_each_step_and_sent_often() -> None:
    """Many requests with one signature; the first two rows; errors are counted, not fatal."""
    with server(lambda n: 503 if n % 5 == 0 else 200) as (url, got):
        report = measured(url, latency_ms=60000)
    assert {path for path, _, _ in got} == {"/endpoints/sagemaker-my-model/invocations"}
    assert {body for _, _, body in got} == {b"5.1,3.4,1.5,0.2\n5.1,3.4,1.5,0.2"}
    signatures = {headers["Authorization"] for _, headers, _ in got}
    assert len(signatures) < len(got) / 2
    assert all("Credential=testing/" in each for each in signatures)
    assert report.closed[0].per_second > 0
    assert report.carried.rate == 0, "one in five fails, and 95 of 100 should be answered in time"
    assert sum(step.errors.total() for step in report.closed) > 0
    assert report.ceiling > 0


def certificate(directory: Path) -> Path:
    """A key and a certificate of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "here")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1), [])
    made = made.add_extension(here, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = directory / "here.pem"
    path.write_bytes(key.private_bytes(*pem) + made.sign(key, hashes.SHA256()).public_bytes(pem[0]))
    return path


def test_the_load_speaks_tls_and_trusts_only_who_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As AWS does; a certificate that nobody has signed is not spoken to."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(tmp_path))
    with server(lambda n: 200, context) as (url, got):
        target = Target("127.0.0.1", int(url.rpartition(":")[2]), b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", True)
        with Senders(2) as senders:
            strange = senders.run([target], 0.2, 5, 2)
        assert (strange.per_second, strange.errors["no connection"], got) == (0, 2, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "here.pem"))
        with Senders(2) as senders:
            known = senders.run([target], 0.2, 5, 2, rate=50)
        assert (known.requests, known.errors.total(), len(got)) == (10, 0, 10)


def test_an_endpoint_that_only_fails_is_said() -> None:
    with server(lambda n: 500) as (url, _), pytest.raises(Stop, match=r"not measured.*status 500"):
        measured(url)


def test_the_target_is_half_of_what_an_instance_carried_in_time() -> None:
    """Requests a second within the latency, per instance, times 60, times the safety factor."""
    report = seen((50, 20), (90, 40), (120, 900))
    assert capacity.target(report) == 90 * 60 // 2
    assert capacity.target(report, instances=2) == 45 * 60 // 2
    assert capacity.target(seen((50, 20), limit=1, clients=40)) == 40 * 60 // 2  # too slow at any rate: one client's
    assert capacity.target(seen((0.001, 1))) == 1


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched prices are kept."""
    monkeypatch.setattr(prices.kept, "__defaults__", ("", tmp_path))
    return tmp_path


def test_the_report_is_in_money(room: Path) -> None:
    """The price of the plan's own type is asked now, those of others are known when they were fetched."""
    cloud = Cloud()
    wished, asked = plan.of({"role_arn": ROLE, "region": REGION}), Prices(Account(REGION, cloud.session))
    report = Report(seen((90, 40)), capacity.subject(seen((90, 40)), wished, REGION, asked, 1))
    assert "One ml.m5.large carries 90 requests a second with p95 ≤ 500 ms" in report.text()
    [row] = [line.split() for line in report.text().splitlines() if line.strip().startswith("100 ")]
    assert row == ["100", "3", "×", "ml.m5.large", "262.80", "1.0000"]  # 100 / (90 / 2) → 3 instances at 0.12
    assert f"make prices REGION={REGION}" in report.text()
    offers = (Offer("ml.m5.large", 2, 0.12), Offer("ml.c5.xlarge", 4, 0.2), Offer("ml.c7g.large", 2, 0.01))
    prices.keep(PriceList(REGION, "2026-11-20", datetime.now(UTC).isoformat(), offers), room)
    rows = capacity.subject(seen((90, 40)), wished, REGION, asked, 1).rows
    assert [(row.instances, row.count) for row in rows if row.rate == 100] == [("ml.m5.large", 3), ("ml.c5.xlarge", 2)]
    assert "published 2026-11-20" in capacity.subject(seen((90, 40)), wished, REGION, asked, 1).money


def test_a_price_that_is_not_known_is_not_made_up(room: Path) -> None:
    cloud = Cloud()
    cloud.unreachable = {"pricing"}
    wished, asked = plan.of({"role_arn": ROLE, "region": REGION}), Prices(Account(REGION, cloud.session))
    report = Report(seen((90, 40)), capacity.subject(seen((90, 40)), wished, REGION, asked, 1))
    assert "$" not in report.html().partition("</style>")[2]
    assert "The price is unknown." in report.text()


def test_it_is_measured_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first `up` measures and scales by it; the second knows it from the endpoint's tag, and puts no load on it."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.chdir(KIT)
    calls: list[int] = []
    monkeypatch.setattr(capacity, "measure", lambda *_: calls.append(1) or seen((20, 2)))
    cloud = Cloud()
    for settings in ({}, {"environment": {"A": "1"}}, {"measure_again": True}):
        wished = plan.of({"role_arn": ROLE, "region": REGION, "poll_seconds": 0, **settings})
        Deployment(wished, cloud.session, say=lambda line: None).up()
        [policy] = cloud.things["policy"].values()
        assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 600.0
    assert len(calls) == 2


def test_measure_writes_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same page as load-test.sh's; where it cannot be written nothing is loaded."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.chdir(KIT)
    monkeypatch.setattr(capacity, "measure", lambda *_: seen((20, 2)))
    cloud, path, wished = Cloud(), tmp_path / "report.html", tmp_path / "deployment.toml"
    wished.write_text(f'role_arn = "{ROLE}"\nregion = "{REGION}"\npoll_seconds = 0\n')
    assert main(["up", str(wished)], cloud.session) == 0
    capsys.readouterr()
    assert main(["measure", str(wished), "--report", str(path), "--json"], cloud.session) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"goal": "p95 ≤ 500 ms", "rate": 20, "low": 20, "high": 20, "load_is_the_limit": False,
                    "invocations_per_minute": 600, "report": str(path)}  # fmt: skip
    assert "One ml.m5.large carries 20 requests a second" in path.read_text()
    assert main(["measure", str(wished), "--report", str(tmp_path)], cloud.session) != 0
    assert "Choose another file" in capsys.readouterr().err
