"""Usage: python -m loadtest URL PAYLOAD --content-type TYPE [--p99 MS] …   (local-test/load-test.sh calls it)"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import re
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from . import costs, inside, prices, report
from .figures import Carried, Goal
from .measuring import LONGEST_SECONDS, Failed, Load, Measured, Target

UNKNOWN = (
    "The way of a request through SageMaker: its network, TLS and authentication come on top of these latencies.",
    "How fast the CPUs of an instance are. It is taken that each is as fast as one of the measured server. "
    "python -m deploy measure measures an endpoint.",
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
        here = target.host == "localhost" or target.host.startswith("127.")
        if others := busy() if here else "":
            said(others)
        goal = Goal(asked.p99)
        seconds = asked.seconds or min(max(2.0, goal.seconds), LONGEST_SECONDS)
        said(f"this takes up to {15 * seconds * asked.repeats + 20:.0f} s")
        load = Load(lambda: target, goal, seconds, asked.repeats, say=said, look=looks)
        measured = load.measure(*((asked.cpus or cpus_here(), cpus_here()) if here else (asked.cpus, 0)))
    except (Failed, OSError, http.client.HTTPException) as exc:
        return failed(str(exc) or type(exc).__name__)
    made = report.Report(measured, subject_of(asked, measured, len(body), others))
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
    parser.add_argument("--seconds", type=up_to(60), default=0.0)
    parser.add_argument("--repeats", type=count, default=3)
    parser.add_argument("--cpus", type=count, default=0)
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


def busy() -> str:
    """A word of warning where others use this machine; nothing where it is quiet, or cannot be asked."""
    load = os.getloadavg()[1] if hasattr(os, "getloadavg") else 0.0  # of five minutes: a run before hardly counts
    if load < cpus_here():
        return ""
    return (
        f"Other programs use this machine, so it carries less: its load average is {load:.1f} with {cpus_here()} CPUs."
    )


def subject_of(asked: argparse.Namespace, measured: Measured, size: int, others: str) -> report.Subject:
    seen, cpus = measured.carried, measured.of_the_server()
    each = Carried(seen.rate / cpus, seen.low / cpus, seen.high / cpus)
    rates: Sequence[float] = [asked.rate] if asked.rate else costs.RATES
    about = [
        f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}, {asked.url}, payload {Path(asked.payload).name} "
        f"({size:,} bytes, {asked.content_type})."
    ]
    if measured.machine:
        about.append(
            f"This machine has {measured.machine} CPUs ({platform.machine()}), of which the server may use "
            f"{measured.cpus}. The load ran on the same ones. At the rate that the server carried, {seen.rate:,g} a "
            f"second, the load used {measured.of_the_load:.2g} of them, and {cpus:.2g} are counted as the server's."
        )
    about += [others] if others else []
    if not measured.cpus:
        rows = [costs.row(rate, each.rate, "servers like this", 0, None) for rate in rates] if each.rate else []
        money = "How many CPUs the server has is not known: say so with --cpus, and the table counts instances."
        return report.Subject(asked.url, "The server", each, about, rows, money, UNKNOWN)
    rows, money = priced(each.rate, rates, asked.region)
    unit = "One CPU of this machine" if measured.machine else "One CPU of the server"
    return report.Subject(asked.url, unit, each, about, rows, money, UNKNOWN)


def priced(per_cpu: float, rates: Sequence[float], region: str) -> tuple[list[costs.Row], str]:
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
