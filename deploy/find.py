"""What of a deployment is in the account: found by its tag, or by the names that it gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop, expiry, names, scaling, trouble, wanted
from .account import Account, Files
from .cleanup import LOCK, Cleaner, Left, Thing
from .plan import MODES, Plan


def everything(
    account: Account, name: str, files: Files, prefix: str, endpoints: list[str]
) -> tuple[list[Thing], list[Left]]:
    """Everything in this region that carries the deployment's tag; and what could not be looked for."""
    things, unknown = [], []
    for kind, listed in LISTS.items():
        try:
            rows = _tagged_rows(account, name, *listed)
            things += [Thing(kind, row[listed[2]], row.get("TrainingJobStatus") in ENDED) for row in rows]
        except (ClientError, BotoCoreError) as exc:
            unknown += [Left(Thing(kind, f"{name}…"), f"it could not be looked for: {trouble.explained(exc)}")]
    try:
        used = _used(account, name, theirs=True)
        things = [thing for thing in things if thing.name not in used]
    except (ClientError, BotoCoreError):
        pass  # what may not be looked into is held to be ours alone, as its tag says
    try:
        theirs = _endpoints_of_others(account, name)
        endpoints = [each for each in endpoints if each not in theirs]
    except (ClientError, BotoCoreError):
        endpoints = []  # scaling and alarms carry no tag: they may be another's
    others: dict[str, Callable[[], list[str]]] = {
        "scaling": lambda: _scaled(account, endpoints),
        "alarm": lambda: _alarms(account, endpoints) if endpoints else [],
        "schedule": lambda: expiry.found(account, name),
        "role": lambda: expiry.found_role(account, name),
        "files": lambda: [prefix] if files.there() and _objects(files, prefix) else [],
    }
    for kind, looked_for in others.items():
        try:
            things += [Thing(kind, each) for each in looked_for()]
        except (ClientError, BotoCoreError, Stop) as exc:
            # They cost nothing: where nobody may look for them there are none, as far as can be known.
            unknown += [Left(Thing(kind, name), trouble.explained(exc))] if trouble.expired(exc) else []
    return things, unknown


LISTS = {
    # kind: its list call, key of the list, key of the name and of the ARN
    "inference component": ("list_inference_components", "InferenceComponents", "InferenceComponentName",
                            "InferenceComponentArn"),
    "endpoint": ("list_endpoints", "Endpoints", "EndpointName", "EndpointArn"),
    "training job": ("list_training_jobs", "TrainingJobSummaries", "TrainingJobName", "TrainingJobArn"),
    "transform job": ("list_transform_jobs", "TransformJobSummaries", "TransformJobName", "TransformJobArn"),
    "endpoint config": ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", "EndpointConfigArn"),
    "model": ("list_models", "Models", "ModelName", "ModelArn"),
}  # fmt: skip


ENDED = ("Completed", "Failed", "Stopped")


def _tagged(account: Account, name: str, call: str, listed: str, key: str, arn: str) -> list[str]:
    return [row[key] for row in _tagged_rows(account, name, call, listed, key, arn)]


def _tagged_rows(account: Account, name: str, call: str, listed: str, key: str, arn: str) -> list[dict[str, Any]]:
    sagemaker, found = account.client("sagemaker"), []
    running = {"StatusEquals": "InProgress"} if call == "list_transform_jobs" else {}
    try:
        pages = list(sagemaker.get_paginator(call).paginate(NameContains=name, **running))
    except ClientError as exc:
        if trouble.not_here(exc):
            return []
        raise
    for page in pages:
        for row in page[listed]:
            if row[key].startswith(name) and names.of(sagemaker, row[arn]).get(names.DEPLOYMENT) == name:
                found.append(row)
    return found


def _scaled(account: Account, endpoints: list[str]) -> list[str]:
    found = []
    for each in endpoints:
        for dimension, shown in ((scaling.INSTANCES, each), (scaling.COPIES, f"{each}/{each}")):
            if scaling.read(account, each, dimension)["targets"]:
                found.append(shown)
    return found


def _alarms(account: Account, endpoints: list[str]) -> list[str]:
    mine = [made for each in endpoints for made in (f"{each}-errors", scaling.first_alarm(each))]
    told = account.client("cloudwatch").describe_alarms(AlarmNames=mine)
    return [row["AlarmName"] for row in told["MetricAlarms"]]


def _objects(files: Files, prefix: str) -> bool:
    rows = files.s3.list_objects_v2(**files.owner, Prefix=prefix, MaxKeys=2).get("Contents", [])
    return any(row["Key"] != prefix + LOCK for row in rows)


def other_endpoints(account: Account, plan: Plan) -> list[str]:
    """Endpoints that carry the deployment's tag and are of none of the plan's ways; none where nobody may look."""
    named = {wanted.endpoint_of(plan, mode) for mode in plan.modes if mode != "batch"}
    try:
        return sorted(set(_tagged(account, plan.name, *LISTS["endpoint"])) - named)
    except (ClientError, BotoCoreError) as exc:
        if trouble.expired(exc):
            raise
        return []


def superseded(account: Account, name: str, but: str = "") -> list[Thing]:
    """The configs and models of earlier versions: those of this deployment that none of its endpoints uses, where the
    endpoint `but` does not count, as it is about to change."""
    sagemaker, used = account.client("sagemaker"), _used(account, name, but)
    for each in _tagged(account, name, *LISTS["inference component"]):
        told = sagemaker.describe_inference_component(InferenceComponentName=each)
        used.add(told.get("Specification", {}).get("ModelName", ""))
    kinds = ("endpoint config", "model")
    return [Thing(kind, each) for kind in kinds for each in _tagged(account, name, *LISTS[kind]) if each not in used]


def _endpoints_of_others(account: Account, name: str) -> list[str]:
    """Endpoints whose names have ours in them, and which are another's: `churn-async` may be a deployment."""
    ours = _tagged(account, name, *LISTS["endpoint"])
    pages = account.client("sagemaker").get_paginator("list_endpoints").paginate(NameContains=name)
    return [row["EndpointName"] for page in pages for row in page["Endpoints"] if row["EndpointName"] not in ours]


def _used(account: Account, name: str, but: str = "", theirs: bool = False) -> set[str]:
    """The configs and models that endpoints of this name use: the deployment's own, or with `theirs` all others."""
    sagemaker, used = account.client("sagemaker"), set()
    looked_at = _endpoints_of_others(account, name) if theirs else _tagged(account, name, *LISTS["endpoint"])
    for each in looked_at:
        if each == but:
            continue
        told = sagemaker.describe_endpoint(EndpointName=each)
        configs = {told.get("EndpointConfigName"), told.get("PendingDeploymentSummary", {}).get("EndpointConfigName")}
        for config in configs - {None}:
            asked = sagemaker.describe_endpoint_config(EndpointConfigName=config)
            variants = [*asked["ProductionVariants"], *asked.get("ShadowProductionVariants", [])]
            used |= {config, *(variant.get("ModelName", "") for variant in variants)}
    return used


def and_end(account: Account, plan: Plan, files: Files, made: list[Thing], say: Callable[[str], None],
            first: Callable[[], None]) -> list[Left]:  # fmt: skip
    """Ends and deletes everything of the deployment, and what a run has `made`. Returns what is left."""
    endpoints = [wanted.endpoint_of(plan, mode) for mode in MODES if mode != "batch"]
    cleaner = Cleaner(account, files, say, plan.poll_seconds)
    look = partial(everything, account, plan.name, files, wanted.prefix(plan), endpoints)
    try:
        first()
        things, unknown = look()
    except KeyboardInterrupt:
        say("  still deleting, so that nothing goes on costing money (Ctrl-C again: leave it)")
        cleaner.interrupts = 1
        things, unknown = look()
    return cleaner.end([*things, *made]) + unknown
