"""How many instances: the policy that keeps to a target, and what must survive an update.

The requests are data, as in wanted; what is there is read, changed only where it differs, and put back as it was
where SageMaker demands that it is taken away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import trouble
from .account import Account
from .wanted import VARIANT, Request

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
COPIES = "sagemaker:inference-component:DesiredCopyCount"
POLICY_FIELDS = (
    "PolicyName", "PolicyType", "TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration",
)  # fmt: skip
ACTION_FIELDS = ("ScheduledActionName", "Schedule", "Timezone", "StartTime", "EndTime", "ScalableTargetAction")
COOLDOWN = {"ScaleOutCooldown": 60, "ScaleInCooldown": 300}


def where(name: str, dimension: str = INSTANCES) -> dict[str, str]:
    resource = f"endpoint/{name}/variant/{VARIANT}" if dimension == INSTANCES else f"inference-component/{name}"
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": dimension}


def target(name: str, low: int, high: int, dimension: str = INSTANCES) -> Request:
    return {**where(name, dimension), "MinCapacity": low, "MaxCapacity": high}


def policy(name: str, invocations_per_minute: int, dimension: str = INSTANCES) -> Request:
    """Keeps to so many invocations a minute for each instance, or for each copy of a component."""
    metric = (
        "SageMakerVariantInvocationsPerInstance"
        if dimension == INSTANCES
        else "SageMakerInferenceComponentInvocationsPerCopy"
    )
    return {
        **where(name, dimension),
        "PolicyName": f"{name}-invocations",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": float(invocations_per_minute),
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            **COOLDOWN,
        },
    }


def backlog_policy(name: str) -> Request:
    """For an asynchronous endpoint: so many instances that at most five requests wait for each."""
    metric = {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": name}],
        "Statistic": "Average",
    }
    tracking = {"TargetValue": 5.0, "CustomizedMetricSpecification": metric, **COOLDOWN}
    return {
        **where(name),
        "PolicyName": f"{name}-backlog",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": tracking,
    }


def first_policy(name: str, dimension: str = INSTANCES) -> Request:
    """Starts the first one: target tracking cannot count where there is none."""
    step = {
        "AdjustmentType": "ChangeInCapacity",
        "MetricAggregationType": "Average",
        "Cooldown": 120,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    }
    return {
        **where(name, dimension),
        "PolicyName": f"{name}-first",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": step,
    }


def first_alarm(name: str) -> str:
    return f"{name}-nothing-runs"


def first_alarm_request(name: str, policy_arn: str, tags: list[dict[str, str]], dimension: str = INSTANCES) -> Request:
    """Rings while requests wait and nothing runs that could answer them."""
    of_instances = dimension == INSTANCES
    on = {"Name": "EndpointName" if of_instances else "InferenceComponentName", "Value": name}
    return {
        "AlarmName": first_alarm(name),
        "Namespace": "AWS/SageMaker",
        "MetricName": "HasBacklogWithoutCapacity" if of_instances else "NoCapacityInvocationFailures",
        "Dimensions": [on],
        "Statistic": "Average" if of_instances else "Maximum",
        "Period": 60,
        "EvaluationPeriods": 2 if of_instances else 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [policy_arn],
        "Tags": tags,
    }


def from_zero(account: Account, name: str, high: int, tags: list[dict[str, str]], dimension: str = INSTANCES,
              per_minute: int = 60) -> None:  # fmt: skip
    """Down to none while nobody asks, up to `high` while somebody does."""
    client = account.client("application-autoscaling")
    client.register_scalable_target(**target(name, 0, high, dimension))
    client.put_scaling_policy(
        **(backlog_policy(name) if dimension == INSTANCES else policy(name, per_minute, dimension))
    )
    first = client.put_scaling_policy(**first_policy(name, dimension))
    alarm = first_alarm_request(name, first["PolicyARN"], tags, dimension)
    account.client("cloudwatch").put_metric_alarm(**alarm)


FROM_ZERO = {"async": INSTANCES, "components": COPIES}
"""The ways that go down to none, and what of them is counted."""


def is_from_zero(account: Account, name: str, dimension: str) -> bool:
    """Whether both policies and the alarm that starts the first one are there; true where nobody may look."""
    try:
        kept = read(account, name, dimension)
        alarms = account.client("cloudwatch").describe_alarms(AlarmNames=[first_alarm(name)])["MetricAlarms"]
    except (ClientError, BotoCoreError):
        return True
    return len(kept["policies"]) >= 2 and bool(alarms)


def read(account: Account, name: str, dimension: str = INSTANCES) -> dict[str, list[dict[str, Any]]]:
    """The target, its policies and its scheduled actions, as they are; all empty where there is no autoscaling."""
    client, at = account.client("application-autoscaling"), where(name, dimension)
    by_id = {"ServiceNamespace": "sagemaker", "ResourceId": at["ResourceId"]}
    targets = client.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[at["ResourceId"]])
    if not targets["ScalableTargets"]:
        return {"targets": [], "policies": [], "actions": []}
    return {
        "targets": targets["ScalableTargets"],
        "policies": client.describe_scaling_policies(**by_id)["ScalingPolicies"],
        "actions": client.describe_scheduled_actions(**by_id)["ScheduledActions"],
    }


def stop(account: Account, name: str, dimension: str = INSTANCES) -> None:
    """Takes the endpoint out of autoscaling, with its policies and scheduled actions."""
    try:
        account.client("application-autoscaling").deregister_scalable_target(**where(name, dimension))
    except ClientError as exc:
        if not trouble.missing(exc) and trouble.code(exc) != "ValidationException":
            raise


@contextmanager
def paused(
    account: Account, name: str, kept: dict[str, list[dict[str, Any]]], say: Callable[[str], None]
) -> Iterator[None]:
    """Takes autoscaling away for a change of the instance type, and puts all of it back as `kept` says."""
    client, at = account.client("application-autoscaling"), where(name)
    if not kept["targets"]:
        yield
        return
    stop(account, name)
    try:
        yield
    finally:
        try:
            for each in kept["targets"]:
                state = {"SuspendedState": each["SuspendedState"]} if "SuspendedState" in each else {}
                client.register_scalable_target(**target(name, each["MinCapacity"], each["MaxCapacity"]), **state)
            for each in kept["policies"]:
                client.put_scaling_policy(**at, **{key: each[key] for key in POLICY_FIELDS if key in each})
            for each in kept["actions"]:
                client.put_scheduled_action(**at, **{key: each[key] for key in ACTION_FIELDS if key in each})
        except BaseException:
            say(f"  autoscaling of {name} was not put back whole. It was: {json.dumps(kept, default=str)}")
            raise


def differs(kept: dict[str, list[dict[str, Any]]], name: str, low: int, high: int, per_minute: int) -> bool:
    """Whether the target or our own policy is not as wanted; other policies and actions are somebody's own."""
    if not kept["targets"]:
        return True
    bounds = (kept["targets"][0]["MinCapacity"], kept["targets"][0]["MaxCapacity"])
    ours = [each for each in kept["policies"] if each["PolicyName"] == f"{name}-invocations"]
    values = [each["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for each in ours]
    return bounds != (low, high) or values != [float(per_minute)]
