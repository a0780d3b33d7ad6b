"""Which machines: whether the account may have them, and whether the image runs on them."""

from __future__ import annotations

import difflib
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop
from .account import Account
from .plan import Plan, is_arm
from .wanted import Image

ARM_REMEDY = "Push one for {}: ./build_and_push.sh {} --platform linux/{}. Or set instance_type to the other kind."
SHAPES = ("ProductionVariantInstanceType", "TrainingInstanceType", "TransformInstanceType")
"""Where AWS's service model lists instance types."""


def architecture(plan: Plan, image: Image) -> str:
    """One line. Raises Stop when the image cannot run on the instances that the plan names."""
    if not image.architecture:
        return "architecture of the image: unknown"
    wanted = "arm64" if is_arm(plan.instance_type) else "amd64"
    if image.architecture != wanted and set(plan.modes) & {"realtime", "async", "multi-model", "components"}:
        remedy = ARM_REMEDY.format(wanted, plan.image_name, wanted)
        raise Stop(f"The image is for {image.architecture}, and {plan.instance_type} is {wanted}. {remedy}")
    if image.architecture == "arm64" and (plan.needs_job or "batch" in plan.modes):
        raise Stop("The image is for arm64, which no training or transform job runs. Set train = false, without batch.")
    if image.architecture == "arm64" and "serverless" in plan.modes:
        raise Stop("The image is for arm64, and serverless endpoints run amd64. Take serverless out of modes.")
    return f"architecture of the image: {image.architecture}"


def _needs(plan: Plan) -> list[tuple[str, str, int, int]]:
    needs = []
    if "realtime" in plan.modes:
        needs.append((plan.instance_type, "endpoint usage", plan.max_instances, 2 * plan.max_instances))
    if plan.needs_job:
        needs.append((plan.job_instance_type, "training job usage", 1, 0))
    if "batch" in plan.modes:
        needs.append((plan.job_instance_type, "transform job usage", 1, 0))
    return needs


def quotas(account: Account, plan: Plan) -> list[str]:
    """A line for each instance type and use: what the account may have and what is needed, twice as much for an update.

    Raises Stop when a quota is below what is needed, and for a type that neither boto3 nor the quotas know. Other
    endpoints may use part of a quota: that is not counted.
    """
    wanted = {f"{kind} for {use}": (needed, better) for kind, use, needed, better in _needs(plan)}
    lines = []
    try:
        pages = account.client("service-quotas").get_paginator("list_service_quotas")
        for page in pages.paginate(ServiceCode="sagemaker", PaginationConfig={"PageSize": 100}):
            for row in page["Quotas"]:
                if row["QuotaName"] in wanted:
                    lines.append(_judged(row, *wanted.pop(row["QuotaName"])))
    except (ClientError, BotoCoreError) as exc:
        return [*lines, f"quotas: unknown (needs servicequotas:ListServiceQuotas): {exc}"]
    for name in wanted:
        _refuse_unknown(account, name.partition(" for ")[0])
    return lines + [f"the account lists no quota named {name!r}" for name in wanted]


def _refuse_unknown(account: Account, kind: str) -> None:
    """Raises Stop when boto3's own lists have no such type: AWS may have newer ones, but then its quotas list them."""
    sagemaker = account.client("sagemaker").meta.service_model
    known = {each for shape in SHAPES for each in sagemaker.shape_for(shape).enum}
    if kind not in known:
        near = difflib.get_close_matches(kind, sorted(known), 1)
        guess = f" Did you mean {near[0]}?" if near else ""
        raise Stop(f"Neither boto3 nor the account's quotas know the instance type {kind}.{guess}")


def _judged(row: dict[str, Any], needed: int, better: int) -> str:
    name = row["QuotaName"]
    if row["Value"] < needed:
        raise Stop(
            f"The quota {name!r} is {row['Value']:g} and {needed} is needed. Choose another instance type, or ask "
            f"for more: Service Quotas, Amazon SageMaker, {row.get('QuotaCode', name)} (takes hours to days)."
        )
    more = f" ({better} for an update at full size: old and new side by side)" if row["Value"] < better else ""
    return f"{name}: {row['Value']:g} allowed, {needed} needed{more}"
