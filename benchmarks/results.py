"""results.json as the report reads it: medians of the rounds, and how figures are written."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

MODELS = {
    "rf": "RandomForest of 100 trees",
    "lr": "LogisticRegression",
    "hgb": "HistGradientBoosting",
    "mixed": "a pipeline on named, mixed columns",
    "gaps": "HistGradientBoosting, rows with missing values",
}
CELL = ("contender", "model", "rows", "kind", "clients")
NO_PEERS = ("ours", "classic", "nginx")
SHORT = 2
"""Rounds of fewer seconds are too short for figures to be quoted."""


class Results:
    def __init__(self, path: Path) -> None:
        data = json.loads(path.read_text())
        self.facts, self.problems = data["facts"], data["problems"]
        self.titles: dict[str, str] = self.facts["titles"]
        self.growth, self.overload, self.steps = data["growth"], data["overload"], data["steps"]
        self.loads = {tuple(row[name] for name in CELL): row for row in data["loads"]}
        self.starts = {(row["contender"], row["model"]): row for row in data["starts"]}
        self.waits = {(row["contender"], row["model"]): row for row in data["waits"]}
        self.peers = [n for n in self.titles if n not in NO_PEERS and not n.startswith("in-process")]

    def load(self, contender: str, model: str, rows: int = 1, clients: int = 64, kind: str = "own") -> dict:
        return self.loads.get((contender, model, rows, kind, clients), {})

    def contenders(self, model: str, rows: int = 1, clients: int = 64, kind: str = "own") -> list[str]:
        """Those measured in this cell, in the order of the titles."""
        return [name for name in self.titles if self.load(name, model, rows, clients, kind)]

    @property
    def doubts(self) -> str:
        """Why the figures are not to be quoted; empty if they are."""
        facts = self.facts
        found = [
            facts["seconds_per_round"] < SHORT and f"rounds of {facts['seconds_per_round']} s",
            facts["load_average_before"] > 1 and f"a load average of {facts['load_average_before']} before the run",
            not facts["finished"] and "the run was not finished",
        ]
        return ", ".join(filter(None, found))


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
