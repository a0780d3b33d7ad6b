"""Metrics for the collector that the platform runs beside the container."""

import re

import pytest

from .conftest import not_offered
from .wire import wait_until

remedy = pytest.mark.remedy
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (-?[0-9.eE+-]+|NaN|[+-]Inf)( -?\d+)?$")
PAGE = "monitoring-detailed-observability-getting-started"


def scrape(server):
    reply = server.get("/metrics")
    if reply.status == 404:
        not_offered("GET /metrics is 404: the collector, which is on by default, finds nothing")
    assert reply.status == 200, str(reply)
    return reply


def counters(text):
    found = {}
    for line in text.splitlines():
        match = SAMPLE.match(line)
        if match and match[1].endswith(("_total", "_count")):
            found[match[1]] = found.get(match[1], 0.0) + float(match[3])
    return found


@remedy("Answer /metrics with Content-Type text/plain; version=0.0.4 (or application/openmetrics-text).")
def test_type(server):
    """/metrics is answered on the container's port as Prometheus text. [monitoring-detailed-observability-getting-started]"""
    reply = scrape(server)
    assert reply.media_type in ("text/plain", "application/openmetrics-text"), reply.content_type


@remedy('Write `name{label="value"} number` lines; prometheus_client does.')
def test_lines(server):
    """Each line is a comment or a sample. [monitoring-detailed-observability-getting-started]"""
    text = scrape(server).body.decode()
    bad = [line for line in text.splitlines() if line and not line.startswith("#") and not SAMPLE.match(line)]
    assert not bad, bad[0]


@remedy("Count requests where they are answered, in all workers together (prometheus_client's multiprocess mode).")
def test_requests_are_counted(server, invoke, answered):
    """Requests are counted, in whichever process they were answered. [monitoring-detailed-observability-getting-started]"""
    before = counters(scrape(server).body.decode())
    for _ in range(10):
        invoke()

    def counted():
        after = counters(scrape(server).body.decode())
        return any(value - before.get(name, 0) >= 10 for name, value in after.items())

    assert wait_until(counted, 5), "no counter grew by the 10 requests"


@remedy("Add up all workers for each scrape: a counter that falls looks like a restart.")
def test_counters_do_not_fall(server, invoke):
    """A counter never falls from one scrape to the next, whichever process answers. [monitoring-detailed-observability-getting-started]"""
    last = counters(scrape(server).body.decode())
    for _ in range(10):
        invoke()
        now = counters(scrape(server).body.decode())
        fallen = [name for name, value in last.items() if now.get(name, 0) < value]
        assert not fallen, f"fell: {fallen}"
        last = now
