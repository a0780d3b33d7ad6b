"""Makes RESULTS.md and plots/ of results.json: python report.py RESULTS.JSON (writes beside it)."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

MODELS = {
    "rf": "RandomForest of 100 trees",
    "lr": "LogisticRegression",
    "hgb": "HistGradientBoosting",
    "mixed": "a pipeline on named, mixed columns",
}
CELL = ("contender", "model", "rows", "kind", "clients")
SHORT = 2
"""Rounds of fewer seconds are too short for figures to be quoted."""


class Results:
    def __init__(self, path: Path) -> None:
        data = json.loads(path.read_text())
        self.facts, self.growth, self.problems = data["facts"], data["growth"], data["problems"]
        self.titles: dict[str, str] = self.facts["titles"]
        self.loads = {tuple(row[name] for name in CELL): row for row in data["loads"]}
        self.starts = {(r["contender"], r["model"]): r for r in data["starts"]}

    def load(self, contender: str, model: str, rows: int = 1, clients: int = 64, kind: str = "own") -> dict:
        return self.loads.get((contender, model, rows, kind, clients), {})

    def contenders(self, model: str, rows: int = 1, clients: int = 64, kind: str = "own") -> list[str]:
        """Those measured in this cell, in the order of the titles."""
        return [name for name in self.titles if self.load(name, model, rows, clients, kind)]


def middle(row: dict, name: str) -> float | None:
    return statistics.median(row[name]) if row.get(name) else None


def number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def cell(row: dict, name: str, spread: bool = False) -> str:
    """The median, and in brackets the lowest and highest round."""
    if (value := middle(row, name)) is None:
        return ""
    low, high = min(row[name]), max(row[name])
    return number(value) + (f" ({number(low)}–{number(high)})" if spread and len(row[name]) > 1 else "")


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def comparison(results: Results, model: str) -> str:
    """One row of CSV (or the contender's own form of it) a request."""
    heads = ["1 row a request", "requests/s, 1 client", "8 clients", "64 clients"]
    heads += ["p50 ms, 1 client", "p99 ms, 64 clients", "/ping p99 ms, 64 clients", "memory MB", "first answer s"]
    rows = []
    for name in results.contenders(model, clients=1):
        loads = {clients: results.load(name, model, clients=clients) for clients in (1, 8, 64)}
        start = results.starts.get((name, model), {})
        rows.append(
            [results.titles[name], *(cell(row, "rps", spread=clients == 64) for clients, row in loads.items()),
             cell(loads[1], "p50_ms"), cell(loads[64], "p99_ms", spread=True), cell(loads[64], "ping_p99_ms"),
             cell(start, "pss_mb"), cell(start, "cold_start_s")]
        )  # fmt: skip
    return table(heads, rows) if rows else ""


def other_requests(results: Results) -> str:
    """Larger requests and JSON."""
    kinds = (("100 rows, 64 clients", 100, 64, "own"), ("10 000 rows, 1 client", 10_000, 1, "own"),
             ("1 row of JSON, 64 clients", 1, 64, "json"))  # fmt: skip
    rows = [
        [f"{what}: {MODELS[model]}", results.titles[name],
         cell(row, "rps", True), cell(row, "p50_ms", True), cell(row, "p99_ms")]
        for what, size, clients, kind in kinds
        for model in MODELS
        for name in results.contenders(model, size, clients, kind)
        for row in [results.load(name, model, size, clients, kind)]
    ]  # fmt: skip
    return table(["request", "server", "requests/s", "p50 ms", "p99 ms"], rows) if rows else ""


def growth(results: Results) -> str:
    rows = [
        [f"{row['to']} {row['of']}", *(cell(row, n) for n in ("rps", "p50_ms", "p99_ms", "ping_p99_ms", "ping_max_ms"))]
        for row in results.growth
    ]
    heads = ["this kit with", "requests/s", "p50 ms", "p99 ms", "/ping p99 ms", "/ping max ms"]
    return table(heads, rows) if rows else ""


def text(results: Results) -> str:
    facts = results.facts
    machine = f"{facts['cpus']} CPUs ({facts['cpu']}), Python {facts['python']}"
    versions = ", ".join(f"{package} {number}" for package, number in facts.get("versions", {}).items())
    parts = [
        "# What was measured\n",
        f"{facts['date']}, commit {facts['commit']}, {machine}, {versions or 'no peers'}.\n",
        f"{facts['rounds']} interleaved rounds ({facts.get('peer_rounds', facts['rounds'])} for the peers) of "
        f"{facts['seconds_per_round']} s, with one client and one row {max(1, facts['seconds_per_round'] // 2)} s: "
        "medians, in brackets the lowest and highest "
        "round. Two workers each (MLServer: one process); wrk runs on the same CPUs. Memory is the proportional share "
        "(PSS) of all processes, after the load. Every answer was compared with the model's own before the load, and a "
        "sample of them during it. wrk counts only what was answered within a round: a latency near its length is a "
        "lower bound. Made by `make bench`; the raw figures are in results.json.\n",
    ]
    if not facts["finished"] or facts["seconds_per_round"] < SHORT or facts["load_average_before"] > 1:
        parts.append(
            f"**Not figures to quote**: rounds of {facts['seconds_per_round']} s, a load average of "
            f"{facts['load_average_before']} before the run" + (".\n" if facts["finished"] else ", not finished.\n")
        )
    for model, title in MODELS.items():
        if body := comparison(results, model):
            parts += [f"## {title[0].upper() + title[1:]}\n", body]
    if body := other_requests(results):
        parts += ["## Larger requests, and JSON\n", body]
    if body := growth(results):
        fixed = "RandomForest; 1 row a request unless rows vary; 8 clients when they do, 64 when workers do."
        parts += ["## Growth\n", fixed + "\n", body]
    if results.problems:
        parts += ["## Left out\n", *(f"- {who}: {why}" for who, why in results.problems.items()), ""]
    return "\n".join(parts)


def plot(path: Path, titles: list[str], draw: Callable, size: tuple[float, float] = (5.2, 4.2)) -> None:
    """One panel for each title; the first panel's legend holds for all."""
    figure, axes = plt.subplots(1, len(titles), figsize=(size[0] * len(titles), size[1]), squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
        draw(axis, title)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    if handles := axes[0][0].get_legend_handles_labels()[0]:
        figure.legend(handles=handles, loc="outside right center", fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def plots(results: Results, directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    plt.rcParams.update({"svg.hashsalt": "bench", "figure.constrained_layout.use": True, "font.size": 9})
    colours = {name: f"C{i % 10}" if name != "ours" else "black" for i, name in enumerate(results.titles)}
    shown = {title: model for model, title in MODELS.items() if model in ("rf", "lr") and results.contenders(model)}

    def against_clients(measure: str, label: str) -> Callable:
        def draw(axis, title: str) -> None:
            for name in results.contenders(shown[title]):
                found = {c: middle(results.load(name, shown[title], clients=c), measure) for c in (1, 8, 64)}
                found = {clients: value for clients, value in found.items() if value}
                style = {"color": colours[name], "linewidth": 2.5 if name == "ours" else 1.2, "markersize": 4}
                axis.plot([*found], [*found.values()], "o-", label=results.titles[name], **style)
            axis.set(xscale="log", yscale="log", xlabel="clients", ylabel=label)
            axis.set_xticks((1, 8, 64), (1, 8, 64))
            axis.minorticks_off()

        return draw

    def bars(measure: str, label: str) -> Callable:
        def draw(axis, title: str) -> None:
            every = {n: middle(results.starts.get((n, shown[title]), {}), measure) for n in reversed(results.titles)}
            names = [name for name, value in every.items() if value and name != "nginx"]
            values = [every[name] for name in names]
            drawn = axis.barh([results.titles[n] for n in names], values, color=[colours[n] for n in names])
            axis.bar_label(drawn, [number(value) for value in values], padding=3)
            axis.set(xlabel=label)

        return draw

    if shown:
        plot(directory / "throughput.svg", [*shown], against_clients("rps", "requests/s"))
        plot(directory / "p99.svg", [*shown], against_clients("p99_ms", "99th percentile, ms"))
        first = [*shown][:1]
        plot(directory / "memory.svg", first, bars("pss_mb", "proportional memory, MB"), (7, 3.2))
        plot(directory / "cold-start.svg", first, bars("cold_start_s", "seconds to the first answer"), (7, 3.2))
    if results.growth:

        def grown(axis, of: str) -> None:
            rows = [row for row in results.growth if row["of"] == of]
            scale = [row["to"] if of == "rows" else 1 for row in rows]
            ticks = [row["to"] for row in rows]
            rates = [middle(row, "rps") * factor for row, factor in zip(rows, scale, strict=True)]
            axis.plot(ticks, rates, "o-", color="black", label="rows/s")
            axis.set(xscale="log", yscale="log", xlabel=of, ylabel="rows/s")
            pings = axis.twinx()
            pings.plot(ticks, [middle(row, "ping_p99_ms") for row in rows], "s--", color="C3")
            pings.set_ylim(0)
            pings.set_ylabel("/ping, 99th percentile, ms", color="C3")
            axis.set_xticks(ticks, ticks)
            axis.minorticks_off()

        plot(directory / "growth.svg", ["clients", "rows", "workers"], grown)


def main() -> None:
    path = Path(sys.argv[1]).resolve()
    results = Results(path)
    (path.parent / "RESULTS.md").write_text(text(results))
    plots(results, path.parent / "plots")
    print(f"\n{text(results)}\nwrote {path.parent}/RESULTS.md and plots/")


if __name__ == "__main__":
    main()
