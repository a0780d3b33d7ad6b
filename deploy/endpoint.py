"""Create an endpoint or update it in place, wait for it, and when it fails say why.

An endpoint of this name that another deployment or another person made is never touched. An update is blue/green: the
old instances answer until the new ones do, and SageMaker goes back to them when the alarm rings.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from . import Stop, names, scaling

LOG_GROUP = "/aws/sagemaker/Endpoints/"
LOG_LINES = 25
BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")

CAUSES = (
    # what the container's log or the failure reason says, what it means and what to do
    (r"the model cannot serve: (.+)", r"\1"),
    (r"wrong setting: (.+)", r"A wrong setting in ENVIRONMENT: \1"),
    (r"exec format error", "The image is for another CPU. Build it with ./build_and_push.sh (linux/amd64), or choose a "
                           "Graviton instance type for an arm64 image."),
    (r"unknown argument: serve|\"serve\": executable file not found", "The image is not one of this kit: it does not "
                           "know `serve`. Build it with ./build_and_push.sh."),
    (r"SIGKILL|MemoryError|[Oo]ut of memory|killed by SIGKILL|OOM", "The model does not fit into memory. Choose an "
                           "instance type with more, or set MODEL_SERVER_WORKERS=1 in ENVIRONMENT."),
    (r"No space left on device", "The disk is full. Choose a larger VolumeSizeInGB or a smaller model."),
    (r"[Cc]apacity|Unable to provision", "AWS has no free instance of this type now. Try another INSTANCE_TYPE or "
                           "later."),
    (r"AccessDenied|not authorized|BatchGetImage|does not have .*permission", "The execution role lacks a permission: "
                           "run section 1 again, it names it."),
)  # fmt: skip


def find(sagemaker: Any, name: str) -> dict[str, Any] | None:
    """The endpoint as DescribeEndpoint tells of it, or None."""
    return _unless_missing(sagemaker.describe_endpoint, EndpointName=name)


def find_config(sagemaker: Any, name: str) -> dict[str, Any] | None:
    return _unless_missing(sagemaker.describe_endpoint_config, EndpointConfigName=name)


def refuse_if_taken(sagemaker: Any, name: str, tags: list[dict[str, str]]) -> None:
    """Raises Stop when an endpoint of this name exists whose tags name another deployment or owner than `tags`."""
    existing = find(sagemaker, name)
    if existing is None:
        return
    mine, theirs = {tag["Key"]: tag["Value"] for tag in tags}, names.of(sagemaker, existing["EndpointArn"])
    if theirs.get(names.DEPLOYMENT) != mine[names.DEPLOYMENT]:
        raise Stop(f"The endpoint {name} exists and was not made by this notebook. Set another ENDPOINT_NAME.")
    owner = theirs.get(names.OWNER)
    if owner != mine[names.OWNER]:
        raise Stop(
            f"The endpoint {name} belongs to {owner}, you are {mine[names.OWNER]}. Set another ENDPOINT_NAME, or "
            f"OWNER = {owner!r} if you two agree."
        )


def deploy(
    session: Any,
    name: str,
    config: str,
    tags: list[dict[str, str]],
    update: dict[str, Any] | None = None,
    poll: float = 15,
) -> str:
    """Returns "created", "updated" or "unchanged" once `name` answers with `config`.

    `update` is the DeploymentConfig of an update. An endpoint that has never come into service cannot be updated: it
    is deleted and created. Raises Stop with the likely cause and the container's last lines.
    """
    sagemaker = session.client("sagemaker")
    refuse_if_taken(sagemaker, name, tags)
    existing = wait_until_idle(sagemaker, name, poll)
    if existing and existing["EndpointStatus"] in ("Failed", "OutOfService"):
        delete(session, name, poll)
        existing = None
    if existing is None:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)
        _wait_for(session, name, config, poll)
        return "created"
    sagemaker.add_tags(ResourceArn=existing["EndpointArn"], Tags=tags)  # a new expiry
    if existing["EndpointConfigName"] == config:
        return "unchanged"
    with scaling.paused(session, name) as scaled:
        # Where autoscaling decides how many instances there are, an update must not go back to the first number.
        sagemaker.update_endpoint(
            EndpointName=name,
            EndpointConfigName=config,
            RetainAllVariantProperties=scaled,
            DeploymentConfig=update or {},
        )
        _wait_for(session, name, config, poll)
    return "updated"


@contextmanager
def temporary(
    session: Any, name: str, config: dict[str, Any], tags: list[dict[str, str]], poll: float = 15
) -> Iterator[str]:
    """An endpoint of its own for `config` (what CreateEndpointConfig takes), deleted with its config at the end."""
    sagemaker = session.client("sagemaker")
    refuse_if_taken(sagemaker, name, tags)
    config_name = names.version(name, config)
    if find_config(sagemaker, config_name) is None:
        sagemaker.create_endpoint_config(EndpointConfigName=config_name, Tags=tags, **config)
    try:
        deploy(session, name, config_name, tags, poll=poll)
        yield name
    finally:
        delete(session, name, poll)
        sagemaker.delete_endpoint_config(EndpointConfigName=config_name)
        print(f"  deleted {name} and its config")


def ensure_model(sagemaker: Any, name: str, role: str, container: dict[str, Any], tags: list[dict[str, str]]) -> str:
    """CreateModel, unless this very container has been made a model before; returns its name."""
    model = names.version(name, [container, role])
    if _unless_missing(sagemaker.describe_model, ModelName=model) is None:
        sagemaker.create_model(ModelName=model, ExecutionRoleArn=role, PrimaryContainer=container, Tags=tags)
    return model


def ensure_config(sagemaker: Any, name: str, variant: dict[str, Any], tags: list[dict[str, str]]) -> str:
    """CreateEndpointConfig, unless this very variant has been made one before; returns its name."""
    config = names.version(name, variant)
    if find_config(sagemaker, config) is None:
        sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant], Tags=tags)
    return config


def predict(runtime: Any, name: str, payload: bytes, **target: str) -> list[str]:
    """The lines that the endpoint answers to the CSV `payload`. Raises Stop with the server's message if it refuses."""
    try:
        reply = runtime.invoke_endpoint(
            EndpointName=name, ContentType="text/csv", Accept="text/csv", Body=payload, **target
        )
    except runtime.exceptions.ModelError as problem:
        if problem.response["OriginalStatusCode"] != 400:
            raise
        message = json.loads(problem.response["OriginalMessage"])["error"]["message"]
        raise Stop(
            f"The endpoint {name} refuses these rows: {message}\nWrite rows of your model to a CSV file, name it in "
            "PAYLOAD (in the parameters), and run the parameters, section 1 and this cell again."
        ) from None
    lines: list[str] = reply["Body"].read().decode().splitlines()
    return lines


def log_tail(session: Any, group: str, stream_prefix: str = "", count: int = LOG_LINES) -> list[str]:
    """The last lines of the newest log stream; none when nothing has written there."""
    logs = session.client("logs")
    by = {"logStreamNamePrefix": stream_prefix} if stream_prefix else {"orderBy": "LastEventTime", "descending": True}
    try:
        streams = logs.describe_log_streams(logGroupName=group, limit=5, **by)["logStreams"]
        if not streams:
            return []
        stream = streams[0]["logStreamName"]
        events = logs.get_log_events(logGroupName=group, logStreamName=stream, limit=count)["events"]
    except ClientError as exc:
        denied = exc.response["Error"]["Code"].startswith("AccessDenied")
        return ["(you may not read it: logs:DescribeLogStreams, logs:GetLogEvents)"] if denied else []
    return [event["message"].rstrip() for event in events]


def likely_cause(lines: list[str], reason: str) -> str:
    """One sentence: the first known cause that the log or SageMaker's reason shows."""
    for text in ("\n".join(lines), reason):
        for pattern, meaning in CAUSES:
            if match := re.search(pattern, text):
                return match.expand(meaning)
    if not lines:
        return "The container wrote nothing: SageMaker could not pull or start the image. Run section 1 again."
    return "Not one that is known: see the lines below. Try the image on your machine with ./local-test/serve-local.sh."


def alarm(session: Any, name: str, tags: list[dict[str, str]]) -> str:
    """An alarm that rings when the container answers with 5xx; an update that makes it ring is rolled back."""
    alarm_name = f"{name}-errors"
    session.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm_name,
        AlarmDescription=f"The endpoint {name} answers with errors: roll an update back.",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": scaling.VARIANT}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        Tags=tags,
    )
    return alarm_name


def gradually(instances: int, alarm_name: str) -> dict[str, Any]:
    """The DeploymentConfig of an update: one instance first where there are several, back to the old on the alarm."""
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300}
    if instances > 1:  # a canary may be half of the instances at most
        routing |= {"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}}
    return {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 120},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm_name}]},
    }


def delete(session: Any, name: str, poll: float = 5) -> None:
    """Deletes the endpoint (not its config and model) and waits until it is gone. Its scaling goes with it."""
    scaling.stop(session, name)
    sagemaker = session.client("sagemaker")
    if find(sagemaker, name):
        sagemaker.delete_endpoint(EndpointName=name)
        while find(sagemaker, name):
            time.sleep(poll)


def _wait_for(session: Any, name: str, config: str, poll: float) -> None:
    description = wait_until_idle(session.client("sagemaker"), name, poll)
    if description is None:
        raise Stop(f"The endpoint {name} was deleted while it was waited for.")
    if description["EndpointStatus"] == "InService" and description["EndpointConfigName"] == config:
        return
    reason = description.get("FailureReason", "no reason given")
    lines = log_tail(session, LOG_GROUP + name)
    status = description["EndpointStatus"]
    outcome = "was rolled back: it serves what it served before" if status == "InService" else f"is {status}"
    tail = "\n".join(f"    {line}" for line in lines) or "    (nothing: the container never started)"
    raise Stop(
        f"The endpoint {name} {outcome}.\n  SageMaker says: {reason}\n  Likely cause: {likely_cause(lines, reason)}\n"
        f"  The container's last lines ({LOG_GROUP}{name}):\n{tail}"
    )


def wait_until_idle(sagemaker: Any, name: str, poll: float = 15) -> dict[str, Any] | None:
    """Prints each status as it changes; returns the endpoint when nothing is under way, or None when there is none."""
    began, shown = time.monotonic(), ""
    while True:
        description = find(sagemaker, name)
        status = description["EndpointStatus"] if description else "none"
        if status != shown and (shown or status in BUSY):
            print(f"  {time.monotonic() - began:4.0f} s  {name}: {status}", flush=True)
        shown = status
        if status not in BUSY:
            return description
        time.sleep(poll)


def _unless_missing(describe: Callable[..., dict[str, Any]], **key: str) -> dict[str, Any] | None:
    """SageMaker has no error of its own for what does not exist: it is a ValidationException with these words."""
    try:
        return describe(**key)
    except ClientError as exc:
        if "Could not find" in str(exc):
            return None
        raise
