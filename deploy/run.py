"""Carries steps out, one after the other, and writes down what it makes before it makes it.

What costs by the hour is in `made` from before the call until it is known to be gone: after Ctrl-C, a lost answer or
an expired token nothing is forgotten. A run can be repeated at any time: what is there is found, and waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop, expiry, find, jobs, logs, names, rollback, scaling, state, trouble, wanted
from .account import Account, Files
from .cleanup import COSTLY, KINDS, Cleaner, Left, Thing
from .lock import Lock
from .plan import Plan
from .preflight import SCHEMA_2
from .steps import Step
from .wanted import Facts

Say = Callable[[str], None]


class Run:
    """One run over a deployment. `say` gets a line whenever something happens that a person waits for."""

    def __init__(self, account: Account, plan: Plan, facts: Facts, files: Files, say: Say, lock: Lock | None = None) -> None:  # fmt: skip # noqa: E501
        self.account, self.plan, self.facts, self.files, self.say = account, plan, facts, files, say
        self.lock = lock
        self.made: dict[Thing, None] = {}
        """What this run has made, or may have made, and has not deleted."""
        self.outcome = ""

    @property
    def sagemaker(self) -> Any:
        return self.account.client("sagemaker")

    def cleaner(self) -> Cleaner:
        return Cleaner(self.account, self.files, self.say, self.plan.poll_seconds, self.rest)

    def rest(self) -> None:
        if self.lock:
            self.lock.renew()

    def wait(self) -> None:
        self.rest()
        time.sleep(self.plan.poll_seconds)

    # -- making ---------------------------------------------------------------------------------------------------

    def make(self, kind: str, name: str, call: Callable[..., Any], request: dict[str, Any]) -> None:
        """Calls `call`. That it is there already, or that no answer came but it is there now, is all right."""
        thing = Thing(kind, name)
        self.made[thing] = None
        try:
            call(**request)
        except (ClientError, BotoCoreError) as exc:
            if not trouble.there(exc) and not trouble.lost(exc):
                del self.made[thing]  # it was refused: nothing is there
            elif kind in KINDS and state.describe(self.account, thing):
                return
            raise

    def ensure(self, step: Step) -> None:
        """Makes what the step names, unless it is there."""
        if state.describe(self.account, Thing(step.kind, step.name)):
            return  # another section of this run has made it
        call = {"model": "create_model", "endpoint config": "create_endpoint_config",
                "inference component": "create_inference_component"}[step.kind]  # fmt: skip
        self.make(step.kind, step.name, getattr(self.sagemaker, call), step.request)

    def bucket(self) -> None:
        try:
            self.files.make()
        except ClientError as exc:
            if not trouble.there(exc):
                raise

    # -- endpoints ------------------------------------------------------------------------------------------------

    def endpoint(self, step: Step) -> str:
        """Returns "created", "updated" or "unchanged" once the endpoint answers with the step's config."""
        request, name = step.request, step.name
        config = request["EndpointConfigName"]
        existing = self.until_idle(name)
        if existing is not None:
            state.refuse_if_anothers(name, names.of(self.sagemaker, existing["EndpointArn"]), self.facts)
        if existing and existing["EndpointStatus"] in ("Failed", "OutOfService"):
            self.refuse_if_left(self.cleaner().end([Thing("endpoint", name)]))
            existing = None
        if existing is None:
            create = wanted.endpoint(self.facts, name, config).request
            self._hold_image("coming")
            self.make("endpoint", name, self.sagemaker.create_endpoint, create)
            self._until_in_service(name, config)
            self._hold_image("serving")
            return "created"
        self._tag(existing["EndpointArn"])  # a new expiry
        if existing["EndpointConfigName"] == config and existing["EndpointStatus"] == "InService":
            return "unchanged"
        self._hold_image("coming")
        self._update(step, existing)
        self._hold_image("serving")
        return "updated"

    def _hold_image(self, word: str) -> None:
        """A tag of the deployment's own on the image, so that no lifecycle rule for untagged images takes it away from
        an endpoint that scales or is patched: `coming` while it is tried, `serving` when it serves."""
        held = (self.plan.image_name, self.facts.image.digest, word)
        with self.optional("a tag that keeps the image"):
            try:
                self.account.client("ecr").put_image(
                    repositoryName=held[0],
                    imageManifest=self.facts.image.manifest,
                    imageManifestMediaType=SCHEMA_2,
                    imageTag=f"{word}-{self.plan.name}",
                    imageDigest=held[1],
                )
            except ClientError as exc:
                if trouble.code(exc) not in ("ImageAlreadyExistsException", "ImageTagAlreadyExistsException"):
                    raise  # it has the tag; or tags are immutable, and then no image loses its own

    def _tag(self, arn: str) -> None:
        try:
            self.sagemaker.add_tags(ResourceArn=arn, Tags=self.facts.tags)
        except (ClientError, BotoCoreError) as exc:
            self.say(f"  the tags were not renewed: {trouble.explained(exc)}")

    def _update(self, step: Step, existing: dict[str, Any]) -> None:
        name, config = step.name, step.request["EndpointConfigName"]
        kept = scaling.read(self.account, name)
        request = rollback.update(name, config, self.plan.min_instances, bool(kept["targets"]))
        if not self._alarm_is_there(name):
            del request["DeploymentConfig"]["AutoRollbackConfiguration"]
            self.say("  without its alarm SageMaker does not go back by itself when the new version fails")
        # Only another instance type demands that autoscaling is taken away; else it goes on as it is.
        same = state.types_of(self.account, existing) == self.plan.instance_types
        none: dict[str, list[dict[str, Any]]] = {"targets": [], "policies": [], "actions": []}
        with scaling.paused(self.account, name, none if same else kept, self.say):
            self.make("endpoint", name, self.sagemaker.update_endpoint, request)
            self._until_in_service(name, config)

    def _alarm_is_there(self, name: str) -> bool:
        try:
            told = self.account.client("cloudwatch").describe_alarms(AlarmNames=[rollback.alarm_name(name)])
        except (ClientError, BotoCoreError):
            return False
        return bool(told["MetricAlarms"])

    def until_idle(self, name: str) -> dict[str, Any] | None:
        """Says each status as it changes; returns the endpoint when nothing is under way, or None without one."""
        began, shown = time.monotonic(), ""
        while True:
            told = state.describe(self.account, Thing("endpoint", name))
            status = told["EndpointStatus"] if told else "none"
            if status != shown and (shown or status in state.BUSY):
                self.say(f"  {time.monotonic() - began:4.0f} s  {name}: {status}")
            shown = status
            if status not in state.BUSY:
                return told
            self.wait()

    def _until_in_service(self, name: str, config: str) -> None:
        told = self.until_idle(name)
        if told is None:
            self.made.pop(Thing("endpoint", name), None)
            raise Stop(f"The endpoint {name} was deleted while it was waited for.")
        if told["EndpointStatus"] == "InService" and told["EndpointConfigName"] == config:
            return
        status, reason = told["EndpointStatus"], told.get("FailureReason", "no reason given")
        back = "was rolled back: it serves what it served before" if status == "InService" else f"is {status}"
        raise Stop(f"The endpoint {name} {back}.\n{logs.told(self.account, logs.ENDPOINTS + name, '', reason)}")

    def component(self, step: Step) -> None:
        self.ensure(step)
        told = jobs.until_ended(self, Thing(step.kind, step.name))
        if told["InferenceComponentStatus"] != "InService":
            reason = told.get("FailureReason", "no reason given")
            raise Stop(f"The inference component {step.name} failed.\n"
                       f"{logs.told(self.account, '/aws/sagemaker/InferenceComponents/' + step.name, '', reason)}")  # fmt: skip # noqa: E501

    # -- what is never fatal ----------------------------------------------------------------------------------------

    @contextmanager
    def optional(self, what: str) -> Iterator[None]:
        """What the deployment can do without: a refusal is said, and the run goes on."""
        try:
            yield
        except (ClientError, BotoCoreError, Stop) as exc:
            if trouble.expired(exc):
                raise
            self.say(f"  {what}: not done. {trouble.said(exc, '')}")

    def alarm(self, step: Step) -> None:
        """An alarm that is only changed keeps its state: one that rang for the last version would ring for this one."""
        cloudwatch = self.account.client("cloudwatch")
        with self.optional("the roll-back alarm"):
            try:
                cloudwatch.delete_alarms(AlarmNames=[step.name])
            except ClientError as exc:
                if not trouble.missing(exc):
                    raise
            cloudwatch.put_metric_alarm(**step.request)

    def scale(self, step: Step) -> None:
        client, name = self.account.client("application-autoscaling"), self.plan.name
        with self.optional("autoscaling"):
            if step.action == "end":
                scaling.stop(self.account, name)
                wish = {"VariantName": wanted.VARIANT, "DesiredInstanceCount": self.plan.min_instances}
                self.sagemaker.update_endpoint_weights_and_capacities(
                    EndpointName=name, DesiredWeightsAndCapacities=[wish]
                )
                self.until_idle(name)
                return
            client.register_scalable_target(**step.request["register_scalable_target"])
            client.put_scaling_policy(**step.request["put_scaling_policy"])

    def delete(self, step: Step) -> None:
        if self.lock is None or not self.lock.kept:
            self.say(f"  {step.name} stays: without a lock another run may just have made it")
            return
        for left in self.cleaner().end([Thing(step.kind, step.name)]):
            self.say(f"  {left.thing.name} stays: {left.why}")

    def schedule(self) -> None:
        with self.optional("the scheduled deletion"):
            expiry.make(self.account, self.plan, self.facts.tags)

    # -- ending -----------------------------------------------------------------------------------------------------

    def end(self, things: list[Thing]) -> list[Left]:
        """Ends them, and forgets what is gone."""
        left = self.cleaner().end(things)
        kept = {each.thing for each in left}
        for thing in things:
            if thing not in kept:
                self.made.pop(thing, None)
        return left

    def refuse_if_left(self, left: list[Left]) -> None:
        if left:
            raise Stop("\n".join(f"The {each.thing.kind} {each.thing.name} stays: {each.why}" for each in left))

    def jobs_that_run(self) -> list[Thing]:
        return [thing for thing in self.made if thing.kind.endswith("job")]

    def costly(self) -> list[Thing]:
        return [thing for thing in self.made if thing.kind in COSTLY]


def superseded(account: Account, plan: Plan, wished: set[str]) -> list[Thing]:
    """Of earlier versions, what neither an endpoint nor this plan uses."""
    try:
        return [thing for thing in find.superseded(account, plan.name, plan.name) if thing.name not in wished]
    except (ClientError, BotoCoreError) as exc:
        if trouble.expired(exc):
            raise
        return []
