"""deploy/capacity.py: the load, its report, and what it costs. Against servers of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from deploy import Stop, capacity, plan
from deploy.account import Account
from deploy.capacity import Report, Step
from deploy.deployment import Deployment

from cloud import REGION, ROLE, Cloud
from running import KIT

ROWS = b"5.1,3.4,1.5,0.2\n" * 3


@contextmanager
def server(status: Callable[[int], int]) -> Iterator[tuple[str, list[Any]]]:
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

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", seen
    finally:
        http.shutdown()
        http.server_close()


def measured(url: str, **settings: Any) -> Report:
    cloud = Cloud()
    cloud.url = url
    wished = plan.of({"role_arn": ROLE, "region": REGION, "load_seconds": 0.2, **settings})
    return capacity.measure(Account(REGION, cloud.session), wished, ROWS)


def test_requests_are_signed_once_and_sent_often() -> None:
    """Many requests with one signature; the first two rows; errors are counted, not fatal."""
    with server(lambda n: 503 if n % 5 == 0 else 200) as (url, seen):
        report = measured(url, latency_ms=60000)
    assert {path for path, _, _ in seen} == {"/endpoints/sagemaker-my-model/invocations"}
    assert {body for _, _, body in seen} == {b"5.1,3.4,1.5,0.2\n5.1,3.4,1.5,0.2"}
    signatures = {headers["Authorization"] for _, headers, _ in seen}
    assert len(signatures) < len(seen) / 2
    assert all("Credential=testing/" in each for each in signatures)
    assert report.steps[0].per_second > 0
    assert sum(step.errors for step in report.steps) > 0
    assert report.ceiling > 0


def test_an_endpoint_that_only_fails_is_said() -> None:
    with server(lambda n: 500) as (url, _), pytest.raises(Stop, match="with errors only"):
        measured(url)


def test_the_target_is_half_of_what_an_instance_carried_in_time() -> None:
    """Requests a second within the latency, per instance, times 60, times the safety factor."""
    report = Report([Step(1, 50, 10, 20), Step(2, 90, 12, 40), Step(4, 120, 30, 900)], ceiling=1e6)
    assert report.target(limit_ms=500) == 90 * 60 // 2
    assert report.target(limit_ms=500, instances=2) == 45 * 60 // 2
    assert report.target(limit_ms=1) == 50 * 60 // 2  # too slow even for one caller: the gentlest step
    assert Report([Step(1, 0.001, 1, 1)], 1e6).target(limit_ms=500) == 1


def test_the_load_stops_growing_when_it_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the connections and not a tenth more answers: no more connections. The warm-up does not count."""
    rates = iter([(7, 5), (100, 5), (190, 6), (195, 12), (1, 1)])
    monkeypatch.setattr(capacity, "_step", lambda target, clients, *_: Step(clients, *((n := next(rates))[0], 1, n[1])))
    monkeypatch.setattr(capacity, "ceiling", lambda *_: 1e6)
    assert [step.clients for step in measured("http://127.0.0.1:9").steps] == [1, 2, 4]


def test_repeats_give_a_median_and_a_spread() -> None:
    together = capacity.combined([Step(2, 100, 5, 9, 1), Step(2, 120, 6, 8, 0), Step(2, 110, 4, 7, 2)])
    assert (together.per_second, together.p50_ms, together.p95_ms, together.errors) == (110, 5, 8, 3)
    assert together.spread == pytest.approx(20 / 110)


def test_the_report_is_in_money() -> None:
    """Instances, dollars a month and a million for some rates; unknown prices are called unknown; who is the limit."""
    report = Report([Step(1, 50, 10, 20, 0, 0.1), Step(2, 90, 12, 40)], ceiling=100)
    text = report.text(plan.of({}), 0.12)
    assert "One ml.m5.large carries 90 requests a second with p95 below 500 ms." in text
    assert "The senders on this machine are the limit (100/s at most)" in text
    [row] = [line.split() for line in text.splitlines() if line.strip().startswith("100 ")]
    assert row == ["100", "3", "262.80", "1.0000"]  # 100 / (90 / 2) → 3 instances at 0.12
    assert "unknown" in report.text(plan.of({}), None)


def test_it_is_measured_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first `up` measures and scales by it; the second knows it from the endpoint's tag, and puts no load on it."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.chdir(KIT)
    calls: list[int] = []
    monkeypatch.setattr(capacity, "measure", lambda *_: calls.append(1) or Report([Step(4, 20, 1, 2)], 1e6))
    cloud = Cloud()
    for settings in ({}, {"environment": {"A": "1"}}, {"measure_again": True}):
        wished = plan.of({"role_arn": ROLE, "region": REGION, "poll_seconds": 0, **settings})
        Deployment(wished, cloud.session, say=lambda line: None).up()
        [policy] = cloud.things["policy"].values()
        assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 600.0
    assert len(calls) == 2
