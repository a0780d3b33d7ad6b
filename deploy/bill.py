"""What could not be ended, told to a person: its name, its price, and the command that ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .account import Account
from .cleanup import Left, Thing
from .money import PAGE, Prices
from .plan import Plan

BY_HAND = {
    "endpoint": "delete-endpoint --endpoint-name",
    "inference component": "delete-inference-component --inference-component-name",
    "training job": "stop-training-job --training-job-name",
    "transform job": "stop-transform-job --transform-job-name",
}


class Bill:
    """`command` is what a person runs to end everything; `open` has what was named because it costs money."""

    def __init__(self, account: Account, plan: Plan, prices: Prices, command: str) -> None:
        self.account, self.plan, self.prices, self.command = account, plan, prices, command
        self.open: list[Left] = []

    def named(self, left: Iterable[Left]) -> str:
        rows = list(left)
        costly, cheap = [each for each in rows if each.costs], [each for each in rows if not each.costs]
        self.open += costly
        lines, why = [], _said_once()
        if costly:
            lines.append("Still there, and costs money until it is deleted:")
            lines += [f"  {e.thing.kind} {e.thing.name}: {self.price(e.thing)} ({why(e)})" for e in costly]
            lines.append(f"End it: {self.command}")
            lines += [f"    or: {line}" for each in costly if (line := self.by_hand(each.thing))]
        if cheap:
            lines.append("Still there, and costs nothing:")
            lines += [f"  {e.thing.kind} {e.thing.name} ({why(e)})" for e in cheap]
        return "\n".join(lines)

    def price(self, thing: Thing) -> str:
        if thing.name.endswith("-serverless"):
            return f"serverless, by the request ({PAGE})"
        kind, use = self.plan.instance_type, "async" if thing.name.endswith("-async") else "endpoint"
        if thing.kind.endswith("job"):
            kind, use = self.plan.job_instance_type, thing.kind.split()[0]
        price = self.prices.hourly(kind, use)
        return f"{kind}, " + (f"price unknown ({PAGE})" if price is None else f"${price:.4g} an hour each")

    def by_hand(self, thing: Thing) -> str:
        whole = "…" not in thing.name
        return f"aws sagemaker {BY_HAND[thing.kind]} {thing.name} --region {self.account.region}" if whole else ""


def _said_once() -> Callable[[Left], str]:
    """A long reason, such as AWS's own, is told with the first thing that it keeps."""
    told: set[str] = set()

    def why(left: Left) -> str:
        again = left.why in told and len(left.why) > 80
        told.add(left.why)
        return "for the same reason" if again else left.why

    return why
