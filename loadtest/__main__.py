"""Usage: python -m loadtest URL PAYLOAD --content-type TYPE [--p99 MS] …   (local-test/load-test.sh calls it)"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import re
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from . import costs, inside, prices, report
from .figures import Carried, Goal
from .measuring import Failed, Load, Measured, Target

UNKNOWN = (
    "The way of a request through SageMaker: its network, TLS and authentication come on top of these latencies.",
    "How fast the CPUs of an instance are. It is taken that each is as fast as one of this machine. "
    "`python -m deploy measure` measures an endpoint.",
    "Other requests: every request of the load was the same.",
    "A month: the load lasted for some seconds at each rate.",
)


def main(arguments: list[str] | None = None) -> int:
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return tested(parsed(arguments))
    except KeyboardInterrupt:
        return 130


def tested(asked: argparse.Namespace) -> int:
    """Measures and reports; the exit code."""
    path = Path(asked.report)
    if path.is_dir() or not os.access(path.parent, os.W_OK):  # said now, and not after two minutes
        return failed(f"the report cannot be written to {path}. Choose another file: --report FILE", 2)
    try:
        body = Path(asked.payload).read_bytes()
        target = target_of(asked, body)
        probe(target)
        looks = inside.Looks(f"http://{target.host}:{target.port}")
        load = Load(lambda: target, Goal(asked.p99), asked.seconds, asked.repeats, say=said, look=looks)
        measured = load.measure(asked.cpus, cpus_here())
    except (Failed, OSError, http.client.HTTPException) as exc:
        return failed(str(exc) or type(exc).__name__)
    made = report.Report(measured, subject_of(asked, measured, len(body)))
    report.write(path, made.html())
    print(made.text())
    print(f"The report, with pictures: {path}")
    return 0


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.exit(failed(f"{message.removeprefix('argument ')}. load-test.sh --help tells the options.", 2))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(allow_abbrev=False, add_help=False)
    parser.add_argument("url")
    parser.add_argument("payload")
    parser.add_argument("--content-type", required=True)
    parser.add_argument("--accept", default="")
    parser.add_argument("--report", required=True)
    parser.add_argument("--p99", type=up_to(60_000), default=50.0)
    parser.add_argument("--rate", type=up_to(1e6), default=0.0)
    parser.add_argument("--seconds", type=up_to(60), default=2.0)
    parser.add_argument("--repeats", type=count, default=3)
    parser.add_argument("--cpus", type=count, default=cpus_here())
    parser.add_argument("--region", default="")
    return parser.parse_args(arguments)


def up_to(most: float) -> Callable[[str], float]:
    def positive(text: str) -> float:
        if not re.fullmatch(r"\d{1,9}(\.\d+)?", text) or not 0 < float(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, at most {most:g}")
        return float(text)

    return positive


def count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999")
    return int(text)


def cpus_here() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def said(line: str) -> None:
    print(f"load-test.sh: {line}", file=sys.stderr, flush=True)


def failed(why: str, code: int = 1) -> int:
    said(why)
    return code


def target_of(asked: argparse.Namespace, body: bytes) -> Target:
    parts = urlsplit(asked.url)
    if parts.scheme != "http" or not parts.hostname:
        raise Failed(f"{asked.url} is not an address: such as http://127.0.0.1:8080")
    accept = f"Accept: {asked.accept}\r\n" if asked.accept else ""
    head = (
        f"POST {parts.path or '/invocations'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: {asked.content_type}\r\n{accept}Content-Length: {len(body)}\r\n\r\n"
    )
    return Target(parts.hostname, parts.port or 80, head.encode("latin-1") + body)


def probe(target: Target) -> None:
    """One request. Raises Failed with the server's own words where it refuses; a load of refusals says nothing."""
    head, _, body = target.request.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    connection = http.client.HTTPConnection(target.host, target.port, timeout=60)
    try:
        connection.request("POST", line.split()[1], body, dict(field.split(": ", 1) for field in fields))
        answer = connection.getresponse()
        said_by_it = answer.read(2000).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as exc:
        raise Failed(f"nothing answers on http://{target.host}:{target.port}: {exc}") from None
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise Failed(f"the server refuses the payload with {answer.status}, so there is no load: {said_by_it}")


def subject_of(asked: argparse.Namespace, measured: Measured, size: int) -> report.Subject:
    seen, cpus = measured.carried, measured.of_the_server()
    each = Carried(seen.rate / cpus, seen.low / cpus, seen.high / cpus)
    rows, money = priced(each.rate, [asked.rate] if asked.rate else costs.RATES, asked.region)
    about = [
        f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}, {asked.url}, payload {Path(asked.payload).name} "
        f"({size:,} bytes, {asked.content_type}).",
        f"The server has {measured.cpus} CPUs ({platform.machine()}). The load ran on the same ones and used "
        f"{measured.cpus - cpus:.2g} of them at the rate that the server carried, {seen.rate:,g} a second; the others "
        "are counted as the server's, whether it used them or not.",
    ]
    return report.Subject(asked.url, "One CPU of this machine", each, about, rows, money, UNKNOWN)


def priced(per_cpu: float, rates: list[float] | tuple[float, ...], region: str) -> tuple[list[costs.Row], str]:
    if not per_cpu:
        return [], "Without a rate that holds the goal there is nothing to count."
    try:
        kept = prices.kept(region)
    except prices.Unknown as exc:
        return costs.without_prices(per_cpu, rates), f"There is no money in this table: {exc}."
    arm = platform.machine().lower() in ("arm64", "aarch64")
    rows = costs.cheapest(per_cpu, kept.offers, arm, rates)
    return rows, f"The cheapest types of this machine's processor family. {kept.told}"


if __name__ == "__main__":
    sys.exit(main())
