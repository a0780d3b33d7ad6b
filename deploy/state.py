"""What is there: the part of the account that a plan is about. Only questions; nothing is made or changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop, expiry, names, registry, rollback, scaling, trouble, wanted
from .account import Account, Files
from .cleanup import KINDS, Thing
from .plan import Plan
from .wanted import Facts, Resource

BUSY = KINDS["endpoint"].busy


@dataclass
class State:
    bucket: bool = False
    job: str = ""
    """Status of the training job of this image: empty where there is none that can be used."""
    made: set[tuple[str, str]] = field(default_factory=set)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Description of each endpoint of the plan's ways that exists, with its tags as "Tags"."""
    scaling: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"targets": [], "policies": [], "actions": []}
    )
    instance_types: list[str] = field(default_factory=list)
    """Of the real-time endpoint that is there."""
    others: list[str] = field(default_factory=list)
    """Endpoints of this deployment that the plan's modes do not name (any more)."""
    superseded: list[Thing] = field(default_factory=list)
    from_zero: set[str] = field(default_factory=set)
    """The ways whose scaling down to none is set up whole."""
    alarm: bool = True
    """Whether the roll-back alarm is there; taken as true where it may not be looked for."""
    scheduled: bool = False
    registered: bool = False

    @property
    def capacity(self) -> int:
        """Invocations a minute that an instance was measured to carry as a target; 0: not measured yet."""
        return max((int(told["Tags"].get(names.CAPACITY, 0)) for told in self.endpoints.values()), default=0)


def training(account: Account, plan: Plan, facts: Facts, files: Files) -> tuple[int, str]:
    """(number, status) of the training job of this image that can be used, or of the one to make with an empty status.

    A completed job counts when its artifact is there and is the one that the job made.
    """
    start, sagemaker = wanted.job_prefix(plan, facts), account.client("sagemaker")
    jobs = {}
    for page in sagemaker.get_paginator("list_training_jobs").paginate(NameContains=start):
        for row in page["TrainingJobSummaries"]:
            number = row["TrainingJobName"].removeprefix(f"{start}-")
            if number.isdigit():
                jobs[int(number)] = row
    for number in sorted(jobs, reverse=True):
        status = jobs[number]["TrainingJobStatus"]
        if status == "InProgress":
            return number, status
        if status == "Completed" and _artifact_is_whole(account, files, jobs[number]):
            return number, status
    return max(jobs, default=0) + 1, ""


def _artifact_is_whole(account: Account, files: Files, job: dict[str, Any]) -> bool:
    told = account.client("sagemaker").describe_training_job(TrainingJobName=job["TrainingJobName"])
    key = files.key_of(told.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""))
    if key is None or (etag := files.etag(key)) is None:
        return False
    recorded = names.of(account.client("sagemaker"), job["TrainingJobArn"]).get(names.ARTIFACT)
    return recorded is None or recorded == etag


def read(account: Account, plan: Plan, facts: Facts, files: Files) -> State:
    """Everything that decides about the plan's steps. Raises Stop when an endpoint is another's."""
    state = State(bucket=files.there())
    for mode in plan.modes:
        for resource in wanted.way(plan, facts, mode):
            told = describe(account, resource)
            if told is None:
                continue
            if resource.kind == "endpoint":
                told["Tags"] = names.of(account.client("sagemaker"), told["EndpointArn"])
                refuse_if_anothers(resource.name, told["Tags"], facts)
                state.endpoints[resource.name] = told
            else:
                state.made.add((resource.kind, resource.name))
    if told := state.endpoints.get(plan.name):
        state.scaling = scaling.read(account, plan.name)
        state.instance_types = types_of(account, told)
        state.alarm = _alarm(account, plan)
    for mode, dimension in scaling.FROM_ZERO.items():
        name = wanted.endpoint_of(plan, mode)
        if plan.keep and name in state.endpoints and scaling.is_from_zero(account, name, dimension):
            state.from_zero.add(mode)
    if plan.delete_when_expired:
        state.scheduled = bool(expiry.found(account, plan.name))
    if plan.model_package_group:
        state.registered = registry.is_registered(account, plan, facts)
    return state


def describe(account: Account, resource: Resource | Thing) -> dict[str, Any] | None:
    """The thing as SageMaker tells of it, or None."""
    kind = KINDS[resource.kind]
    try:
        told: dict[str, Any] = getattr(account.client("sagemaker"), kind.describe)(**{kind.key: resource.name})
    except ClientError as exc:
        if trouble.missing(exc):
            return None
        raise
    return told


def refuse_if_anothers(name: str, tags: dict[str, str], facts: Facts) -> None:
    """Raises Stop when the endpoint's tags name another deployment or owner."""
    mine = {tag["Key"]: tag["Value"] for tag in facts.tags}
    if tags.get(names.DEPLOYMENT) != mine[names.DEPLOYMENT]:
        raise Stop(f"The endpoint {name} exists and was not made by this kit. Set another endpoint_name.")
    if (owner := tags.get(names.OWNER)) != mine[names.OWNER]:
        raise Stop(
            f"The endpoint {name} belongs to {owner}, you are {mine[names.OWNER]}. Set another endpoint_name, or "
            f"owner = {owner!r} if you two agree."
        )


def _alarm(account: Account, plan: Plan) -> bool:
    try:
        told = account.client("cloudwatch").describe_alarms(AlarmNames=[rollback.alarm_name(plan.name)])
    except (ClientError, BotoCoreError):
        return True
    return bool(told["MetricAlarms"])


def types_of(account: Account, told: dict[str, Any]) -> list[str]:
    config = told.get("EndpointConfigName")
    if not config:
        return []
    try:
        told = account.client("sagemaker").describe_endpoint_config(EndpointConfigName=config)
    except ClientError as exc:
        if trouble.missing(exc):
            return []
        raise
    variant = told["ProductionVariants"][0]
    pools = [pool["InstanceType"] for pool in variant.get("InstancePools", [])]
    return [variant["InstanceType"]] if "InstanceType" in variant else pools
