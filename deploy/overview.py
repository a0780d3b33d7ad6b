"""The plan as it is shown: what will be done and what it costs, for people and for other tools."""

from __future__ import annotations

from typing import Any

from loadtest.costs import HOURS_A_MONTH

from . import money
from .account import Account
from .money import Prices
from .plan import Plan
from .steps import Step

Cost = tuple[str, float | None, float, bool]
"""What, dollars an hour of one, how many, whether it runs all the time."""


def costs(plan: Plan, prices: Prices) -> list[Cost]:
    kind, hourly = plan.instance_type, prices.hourly
    rows: list[Cost] = []
    if "realtime" in plan.modes:
        most, least, shadow = plan.max_instances, plan.min_instances, 2 if plan.shadow_tag else 1
        rows.append((f"{least * shadow} x {kind}, at least", hourly(kind), least * shadow, True))
        rows.append((f"{most * shadow} x {kind}, at most", hourly(kind), most * shadow, True))
    if plan.needs_job:
        rows.append(("training job (minutes)", hourly(plan.job_instance_type, "training"), 1, False))
    if "batch" in plan.modes:
        rows.append(("batch transform (minutes)", hourly(plan.job_instance_type, "transform"), 1, False))
    for mode, use in (("async", "async"), ("multi-model", "endpoint"), ("components", "endpoint")):
        if mode in plan.modes:
            zero = plan.keep and mode != "multi-model"
            how = "none while nobody asks" if zero else "all the time" if plan.keep else "minutes"
            rows.append((f"{mode} endpoint ({how})", hourly(kind, use), 1, plan.keep and not zero))
    return rows


def text(plan: Plan, planned: list[Step], prices: Prices) -> str:
    lines = [f"Deployment {plan.name}: what will be done"]
    lines += dict.fromkeys(step.line() for step in planned)  # several ways share a model
    if not any(step.changes for step in planned):
        lines.append("Nothing: everything is as it is wanted.")
    lines.append("What it will cost (on demand, without storage, traffic and logs):")
    lines += [f"  {money.line(price, count, what, always)}" for what, price, count, always in costs(plan, prices)]
    if "serverless" in plan.modes:
        lines.append(f"  serverless: by the request and how long it takes, see {money.PAGE}")
    return "\n".join(lines)


def data(plan: Plan, planned: list[Step], prices: Prices, account: Account) -> dict[str, Any]:
    rows = [
        {"what": what, "dollars_an_hour": None if price is None else price * count,
         "dollars_a_month": None if price is None or not always else price * count * HOURS_A_MONTH}
        for what, price, count, always in costs(plan, prices)
    ]  # fmt: skip
    return {
        "deployment": plan.name,
        "account": account.me.account,
        "region": account.region,
        "settings": plan.data(),
        "steps": [step.data() for step in planned],
        "changes": sum(step.changes for step in planned),
        "costs": rows,
    }
