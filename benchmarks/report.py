"""Makes RESULTS.md, plots/ and a table in docs/performance.md from results.json: python report.py RESULTS.JSON

RESULTS.md and plots/ lie beside the file. The table in docs/performance.md is made from benchmarks/results.json only,
and only if the run may be quoted.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import goals
import plots
from results import MODELS, Results, cell, middle, table

HERE = Path(__file__).resolve().parent
PAGE, MARKS = HERE.parent / "docs/performance.md", ("<!-- made by make bench -->\n", "<!-- end -->")


def text(results: Results) -> str:
    parts = ["# What was measured\n", *head(results)]
    for title, body in (
        ("Goals", verdict(results)),
        *((title[0].upper() + title[1:], comparison(results, model)) for model, title in MODELS.items()),
        ("Larger requests, and JSON", other_requests(results)),
        ("What each step gives", steps(results)),
        ("/ping while every worker computes", waits(results)),
        ("Overload", overload(results)),
        ("Growth", growth(results)),
        ("Sizes", sizes(results)),
        ("Left out", left_out(results)),
    ):
        if body:
            parts += [f"## {title}\n", body]
    return "\n".join(parts)


def head(results: Results) -> list[str]:
    facts = results.facts
    versions = ", ".join(f"{package} {number}" for package, number in facts["versions"].items())
    short = max(1, facts["seconds_per_round"] // 2)
    lines = [
        f"{machine(results)}, Python {facts['python']}, commit {facts['commit']}; {versions}.\n",
        f"Up to {facts['rounds']} interleaved rounds (MLflow, Ray Serve and nginx: 1; most peers: 2) of "
        f"{facts['seconds_per_round']} s, with one client and one row {short} s: medians, in brackets the lowest and "
        "highest round. Two workers each (MLServer: one process unless said); wrk runs on the same CPUs. Memory is the "
        "proportional share (PSS) of all processes, after the load. Every answer was compared with the model's own "
        "before the load, and a sample of them during it. wrk counts only what was answered within a round: a latency "
        "near its length is a lower bound. Made by `make bench`; the raw figures are in results.json.\n",
    ]
    return lines + ([f"**Not figures to quote**: {results.doubts}.\n"] if results.doubts else [])


def machine(results: Results) -> str:
    return f"{results.facts['date']}, {results.facts['cpus']} CPUs ({results.facts['cpu']})"


def verdict(results: Results) -> str:
    rows = goals.rows(results)
    said = "64 clients and one row of CSV a request, unless said. What this kit sets out to reach:\n\n"
    return said + table(["", "goal", "classic", "best peer", "this kit", "reached"], rows) if rows else ""


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


def steps(results: Results) -> str:
    """The ablation: this kit with one step taken back at a time."""
    found = {(row["step"], row["model"], row["clients"]): row for row in results.steps}
    rows = []
    for step, model in dict.fromkeys((row["step"], row["model"]) for row in results.steps):
        one, many = found.get((step, model, 1), {}), found.get((step, model, 64), {})
        whole = middle(found.get(("as it is", model, 64), {}), "rps")
        share = f"{middle(many, 'rps') / whole:.0%}" if whole and middle(many, "rps") else ""
        rows.append(
            [f"{MODELS[model]}, {step}", cell(many, "rps", True), share, cell(many, "p99_ms"), cell(one, "p50_ms"),
             cell(many, "pss_mb"), cell(many, "cold_start_s")]
        )  # fmt: skip
    heads = ["this kit", "requests/s, 64 clients", "of it as it is", "p99 ms, 64 clients", "p50 ms, 1 client"]
    return table([*heads, "memory MB", "first answer s"], rows) if rows else ""


def waits(results: Results) -> str:
    kinds = {"slow": "a model that computes 3 s a call", "holding": "the same, holding the interpreter's lock"}
    rows = [
        [f"{results.titles[name]}: {kinds[model]}", *(cell(row, f"ping_{n}_ms") for n in ("p50", "p99", "max")),
         f"{cell(row, 'pings_failed') or 0} of {cell(row, 'pings')}"]
        for (name, model), row in results.waits.items()
    ]  # fmt: skip
    heads = ["64 clients", "/ping p50 ms", "p99 ms", "max ms", "without an answer in 10 s"]
    return table(heads, rows) if rows else ""


def overload(results: Results) -> str:
    said = "Requests at a fixed pace of four times the capacity, for a model that computes 20 ms a row.\n\n"
    names = ("capacity_rps", "offered_rps", "goodput_rps", "answered_s", "refused", "other", "before_mb", "after_mb")
    rows = [
        [f"{results.titles[row['contender']]}, {cell(row, 'seconds')} s, timeout {cell(row, 'timeout_s')} s"]
        + [cell(row, name) for name in names]
        for row in results.overload
    ]
    heads = ["", "capacity, requests/s", "sent/s", "predictions/s", "latest prediction s", "503 at once"]
    return said + table([*heads, "other", "memory before MB", "after MB"], rows) if rows else ""


def growth(results: Results) -> str:
    said = "RandomForest; 1 row a request unless rows vary; 8 clients when they do, 64 when workers do.\n\n"
    rows = [
        [f"{row['to']} {row['of']}", *(cell(row, n) for n in ("rps", "p50_ms", "p99_ms", "ping_p99_ms", "ping_max_ms"))]
        for row in results.growth
    ]
    heads = ["this kit with", "requests/s", "p50 ms", "p99 ms", "/ping p99 ms", "/ping max ms"]
    return said + table(heads, rows) + "\n\n![growth](plots/growth.svg)" if rows else ""


def sizes(results: Results) -> str:
    facts = results.facts
    environments, images = facts["environment_mb"], facts["image_mb"]
    rows = [[results.titles[name], str(size), str(images.get(name, ""))] for name, size in environments.items()]
    base = f" {images['base']} MB of an image are its base's." if "base" in images and len(images) > 1 else ""
    return f"The installed packages of each, MB.{base}\n\n" + table(["", "packages MB", "image MB"], rows)


def left_out(results: Results) -> str:
    by_design = (
        "By design: HistGradientBoosting but for the batching peers and FastAPI; the pipeline but for the classic "
        "design and FastAPI, since the others' usual protocols carry arrays of one type; 100 rows a request but for "
        "RandomForest and 10 000 but for LogisticRegression, with the peers; rows with missing values but for the "
        "classic design; JSON but for this kit and RandomForest (it is what the peers speak anyway)."
    )
    lines = [by_design, *(f"{who}: {why}" for who, why in results.problems.items())]
    if late := results.facts["left_for_time"]:
        lines.append(f"For want of time: {', '.join(late)}")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def headline(results: Results) -> str:
    """What docs/performance.md shows."""
    rows = []
    for name in results.contenders("rf"):
        rf, lr, start = results.load(name, "rf"), results.load(name, "lr"), results.starts.get((name, "rf"), {})
        if name != "nginx":
            one = results.load(name, "rf", clients=1)
            figures = [cell(rf, "rps"), cell(rf, "p99_ms"), cell(one, "p50_ms"), cell(lr, "rps")]
            rows.append([results.titles[name], *figures, cell(start, "pss_mb"), cell(start, "cold_start_s")])
    heads = ["", "forest, requests/s", "p99 ms", "1 client, p50 ms", "logistic regression, requests/s"]
    return (
        f"{machine(results)}, 64 clients on the same CPUs, one row of 30 numbers a request, two workers each:\n\n"
        + table([*heads, "memory MB", "first answer s"], rows)
    )


def into_page(results: Results) -> None:
    page = PAGE.read_text()
    between = re.compile(f"(?<={MARKS[0]}).*(?={MARKS[1]})", re.DOTALL)
    PAGE.write_text(between.sub(lambda _: headline(results), page))


def main() -> None:
    path = Path(sys.argv[1]).resolve()
    results = Results(path)
    (path.parent / "RESULTS.md").write_text(text(results))
    plots.write(results, path.parent / "plots")
    if path == HERE / "results.json" and results.contenders("rf") and results.peers and not results.doubts:
        into_page(results)
    print(f"\n{text(results)}\nwrote {path.parent}/RESULTS.md and plots/")


if __name__ == "__main__":
    main()
