"""What it costs, from AWS's own Price List. A price that cannot be read is said to be unknown, never guessed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from loadtest import prices as price_list
from loadtest.costs import HOURS_A_MONTH

from . import names, trouble
from .account import Account

PAGE = "https://aws.amazon.com/sagemaker/ai/pricing/"


class Prices:
    """US dollars an hour on demand in the account's region, each asked once; None where it could not be read."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.known: dict[tuple[str, str], float | None] = {}
        self.reachable = True

    def hourly(self, instance_type: str, use: str = "endpoint") -> float | None:
        if (instance_type, use) not in self.known:
            self.known[instance_type, use] = self._asked(instance_type, use) if self.reachable else None
        return self.known[instance_type, use]

    def _asked(self, instance_type: str, use: str) -> float | None:
        filters = {"regionCode": self.account.region, "instanceName": instance_type}
        try:
            pages = self.account.client("pricing").get_paginator("get_products").paginate(
                ServiceCode="AmazonSageMaker",
                Filters=[{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()],
            )  # fmt: skip
            products = [json.loads(product) for page in pages for product in page["PriceList"]]
        except (ClientError, BotoCoreError):
            self.reachable = False  # a network that leads nowhere is not tried again and again
            return None
        found = {
            price_list.dollars(each["terms"].get("OnDemand", {})) for each in products
            if price_list.instance_type(each["product"]["attributes"].get("usagetype", ""), use) == instance_type
        }  # fmt: skip
        found.discard(None)
        return found.pop() if len(found) == 1 else None


def line(dollars: float | None, count: float, what: str, always: bool = True) -> str:
    """`what`'s price for people: per hour and, when it runs all the time, per month."""
    if dollars is None:
        return f"{what}: price unknown (the Price List API told none; it needs pricing:GetProducts), see {PAGE}"
    month = f", ${dollars * count * HOURS_A_MONTH:,.2f} a month" if always else ""
    return f"{what}: ${dollars * count:.4g} an hour{month}"


def costs(account: Account, prices: Prices) -> Iterator[dict[str, Any]]:
    """Every endpoint and running job of this account and region that costs money by the hour, whoever made it.

    Another's endpoint that may not be looked into is listed all the same, as far as it is known.
    """
    sagemaker = account.client("sagemaker")
    for page in sagemaker.get_paginator("list_endpoints").paginate():
        for row in page["Endpoints"]:
            yield from _of_endpoint(account, prices, row)
    for use, (call, listed, describe, key, machine) in JOBS.items():
        unknown = {"kind": f"{use} job", "instances": "?", "$/hour": None, "owner": "", "expires": ""}
        try:
            pages = sagemaker.get_paginator(call).paginate(StatusEquals="InProgress")
            names_of = [row[key] for page in pages for row in page[listed]]
        except (ClientError, BotoCoreError) as exc:
            yield {"name": f"{use} jobs", "status": trouble.explained(exc), **unknown}
            continue
        for name in names_of:
            shown = {"name": name, "status": "InProgress", **unknown}
            try:
                told = getattr(sagemaker, describe)(**{key: name})[machine]
                count, kind = told["InstanceCount"], told["InstanceType"]
            except (ClientError, BotoCoreError, KeyError):
                yield shown
                continue
            price = prices.hourly(kind, use)
            yield shown | {"instances": f"{count} x {kind}", "$/hour": None if price is None else price * count}


JOBS = {
    # use: list call, key of the list, describe call, key of the name and of the machine
    "training": ("list_training_jobs", "TrainingJobSummaries", "describe_training_job", "TrainingJobName",
                 "ResourceConfig"),
    "transform": ("list_transform_jobs", "TransformJobSummaries", "describe_transform_job", "TransformJobName",
                  "TransformResources"),
}  # fmt: skip


def _of_endpoint(account: Account, prices: Prices, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sagemaker, name = account.client("sagemaker"), row["EndpointName"]
    shown = {"name": name, "kind": "endpoint", "status": row["EndpointStatus"], "instances": "?", "$/hour": None,
             "owner": "", "expires": ""}  # fmt: skip
    try:
        tags = names.of(sagemaker, row["EndpointArn"])
        expires = tags.get(names.EXPIRES, "")
        late = bool(expires) and expires < date.today().isoformat()
        shown |= {"owner": tags.get(names.OWNER, ""), "expires": f"{expires} EXPIRED" if late else expires}
        told = sagemaker.describe_endpoint(EndpointName=name)
        config = told.get("EndpointConfigName") or told.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
        wanted = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    except (ClientError, BotoCoreError) as exc:
        yield shown | {"status": f"{row['EndpointStatus']}, not looked into ({trouble.code(exc) or exc})"}
        return
    use = "async" if wanted.get("AsyncInferenceConfig") else "endpoint"
    there = {each["VariantName"]: each for each in _variants(told)}
    for variant in _variants(wanted):
        types = [variant["InstanceType"]] if "InstanceType" in variant else []
        types = types or [pool["InstanceType"] for pool in variant.get("InstancePools", [])]
        if not types:
            continue  # serverless costs by the request
        # While the first instances are being made there is no count yet: they are what the config asks for.
        running = there.get(variant["VariantName"], {}).get("CurrentInstanceCount")
        count = variant.get("InitialInstanceCount", 1) if running is None else running
        price = prices.hourly(types[0], use)
        yield shown | {"instances": f"{count} x {types[0]}", "$/hour": None if price is None else price * count}


def _variants(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [*told.get("ProductionVariants", []), *told.get("ShadowProductionVariants", [])]
