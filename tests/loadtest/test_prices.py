"""loadtest/prices.py: AWS's price list, as its documentation shows it, from a server of this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from loadtest import prices
from loadtest.prices import Offer, PriceList, Unknown


def product(usage: str, cpus: str = "2", **attributes: str) -> dict[str, Any]:
    return {"productFamily": "ML Instance", "attributes": {"usagetype": usage, "vCpu": cpus, **attributes}}


def term(dollars: str, unit: str = "Hrs", currency: str = "USD") -> dict[str, Any]:
    return {"T": {"offerTermCode": "T", "priceDimensions": {"D": {"unit": unit, "pricePerUnit": {currency: dollars}}}}}


LIST = {
    "formatVersion": "v1.0",
    "offerCode": "AmazonSageMaker",
    "publicationDate": "2026-11-20T02:56:06Z",
    "products": {
        "A": product("EU-Host:ml.m5.large"),
        "B": product("EU-Train:ml.m5.large"),
        "C": product("EU-Host:ml.c5.xlarge", "4"),
        "D": product("EU-Host:VolumeUsage.gp2", "N/A"),
        "E": product("EU-Host:ml.m4.large"),
        "F": product("EU-Host:ml.m4.large"),
        "G": product("EU-Host:ml.old.large"),
        "H": product("EU-Host:ml.free.large"),
        "I": {"productFamily": "ML Serverless", "attributes": {"usagetype": "EU-ServerlessInf:Mem-1GB"}},
    },
    "terms": {
        "OnDemand": {
            "A": term("0.1280000000"), "B": term("0.2"), "C": term("0.3"), "D": term("0.15", "GB-Mo"),
            "E": term("0.1"), "F": term("0.4"), "H": term("0.0000000000"), "I": term("0.00002", "seconds"),
        }
    },
}  # fmt: skip
"""Another use, two prices for one type, a type that is not sold any more, a price of zero: none of them is a price."""


@contextmanager
def listed(directory: Path, content: bytes | None, region: str = "eu-west-1") -> Iterator[str]:
    if content is not None:
        (directory / f"{region}.json").write_bytes(content)

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{{region}}.json"
    finally:
        server.shutdown()
        server.server_close()


def test_a_list_is_fetched_and_kept(tmp_path: Path) -> None:
    """Hosting prices with the CPUs of their types, dated; what is kept is read again as it was."""
    with listed(tmp_path, json.dumps(LIST).encode()) as url:
        found = prices.fetch("eu-west-1", url)
    assert found.offers == (Offer("ml.c5.xlarge", 4, 0.3), Offer("ml.m5.large", 2, 0.128))
    assert found.published == "2026-11-20T02:56:06Z"
    room = tmp_path / "prices"
    path = prices.keep(found, room)
    assert [each.name for each in room.iterdir()] == ["eu-west-1.json"]
    assert (path.name, prices.kept("eu-west-1", room), prices.kept("", room)) == ("eu-west-1.json", found, found)
    assert "published 2026-11-20" in found.told
    assert "days ago" not in found.told


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "could not be fetched"),
        (b"<html>", "could not be fetched"),
        (b"{}", "not in the form of a price list"),
        (b"[]", "not in the form of a price list"),
        (json.dumps({**LIST, "products": {"A": {}}}).encode(), "not in the form of a price list"),
        (json.dumps({**LIST, "products": {}}).encode(), "has no price of an endpoint"),
        (json.dumps({**LIST, "terms": {"OnDemand": {"A": term("9", currency="CNY")}}}).encode(), "has no price"),
    ],
    ids=["none", "no JSON", "empty", "a list", "no attributes", "no products", "another currency"],
)
def test_what_is_not_a_price_list_gives_no_price(tmp_path: Path, content: bytes | None, why: str) -> None:
    with listed(tmp_path, content) as url, pytest.raises(Unknown, match=why):
        prices.fetch("eu-west-1", url)


@pytest.mark.parametrize("region", ["", "Ireland", "../../etc", "eu-west-1/x", "cn-north-1"])
def test_what_is_not_a_region_of_the_list_is_refused(region: str) -> None:
    with pytest.raises(Unknown, match=r"not a region|China"):
        prices.fetch(region, "http://127.0.0.1:9/{region}")


def test_without_a_file_or_with_several_the_remedy_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unknown, match="make prices REGION=eu-west-1, or yours"):
        prices.kept("", tmp_path)
    with pytest.raises(Unknown, match="make prices REGION=eu-west-1"):
        prices.kept("eu-west-1", tmp_path)
    for region in ("eu-west-1", "us-east-1"):
        prices.keep(PriceList(region, "2026-11-20", datetime.now(UTC).isoformat(), ()), tmp_path)
    with pytest.raises(Unknown, match="name one of eu-west-1, us-east-1"):
        prices.kept("", tmp_path)
    (tmp_path / "eu-west-1.json").write_text('{"region": "eu-west-1"}')
    with pytest.raises(Unknown, match="fetch it again by make prices REGION=eu-west-1"):
        prices.kept("eu-west-1", tmp_path)


def test_old_prices_are_said_to_be_old() -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=100)).isoformat()
    assert "100 days ago: make prices REGION=eu-west-1" in PriceList("eu-west-1", "2026-01-01", long_ago, ()).told


@pytest.mark.parametrize(
    ("usage", "use", "expected"),
    [
        ("USE1-Host:ml.m5.large", "endpoint", "ml.m5.large"),
        ("Host:ml.m5.large", "endpoint", "ml.m5.large"),
        ("EU-Train:ml.m5.large", "endpoint", ""),
        ("EU-Train:ml.m5.large", "training", "ml.m5.large"),
        ("EU-Host:ml.p4d.24xlarge", "endpoint", "ml.p4d.24xlarge"),
        ("EU-HostX:ml.m5.large", "endpoint", ""),
        ("EU-Host:ml.m5.large-Flex", "endpoint", ""),
    ],
)
def test_a_usage_type_names_the_instance_type_and_its_use(usage: str, use: str, expected: str) -> None:
    assert prices.instance_type(usage, use) == expected


def test_wrong_uses_of_the_command_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert prices.main([]) == 2
    assert "REGION" in capsys.readouterr().err
    assert prices.main(["--help"]) == 0
    assert prices.main(["Ireland"]) == 1
    assert "such as eu-west-1" in capsys.readouterr().err
