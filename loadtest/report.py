"""What was measured, for people: some lines of text, and one HTML page that needs nothing else."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from . import costs, drawing
from .figures import PERCENTILES, Carried, Step
from .inside import PARTS
from .measuring import Measured, clients, errors_told

STYLES = ("part-a", "part-b", "part-c", "part-d")
CSS = """
:root { color-scheme: light dark; --ink: #1b1b1f; --soft: #5c5f66; --page: #ffffff; --line: #d5d8de; --held: #eef6ee;
  --p50: #2b8a3e; --p95: #1864ab; --p99: #c2410c; --goal: #a61e4d;
  --a: #868e96; --b: #e8a33d; --c: #1c7ed6; --d: #7c56c9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9ecef; --soft: #a7adb5; --page: #17181b; --line: #3a3e45;
  --held: #1d2a20; --p50: #8ce99a; --p95: #74c0fc; --p99: #ffa94d; --goal: #faa2c1;
  --a: #868e96; --b: #f0b95f; --c: #4dabf7; --d: #b197fc; } }
body { margin: 0 auto; max-width: 44rem; padding: 1rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.35rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.big { font-size: 1.25rem; } .soft, li, summary { color: var(--soft); } .warn { border-left: 4px solid var(--goal);
  padding-left: .75rem; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--soft);
  paint-order: stroke; stroke: var(--page); stroke-width: 3px; }
@media (max-width: 30rem) { svg text { font-size: 14.5px; } }
.grid { stroke: var(--line); } .held { fill: var(--held); } .goal { stroke: var(--goal); stroke-dasharray: 5 4; }
svg text.goal { stroke: var(--page); stroke-dasharray: none; fill: var(--goal); } .line { fill: none; stroke-width: 2; }
.line.p50 { stroke: var(--p50); } .line.p95 { stroke: var(--p95); } .line.p99 { stroke: var(--p99); }
circle.p50, svg text.p50 { fill: var(--p50); } circle.p95, svg text.p95 { fill: var(--p95); }
circle.p99, svg text.p99 { fill: var(--p99); }
.part-a { fill: var(--a); background: var(--a); } .part-b { fill: var(--b); background: var(--b); }
.part-c { fill: var(--c); background: var(--c); } .part-d { fill: var(--d); background: var(--d); }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; list-style: none; }
.key span { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; font-weight: 600; color: var(--soft); }
td.text, th.text { text-align: left; } tr.first td { border-top: 2px solid var(--soft); }
"""


@dataclass(frozen=True)
class Subject:
    """What was measured, in words. `unit` carries `each`: "One CPU of this machine", "One ml.m5.large". `money` says
    where the prices are from, or how to get them."""

    name: str
    unit: str
    each: Carried
    about: Sequence[str]
    rows: Sequence[costs.Row]
    money: str
    unknown: Sequence[str]


@dataclass(frozen=True)
class Report:
    measured: Measured
    subject: Subject

    def text(self) -> str:
        """The end of a run, for a terminal."""
        measured, subject = self.measured, self.subject
        lines = [verdict(measured, subject), *warnings(measured), *subject.about]
        lines.append(f"The load's ceiling, against a constant answer: {number(measured.ceiling)} requests a second.")
        if subject.rows:
            lines += ["", "At half of that, so that the other half is for peaks:", *costs.text(subject.rows)]
        return "\n".join([*lines, subject.money])

    def data(self) -> dict[str, Any]:
        """For other tools. Requests a second that the unit carries; 0 where no rate holds the goal."""
        each = asdict(self.subject.each)
        return {"goal": str(self.measured.goal), **each, "load_is_the_limit": self.measured.senders_are_the_limit}

    def html(self) -> str:
        """The page. It loads nothing: pictures and style are in it."""
        measured, subject = self.measured, self.subject
        parts = [
            f"<h1>Load test of {escape(subject.name)}</h1>",
            f'<p class="big">{escape(verdict(measured, subject))}</p>',
            *(f'<p class="warn">{escape(each)}</p>' for each in warnings(measured)),
            "<h2>Latency against rate</h2>", _curve(measured),
            "<h2>Where the time goes</h2>", _inside(measured),
            "<h2>How many instances, and what they cost</h2>", _money(subject),
            "<h2>What this page does not know</h2>", _list(subject.unknown),
            "<h2>How it was measured</h2>", _list([*subject.about, _method(measured)]),
            f"<details><summary>All figures</summary>{_steps(measured)}</details>",
        ]  # fmt: skip
        head = (
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>Load test of {escape(subject.name)}</title><style>{CSS}</style>"
        )
        body = "\n".join(parts)
        return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def verdict(measured: Measured, subject: Subject) -> str:
    goal, each = measured.goal, subject.each
    if not each.rate:
        alone = measured.alone.ms(goal.percentile)
        return (
            f"No rate was answered with {goal}. A single client that asks for one thing at a time sees "
            f"p{goal.percentile} {number(alone)} ms."
        )
    repeats = len(measured.open[0].runs)
    spread = f" (from {number(each.low)} to {number(each.high)} in {repeats} repeats)" if repeats > 1 else ""
    return f"{subject.unit} carries {number(each.rate)} requests a second with {goal}{spread}."


def warnings(measured: Measured) -> list[str]:
    found = []
    if measured.senders_are_the_limit:
        found.append(
            f"The load is the limit: against a constant answer its processes reach {number(measured.ceiling)} requests "
            "a second on this machine, which is near what was measured. The server may carry more."
        )
    if measured.seconds < measured.goal.seconds:
        found.append(
            f"Each rate was tried for {measured.seconds:g} s. For {measured.goal} that is short, and a rate that the "
            f"server cannot keep up with may seem to hold: take {measured.goal.seconds:g} s."
        )
    steps = [*measured.closed, *(step for step in measured.open if step.rate <= measured.carried.rate)]
    if errors := sum(step.errors.total() for step in steps):
        total = sum(step.requests for step in steps)
        found.append(f"{errors:,} of {total:,} requests failed at loads that it carries. Details stand in the table.")
    return found


def write(path: Path, page: str) -> None:
    """At once and whole. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(page, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def number(value: float) -> str:
    """1,234 · 56.7 · 0.123, and — where there is none."""
    if not math.isfinite(value):
        return "—"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _curve(measured: Measured) -> str:
    goal = measured.goal
    lines = [
        drawing.Line(f"p{of}", f"p{of}", [(step.rate, step.ms(of)) for step in measured.open]) for of in PERCENTILES
    ]
    return (
        f"{drawing.latencies(lines, goal.ms, str(goal), measured.carried.rate)}"
        '<p class="soft">Requests come at a fixed rate, whether the server keeps up or not. A latency counts from the '
        "moment when its request was due. The scale is logarithmic; a cross means that too many got no answer.</p>"
    )


def _inside(measured: Measured) -> str:
    if not measured.inside:
        return '<p class="soft">Not known: the server showed no counters of its own.</p>'
    rows = [
        (f"{each.rate:,g}/s", list(each.parts.values()), f"{number(sum(each.parts.values()))} ms")
        for each in measured.inside
    ]
    keys = "".join(f'<li><span class="{s}"></span>{escape(name)}</li>' for name, s in zip(PARTS, STYLES, strict=True))
    head = ["requests a second", *(f"{part}, ms" for part in PARTS)]
    body = [[f"{each.rate:,g}", *(number(part) for part in each.parts.values())] for each in measured.inside]
    return (
        f'<ul class="key">{keys}</ul>{drawing.shares(rows, STYLES)}'
        '<p class="soft">Means of one round, from the server\'s own /metrics. Outside are the network, nginx, the '
        "kernel and the load itself, which shares this machine with the server.</p>"
        f"<details><summary>In figures</summary>{_table(head, body)}</details>"
    )


def _money(subject: Subject) -> str:
    if not subject.rows:
        return f'<p class="soft">{escape(subject.money)}</p>'
    priced = any(row.month is not None for row in subject.rows)
    head = ["requests/s", "how many", "of", "CPUs each"] + (["$ a month", "$ a million"] if priced else [])
    body, last = [], None
    for row in subject.rows:
        cells = [f"{row.rate:,g}" if row.rate != last else "", str(row.count), row.instances, str(row.cpus or "—")]
        if priced:
            known = row.month is not None and row.million is not None
            cells += [f"{row.month:,.2f}", f"{row.million:.4f}"] if known else ["unknown", "unknown"]
        body.append(cells)
        last = row.rate
    return (
        f'{_table(head, body, left="of")}<p class="soft">At half of what was measured: the other half is for peaks. '
        f"{escape(subject.money)}</p>"
    )


def _method(measured: Measured) -> str:
    step = measured.open[0]
    return (
        f"After a warm-up: {', '.join(str(each.clients) for each in measured.closed)} clients that ask when they have "
        f"their answer (closed loop), then {len(measured.open)} fixed rates (open loop), {len(step.runs)} times each. "
        f"Figures are medians. The load's ceiling against a constant answer is {number(measured.ceiling)} a second."
    )


def _steps(measured: Measured) -> str:
    head = ["load", "answers a second", "spread", *(f"p{of}, ms" for of in PERCENTILES), "requests", "errors"]

    def cells(name: str, step: Step) -> list[str]:
        figures = [number(step.ms(of)) for of in PERCENTILES]
        errors = errors_told(step.errors) or "0"
        return [name, number(step.per_second), f"{step.spread:.0%}", *figures, f"{step.requests:,}", errors]

    closed = [cells(clients(step.clients), step) for step in measured.closed]
    return _table(head, [*closed, *(cells(f"{step.rate:,g} a second", step) for step in measured.open)], left="load")


def _table(head: Sequence[str], body: Sequence[Sequence[str]], left: str = "") -> str:
    """Rows whose first cell is not empty begin a group. The column `left` has words."""
    styles = [' class="text"' if name == left else "" for name in head]
    top = "".join(f"<th{style}>{escape(name)}</th>" for name, style in zip(head, styles, strict=True))
    rows, grouped = [], not all(cells[0] for cells in body)
    for cells in body:
        inner = "".join(f"<td{style}>{escape(cell)}</td>" for cell, style in zip(cells, styles, strict=True))
        first = ' class="first"' if grouped and cells[0] else ""
        rows.append(f"<tr{first}>{inner}</tr>")
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
