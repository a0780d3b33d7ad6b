"""How much does an instance carry? Several processes send requests that are signed once, until it does not grow.

A client that signs each request ends at some hundred a second, long before the server does. So each process takes one
signed request and sends its bytes again and again over connections of its own; the signature holds for five minutes
and is made anew for each step. What the senders themselves can do is measured against an answer from this machine:
where that is the limit, the report says so. Errors are counted.
"""

from __future__ import annotations

import json
import math
import os
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from . import Stop, names, trouble
from .account import Account
from .money import HOURS_A_MONTH, Prices
from .plan import Plan

KIT = Path(__file__).resolve().parent.parent
SAFETY = 0.5
"""AWS's own factor: the other half of what was measured is for peaks."""
MOST_CLIENTS = 128
REPEATS = 3
RATES = (10, 100, 1000)


@dataclass(frozen=True)
class Step:
    """What `clients` connections, each sending one request after the other, got. Rates are medians of the repeats."""

    clients: int
    per_second: float
    p50_ms: float
    p95_ms: float
    errors: int = 0
    spread: float = 0.0
    """(highest - lowest rate) / median."""


@dataclass(frozen=True)
class Report:
    steps: list[Step]
    ceiling: float
    """Requests a second that the senders reach where the answer costs nothing."""

    def best(self, limit_ms: float) -> Step:
        good = [step for step in self.steps if step.p95_ms <= limit_ms] or self.steps[:1]
        return max(good, key=lambda step: step.per_second)

    def target(self, limit_ms: float, instances: int = 1) -> int:
        """Invocations per instance per minute to keep to."""
        return max(1, int(self.best(limit_ms).per_second / instances * 60 * SAFETY))

    def sender_is_the_limit(self, limit_ms: float) -> bool:
        return self.best(limit_ms).per_second > 0.7 * self.ceiling

    def text(self, plan: Plan, hourly: float | None, instances: int = 1) -> str:
        """The steps, what one instance carries, and what so many requests a second cost."""
        best, limit = self.best(plan.latency_ms), plan.latency_ms
        lines = ["  clients  requests/s  spread   p50 ms   p95 ms  errors"]
        lines += [
            f"  {s.clients:7}  {s.per_second:10.1f}  {s.spread:5.0%}  {s.p50_ms:8.1f} {s.p95_ms:8.1f}  {s.errors:6}"
            for s in self.steps
        ]
        each = best.per_second / instances
        lines.append(f"One {plan.instance_type} carries {each:.0f} requests a second with p95 below {limit} ms.")
        lines.append(f"Target: {self.target(limit, instances)} invocations per instance and minute.")
        if best.p95_ms > limit:
            lines.append(f"No step answered within {limit} ms: the gentlest one counts.")
        if self.sender_is_the_limit(limit):
            lines.append(
                f"The senders on this machine are the limit ({self.ceiling:.0f}/s at most): the endpoint carries more."
            )
        return "\n".join([*lines, *table(each, plan.instance_type, hourly)])


def table(per_instance: float, instance_type: str, hourly: float | None) -> list[str]:
    """For some rates: instances at half their load, dollars a month, dollars for a million requests."""
    lines = [f"  requests/s  {instance_type:>14}  $ a month  $ a million"]
    for rate in RATES:
        count = max(1, math.ceil(rate / max(per_instance * SAFETY, 1e-9)))
        month = million = "unknown"
        if hourly is not None:
            month, million = f"{hourly * count * HOURS_A_MONTH:,.2f}", f"{hourly * count / (rate * 3600) * 1e6:.4f}"
        lines.append(f"  {rate:10}  {count:14}  {month:>9}  {million:>11}")
    return lines


def measure(account: Account, plan: Plan, payload: bytes) -> Report:
    """Doubles the connections until the rate grows by less than a tenth or p95 passes the limit. Puts load on the
    endpoint. Raises Stop when it answers nothing but errors."""
    rows = b"\n".join(payload.splitlines()[:2])  # the first may be a header

    def step(clients: int, repeats: int = REPEATS) -> Step:
        return _step(lambda: signed(account, plan.name, rows), clients, plan.load_seconds, repeats)

    step(2, 1)  # warm-up: connections, caches
    steps: list[Step] = []
    clients = 1
    while clients <= MOST_CLIENTS:
        steps.append(step(clients))
        if steps[-1].per_second == 0:
            raise Stop(f"The endpoint answered {steps[-1].errors} requests of the load with errors only.")
        slow = steps[-1].p95_ms > plan.latency_ms
        flat = len(steps) > 1 and steps[-1].per_second < 1.1 * steps[-2].per_second
        if slow or flat:
            break
        clients *= 2
    return Report(steps, ceiling(steps[-1].clients, min(plan.load_seconds, 1)))


def kept(
    account: Account, plan: Plan, payload: bytes, prices: Prices, say: Callable[[str], None]
) -> tuple[Report, str]:
    """Measures, says the report, and keeps the target in a tag of the endpoint; returns both."""
    sagemaker = account.client("sagemaker")
    told = sagemaker.describe_endpoint(EndpointName=plan.name)
    report = measure(account, plan, payload)
    running = told["ProductionVariants"][0].get("CurrentInstanceCount") or 1
    say(report.text(plan, prices.hourly(plan.instance_type), running))
    target = str(report.target(plan.latency_ms, running))
    try:
        sagemaker.add_tags(ResourceArn=told["EndpointArn"], Tags=[{"Key": names.CAPACITY, "Value": target}])
    except ClientError as exc:
        say(f"  the target was not kept, a later run measures again: {trouble.explained(exc)}")
    return report, target


def signed(account: Account, name: str, body: bytes) -> dict[str, Any]:
    """Where to connect, and the bytes of one signed InvokeEndpoint request."""
    client = account.client("sagemaker-runtime")
    url = f"{client.meta.endpoint_url}/endpoints/{name}/invocations"
    parts = urlsplit(url)
    headers = {"Content-Type": "text/csv", "Accept": "text/csv", "Host": parts.netloc, "Content-Length": str(len(body))}
    request = AWSRequest("POST", url, headers=headers, data=body)
    credentials = account.session.get_credentials().get_frozen_credentials()
    SigV4Auth(credentials, "sagemaker", account.region).add_auth(request)
    head = "".join(f"{key}: {value}\r\n" for key, value in request.headers.items())
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"host": parts.hostname, "port": port, "tls": parts.scheme == "https",
            "request": f"POST {parts.path} HTTP/1.1\r\n{head}\r\n{body.decode('latin-1')}"}  # fmt: skip


def _step(target: Callable[[], dict[str, Any]], clients: int, seconds: float, repeats: int) -> Step:
    runs = []
    for _ in range(repeats):
        processes = min(clients, max(2, os.cpu_count() or 2))
        shares = [clients // processes + (n < clients % processes) for n in range(processes)]
        asked = target()
        started = [_sender({**asked, "clients": share, "seconds": seconds}) for share in shares]
        answers = [json.loads(process.communicate()[0] or b"{}") for process in started]
        times = sorted(t for answer in answers for t in answer.get("times", []))
        errors = sum(answer.get("errors", 0) for answer in answers)
        rate = sum(len(answer.get("times", [])) / answer["elapsed"] for answer in answers if answer.get("elapsed"))
        p50 = statistics.median(times) * 1000 if times else math.inf
        p95 = times[min(len(times) - 1, int(0.95 * len(times)))] * 1000 if times else math.inf
        runs.append(Step(clients, rate, p50, p95, errors))
    return combined(runs)


def combined(runs: list[Step]) -> Step:
    rates = [run.per_second for run in runs]
    rate = statistics.median(rates)
    spread = (max(rates) - min(rates)) / rate if rate else 0.0
    p50, p95 = (statistics.median(asdict(run)[key] for run in runs) for key in ("p50_ms", "p95_ms"))
    return Step(runs[0].clients, rate, p50, p95, sum(run.errors for run in runs), spread)


def _sender(asked: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-m", "deploy.sender"], cwd=KIT, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    process.stdin.flush()
    return process


def ceiling(clients: int, seconds: float) -> float:
    """What the senders reach against a server of this machine that always says the same."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_always_the_same, args=(server,), daemon=True).start()
        request = "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\n1,2\n"
        target = {"host": "127.0.0.1", "port": server.getsockname()[1], "tls": False, "request": request}
        return _step(lambda: target, clients, seconds, 1).per_second


def _always_the_same(server: socket.socket) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1\n"

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                connection.sendall(answer)

    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return  # the server was closed
        threading.Thread(target=serve, args=(connection,), daemon=True).start()
