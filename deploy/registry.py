"""Versions in the model registry: image by digest, artifact, content types and a sample of rows. Each only once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from . import trouble, wanted
from .account import Account
from .plan import Plan
from .wanted import Facts, Request, Resource

if TYPE_CHECKING:
    from .run import Run


def model_package(plan: Plan, facts: Facts) -> Resource:
    """A version in the model registry: image by digest, artifact, content types, a sample of rows."""
    container: Request = {"Image": facts.image.uri, "ImageDigest": facts.image.digest, "Environment": plan.environment}
    if data := wanted.model_data(plan, facts):
        container["ModelDataUrl"] = data
    served = wanted.model(plan, facts).name
    return Resource("model package", served, "sagemaker", "create_model_package", {
        "ModelPackageGroupName": plan.model_package_group,
        "ModelPackageDescription": f"{plan.image_name} {facts.image.digest}",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": wanted.CONTENT_TYPES,
            "SupportedResponseMIMETypes": wanted.CONTENT_TYPES,
            "SupportedRealtimeInferenceInstanceTypes": plan.instance_types,
            "SupportedTransformInstanceTypes": [plan.job_instance_type],
        },
        "SamplePayloadUrl": f"s3://{facts.bucket}/{wanted.prefix(plan)}registry/payload.csv",
        "CustomerMetadataProperties": {"model": served},
    })  # fmt: skip


def is_registered(account: Account, plan: Plan, facts: Facts) -> bool:
    """Whether this very version is in the model registry."""
    sagemaker, mine = account.client("sagemaker"), model_package(plan, facts).name
    try:
        pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=plan.model_package_group)
        for page in pages:
            for row in page["ModelPackageSummaryList"]:
                told = sagemaker.describe_model_package(ModelPackageName=row["ModelPackageArn"])
                if told.get("CustomerMetadataProperties", {}).get("model") == mine:
                    return True
    except (ClientError, BotoCoreError) as exc:
        if not trouble.missing(exc):
            raise
    return False


def register(run: Run, request: Request, payload: bytes) -> None:
    """Never fatal: a version that is served need not be registered."""
    with run.optional("the model registry"):
        run.files.put(f"{wanted.prefix(run.plan)}registry/payload.csv", payload)
        group = {"ModelPackageGroupName": run.plan.model_package_group, "Tags": run.facts.tags}
        try:
            run.sagemaker.create_model_package_group(**group)
        except ClientError as exc:
            if not trouble.there(exc):
                raise
        run.sagemaker.create_model_package(**request)
