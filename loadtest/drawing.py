"""Pictures as SVG, for a page that has the colours (report.py's style). The same input, the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 56, 26, 40
LINE_HEIGHT = 14


@dataclass(frozen=True)
class Line:
    """Points from left to right; an infinite y is drawn as a cross at the upper edge."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]


def latencies(lines: Sequence[Line], goal: float, goal_name: str, held: float) -> str:
    """Latency in ms, on a logarithmic scale, against requests a second; `held` is the highest rate within the goal."""
    points = [point for line in lines for point in line.points]
    finite = [y for _, y in points if math.isfinite(y) and y > 0]
    low, high = min([*finite, goal]) / 1.4, max([*finite, goal]) * 1.4
    most = max(x for x, _ in points) * 1.02

    def x_of(rate: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * rate / most

    def y_of(ms: float) -> float:
        share = (math.log(min(ms, high)) - math.log(low)) / (math.log(high) - math.log(low))
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    right = WIDTH - RIGHT
    drawn = [_rect("held", LEFT, TOP, x_of(held) - LEFT, HEIGHT - TOP - BOTTOM)]
    for ms in log_ticks(low, high):
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y_of(ms):.1f}" y2="{y_of(ms):.1f}"/>')
        drawn.append(_text(LEFT - 6, y_of(ms) + 4, f"{ms:g}", "end"))
    for rate in ticks(most):
        drawn.append(_text(x_of(rate), HEIGHT - BOTTOM + 16, f"{rate:,g}", "middle"))
    drawn.append(f'<line class="goal" x1="{LEFT}" x2="{right}" y1="{y_of(goal):.1f}" y2="{y_of(goal):.1f}"/>')
    drawn.append(_text(LEFT + 4, y_of(goal) - 5, goal_name, "start", "goal"))
    for line in lines:
        drawn += _drawn(line, x_of, y_of)
    ends = sorted(lines, key=lambda line: (y_of(line.points[-1][1]), -lines.index(line)))
    for line, y in zip(ends, apart([y_of(line.points[-1][1]) for line in ends]), strict=True):
        drawn.append(_text(right + 8, y + 4, line.name, "start", line.style))
    drawn.append(_text(LEFT - 38, 14, "ms", "start"))
    drawn.append(_text((LEFT + right) / 2, HEIGHT - 6, "requests a second", "middle"))
    return _svg(drawn, HEIGHT, "Latency against requests a second; the table below has the figures")


def _drawn(line: Line, x_of: object, y_of: object) -> list[str]:
    assert callable(x_of)
    assert callable(y_of)
    places = [(x_of(x), y_of(y), math.isfinite(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    drawn = [f'<polyline class="line {line.style}" points="{path}"/>']
    for x, y, there in places:
        if there:
            drawn.append(f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        else:
            drawn.append(f'<path class="line {line.style}" d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"/>')
    return drawn


def shares(rows: Sequence[tuple[str, Sequence[float], str]], styles: Sequence[str]) -> str:
    """A bar for each row (its name, the parts, what stands at its end), each as wide as the others."""
    height, left, right = 24, 74, WIDTH - 70
    drawn = []
    for number, (name, parts, total) in enumerate(rows):
        y, x = number * height, float(left)
        drawn.append(_text(left - 8, y + 16, name, "end"))
        for part, style in zip(parts, styles, strict=True):
            width = (right - left) * part / sum(parts)
            drawn.append(_rect(style, x, y + 3, width, height - 6))
            x += width
        drawn.append(_text(right + 8, y + 16, total, "start"))
    return _svg(drawn, height * len(rows), "Where the time of a request goes, for each rate; the table has the figures")


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten; only the powers where those were too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if high / low < 2000 else (1,)
    return [float(f"{d}e{p}") for p in powers for d in digits if low <= float(f"{d}e{p}") <= high]


def ticks(most: float, wanted: int = 5) -> list[float]:
    """Round numbers from 0 to `most`, about as many as wanted."""
    rough = most / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * digit for digit in (1, 2, 5, 10)), key=lambda each: abs(each - rough))
    return [n * step for n in range(int(most / step) + 1)]


def apart(places: Sequence[float]) -> list[float]:
    """The same places, from top to bottom, moved down where two would cover each other."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + LINE_HEIGHT) if moved else place)
    over = max(0.0, moved[-1] - (HEIGHT - BOTTOM)) if moved else 0.0
    return [place - over for place in moved]


def _rect(style: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(drawn: Sequence[str], height: int, what: str) -> str:
    inner = "\n".join(drawn)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(what)}">\n{inner}\n</svg>'
