"""A deployment, as the command line and the notebook use it: look, plan, up, test, down, costs.

Each of them ends well or with a Stop that says what happened, what still costs money and how to end it; never with a
traceback. `say` gets the lines that a person reads while it works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from loadtest.report import Report

from . import (
    Stop,
    asking,
    capacity,
    find,
    jobs,
    lock,
    money,
    names,
    overview,
    preflight,
    registry,
    scaling,
    state,
    steps,
    trouble,
    wanted,
    ways,
)
from .account import Account, Files
from .bill import Bill
from .cleanup import Left, Thing
from .plan import MODES, Plan
from .run import Run, superseded
from .steps import Step
from .wanted import Facts

COMMAND = "python -m deploy down deployment.toml"


class Deployment:
    """`command` is what a person runs to end everything; it stands in the messages."""

    def __init__(self, plan: Plan, session: Any = None, say: Callable[[str], None] = print, command: str = "") -> None:
        self.plan, self.say = plan, say
        self.account = Account(plan.region, session)
        self.prices = money.Prices(self.account)
        me = self.account.me
        self.owner = plan.owner or me.owner
        self.bucket = plan.bucket or f"sagemaker-{me.region}-{me.account}"
        self.files = Files(self.account, self.bucket, plan.kms_key)
        self.prefix = wanted.prefix(plan)
        self.bill = Bill(self.account, plan, self.prices, command or COMMAND)
        self.report: Report | None = None
        self.there: set[Thing] = set()
        self.run: Run | None = None
        self.facts: Facts | None = None
        self.cleaned = False

    # -- looking ----------------------------------------------------------------------------------------------------

    @cached_property
    def payload(self) -> bytes:
        path = Path(self.plan.payload)
        try:
            rows = path.read_bytes()
        except OSError as exc:
            raise Stop(
                f"The payload {path} cannot be read: {exc.strerror}. Name rows of your model in payload."
            ) from None
        if not rows.strip():
            raise Stop(f"The payload {path} is empty. Name rows of your model in payload.")
        return rows

    def look(self) -> None:
        """Who you are, the role, the image, the quotas: what can be known before anything is made. Makes nothing."""
        with self.guarded("Looking at what is there"):
            self._ask_prices()
            _ = self.payload
            self.facts = preflight.facts(self.account, self.plan, self.bucket, self.owner, self.say)
            self.read()

    def _ask_prices(self) -> None:
        """They are known from here on, also when nothing can be asked any more."""
        overview.costs(self.plan, self.prices)

    def read(self) -> None:
        """What is there now, of what the plan is about."""
        assert self.facts is not None
        job = ""
        if self.plan.needs_job:
            attempt, job = state.training(self.account, self.plan, self.facts, self.files)
            self.facts = replace(self.facts, attempt=attempt)
        self.state = state.read(self.account, self.plan, self.facts, self.files)
        self.state.job = job
        self.state.others = find.other_endpoints(self.account, self.plan)
        if "realtime" in self.plan.modes:
            self.state.superseded = superseded(self.account, self.plan, self._wished())
        self.there = {Thing("endpoint", name) for name in self.state.endpoints}

    def _wished(self) -> set[str]:
        assert self.facts is not None
        return {each.name for mode in MODES for each in wanted.way(self.plan, self.facts, mode)}

    def steps(self) -> list[Step]:
        if self.facts is None:
            self.look()
        assert self.facts is not None
        return steps.of(self.plan, self.facts, self.state)

    def text(self) -> str:
        """The plan for people: what is there, what will be done, what it costs."""
        return overview.text(self.plan, self.steps(), self.prices)

    def data(self) -> dict[str, Any]:
        """The plan for other tools."""
        return overview.data(self.plan, self.steps(), self.prices, self.account)

    # -- doing ------------------------------------------------------------------------------------------------------

    def up(self, *sections: str) -> None:
        """Carries out the steps of these sections, or all of them. With clean_up everything is deleted at the end."""
        if self.facts is None:
            self.look()
        with self.guarded("Deploying"), lock.held(self.files, self.prefix, self.owner, self.say, self._bucket) as held:
            self.read()
            assert self.facts is not None
            self.cleaned = False
            self.run = Run(self.account, self.plan, self.facts, self.files, self.say, held)
            todo = [step for step in self.steps() if not sections or step.section in sections]
            if not todo:
                self.say(f"Nothing to do: the plan has no {' and no '.join(sections)}.")
            for section in dict.fromkeys(step.section for step in todo):
                self._section(self.run, section, [step for step in todo if step.section == section])
            self.run.made.clear()
        if not sections and self.plan.clean_up:
            self.down()

    def _bucket(self) -> None:
        if not self.files.there():
            self.say(f"  making the bucket {self.bucket}")
            self.files.make()

    def _section(self, running: Run, section: str, todo: list[Step]) -> None:
        if section in MODES and section != "realtime":
            if any(step.changes or step.temporary for step in todo):
                lines = ways.carry_out(running, section, todo, self.payload)
                self.say(f"{section}: {lines}")
            return
        for step in todo:
            if step.changes:
                self.say(step.line())
            self._step(running, step)
        if section == "realtime":
            for thing in superseded(self.account, self.plan, self._wished()):
                running.delete(Step(section, "delete", thing.kind, thing.name))
            self.say(f"The endpoint {self.plan.name} is in service ({running.outcome}).")

    def _step(self, running: Run, step: Step) -> None:
        match step.kind:
            case "endpoint":
                running.outcome = running.endpoint(step)
                self.there.add(Thing("endpoint", step.name))
            case "training job" if step.changes:
                jobs.train(running, step)
            case "model" | "endpoint config" if step.action == "create":
                running.ensure(step)
            case "alarm" if step.changes:
                running.alarm(step)
            case "capacity":
                self.measure()
            case "autoscaling" if step.changes:
                running.scale(self._with_target(step))
            case "schedule":
                running.schedule()
            case "model package" if step.changes:
                registry.register(running, step.request, self.payload)

    def _with_target(self, step: Step) -> Step:
        """The step, with the target as it is known now: it may just have been measured."""
        per_minute = self.plan.invocations_per_minute or self.state.capacity
        if step.action == "end" or not per_minute:
            return step
        request = {**step.request, "put_scaling_policy": scaling.policy(self.plan.name, per_minute)}
        return replace(step, request=request)

    def measure(self) -> bool:
        """How much an instance carries; the target is kept with the endpoint, in a tag. Never fatal."""
        try:
            self.report, target = capacity.kept(self.account, self.plan, self.payload, self.prices, self.say)
        except (ClientError, BotoCoreError, Stop) as exc:
            if trouble.expired(exc):
                raise
            self.say(f"  not measured: {trouble.said(exc, 'Measuring')}")
            return False
        self.state.endpoints.setdefault(self.plan.name, {"Tags": {}})["Tags"][names.CAPACITY] = target
        return True

    # -- asking -----------------------------------------------------------------------------------------------------

    def test(self) -> bool:
        """Whether the endpoints that are kept answer as the model in model/ does."""
        if self.facts is None:
            self.look()
        assert self.facts is not None
        with self.guarded("Asking for predictions"):
            asks = Run(self.account, self.plan, self.facts, self.files, self.say)
            return asking.test(asks, self.payload)

    def refusal(self, body: bytes = b"1,2,oops\n") -> str:
        """What the endpoint says to a request that does not fit the model."""
        with self.guarded("Asking for predictions"):
            return asking.refusal(self.account, self.plan.name, body)

    # -- ending -----------------------------------------------------------------------------------------------------

    @property
    def dirty(self) -> bool:
        """Whether this session has worked on the account and not cleaned up since."""
        return self.run is not None and not self.cleaned

    def down(self) -> None:
        """Deletes everything that carries the deployment's tag. Raises Stop with what could not be deleted."""
        try:
            with lock.held(self.files, self.prefix, self.owner, self.say):
                left = self._ended()
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - it becomes a Stop
            unseen = [wanted.endpoint_of(self.plan, mode) for mode in MODES if mode != "batch"]
            may_be = [Left(Thing("endpoint", name), "if it is there: it was not looked for") for name in unseen]
            raise Stop(f"{trouble.said(exc, 'Deleting')}\n{self.bill.named(may_be)}") from None
        if left:
            raise Stop("Not everything could be deleted.\n" + self.bill.named(left))
        self.say(f"Nothing of {self.plan.name} is left but logs and the image in ECR.")

    def _ended(self) -> list[Left]:
        made = list(self.run.made) if self.run else []
        left = find.and_end(self.account, self.plan, self.files, made, self.say, self._ask_prices)
        if self.run:
            self.run.made.clear()
        self.cleaned = True
        self.there = {each.thing for each in left if each.costs}
        return left

    def costs(self) -> list[dict[str, Any]]:
        """What costs money in this account and region, whoever made it."""
        with self.guarded("Looking for what costs money"):
            return list(money.costs(self.account, self.prices))

    @contextmanager
    def guarded(self, doing: str) -> Iterator[None]:
        """Whatever happens inside becomes one Stop, after what runs for nothing has been ended."""
        try:
            yield
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - it becomes a Stop
            text = trouble.said(exc, doing)
            raise Stop("\n".join(part for part in (text, self._afterwards()) if part)) from None

    def _afterwards(self) -> str:
        """Ends the jobs that nobody waits for any more, and with clean_up everything; then what still costs money."""
        known = {*self.there, *(self.run.costly() if self.run else [])}
        left: list[Left] = []
        try:
            if self.run is not None and self.plan.clean_up:
                self.say("Cleaning up, although it failed (clean_up)")
                return self.bill.named(self._ended())
            if self.run is not None:
                left = self.run.end(self.run.jobs_that_run())
                known = {*self.there, *self.run.costly()}
                self.run.made.clear()
        except (Exception, KeyboardInterrupt):  # noqa: BLE001 - what is known is named all the same
            self.say("  interrupted: nothing more is deleted")
        stays = sorted(known - {each.thing for each in left}, key=lambda thing: thing.name)
        return self.bill.named([*left, *(Left(thing, "it stays") for thing in stays)])
