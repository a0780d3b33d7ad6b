"""A cost guard that acts: EventBridge Scheduler deletes the endpoint on the day that its tag names. Off by default.

The role that it uses may delete this one endpoint and nothing else.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from . import Stop, names, trouble
from .account import Account
from .plan import Plan
from .wanted import Request

POLICY = "delete-this-endpoint"


def schedule_name(name: str) -> str:
    return f"{name}-expires"


def role_name(name: str, region: str) -> str:
    return f"{name}-expires-{region}"


def requests(account: Account, plan: Plan, tags: list[dict[str, str]]) -> dict[str, Request]:
    """The calls that make the role and the schedule, by their names."""
    name, role = plan.name, role_name(plan.name, account.region)
    endpoint = account.arn("sagemaker", f"endpoint/{name.lower()}")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "scheduler.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account.me.account}},
            }
        ],
    }
    allowed = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sagemaker:DeleteEndpoint", "Resource": endpoint}],
    }
    boundary = {"PermissionsBoundary": plan.permissions_boundary} if plan.permissions_boundary else {}
    when = datetime.now(UTC) + timedelta(days=plan.expires_after_days)
    return {
        "create_role": {"RoleName": role, "AssumeRolePolicyDocument": json.dumps(trust), "Tags": tags, **boundary},
        "put_role_policy": {"RoleName": role, "PolicyName": POLICY, "PolicyDocument": json.dumps(allowed)},
        "create_schedule": {
            "Name": schedule_name(name),
            "Description": f"Deletes the endpoint {name}, which has expired.",
            "ScheduleExpression": f"at({when:%Y-%m-%dT%H:%M:%S})",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": f"arn:{account.me.partition}:scheduler:::aws-sdk:sagemaker:deleteEndpoint",
                "RoleArn": f"arn:{account.me.partition}:iam::{account.me.account}:role/{role}",
                "Input": json.dumps({"EndpointName": name}),
            },
        },
    }


def make(account: Account, plan: Plan, tags: list[dict[str, str]]) -> None:
    """The role and the schedule, or the schedule moved to the new day."""
    asked, iam, scheduler = requests(account, plan, tags), account.client("iam"), account.client("scheduler")
    try:
        iam.create_role(**asked["create_role"])
    except ClientError as exc:
        if not trouble.there(exc):
            raise
        if not found_role(account, plan.name):
            role = role_name(plan.name, account.region)
            raise Stop(f"The role {role} exists and was not made by this kit. Set another endpoint_name.") from None
    iam.put_role_policy(**asked["put_role_policy"])
    try:
        scheduler.create_schedule(**asked["create_schedule"])
    except ClientError as exc:
        if not (trouble.there(exc) or trouble.code(exc) == "ConflictException"):
            raise
        scheduler.update_schedule(**asked["create_schedule"])


def found(account: Account, name: str) -> list[str]:
    try:
        account.client("scheduler").get_schedule(Name=schedule_name(name))
    except ClientError as exc:
        if trouble.missing(exc):
            return []
        raise
    return [schedule_name(name)]


def found_role(account: Account, name: str) -> list[str]:
    """The role, if it carries the deployment's tag."""
    role = role_name(name, account.region)
    try:
        told = account.client("iam").get_role(RoleName=role)["Role"]
    except ClientError as exc:
        if trouble.missing(exc):
            return []
        raise
    return [role] if {"Key": names.DEPLOYMENT, "Value": name} in told.get("Tags", []) else []


def delete_schedule(account: Account, name: str) -> bool:
    try:
        account.client("scheduler").delete_schedule(Name=name)
    except ClientError as exc:
        if trouble.missing(exc):
            return False
        raise
    return True


def delete_role(account: Account, name: str) -> bool:
    iam = account.client("iam")
    for call, more in ((iam.delete_role_policy, {"PolicyName": POLICY}), (iam.delete_role, {})):
        try:
            call(RoleName=name, **more)
        except ClientError as exc:
            if not trouble.missing(exc):
                raise
    return True
