"""loadtest/report.py, drawing.py, costs.py: what a person reads. The page is parsed, not looked at."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from math import inf
from xml.etree import ElementTree

import pytest

from loadtest import costs, drawing, inside
from loadtest.figures import Carried, Goal, Run, Step
from loadtest.inside import PARTS
from loadtest.measuring import Inside, Measured
from loadtest.prices import Offer
from loadtest.report import Report, Subject

VOID = {"meta", "br", "hr", "img", "input", "link"}
OFFERS = [
    Offer("ml.m5.large", 2, 0.12), Offer("ml.m5.xlarge", 4, 0.24), Offer("ml.c5.large", 2, 0.1),
    Offer("ml.c7g.large", 2, 0.05), Offer("ml.t2.medium", 2, 0.01), Offer("ml.g5.xlarge", 4, 0.01),
]  # fmt: skip


class Page(HTMLParser):
    """Fails where a tag is not closed in its place; keeps the words and the tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.words += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def step(rate: float, ms: float, errors: int = 0, clients: int = 0) -> Step:
    latencies = {50: ms / 3, 95: ms / 2, 99: ms}
    return Step([Run(rate, latencies, ms / 3, 1000, Counter({"status 503": errors} if errors else {}), 0.5)] * 2,
                clients, 0.0 if clients else rate)  # fmt: skip


def measured(**changes: object) -> Measured:
    seen = Measured(
        Goal(50), [step(400, 4, clients=1), step(900, 9, clients=4)],
        [step(100, 3), step(500, 8), step(800, 30), step(1000, inf, errors=300)],
        [Inside(100, dict(zip(PARTS, (0.5, 0.1, 0.3, 0.1), strict=True)))], 20_000, 2, 2, 2.0,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(seen, name, value)
    return seen


def subject(rows: list[costs.Row], money: str = "No money <here> & now.") -> Subject:
    return Subject("http://127.0.0.1:8080", "One CPU of this machine", Carried(500, 400, 600), ["About it."], rows,
                   money, ["The network."])  # fmt: skip


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    """Well-formed, with pictures, for light and dark, for a phone; nothing is loaded from anywhere, no script runs."""
    text = Report(measured(), subject(costs.cheapest(500, OFFERS, arm=False))).html()
    page = Page(text)
    assert page.tags["svg"] == 2
    assert not page.tags.keys() & {"script", "link", "img", "iframe", "object", "base"}
    assert not {name for name, _ in page.attributes} & {"src", "href", "srcset", "style"}
    assert not re.search(r"url\(|@import|//", text.replace("http://127.0.0.1:8080", ""))
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        drawn = ElementTree.fromstring(picture)
        assert drawn.attrib["aria-label"]
        for each in drawn.iter():
            for value in each.attrib.values():
                assert not re.search(r"\b(nan|inf)\b", value), value


def test_the_page_says_what_was_seen() -> None:
    """The verdict with its spread, the goal's line, errors, the parts of a request's time, what is not known."""
    page = Page(Report(measured(), subject([])).html())
    assert "One CPU of this machine carries 500 requests a second with p99 ≤ 50 ms (from 400 to 600 in 2 repeats)." in (
        page.words
    )
    assert "The network." in page.words
    assert "600 × status 503" in page.words
    assert "No money <here> & now." in page.words
    assert ["100", "0.5", "0.1", "0.3", "0.1"] in page.rows
    classes = [value for name, value in page.attributes if name == "class"]
    assert {"goal", "line p50", "line p95", "line p99", "held"} <= set(classes)


def test_without_prices_the_table_has_no_money_in_it() -> None:
    rows = costs.without_prices(250)
    page = Page(Report(measured(), subject(rows, "No prices were fetched.")).html())
    table = [row for row in page.rows if len(row) == 4]
    assert ["1,000", "4", "any type", "2"] in table  # 1000 / (250 × 2 × a half)
    assert ["", "1", "any type", "8"] in table
    assert "$" not in page.words
    assert "$" not in "\n".join(costs.text(rows))


def test_with_prices_it_has_the_cheapest_that_fit() -> None:
    """Instances at half their load, dollars a month and for a million; no GPU, no burst, no other processor."""
    rows = costs.cheapest(100, OFFERS, arm=False, rates=[1000])
    assert [(row.instances, row.count) for row in rows] == [
        ("ml.c5.large", 10),
        ("ml.m5.xlarge", 5),
        ("ml.m5.large", 10),
    ]
    assert rows[0].month == pytest.approx(0.1 * 10 * 730)
    assert rows[0].million == pytest.approx(0.1 * 10 / 3.6)  # a million takes 1000 s
    assert [row.instances for row in costs.cheapest(100, OFFERS, arm=True, rates=[10])] == ["ml.c7g.large"]
    page = Page(Report(measured(), subject(rows)).html())
    assert ["1,000", "10", "ml.c5.large", "2", "730.00", "0.2778"] in page.rows
    assert "730.00" in "\n".join(costs.text(rows))


def test_who_is_the_limit_and_what_failed_is_said() -> None:
    text = Report(measured(ceiling=1100.0), subject([])).text()
    assert "The load is the limit" in text
    assert "failed" not in text
    failing = measured(open=[step(100, 3), step(500, 8, errors=2), step(1000, inf, errors=300)])
    assert "4 of 8,000 requests failed at loads that it carries" in Report(failing, subject([])).text()
    assert "The load is the limit" not in Report(failing, subject([])).text()


def test_a_time_that_is_too_short_for_the_goal_is_said() -> None:
    """Ten times the latency at least, so that a queue that grows shows itself."""
    assert "take 0.5 s" not in Report(measured(), subject([])).text()
    assert "tried for 0.2 s. For p99 ≤ 50 ms that is short" in Report(measured(seconds=0.2), subject([])).text()


def test_no_rate_that_holds_is_said() -> None:
    """With what a single client sees, and without a table."""
    slow = measured(goal=Goal(1))
    report = Report(slow, Subject("x", "One CPU", Carried(0, 0, 0), [], [], "Nothing to count.", []))
    assert "No rate was answered with p99 ≤ 1 ms. A single client that asks for one thing at a time sees p99 4 ms." in (
        report.text()
    )
    Page(report.html())


def test_a_step_without_answers_is_drawn() -> None:
    Page(Report(measured(open=[step(100, inf, 9), step(200, inf, 9)]), subject([])).html())


def test_names_at_the_lines_ends_do_not_cover_each_other() -> None:
    places = drawing.apart([100, 101, 102, 250])
    assert all(below - above >= drawing.LINE_HEIGHT for above, below in pairwise(places))
    assert max(drawing.apart([255, 256, 257])) <= drawing.HEIGHT - drawing.BOTTOM


@pytest.mark.parametrize(("most", "expected"), [(1000, [0, 200, 400, 600, 800, 1000]), (0.9, [0, 0.2, 0.4, 0.6, 0.8])])
def test_ticks_are_round(most: float, expected: list[float]) -> None:
    assert drawing.ticks(most) == pytest.approx(expected)


def test_where_the_time_goes_is_the_difference_of_two_looks() -> None:
    """Sums over all labels; the call's time is not larger than what the request had; what is left is outside."""
    before = inside.sums('model_server_request_duration_seconds_sum{model="a"} 1\n')
    after = inside.sums(
        "# HELP x y\n"
        'model_server_request_duration_seconds_sum{model="a"} 1.3\nmodel_server_request_duration_seconds_sum 0.1\n'
        "model_server_request_duration_seconds_count 200\n"
        "model_server_queue_duration_seconds_sum 0.1\nmodel_server_queue_duration_seconds_count 200\n"
        "model_server_prediction_duration_seconds_sum 0.05\nmodel_server_prediction_duration_seconds_count 50\n"
    )
    assert inside.parts(before, after, 3.0) == pytest.approx(dict(zip(PARTS, (1.0, 0.5, 1.0, 0.5), strict=True)))
    assert inside.parts(before, before, 3.0) is None
    assert inside.parts({}, {}, 3.0) is None
