"""Find what this notebook made, by its tag, and delete it. What carries no tag of ours is never deleted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from botocore.exceptions import ClientError

from . import endpoint, names, prices

KINDS = (
    # kind, its list call, key of the list, key of the name and of the ARN. The order is the order of deletion.
    ("endpoint", "list_endpoints", "Endpoints", "EndpointName", "EndpointArn"),
    ("endpoint config", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", "EndpointConfigArn"),
    ("model", "list_models", "Models", "ModelName", "ModelArn"),
    ("training job", "list_training_jobs", "TrainingJobSummaries", "TrainingJobName", "TrainingJobArn"),
)


def find(session: Any, name: str) -> list[tuple[str, str]]:
    """(kind, name) of everything in this region that carries the deployment's tag."""
    sagemaker = session.client("sagemaker")
    found = []
    for kind, call, listed, key, arn in KINDS:
        for page in sagemaker.get_paginator(call).paginate(NameContains=name):
            for row in page[listed]:
                if row[key].startswith(name) and names.of(sagemaker, row[arn]).get(names.DEPLOYMENT) == name:
                    found.append((kind, row[key]))
    return found


def delete(session: Any, found: list[tuple[str, str]]) -> None:
    """Deletes what `find` found, endpoints first, and says so line by line."""
    sagemaker = session.client("sagemaker")
    for kind, name in found:
        match kind:
            case "endpoint":
                endpoint.delete(session, name)
            case "endpoint config":
                sagemaker.delete_endpoint_config(EndpointConfigName=name)
            case "model":
                sagemaker.delete_model(ModelName=name)
            case "training job":
                sagemaker.delete_training_job(TrainingJobName=name)
        print(f"  deleted {kind} {name}", flush=True)


def delete_superseded(session: Any, name: str) -> None:
    """Deletes the configs and models of earlier deployments, but for what an endpoint of this deployment still uses."""
    sagemaker = session.client("sagemaker")
    found = find(session, name)
    used: set[str] = set()
    for kind, each in found:
        if kind == "endpoint":
            config = sagemaker.describe_endpoint(EndpointName=each)["EndpointConfigName"]
            variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
            used |= {config, *(variant["ModelName"] for variant in variants)}
    delete(session, [(kind, each) for kind, each in found if kind in ("endpoint config", "model") and each not in used])


def delete_alarm(session: Any, alarm_name: str) -> None:
    session.client("cloudwatch").delete_alarms(AlarmNames=[alarm_name])
    print(f"  deleted alarm {alarm_name}")


def delete_objects(session: Any, bucket: str, prefix: str) -> None:
    """Deletes the objects under `prefix`, which ends with a slash and is the deployment's own."""
    s3, count = session.client("s3"), 0
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            keys = [{"Key": row["Key"]} for row in page.get("Contents", [])]
            if keys:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
                count += len(keys)
    except ClientError as exc:
        if exc.response["Error"]["Code"] != "NoSuchBucket":
            raise
    print(f"  deleted {count} objects under s3://{bucket}/{prefix}")


def costs(session: Any) -> Iterator[dict[str, Any]]:
    """Every endpoint of this account and region that costs money by the hour, whoever made it."""
    sagemaker = session.client("sagemaker")
    for page in sagemaker.get_paginator("list_endpoints").paginate():
        for row in page["Endpoints"]:
            description = sagemaker.describe_endpoint(EndpointName=row["EndpointName"])
            config = sagemaker.describe_endpoint_config(EndpointConfigName=description["EndpointConfigName"])
            tags = names.of(sagemaker, row["EndpointArn"])
            variants = description.get("ProductionVariants", [])  # none while the first ones are being made
            running = {variant["VariantName"]: variant.get("CurrentInstanceCount", 0) for variant in variants}
            for variant in config["ProductionVariants"]:
                if "InstanceType" not in variant:
                    continue  # serverless costs by the request
                use = "async" if config.get("AsyncInferenceConfig") else "endpoint"
                price = prices.hourly(session, variant["InstanceType"], use)
                count = running.get(variant["VariantName"], 0)
                expires = tags.get(names.EXPIRES, "")
                yield {
                    "endpoint": row["EndpointName"],
                    "status": row["EndpointStatus"],
                    "instances": f"{count} x {variant['InstanceType']}",
                    "$/hour": None if price is None else price * count,
                    "owner": tags.get(names.OWNER, ""),
                    "expires": f"{expires} EXPIRED" if expires and expires < date.today().isoformat() else expires,
                }
