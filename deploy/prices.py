"""What it costs, from AWS's own Price List. A price that cannot be read is said to be unknown, never guessed."""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HOURS_A_MONTH = 730
PAGE = "https://aws.amazon.com/sagemaker/ai/pricing/"
USES = {"endpoint": "Host:", "async": "AsyncInf:", "training": "Train:", "transform": "Tsform:"}
"""How each use is spelled in a usage type: `USE1-Host:ml.m5.large`; in us-east-1 the region may be left out."""


def hourly(session: Any, instance_type: str, use: str = "endpoint") -> float | None:
    """US dollars an hour on demand for one instance in the session's region, or None when it could not be read."""
    # The Price List API has a few regions only. AWS China has its own, with other currencies.
    patience = Config(connect_timeout=5, retries={"max_attempts": 1})
    client = session.client("pricing", region_name="us-east-1", config=patience)
    filters = {"regionCode": session.region_name, "instanceName": instance_type}
    try:
        pages = client.get_paginator("get_products").paginate(
            ServiceCode="AmazonSageMaker",
            Filters=[{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()],
        )
        products = [json.loads(product) for page in pages for product in page["PriceList"]]
    except (ClientError, BotoCoreError):
        return None
    usage_type = re.compile(rf"(?:[A-Z0-9]+-)?{re.escape(USES[use] + instance_type)}")
    found = {_dollars(p) for p in products if usage_type.fullmatch(p["product"]["attributes"].get("usagetype", ""))}
    found.discard(None)
    return found.pop() if len(found) == 1 else None


def line(dollars: float | None, count: int, what: str, always: bool = True) -> str:
    """`what`'s price for people: per hour and, when it runs all the time, per month."""
    if dollars is None:
        return f"{what}: price unknown (no answer from the Price List API; needs pricing:GetProducts), see {PAGE}"
    month = f", ${dollars * count * HOURS_A_MONTH:,.2f} a month" if always else ""
    return f"{what}: ${dollars * count:.4g} an hour{month}"


def _dollars(product: dict[str, Any]) -> float | None:
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            price = dimension["pricePerUnit"].get("USD")
            if price and dimension.get("unit", "Hrs").lower() in ("hrs", "hours", "hour"):
                return float(price)
    return None
