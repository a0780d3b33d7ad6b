"""From what one CPU or one instance carries to instances and dollars. Prices come from a PriceList, never from here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .prices import Offer

SAFETY = 0.5
"""AWS's own factor: the other half of what was measured is for peaks."""
HOURS_A_MONTH = 730
RATES = (10.0, 100.0, 1000.0)
SIZES = (2, 4, 8)
CHEAPEST = 5
ACCELERATED = re.compile(r"ml\.(p|g|inf|trn|dl)\d")
BURSTS = re.compile(r"ml\.t\d")
"""Their CPUs are whole only for a time: what was measured for some minutes does not hold for a month."""


@dataclass(frozen=True)
class Row:
    """`count` instances carry `rate` requests a second at half their load. Dollars are None where there is no price;
    `million` is for a million requests that come at that rate."""

    rate: float
    instances: str
    cpus: int
    count: int
    month: float | None = None
    million: float | None = None


def is_arm(instance_type: str) -> bool:
    """Graviton: the family's number is followed by a g (m6g, c7gn), which a GPU's g5 or g4dn is not."""
    return re.match(r"ml\.[a-z]+\d+g[a-z]*\.", instance_type) is not None


def row(rate: float, per_instance: float, name: str, cpus: int, hourly: float | None) -> Row:
    count = max(1, math.ceil(rate / (per_instance * SAFETY)))
    if hourly is None:
        return Row(rate, name, cpus, count)
    return Row(rate, name, cpus, count, hourly * count * HOURS_A_MONTH, hourly * count / (rate * 3600) * 1e6)


def without_prices(per_cpu: float, rates: Iterable[float] = RATES) -> list[Row]:
    """By the number of an instance's CPUs."""
    return [row(rate, per_cpu * cpus, "any type", cpus, None) for rate in rates for cpus in SIZES]


def cheapest(per_cpu: float, offers: Sequence[Offer], arm: bool, rates: Iterable[float] = RATES) -> list[Row]:
    """For each rate the cheapest types of that processor, without accelerators and without types that burst."""
    fit = [
        offer for offer in offers
        if is_arm(offer.instance_type) == arm and not ACCELERATED.match(offer.instance_type)
        and not BURSTS.match(offer.instance_type)
    ]  # fmt: skip
    rows = []
    for rate in rates:
        all_of_them = [row(rate, per_cpu * o.cpus, o.instance_type, o.cpus, o.hourly) for o in fit]
        rows += sorted(all_of_them, key=lambda each: (each.month, each.count, each.instances))[:CHEAPEST]
    return rows


def text(rows: Sequence[Row]) -> list[str]:
    """The table for a terminal; without money where there is none."""
    priced = any(each.month is not None for each in rows)
    lines = [f"  {'requests/s':>10}  {'instances':<30}" + ("  $ a month  $ a million requests" if priced else "")]
    for each in rows:
        what = f"{each.count} × {each.instances}" + (f" ({each.cpus} CPUs)" if each.cpus else "")
        line = f"  {each.rate:10g}  {what:<30}"
        if priced:
            month, million = ("unknown",) * 2 if each.month is None else (f"{each.month:,.2f}", f"{each.million:.4f}")
            line += f"  {month:>9}  {million:>20}"
        lines.append(line)
    return [line.rstrip() for line in lines]
