"""What this kit sets out to reach, and whether this run did."""

from __future__ import annotations

from results import Results, middle, number

TIMES = (
    # what, model, measure, rows, clients, times as good as the classic design, times as good as the best peer
    ("RandomForest, requests/s", "rf", "rps", 1, 64, 120, 15),
    ("LogisticRegression, requests/s", "lr", "rps", 1, 64, 40, 5),
    ("HistGradientBoosting, requests/s", "hgb", "rps", 1, 64, None, 8),
    ("pipeline on named, mixed columns, requests/s", "mixed", "rps", 1, 64, 40, None),
    ("RandomForest, 100 rows a request, requests/s", "rf", "rps", 100, 64, 10, None),
    ("RandomForest, 10 000 rows, 1 client, p50 ms", "rf", "p50_ms", 10_000, 1, 3, None),
    ("LogisticRegression, 10 000 rows, 1 client, p50 ms", "lr", "p50_ms", 10_000, 1, 3, 1.5),
)
AT_MOST = (
    # what, table, key after the contender, measure, limit
    ("RandomForest, 1 client, p50 ms", "loads", ("rf", 1, "own", 1), "p50_ms", 0.25),
    ("RandomForest, p99 ms", "loads", ("rf", 1, "own", 64), "p99_ms", 10),
    ("/ping p99 then, ms", "loads", ("rf", 1, "own", 64), "ping_p99_ms", 20),
    ("/ping p99 while all workers compute, ms", "waits", ("slow",), "ping_p99_ms", 20),
    ("/ping p99 while all hold the interpreter's lock, ms", "waits", ("holding",), "ping_p99_ms", 20),
    ("memory of two workers, RandomForest, MB", "starts", ("rf",), "pss_mb", 90),
    ("start to the first answer, RandomForest, s", "starts", ("rf",), "cold_start_s", 0.6),
)
GOODPUT, GROWTH = 0.95, 1.1
OWN_METHODS = 30
"""Times the classic design's requests, where `transformation` keeps the model's program from being used."""


def rows(results: Results) -> list[list[str]]:
    """One row of 64 clients and one CSV row a request, unless said: goal, classic, best peer, this kit, reached."""
    return [*_times(results), *_own_methods(results), *_at_most(results), *_overload(results)]


def _times(results: Results) -> list[list[str]]:
    found = []
    for what, model, measure, size, clients, of_classic, of_peer in TIMES:
        every = {n: middle(results.load(n, model, size, clients), measure) for n in ("ours", "classic", *results.peers)}
        if every["ours"] is None:
            continue
        peer = _best(results, every, least=measure != "rps")

        def gain(other: float, ours: float = every["ours"], least: bool = measure != "rps") -> float:
            return other / ours if least else ours / other

        wanted = [(of_classic, every["classic"], "classic"), (of_peer, peer and every[peer], "the best peer")]
        goal = " and ".join(f"{times} × {name}" for times, _, name in wanted if times)
        gains = [(gain(value), times) for times, value, _ in wanted if times and value]
        reached = ", ".join(f"{number(gained)} ×" for gained, _ in gains)
        kept = "yes" if all(gained >= times for gained, times in gains) else "**no**"
        complete = len(gains) == sum(times is not None for times, _, _ in wanted)
        said = f"{kept} ({reached})" if complete else "not all was measured"
        found.append([what, goal, *_shown(results, every, peer), said])
    return found


def _own_methods(results: Results) -> list[list[str]]:
    """RandomForest answered by scikit-learn's own methods, in batches."""
    steps = {(row["step"], row["model"], row["clients"]): row for row in results.steps}
    ours = middle(steps.get(("without fast paths", "rf", 64), {}), "rps")
    classic = middle(results.load("classic", "rf", 1, 64), "rps")
    if ours is None or classic is None:
        return []
    gained = ours / classic
    said = f"{'yes' if gained >= OWN_METHODS else '**no**'} ({number(gained)} ×)"
    what = "RandomForest without a program (MODEL_SERVER_FAST_PATHS=off), requests/s"
    return [[what, f"{OWN_METHODS} × classic", number(classic), "", number(ours), said]]


def _at_most(results: Results) -> list[list[str]]:
    found = []
    for what, name, key, measure, limit in AT_MOST:
        every = {n: middle(getattr(results, name).get((n, *key), {}), measure) for n in results.titles}
        every = {n: value for n, value in every.items() if n in ("ours", "classic", *results.peers)}
        if every["ours"] is not None:
            shown = _shown(results, every, _best(results, every, least=True))
            found.append([what, f"≤ {limit}", *shown, "yes" if every["ours"] <= limit else "**no**"])
    return found


def _overload(results: Results) -> list[list[str]]:
    found = []
    for row in results.overload:
        share = middle(row, "goodput_rps") / middle(row, "capacity_rps")
        latest, timeout = middle(row, "answered_s"), middle(row, "timeout_s")
        growth = middle(row, "after_mb") / middle(row, "before_mb")
        for what, goal, value, kept in (
            ("goodput at four times the capacity", f"≥ {GOODPUT:.0%} of it", f"{share:.0%}", share >= GOODPUT),
            ("latest prediction then, s", f"≤ the timeout, {number(timeout)}", number(latest), latest <= timeout),
            ("memory then, of what it was", f"≤ {GROWTH:.0%}", f"{growth:.0%}", growth <= GROWTH),
        ):
            found.append([what, goal, "", "", value, "yes" if kept else "**no**"])
    return found


def _best(results: Results, every: dict[str, float | None], least: bool) -> str | None:
    measured = [name for name in results.peers if every.get(name) is not None]
    return (min if least else max)(measured, key=lambda name: every[name], default=None)


def _shown(results: Results, every: dict[str, float | None], peer: str | None) -> list[str]:
    classic = number(every["classic"]) if every.get("classic") is not None else ""
    best = f"{number(every[peer])} ({results.titles[peer]})" if peer else ""
    return [classic, best, number(every["ours"])]
