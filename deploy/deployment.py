"""A deployment, as the command line and the notebook use it: look, plan, up, test, down, costs.

Each of them ends well or with a Stop that says what happened, what still costs money and how to end it; never with a
traceback. `say` gets the lines that a person reads while it works.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import (  # fmt: skip
    Stop,
    capacity,
    cleanup,
    local,
    lock,
    money,
    names,
    preflight,
    run,
    scaling,
    state,
    steps,
    trouble,
    wanted,
    ways,
)
from .account import Account, Files
from .cleanup import Left, Thing
from .plan import MODES, Plan
from .steps import Step
from .wanted import Facts


class Deployment:
    """`command` is what a person runs to end everything; it stands in the messages."""

    def __init__(self, plan: Plan, session: Any = None, say: Callable[[str], None] = print, command: str = "") -> None:
        self.plan, self.say = plan, say
        self.command = command or "python -m deploy down deployment.toml"
        self.account = Account(plan.region, session)
        self.prices = money.Prices(self.account)
        me = self.account.me
        self.owner = plan.owner or me.owner
        self.bucket = plan.bucket or f"sagemaker-{me.region}-{me.account}"
        self.files = Files(self.account, self.bucket, plan.kms_key)
        self.prefix = wanted.prefix(plan)
        self.left: list[Left] = []
        self.there: set[Thing] = set()
        self.run: run.Run | None = None
        self.facts: Facts | None = None

    # -- looking ----------------------------------------------------------------------------------------------------

    @cached_property
    def payload(self) -> bytes:
        path = Path(self.plan.payload)
        try:
            return path.read_bytes()
        except OSError as exc:
            raise Stop(
                f"The payload {path} cannot be read: {exc.strerror}. Name rows of your model in payload."
            ) from None

    def look(self) -> None:
        """Who you are, the role, the image, the quotas: what can be known before anything is made. Makes nothing."""
        with self.guarded("Looking at what is there"):
            plan, me = self.plan, self.account.me
            self.say(f"You are {me.owner} in account {me.account}, {me.region}.")
            role = preflight.role(self.account, plan, plan.role_arn or self.account.own_role(), self.bucket, self.say)
            image = preflight.image(self.account, plan.image_name, plan.image_tag)
            shadow = preflight.image(self.account, plan.image_name, plan.shadow_tag) if plan.shadow_tag else None
            self.say(f"Role   {role}\nImage  {image.uri} ({image.megabytes} MB compressed)")
            self.say(preflight.architecture(plan, image))
            for line in preflight.quotas(self.account, self._quotas()):
                self.say(line)
            lacking = preflight.caller(self.account, plan, role, self.bucket, self.say)
            if lacking:
                self.say(f"IAM says that you may not: {', '.join(lacking)}. {trouble.ALLOWED_BY}")
            _ = self.payload
            tags = names.tags(plan.name, self.owner, plan.expires_after_days, plan.tags)
            self.facts = Facts(me.account, me.region, me.partition, role, self.bucket, self.owner, tags, image, shadow)
            self.read()

    def read(self) -> None:
        """What is there now, of what the plan is about."""
        assert self.facts is not None
        job = ""
        if self.plan.needs_job:
            attempt, job = state.training(self.account, self.plan, self.facts, self.files)
            self.facts = replace(self.facts, attempt=attempt)
        self.state = state.read(self.account, self.plan, self.facts, self.files)
        self.state.job = job
        if "realtime" in self.plan.modes:
            self.state.superseded = run.superseded(self.account, self.plan, self._wished())
        self.there = {Thing("endpoint", name) for name in self.state.endpoints}

    def _wished(self) -> set[str]:
        assert self.facts is not None
        return {each.name for mode in MODES for each in wanted.way(self.plan, self.facts, mode)}

    def _quotas(self) -> list[tuple[str, str, int, int]]:
        plan, needs = self.plan, []
        if "realtime" in plan.modes:
            needs.append((plan.instance_type, "endpoint usage", plan.max_instances, 2 * plan.max_instances))
        if plan.needs_job:
            needs.append((plan.job_instance_type, "training job usage", 1, 0))
        if "batch" in plan.modes:
            needs.append((plan.job_instance_type, "transform job usage", 1, 0))
        return needs

    def steps(self) -> list[Step]:
        if self.facts is None:
            self.look()
        assert self.facts is not None
        return steps.of(self.plan, self.facts, self.state)

    def costs_of_plan(self) -> list[tuple[str, float | None, float, bool]]:
        """(what, dollars an hour of one, how many, whether it runs all the time)."""
        plan, hourly, kind = self.plan, self.prices.hourly, self.plan.instance_type
        rows: list[tuple[str, float | None, float, bool]] = []
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

    def text(self) -> str:
        """The plan for people: what is there, what will be done, what it costs."""
        planned = self.steps()
        lines = [f"Deployment {self.plan.name}: what will be done"]
        lines += [step.line() for step in planned]
        if not any(step.changes for step in planned):
            lines.append("Nothing: everything is as it is wanted.")
        lines.append("What it will cost (on demand, without storage, traffic and logs):")
        lines += [f"  {money.line(price, count, what, always)}" for what, price, count, always in self.costs_of_plan()]
        if "serverless" in self.plan.modes:
            lines.append(f"  serverless: by the request and how long it takes, see {money.PAGE}")
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """The plan for other tools."""
        planned = self.steps()
        costs = [
            {"what": what, "dollars_an_hour": None if price is None else price * count,
             "dollars_a_month": None if price is None or not always else price * count * money.HOURS_A_MONTH}
            for what, price, count, always in self.costs_of_plan()
        ]  # fmt: skip
        return {
            "deployment": self.plan.name,
            "account": self.account.me.account,
            "region": self.account.region,
            "settings": self.plan.data(),
            "steps": [step.data() for step in planned],
            "changes": sum(step.changes for step in planned),
            "costs": costs,
        }

    # -- doing ------------------------------------------------------------------------------------------------------

    def up(self, *sections: str) -> None:
        """Carries out the steps of these sections, or all of them. With clean_up everything is deleted at the end."""
        if self.facts is None:
            self.look()
        with self.guarded("Deploying"), lock.held(self.files, self.prefix, self.owner, self.say, self._bucket) as held:
            self.read()
            assert self.facts is not None
            self.run = run.Run(self.account, self.plan, self.facts, self.files, self.say, held)
            todo = [step for step in self.steps() if not sections or step.section in sections]
            for section in dict.fromkeys(step.section for step in todo):
                self._section(self.run, section, [step for step in todo if step.section == section])
            self.run.made.clear()
        if not sections and self.plan.clean_up:
            self.down()

    def _bucket(self) -> None:
        if not self.files.there():
            self.say(f"  making the bucket {self.bucket}")
            self.files.make()

    def _section(self, running: run.Run, section: str, todo: list[Step]) -> None:
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
            for thing in run.superseded(self.account, self.plan, self._wished()):
                running.delete(Step(section, "delete", thing.kind, thing.name))
            self.say(f"The endpoint {self.plan.name} is in service ({running.outcome}).")

    def _step(self, running: run.Run, step: Step) -> None:
        match step.kind:
            case "endpoint":
                running.outcome = running.endpoint(step)
            case "training job" if step.changes:
                running.train(step)
            case "model" | "endpoint config" if step.action == "create":
                running.ensure(step)
            case "alarm" if step.changes:
                running.alarm(step)
            case "capacity":
                self.measure(step)
            case "autoscaling" if step.changes:
                running.scale(self._with_target(step))
            case "schedule":
                running.schedule()
            case "model package" if step.changes:
                running.register(step, self.payload)

    def _with_target(self, step: Step) -> Step:
        """The step, with the target as it is known now: it may just have been measured."""
        per_minute = self.plan.invocations_per_minute or self.state.capacity
        if step.action == "end" or not per_minute:
            return step
        request = {**step.request, "put_scaling_policy": scaling.policy(self.plan.name, per_minute)}
        return replace(step, request=request)

    def measure(self, step: Step | None = None) -> capacity.Report | None:
        """How much an instance carries; the target is kept with the endpoint, in a tag. Never fatal."""
        try:
            report = capacity.measure(self.account, self.plan, self.payload, self.say)
            told = self.account.client("sagemaker").describe_endpoint(EndpointName=self.plan.name)
            running = told["ProductionVariants"][0].get("CurrentInstanceCount") or 1
            target = report.target(self.plan.latency_ms, running)
            self.say(report.text(self.plan, self.prices.hourly(self.plan.instance_type), running))
            tag = {"Key": names.CAPACITY, "Value": str(target)}
            if self.plan.name in self.state.endpoints:
                self.state.endpoints[self.plan.name]["Tags"][names.CAPACITY] = str(target)
            else:
                self.state.endpoints[self.plan.name] = {**told, "Tags": {names.CAPACITY: str(target)}}
            self.account.client("sagemaker").add_tags(ResourceArn=told["EndpointArn"], Tags=[tag])
        except (ClientError, BotoCoreError, Stop) as exc:
            if trouble.expired(exc):
                raise
            self.say(f"  not measured: {exc if isinstance(exc, Stop) else trouble.explained(exc)}")
            return None
        return report

    def predict(self) -> list[str]:
        with self.guarded("Asking for predictions"):
            return ways.predict(self._asking(), self.plan.name, self.payload)

    def _asking(self) -> run.Run:
        if self.facts is None:
            self.look()
        assert self.facts is not None
        return run.Run(self.account, self.plan, self.facts, self.files, self.say)

    def test(self) -> bool:
        """Whether the endpoint answers as the model in model/ does. Unknown, which is said, counts as true."""
        answered = self.predict()
        self.say(f"endpoint: {answered}")
        try:
            expected = local.predictions(self.payload, Path("model"), self.plan.environment)
        except local.CannotPredict as problem:
            self.say(f"Not compared: {problem}")
            return True
        self.say(f"model:    {expected}")
        same = local.same(answered, expected)
        if not same:
            other = " (model_data names another model)" if self.plan.model_data else ""
            self.say(f"The endpoint does not answer as the model in model/ does{other}.")
        return same or bool(self.plan.model_data)

    def refusal(self, body: bytes = b"1,2,oops\n") -> str:
        """What the endpoint says to a request that does not fit the model."""
        runtime = self.account.client("sagemaker-runtime")
        with self.guarded("Asking for predictions"):
            try:
                reply = runtime.invoke_endpoint(EndpointName=self.plan.name, ContentType="text/csv", Body=body)
            except ClientError as exc:
                if trouble.code(exc) != "ModelError":
                    raise
                return f"{exc.response['OriginalStatusCode']} {exc.response['OriginalMessage']}"
            return f"Your model takes even this: {reply['Body'].read().decode()}"

    # -- ending -----------------------------------------------------------------------------------------------------

    def down(self) -> None:
        """Deletes everything that carries the deployment's tag. Raises Stop with what could not be deleted."""
        try:
            with lock.held(self.files, self.prefix, self.owner, self.say):
                left = self._ended()
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - it becomes a Stop
            unseen = [wanted.endpoint_of(self.plan, mode) for mode in self.plan.modes if mode != "batch"]
            may_be = [Left(Thing("endpoint", name), "if it is there: it was not looked for") for name in unseen]
            raise Stop(f"{self._said(exc, 'Deleting')}\n{self._named(may_be)}") from None
        if left:
            raise Stop("Not everything could be deleted.\n" + self._named(left))
        self.say(f"Nothing of {self.plan.name} is left but logs and the image in ECR.")

    def _ended(self) -> list[Left]:
        endpoints = [wanted.endpoint_of(self.plan, mode) for mode in MODES if mode != "batch"]
        made = list(self.run.made) if self.run else []
        cleaner = cleanup.Cleaner(self.account, self.files, self.say, self.plan.poll_seconds)
        find = partial(cleanup.find, self.account, self.plan.name, self.files, self.prefix, endpoints)
        try:
            things, unknown = find()
        except KeyboardInterrupt:
            self.say("  still deleting, so that nothing goes on costing money (Ctrl-C again: leave it)")
            cleaner.interrupts = 1
            things, unknown = find()
        left = cleaner.end([*things, *made]) + unknown
        if self.run:
            self.run.made.clear()
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
            text = self._said(exc, doing)
            raise Stop("\n".join(part for part in (text, self._afterwards()) if part)) from None

    def _said(self, exc: BaseException, doing: str) -> str:
        match exc:
            case Stop():
                return str(exc)
            case KeyboardInterrupt():
                return f"{doing}: interrupted."
            case ClientError() | BotoCoreError():
                return trouble.explained(exc, doing)
        at = traceback.extract_tb(exc.__traceback__)[-1]
        return f"{doing}: unforeseen {type(exc).__name__} at {Path(at.filename).name}, line {at.lineno}: {exc}"

    def _afterwards(self) -> str:
        """Ends the jobs that nobody waits for any more, and with clean_up everything; then what still costs money."""
        left: list[Left] = []
        if self.run is not None and self.plan.clean_up:
            self.say("Cleaning up, although it failed (clean_up)")
            return self._named(self._ended())
        if self.run is not None:
            left = self.run.end(self.run.jobs_that_run())
            kept = {*self.run.costly(), *self.there} - {each.thing for each in left}
            left += [Left(thing, "it stays") for thing in kept]
            self.run.made.clear()
        return self._named(left)

    def _named(self, left: Iterable[Left]) -> str:
        rows = list(left)
        costly = [each for each in rows if each.costs]
        lines = [f"  {each.thing.kind} {each.thing.name}: {self._price(each.thing)} ({each.why})" for each in costly]
        if costly:
            self.left += costly
            lines = ["Still there, and costs money until it is deleted:", *lines, f"End it: {self.command}"]
            lines += [f"    or: {line}" for each in costly if (line := self._by_hand(each.thing))]
        cheap = [f"  {each.thing.kind} {each.thing.name} ({each.why})" for each in rows if not each.costs]
        return "\n".join([*lines, *(["Still there, and costs nothing:", *cheap] if cheap else [])])

    def _price(self, thing: Thing) -> str:
        plan = self.plan
        if thing.name.endswith("-serverless"):
            return f"serverless, by the request ({money.PAGE})"
        kind, use = plan.instance_type, "async" if thing.name.endswith("-async") else "endpoint"
        if thing.kind.endswith("job"):
            kind, use = plan.job_instance_type, thing.kind.split()[0]
        price = self.prices.hourly(kind, use)
        return f"{kind}, " + (f"price unknown ({money.PAGE})" if price is None else f"${price:.4g} an hour each")

    def _by_hand(self, thing: Thing) -> str:
        verb = {"training job": "stop-training-job --training-job-name", "endpoint": "delete-endpoint --endpoint-name",
                "transform job": "stop-transform-job --transform-job-name",
                "inference component": "delete-inference-component --inference-component-name"}[thing.kind]  # fmt: skip
        return "" if "…" in thing.name else f"aws sagemaker {verb} {thing.name} --region {self.account.region}"
