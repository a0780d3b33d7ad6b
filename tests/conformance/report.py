"""The table at the end: clause, outcome, what to do about each fail. In the terminal, Markdown, HTML and JSON.

python -m conformance.report ours=ours.json classic=classic.json     compares tables (Markdown; run it in tests/)
"""

from __future__ import annotations

import html
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

PASS, FAIL, NOT_OFFERED = "pass", "fail", "not offered"
OUTCOMES = {"passed": PASS, "failed": FAIL, "skipped": NOT_OFFERED}
ORDER = [
    "start_and_stop",
    "ping",
    "invocations",
    "media_types",
    "errors",
    "limits",
    "connections",
    "headers",
    "file_system",
    "batch",
    "multi_model",
    "streaming",
    "ports",
    "metrics",
    "training",
    "image",
]
"""The chapters, in the order of the table."""


@dataclass
class Row:
    chapter: str
    name: str
    clause: str
    source: str
    outcome: str
    seen: str = ""
    remedy: str = ""
    seconds: float = 0.0


def split(docstring: str | None) -> tuple[str, str]:
    """`A sentence. [page]` → the sentence and the page it comes from."""
    text = " ".join((docstring or "").split())
    sentence, _, source = text.rpartition(" [")
    return sentence, source.rstrip("]")


class Table:
    """A pytest plugin that collects the outcomes and prints them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.rows: dict[str, Row] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: ORDER.index(c) if (c := _chapter(item)) in ORDER else len(ORDER))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
        result = yield
        known = self.rows.get(item.nodeid)
        if _chapter(item) in ORDER and (call.when == "call" or result.outcome != "passed"):
            if known is None or result.outcome == "failed":
                self.rows[item.nodeid] = self._row(item, call, result)
            elif call.when == "call":
                known.seconds = call.duration
        return result

    def _row(self, item: pytest.Item, call: pytest.CallInfo[None], result: pytest.TestReport) -> Row:
        clause, source = split(getattr(item.function, "__doc__", ""))  # type: ignore[attr-defined]
        outcome = OUTCOMES[result.outcome]
        remedy = item.get_closest_marker("remedy")
        return Row(
            _chapter(item), item.name, _with_parameter(clause, item), source, outcome,
            "" if call.excinfo is None else _first_line(str(call.excinfo.value)),
            remedy.args[0] if remedy and outcome == FAIL else "", call.duration,
        )  # fmt: skip

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.rows:
            return
        rows = list(self.rows.values())
        colours = {PASS: {"green": True}, FAIL: {"red": True, "bold": True}, NOT_OFFERED: {"yellow": True}}
        terminalreporter.section("conformance")
        chapter = ""
        for row in rows:
            if row.chapter != chapter:
                chapter = row.chapter
                terminalreporter.write_line(f"\n{chapter.replace('_', ' ')}")
            terminalreporter.write(f"  {row.outcome:<11}  ", **colours[row.outcome])
            terminalreporter.write_line(f"{row.clause} [{row.source}]")
            if row.outcome != PASS:
                terminalreporter.write_line(f"{'':15}seen: {row.seen}")
            if row.remedy:
                terminalreporter.write_line(f"{'':15}do:   {row.remedy}")
        terminalreporter.write_line(f"\n{counted(rows)}")
        title = str(
            next(self.config.getoption(o) for o in ("--image", "--program", "--url") if self.config.getoption(o))
        )
        for option, render in (("--report-html", as_html), ("--report-md", as_markdown), ("--report-json", as_json)):
            if path := self.config.getoption(option):
                Path(path).write_text(render(title, rows), encoding="utf-8")
                terminalreporter.write_line(f"written: {path}")


def counted(rows: list[Row]) -> str:
    counts = Counter(row.outcome for row in rows)
    seconds = sum(row.seconds for row in rows)
    outcomes = ", ".join(f"{counts[outcome]} {outcome}" for outcome in (PASS, FAIL, NOT_OFFERED))
    return f"{len(rows)} clauses: {outcomes} ({seconds:.0f} s)"


def as_json(title: str, rows: list[Row]) -> str:
    return json.dumps({"target": title, "rows": [asdict(row) for row in rows]}, indent=1, ensure_ascii=False) + "\n"


def as_markdown(title: str, rows: list[Row]) -> str:
    lines = [f"# {title}", "", counted(rows), "", "| clause | outcome | what to do |", "|---|---|---|"]
    for row in rows:
        advice = f"{row.remedy} Seen: `{_cell(row.seen)}`" if row.outcome == FAIL else _cell(row.seen)
        lines.append(f"| {_cell(row.clause)} | {_bold(row.outcome)} | {advice} |")
    return "\n".join(lines) + "\n"


def as_html(title: str, rows: list[Row]) -> str:
    """One file, no script, no address outside it."""
    body, chapter = [], ""
    for row in rows:
        if row.chapter != chapter:
            chapter = row.chapter
            body.append(f'<tr><th colspan="3" scope="rowgroup">{html.escape(chapter.replace("_", " "))}</th></tr>')
        advice = html.escape(row.remedy) + (f"<br><code>{html.escape(row.seen)}</code>" if row.seen else "")
        body.append(
            f"<tr><td>{html.escape(row.clause)} <small>{html.escape(row.source)}</small></td>"
            f'<td class="{row.outcome.replace(" ", "-")}">{row.outcome}</td><td>{advice}</td></tr>'
        )
    return (
        PAGE.replace("{title}", html.escape(title)).replace("{count}", counted(rows)).replace("{rows}", "\n".join(body))
    )


def compared(tables: dict[str, list[Row]]) -> str:
    """Markdown: how many of each chapter's clauses pass on each target, then the clauses on which they differ."""
    names = list(tables)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    chapters = [c for c in ORDER if any(row.chapter == c for rows in tables.values() for row in rows)]
    for chapter in [*chapters, None]:
        cells = []
        for rows in tables.values():
            counts = Counter(row.outcome for row in rows if chapter in (None, row.chapter))
            text = f"{counts[PASS]} pass"
            text += f", **{counts[FAIL]} fail**" if counts[FAIL] else ""
            text += f", {counts[NOT_OFFERED]} not offered" if counts[NOT_OFFERED] else ""
            cells.append(text)
        label = "**all**" if chapter is None else chapter.replace("_", " ")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += ["", "| the clauses on which they differ | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    by_name = {name: {(row.chapter, row.name): row for row in rows} for name, rows in tables.items()}
    keys = list(dict.fromkeys(key for rows in by_name.values() for key in rows))
    for key in sorted(keys, key=lambda key: ORDER.index(key[0])):
        found = [rows.get(key) for rows in by_name.values()]
        outcomes = [row.outcome if row else "not asked" for row in found]
        if len(set(outcomes)) > 1:
            clause = next(row.clause for row in found if row)
            lines.append(f"| {_cell(clause)} | " + " | ".join(_bold(outcome) for outcome in outcomes) + " |")
    return "\n".join(lines) + "\n"


def _chapter(item: pytest.Item) -> str:
    return item.path.stem.removeprefix("test_")


def _with_parameter(clause: str, item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return f"{clause} ({callspec.id})" if callspec else clause


def _first_line(text: str) -> str:
    line = text.removeprefix("Skipped: ").strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 400 else line[:400] + "…"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")


def _bold(outcome: str) -> str:
    return f"**{outcome}**" if outcome == FAIL else outcome


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>SageMaker conformance of {title}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: #1b1f24; background: #fff; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border-bottom: 1px solid #d8dee4; } th { padding-top: 1.2rem; }
small, code { color: #57606a; overflow-wrap: anywhere; }
.pass { color: #116329; }
.fail { color: #b91c1c; font-weight: 700; } .not-offered { color: #6e5a00; } td + td { min-width: 6rem; }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117; } td, th { border-color: #30363d; }
  small, code { color: #9da7b1; } .pass { color: #56d364; } .fail { color: #ff7b72; } .not-offered { color: #e3b341; } }
</style></head><body>
<h1>SageMaker conformance of {title}</h1>
<p>{count}</p>
<table><tbody>
{rows}
</tbody></table>
</body></html>
"""


if __name__ == "__main__":
    pairs = [argument.split("=", 1) for argument in sys.argv[1:]]
    loaded = {name: [Row(**row) for row in json.loads(Path(path).read_text())["rows"]] for name, path in pairs}
    print(compared(loaded), end="")
