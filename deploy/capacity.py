"""How much an instance of the endpoint carries: the load of loadtest/ with signed requests, its report, the target.

A client that signs each request ends at some hundred a second, long before the server does. So the bytes of one signed
request are sent again and again; the signature holds for five minutes and is made anew for each step of the load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from loadtest import costs, prices
from loadtest.figures import Carried, Goal
from loadtest.measuring import Failed, Load, Measured, Target
from loadtest.report import Report, Subject

from . import Stop, names, trouble
from .account import Account
from .money import Prices
from .plan import Plan

PATIENCE = 60
"""SageMaker itself waits no longer for an answer."""
UNKNOWN = (
    "Where the time goes inside: SageMaker shows nothing of the container's counters to callers. CloudWatch has "
    "ModelLatency and OverheadLatency.",
    "Your callers' network: the latencies are those of the machine that sent the load, with its way to the endpoint.",
    "How fast the CPUs of other instance types are. It is taken that each is as fast as one of the measured type.",
    "Other requests: every request of the load had the same one or two rows.",
    "A month: the load lasted for some seconds at each rate.",
)


def measure(account: Account, plan: Plan, payload: bytes, say: Callable[[str], None] = lambda line: None) -> Measured:
    """Puts load on the endpoint, for some minutes. Raises Stop when it answers nothing but errors."""
    rows = b"\n".join(payload.splitlines()[:2])  # the first may be a header
    goal = Goal(plan.latency_ms, 95)
    load = Load(lambda: signed(account, plan.name, rows), goal, plan.load_seconds, patience=PATIENCE, say=say)
    try:
        return load.measure()
    except Failed as exc:
        raise Stop(f"The endpoint was not measured. {exc}") from None


def kept(account: Account, plan: Plan, payload: bytes, asked: Prices, say: Callable[[str], None]) -> tuple[Report, str]:
    """Measures, says the report, and keeps the target in a tag of the endpoint; returns both."""
    sagemaker = account.client("sagemaker")
    told = sagemaker.describe_endpoint(EndpointName=plan.name)
    measured = measure(account, plan, payload, lambda line: say(f"  {line}"))
    running = told["ProductionVariants"][0].get("CurrentInstanceCount") or 1
    report = Report(measured, subject(measured, plan, account.region, asked, running))
    say(report.text())
    per_minute = str(target(measured, running))
    say(f"Target: {per_minute} invocations per instance and minute.")
    try:
        sagemaker.add_tags(ResourceArn=told["EndpointArn"], Tags=[{"Key": names.CAPACITY, "Value": per_minute}])
    except ClientError as exc:
        say(f"  the target was not kept, a later run measures again: {trouble.explained(exc)}")
    return report, per_minute


def target(measured: Measured, instances: int = 1) -> int:
    """Invocations per instance and minute to keep to. Where no rate holds the goal, one client's pace counts."""
    rate = measured.carried.rate or measured.alone.per_second
    return max(1, int(rate / instances * 60 * costs.SAFETY))


def subject(measured: Measured, plan: Plan, region: str, asked: Prices, instances: int) -> Subject:
    """`asked` has the price of the plan's own type; those of others are known where `make prices` has fetched them."""
    seen, kind = measured.carried, plan.instance_type
    each = Carried(seen.rate / instances, seen.low / instances, seen.high / instances)
    rows, money = priced(each.rate, kind, region, asked.hourly(kind))
    about = [f"Endpoint {plan.name} in {region}, {instances} × {kind}, one or two rows of {plan.payload} a request."]
    return Subject(plan.name, f"One {kind}", each, about, rows, money, UNKNOWN)


def priced(per_instance: float, kind: str, region: str, hourly: float | None) -> tuple[list[costs.Row], str]:
    """The measured type for each rate, and below it the cheapest others, counted by their CPUs."""
    if not per_instance:
        return [], "Without a rate that holds the goal there is nothing to count."
    try:
        listed = prices.kept(region)
    except prices.Unknown as exc:
        own = [costs.row(rate, per_instance, kind, 0, hourly) for rate in costs.RATES]
        known = "Price: AWS's Price List, asked now." if hourly is not None else "The price is unknown."
        return own, f"{known} Other instance types: {exc}."
    cpus = {offer.instance_type: offer.cpus for offer in listed.offers}.get(kind, 0)
    rows: list[costs.Row] = []
    for rate in costs.RATES:
        rows.append(costs.row(rate, per_instance, kind, cpus, hourly))
        if cpus:
            others = [offer for offer in listed.offers if offer.instance_type != kind]
            rows += costs.cheapest(per_instance / cpus, others, costs.is_arm(kind), [rate])
    return rows, f"{kind} was measured; other types are counted by their CPUs. {listed.told}"


def signed(account: Account, name: str, body: bytes) -> Target:
    """Where to connect, and the bytes of one signed InvokeEndpoint request."""
    client = account.client("sagemaker-runtime")
    url = f"{client.meta.endpoint_url}/endpoints/{name}/invocations"
    parts = urlsplit(url)
    headers: dict[str, Any] = {"Content-Type": "text/csv", "Accept": "text/csv", "Host": parts.netloc}
    headers["Content-Length"] = str(len(body))
    request = AWSRequest("POST", url, headers=headers, data=body)
    credentials = account.session.get_credentials().get_frozen_credentials()
    SigV4Auth(credentials, "sagemaker", account.region).add_auth(request)
    head = "".join(f"{key}: {value}\r\n" for key, value in request.headers.items())
    port = parts.port or (443 if parts.scheme == "https" else 80)
    whole = f"POST {parts.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
    return Target(str(parts.hostname), port, whole, parts.scheme == "https")
