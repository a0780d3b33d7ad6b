"""The plots, as SVG that can be read on light and on dark pages: no background, middle greys. The same input, the same
bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
from results import MODELS, Results, middle, number

matplotlib.use("svg")
import matplotlib.pyplot as plt

GREY, OURS, CLASSIC, PINGS = "#808080", "#e8590c", "#4c8bf5", "#2b9a66"
PEERS = ("#b07aa1", "#59a14f", "#c9a227", "#76b7b2", "#9c755f", "#e15759", "#8c8cff", "#d37295", "#6b9ac4", "#a0a0a0")
STYLE = {
    "svg.hashsalt": "bench", "svg.fonttype": "none", "savefig.transparent": True, "figure.constrained_layout.use": True,
    "font.size": 9, "font.family": "sans-serif", "text.color": GREY, "axes.labelcolor": GREY, "axes.edgecolor": GREY,
    "xtick.color": GREY, "ytick.color": GREY, "grid.color": GREY, "axes.titlecolor": GREY,
}  # fmt: skip


def write(results: Results, directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    plt.rcParams.update(STYLE)
    colours = dict(zip([n for n in results.titles if n not in ("ours", "classic")], PEERS * 2, strict=False))
    colours |= {"ours": OURS, "classic": CLASSIC}
    shown = {title: model for model, title in MODELS.items() if model in ("rf", "lr") and results.contenders(model)}
    if shown:
        for name, measure, label in (("throughput", "rps", "requests/s"), ("p99", "p99_ms", "99th percentile, ms")):
            _save(directory / f"{name}.svg", [*shown], _against_clients(results, shown, colours, measure, label))
        bars = ("memory", "pss_mb", "proportional memory, MB"), ("cold-start", "cold_start_s", "first answer after, s")
        for name, measure, label in bars:
            _save(directory / f"{name}.svg", [*shown][:1], _bars(results, shown, colours, measure, label), (7, 3.2))
    if results.growth:
        _save(directory / "growth.svg", ["clients", "rows", "workers"], _grown(results))


def _save(path: Path, titles: list[str], draw: Callable, size: tuple[float, float] = (5.2, 4.2)) -> None:
    """One panel for each title; the first panel's legend holds for all."""
    figure, axes = plt.subplots(1, len(titles), figsize=(size[0] * len(titles), size[1]), squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
        draw(axis, title)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    if handles := axes[0][0].get_legend_handles_labels()[0]:
        figure.legend(handles=handles[::-1], loc="outside right center", fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _against_clients(results: Results, shown: dict, colours: dict, measure: str, label: str) -> Callable:
    def draw(axis, title: str) -> None:
        for name in reversed(results.contenders(shown[title])):
            found = {c: middle(results.load(name, shown[title], clients=c), measure) for c in (1, 8, 64)}
            found = {clients: value for clients, value in found.items() if value}
            style = {"color": colours[name], "linewidth": 2.8 if name == "ours" else 1.4, "markersize": 4}
            axis.plot([*found], [*found.values()], "o-", label=results.titles[name], **style)
        axis.set(xscale="log", yscale="log", xlabel="clients", ylabel=label)
        axis.set_xticks((1, 8, 64), (1, 8, 64))
        axis.minorticks_off()
        axis.yaxis.set_major_formatter(lambda value, _: number(value))

    return draw


def _bars(results: Results, shown: dict, colours: dict, measure: str, label: str) -> Callable:
    def draw(axis, title: str) -> None:
        every = {n: middle(results.starts.get((n, shown[title]), {}), measure) for n in reversed(results.titles)}
        names = [name for name, value in every.items() if value and name != "nginx"]
        values = [every[name] for name in names]
        drawn = axis.barh([results.titles[n] for n in names], values, color=[colours[n] for n in names])
        axis.bar_label(drawn, [number(value) for value in values], padding=3)
        axis.set(xlabel=label)

    return draw


def _grown(results: Results) -> Callable:
    def draw(axis, of: str) -> None:
        rows = [row for row in results.growth if row["of"] == of]
        ticks = [row["to"] for row in rows]
        rates = [middle(row, "rps") * (row["to"] if of == "rows" else 1) for row in rows]
        axis.plot(ticks, rates, "o-", color=OURS)
        axis.set(xscale="log", xlabel=of, ylabel="rows/s")
        if of == "rows":
            axis.set_yscale("log")
        else:
            axis.set_ylim(0)
        axis.yaxis.label.set_color(OURS)
        pings = axis.twinx()
        pings.plot(ticks, [middle(row, "ping_p99_ms") for row in rows], "s--", color=PINGS)
        pings.set_ylim(0)
        pings.set_ylabel("/ping, 99th percentile, ms", color=PINGS)
        pings.spines[["top"]].set_visible(False)
        axis.set_xticks(ticks, ticks)
        axis.minorticks_off()

    return draw
