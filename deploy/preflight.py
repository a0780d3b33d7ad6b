"""Would the deployment fail for a reason that can be seen now? Nothing here creates or changes anything.

Each check returns what it found or raises Stop with the remedy. A check that the caller may not make, or that gets no
answer, is said to be unknown, with the permission it needs: it must not stop who may deploy all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop, local, machines, names, permissions, trouble
from .account import HOW_TO_MAKE_A_ROLE, TRUST_POLICY, Account
from .plan import Plan
from .wanted import Facts, Image

SCHEMA_2 = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
MANIFESTS = [SCHEMA_2, "application/vnd.oci.image.manifest.v1+json", *INDEXES]
Say = Callable[[str], None]


def facts(account: Account, plan: Plan, bucket: str, owner: str, say: Say) -> Facts:
    """Everything that can be known before anything is made, said line by line."""
    me = account.me
    say(f"You are {me.owner} in account {me.account}, {me.region}.")
    if wrong := local.wrong_settings(plan.environment):
        raise Stop(f"environment: {wrong} (docs/settings.md has all settings)")
    named = role(account, plan, plan.role_arn or account.own_role(), bucket, say)
    found = image(account, plan.image_name, plan.image_tag)
    shadow = image(account, plan.image_name, plan.shadow_tag) if plan.shadow_tag else None
    say(f"Role   {named}\nImage  {found.uri} ({found.megabytes} MB compressed)")
    for each in [found, shadow] if shadow else [found]:
        say(machines.architecture(plan, each))
    for line in machines.quotas(account, plan):
        say(line)
    if lacking := caller(account, plan, named, bucket, say):
        say(f"IAM says that you may not: {', '.join(lacking)}. {trouble.ALLOWED_BY}")
    tags = names.tags(plan.name, owner, plan.expires_after_days, plan.tags)
    return Facts(me.account, me.region, me.partition, named, bucket, owner, tags, found, shadow)


def role(account: Account, plan: Plan, arn: str, bucket: str, say: Say) -> str:
    """The execution role's ARN, if SageMaker may assume it and it may do what the endpoint and the jobs need."""
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/.+", arn):
        raise Stop(f"{arn!r} is not a role's ARN. Expected: arn:aws:iam::<account>:role/<name>. {HOW_TO_MAKE_A_ROLE}")
    if (owner := arn.split(":")[4]) != account.me.account:
        raise Stop(
            f"The role {arn} is of the account {owner}, and you are in {account.me.account}. {HOW_TO_MAKE_A_ROLE}"
        )
    name, iam = arn.rpartition("/")[2], account.client("iam")
    try:
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    except (ClientError, BotoCoreError) as exc:
        if trouble.missing(exc):
            raise Stop(f"There is no role {name} in this account. {HOW_TO_MAKE_A_ROLE}") from None
        _unknown(say, "the role's trust policy", "iam:GetRole", exc)
        if trouble.lost(exc):
            return arn  # IAM cannot be reached from here: nothing more is asked of it
    else:
        if not _trusts_sagemaker(trust):
            raise Stop(f"SageMaker may not assume {arn}. Give the role this trust policy:\n{_pretty(TRUST_POLICY)}")
    filling = {"BUCKET": bucket, "IMAGE_NAME": plan.image_name, "NAME": plan.name, "ROLE": arn}
    document = permissions.filled(account, "execution-role", filling, keys=[plan.kms_key, plan.volume_key],
                                  network=bool(plan.subnets))  # fmt: skip
    missing = _missing(iam, arn, document, say, "the role's permissions")
    if missing:
        policy = {"Version": "2012-10-17", "Statement": missing}
        raise Stop(f"The role {arn} lacks permissions. Attach this policy to it:\n{_pretty(policy)}")
    return arn


def caller(account: Account, plan: Plan, role_arn: str, bucket: str, say: Say) -> list[str]:
    """What IAM says that you may not do, of all that a deployment does. It does not know every rule of a company."""
    me = account.me.arn
    if assumed := re.match(r"(arn:[\w-]+):sts::(\d+):assumed-role/([^/]+)/", me):
        me = f"{assumed[1]}:iam::{assumed[2]}:role/{assumed[3]}"
        if assumed[3] == role_arn.rpartition("/")[2]:
            me = role_arn  # with its path
    filling = {"BUCKET": bucket, "IMAGE_NAME": plan.image_name, "NAME": plan.name, "ROLE": role_arn}
    document = permissions.filled(account, "deployer", filling, keys=[plan.kms_key, plan.volume_key])
    if not plan.delete_when_expired:
        document["Statement"] = [row for row in document["Statement"] if not row["Sid"].startswith("Expire")]
    found = _missing(account.client("iam"), me, document, say, "your own permissions")
    return sorted({action for row in found for action in row["Action"]})


def _missing(iam: Any, arn: str, document: dict[str, Any], say: Say, what: str) -> list[dict[str, Any]]:
    """The statements of `document` that IAM denies to `arn`, cut down to what is denied."""
    missing = []
    for row in document["Statement"]:
        actions, resources = permissions.listed(row["Action"]), permissions.listed(row["Resource"])
        passed = [
            {"ContextKeyName": key, "ContextKeyValues": permissions.listed(value), "ContextKeyType": "string"}
            for test in row.get("Condition", {}).values()
            for key, value in test.items()
        ]
        # One concrete resource stands for a pattern.
        resources = [each.replace("/*", "/any") if each != "*" else each for each in resources[:1]]
        try:
            results = iam.simulate_principal_policy(
                PolicySourceArn=arn,
                ActionNames=actions,
                ResourceArns=resources,
                **({"ContextEntries": passed} if passed else {}),
            )["EvaluationResults"]
        except (ClientError, BotoCoreError) as exc:
            _unknown(say, what, "iam:SimulatePrincipalPolicy", exc)
            return []
        denied = [result["EvalActionName"] for result in results if result["EvalDecision"] != "allowed"]
        if denied:
            kept = {key: value for key, value in row.items() if key not in ("Sid", "Action")}
            missing.append({"Effect": "Allow", "Action": denied, **kept})
    return missing


def image(account: Account, name: str, tag: str) -> Image:
    """The image in ECR, if SageMaker takes its manifest: hosting refuses OCI manifests and multi-platform indexes."""
    ecr = account.client("ecr")
    push = f"Run ./build_and_push.sh {name} first (region {account.region})."
    which = {"imageDigest": tag} if tag.startswith("sha256:") else {"imageTag": tag}
    try:
        repository = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
        found = ecr.batch_get_image(repositoryName=name, imageIds=[which], acceptedMediaTypes=MANIFESTS)["images"]
    except (ClientError, BotoCoreError) as exc:
        if trouble.code(exc) == "RepositoryNotFoundException":
            raise Stop(f"ECR has no repository {name} in this account and region. {push}") from None
        raise Stop(trouble.explained(exc, f"Looking for the image {name}:{tag}")) from None
    if not found:
        raise Stop(f"The ECR repository {name} has no image tagged {tag}. {push}")
    manifest = json.loads(found[0]["imageManifest"])
    media_type = found[0].get("imageManifestMediaType") or manifest.get("mediaType", "unknown")
    if media_type != SCHEMA_2:
        seen = "an index of several platforms or attestations" if media_type in INDEXES else "an OCI manifest"
        raise Stop(f"{name}:{tag} is {seen} ({media_type}), which SageMaker hosting refuses. {push}")
    digest = found[0]["imageId"]["imageDigest"]
    megabytes = sum(layer.get("size", 0) for layer in manifest.get("layers", [])) // 2**20
    architecture = _architecture(ecr, name, manifest.get("config", {}).get("digest", ""))
    uri = f"{repository['repositoryUri']}@{digest}"
    return Image(uri, digest, megabytes, architecture, found[0]["imageManifest"])


def _architecture(ecr: Any, repository: str, digest: str) -> str:
    """amd64 or arm64, as the image's configuration says; nothing where it cannot be read."""
    try:
        url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)["downloadUrl"]
        with urlopen(url, timeout=5) as reply:
            return str(json.load(reply).get("architecture", ""))
    except (ClientError, BotoCoreError, URLError, OSError, ValueError, KeyError):
        return ""


def _trusts_sagemaker(trust: Any) -> bool:
    document = json.loads(trust) if isinstance(trust, str) else trust
    return any(
        statement.get("Effect") == "Allow" and "sagemaker.amazonaws.com" in json.dumps(statement.get("Principal", {}))
        for statement in document.get("Statement", [])
    )


def _unknown(say: Say, what: str, permission: str, exc: Exception) -> None:
    say(f"  unknown: {what} ({f'you lack {permission}' if trouble.denied(exc) else exc})")


def _pretty(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2)
