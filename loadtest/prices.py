"""The hourly prices of SageMaker's instances, from AWS's own Price List; kept in a dated file, never guessed.

    python -m loadtest.prices REGION…        (`make prices REGION=eu-west-1`)

fetches the public price list of a region, which needs no credentials, and keeps what is needed of it in
loadtest/prices/REGION.json. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOM = Path(__file__).resolve().parent / "prices"
URL = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonSageMaker/current/{region}/index.json"
"""The same in all regions; AWS documents it under "Getting price list files manually"."""
USES = {"endpoint": "Host:", "async": "AsyncInf:", "training": "Train:", "transform": "Tsform:"}
"""How each use is spelled in a usage type: `USE1-Host:ml.m5.large`; in us-east-1 the region may be left out."""
REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
OLD_DAYS = 90


class Unknown(Exception):
    """There are no prices; the message says why, and how to get them."""


@dataclass(frozen=True)
class Offer:
    """An instance type that endpoints can have: its CPUs, and US dollars an hour on demand."""

    instance_type: str
    cpus: int
    hourly: float


@dataclass(frozen=True)
class PriceList:
    """What a file in prices/ holds. `published` is AWS's date, `fetched` ours, both as ISO 8601."""

    region: str
    published: str
    fetched: str
    offers: tuple[Offer, ...]

    @property
    def told(self) -> str:
        """Where the prices are from, how old they are, and what is not in them."""
        days = (datetime.now(UTC) - datetime.fromisoformat(self.fetched)).days
        old = f" That was {days} days ago: make prices REGION={self.region} renews it." if days > OLD_DAYS else ""
        return (
            f"Prices: AWS's Price List for {self.region}, published {self.published[:10]}, fetched {self.fetched[:10]}."
            f"{old} They are on demand. Savings plans, data transfer, disks and taxes are not in them."
        )


def dollars(terms: dict[str, Any]) -> float | None:
    """US dollars an hour on demand, of the terms of one product; None where they have none."""
    for term in terms.values():
        for dimension in term["priceDimensions"].values():
            price = dimension["pricePerUnit"].get("USD")
            if price and dimension.get("unit", "Hrs").lower() in ("hrs", "hours", "hour"):
                return float(price)
    return None


def instance_type(usage_type: str, use: str = "endpoint") -> str:
    """The type that a usage type is for, or nothing when it is for another use."""
    found = re.fullmatch(rf"(?:[A-Z0-9]+-)?{re.escape(USES[use])}(ml\.[a-z0-9-]+\.[a-z0-9]+)", usage_type)
    return found[1] if found else ""


def offers(listed: dict[str, Any]) -> Iterator[Offer]:
    """From a price list file: what endpoints can have, with its price. A type with two prices has none."""
    found: dict[tuple[str, int], set[float]] = {}
    for sku, product in listed["products"].items():
        attributes = product["attributes"]
        name, cpus = instance_type(attributes.get("usagetype", "")), str(attributes.get("vCpu", ""))
        price = dollars(listed["terms"]["OnDemand"].get(sku, {})) if name and cpus.isdigit() else None
        if price:
            found.setdefault((name, int(cpus)), set()).add(price)
    for (name, number), prices in sorted(found.items()):
        if len(prices) == 1:
            yield Offer(name, number, prices.pop())


def fetch(region: str, url: str = URL) -> PriceList:
    """Raises Unknown where the list cannot be had or is not in the form that AWS documents."""
    if not REGION.fullmatch(region):
        raise Unknown(f"{region!r} is not a region: such as eu-west-1")
    if region.startswith("cn-"):
        raise Unknown(f"{region}: China has a price list of its own, in another currency, which is not read.")
    address = url.format(region=region)
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            listed = json.load(answer)
        found = tuple(offers(listed))
        published = str(listed["publicationDate"])
    except (OSError, ValueError) as exc:
        raise Unknown(f"the price list of {region} could not be fetched from {address}: {exc}") from None
    except (KeyError, TypeError, AttributeError) as exc:
        raise Unknown(f"{address} is not in the form of a price list: {exc!r}") from None
    if not found:
        raise Unknown(f"{address} has no price of an endpoint: is SageMaker in {region}?")
    return PriceList(region, published, datetime.now(UTC).isoformat(timespec="seconds"), found)


def keep(prices: PriceList, room: Path = ROOM) -> Path:
    """Writes the file at once and whole, so that an interrupt leaves the old one."""
    room.mkdir(exist_ok=True)
    path, beside = room / f"{prices.region}.json", room / f".{prices.region}.{os.getpid()}"
    try:
        beside.write_text(json.dumps(asdict(prices), indent=1) + "\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def kept(region: str = "", room: Path = ROOM) -> PriceList:
    """The file of a region; without a region the only one that is there. Raises Unknown."""
    files = [room / f"{region}.json"] if region else sorted(room.glob("[a-z]*.json"))
    files = [path for path in files if path.is_file()]
    if not files:
        which = f"no prices of {region}" if region else "no prices"
        raise Unknown(f"{which} were fetched: make prices REGION={region or 'eu-west-1, or yours'}")
    if len(files) > 1:
        names = ", ".join(path.stem for path in files)
        raise Unknown(f"prices of several regions were fetched: name one of {names} (--region)")
    try:
        data = json.loads(files[0].read_text())
        rows = tuple(Offer(str(r["instance_type"]), int(r["cpus"]), float(r["hourly"])) for r in data["offers"])
        datetime.fromisoformat(data["fetched"])
        return PriceList(data["region"], data["published"], data["fetched"], rows)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        why = f"{files[0]} cannot be read ({exc!r})"
        raise Unknown(f"{why}: fetch it again by make prices REGION={files[0].stem}") from None


def main(regions: Iterable[str]) -> int:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    names = list(regions)
    if not names or names[0] in ("-h", "--help"):
        print(__doc__ if names else "prices: name the region: make prices REGION=eu-west-1", file=sys.stderr)
        return 0 if names else 2
    for region in names:
        print(f"prices: fetching the price list of {region}; it has some megabytes", file=sys.stderr, flush=True)
        try:
            prices = fetch(region)
        except Unknown as exc:
            print(f"prices: {exc}", file=sys.stderr)
            return 1
        path = keep(prices)
        print(f"{len(prices.offers)} instance types, published {prices.published[:10]}: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
