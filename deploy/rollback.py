"""The update of an endpoint in place, and the alarm by which SageMaker goes back. Pure, as wanted is."""

from __future__ import annotations

from .wanted import VARIANT, Request, Resource


def alarm(name: str, config_name: str, tags: list[dict[str, str]]) -> Resource:
    """Rings when more than 5 of 100 answers of the new config are 5xx.

    Only the instances that run `config_name` count: a version that fails already would otherwise make the alarm ring,
    and the update that mends it would be rolled back. CloudWatch has the dimension EndpointConfigName from when the new
    instances get requests: docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
    """
    where = [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": VARIANT},
             {"Name": "EndpointConfigName", "Value": config_name}]  # fmt: skip
    metrics: list[Request] = [
        {"Id": key, "ReturnData": False, "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": {
            "Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": where}}}
        for key, metric in (("errors", "Invocation5XXErrors"), ("calls", "Invocations"))
    ]  # fmt: skip
    metrics.append({"Id": "rate", "Expression": "100 * errors / calls", "Label": "5xx in percent", "ReturnData": True})
    return Resource("alarm", alarm_name(name), "cloudwatch", "put_metric_alarm", {
        "AlarmName": alarm_name(name),
        "AlarmDescription": f"The endpoint {name} answers with errors: roll an update back.",
        "Metrics": metrics,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Tags": tags,
    })  # fmt: skip


def alarm_name(name: str) -> str:
    return f"{name}-errors"


def update(name: str, config_name: str, instances: int, scaled: bool) -> Request:
    """UpdateEndpoint: one instance first where there are several, back to the old ones when the alarm rings."""
    routing: Request = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300}
    if instances > 1:  # a canary may be half of the instances at most
        routing |= {"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}}
    return {
        "EndpointName": name,
        "EndpointConfigName": config_name,
        # Where autoscaling decides how many instances there are, an update must not go back to the first number.
        "RetainAllVariantProperties": scaled,
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 120},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm_name(name)}]},
        },
    }
