"""How many instances: a target computed from a measured load, and the policy that keeps to it.

SageMaker's metric for it is invocations per instance per minute, so an instance's measured requests a second, times 60,
times a share kept free for peaks, is the target (AWS's own formula, with its safety factor of 0.5).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

VARIANT = "AllTraffic"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
SAFETY = 0.5
POLICY_FIELDS = (
    "PolicyName", "PolicyType", "TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What `clients` callers, each sending one request after the other, got."""

    clients: int
    per_second: float
    p50_ms: float
    p95_ms: float


def measure(call: Callable[[], Any], seconds: float, limit_ms: float, most_clients: int = 64) -> list[Step]:
    """Doubles the callers until throughput grows by less than a tenth or p95 passes `limit_ms`: the last step."""
    steps: list[Step] = []
    clients = 1
    while clients <= most_clients:
        steps.append(_step(call, clients, seconds))
        slow = steps[-1].p95_ms > limit_ms
        flat = len(steps) > 1 and steps[-1].per_second < 1.1 * steps[-2].per_second
        if slow or flat:
            break
        clients *= 2
    return steps


def target(steps: list[Step], limit_ms: float, instances: int = 1) -> int:
    """Invocations per instance per minute to keep to: half of the best step that stayed within `limit_ms`."""
    good = [step for step in steps if step.p95_ms <= limit_ms] or steps[:1]
    return max(1, int(max(step.per_second for step in good) / instances * 60 * SAFETY))


def start(session: Any, name: str, low: int, high: int, invocations_per_minute: int) -> None:
    """Keeps the endpoint between `low` and `high` instances at the target. Calling it again changes the policy."""
    client, where = session.client("application-autoscaling"), _where(name)
    client.register_scalable_target(**where, MinCapacity=low, MaxCapacity=high)
    client.put_scaling_policy(
        **where,
        PolicyName=f"{name}-invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": float(invocations_per_minute),
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "ScaleOutCooldown": 60,
            "ScaleInCooldown": 300,
        },
    )


def start_from_zero(session: Any, name: str, high: int) -> None:
    """For an asynchronous endpoint: no instance while nothing waits, up to `high` while requests do.

    Two policies, as AWS advises: target tracking on the backlog per instance cannot count where there is no instance,
    so a step policy on HasBacklogWithoutCapacity starts the first one.
    """
    client, where = session.client("application-autoscaling"), _where(name)
    on_endpoint = [{"Name": "EndpointName", "Value": name}]
    client.register_scalable_target(**where, MinCapacity=0, MaxCapacity=high)
    client.put_scaling_policy(
        **where,
        PolicyName=f"{name}-backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 5.0,
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": "AWS/SageMaker",
                "Dimensions": on_endpoint,
                "Statistic": "Average",
            },
            "ScaleOutCooldown": 60,
            "ScaleInCooldown": 300,
        },
    )
    first = client.put_scaling_policy(
        **where,
        PolicyName=f"{name}-first",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 120,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    )
    session.client("cloudwatch").put_metric_alarm(
        AlarmName=first_alarm(name),
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=on_endpoint,
        Statistic="Average",
        Period=60,
        EvaluationPeriods=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[first["PolicyARN"]],
    )


def first_alarm(name: str) -> str:
    return f"{name}-backlog-without-capacity"


def stop(session: Any, name: str) -> None:
    """Takes the endpoint out of autoscaling, with its policies: SageMaker asks for that before it changes or goes."""
    session.client("cloudwatch").delete_alarms(AlarmNames=[first_alarm(name)])  # no error when there is none
    try:
        session.client("application-autoscaling").deregister_scalable_target(**_where(name))
    except ClientError as exc:
        if exc.response["Error"]["Code"] not in ("ObjectNotFoundException", "ValidationException"):
            raise


@contextmanager
def paused(session: Any, name: str) -> Iterator[bool]:
    """Takes autoscaling away for the time of an update and puts it back; yields whether there was any."""
    client, where = session.client("application-autoscaling"), _where(name)
    by_id = {"ServiceNamespace": "sagemaker", "ResourceId": where["ResourceId"]}
    targets = client.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[where["ResourceId"]])
    policies = client.describe_scaling_policies(**by_id)["ScalingPolicies"] if targets["ScalableTargets"] else []
    stop(session, name)
    try:
        yield bool(targets["ScalableTargets"])
    finally:
        for target in targets["ScalableTargets"]:
            client.register_scalable_target(
                **where, MinCapacity=target["MinCapacity"], MaxCapacity=target["MaxCapacity"]
            )
        for policy in policies:
            client.put_scaling_policy(**where, **{key: policy[key] for key in POLICY_FIELDS if key in policy})


def metrics(session: Any, name: str, hours: float = 1) -> dict[str, tuple[list[datetime], list[float]]]:
    """From CloudWatch, per minute: invocations, and the model's latency in ms (average, p95)."""
    wanted = {
        "invocations": ("Invocations", "Sum", 1.0),
        "latency": ("ModelLatency", "Average", 1000.0),  # CloudWatch has it in microseconds
        "latency_p95": ("ModelLatency", "p95", 1000.0),
    }
    dimensions = [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": VARIANT}]
    now = datetime.now(UTC)
    results = session.client("cloudwatch").get_metric_data(
        StartTime=now - timedelta(hours=hours),
        EndTime=now + timedelta(minutes=1),
        ScanBy="TimestampAscending",
        MetricDataQueries=[
            {
                "Id": key,
                "MetricStat": {
                    "Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions},
                    "Period": 60,
                    "Stat": stat,
                },
            }
            for key, (metric, stat, _) in wanted.items()
        ],
    )["MetricDataResults"]
    return {
        row["Id"]: (list(row["Timestamps"]), [value / wanted[row["Id"]][2] for value in row["Values"]])
        for row in results
    }


def _step(call: Callable[[], Any], clients: int, seconds: float) -> Step:
    times: list[float] = []

    def client() -> None:
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            call()
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(client) for _ in range(clients)]:
            done.result()
    elapsed = time.perf_counter() - began
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return Step(clients, len(times) / elapsed, statistics.median(ordered) * 1000, p95 * 1000)


def _where(name: str) -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{VARIANT}",
        "ScalableDimension": DIMENSION,
    }
