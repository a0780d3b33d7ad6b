"""Would the deployment fail for a reason that can be seen now? Nothing here creates or changes anything.

Each check returns what it found or raises Stop with the remedy. A check that the caller may not make is printed as
"not checked", with the permission it needs: it must not stop who may deploy all the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from . import Stop

SCHEMA_2 = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
MANIFESTS = [SCHEMA_2, "application/vnd.oci.image.manifest.v1+json", *INDEXES]
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")

TRUST_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
HOW_TO_MAKE_A_ROLE = (
    "In IAM make a role with the policy AmazonSageMakerFullAccess and this trust policy, and set ROLE_ARN (or "
    f"SAGEMAKER_ROLE_ARN) to its ARN:\n{json.dumps(TRUST_POLICY, indent=2)}"
)


@dataclass(frozen=True)
class Identity:
    account: str
    region: str
    partition: str
    owner: str
    """Who runs this, as in the caller's ARN: `user/ana`, `assumed-role/DataScience/ana@example.com`."""


@dataclass(frozen=True)
class Image:
    uri: str
    """By digest: what was checked is what will run, wherever the tag moves."""
    digest: str
    megabytes: int


def identity(session: Any) -> Identity:
    try:
        if not session.region_name:
            raise NoRegionError
        caller = session.client("sts").get_caller_identity()
    except NoRegionError:
        raise Stop("No AWS region. Set REGION above, or AWS_DEFAULT_REGION, or run `aws configure`.") from None
    except NoCredentialsError:
        raise Stop("No AWS credentials. Run `aws configure` or `aws sso login`, or set AWS_PROFILE.") from None
    except (ClientError, BotoCoreError) as exc:
        raise Stop(f"AWS does not accept these credentials: {exc}. Sign in again (`aws sso login`).") from exc
    partition, owner = caller["Arn"].split(":")[1], caller["Arn"].split(":", 5)[5]
    return Identity(caller["Account"], session.region_name, partition, re.sub(r"/botocore-session-\d+$", "", owner))


def role(session: Any, arn: str, repository_arn: str, bucket_arn: str) -> str:
    """The execution role's ARN, if SageMaker may assume it and it may pull the image, use the bucket and write logs."""
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/.+", arn):
        raise Stop(f"{arn!r} is not a role's ARN. Expected: arn:aws:iam::<account>:role/<name>. {HOW_TO_MAKE_A_ROLE}")
    name, iam = arn.rpartition("/")[2], session.client("iam")
    try:
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    except ClientError as exc:
        if exc.response["Error"]["Code"] == "NoSuchEntity":
            raise Stop(f"There is no role {name} in this account. {HOW_TO_MAKE_A_ROLE}") from exc
        _not_checked("the role's trust policy", "iam:GetRole", exc)
    else:
        if not _trusts_sagemaker(trust):
            raise Stop(f"SageMaker may not assume {arn}. Give the role this trust policy:\n{_pretty(TRUST_POLICY)}")
    _refuse_missing_permissions(iam, arn, repository_arn, bucket_arn)
    return arn


def image(session: Any, name: str, tag: str) -> Image:
    """The image in ECR, if SageMaker takes its manifest: hosting refuses OCI manifests and multi-platform indexes."""
    ecr = session.client("ecr")
    push = f"Run ./build_and_push.sh {name} first (region {session.region_name})."
    try:
        repository = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
        found = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": tag}], acceptedMediaTypes=MANIFESTS)[
            "images"
        ]
    except ClientError as exc:
        if exc.response["Error"]["Code"] == "RepositoryNotFoundException":
            raise Stop(f"ECR has no repository {name} in this account and region. {push}") from exc
        raise Stop(f"{exc}. You need ecr:DescribeRepositories and ecr:BatchGetImage for {name}.") from exc
    if not found:
        raise Stop(f"The ECR repository {name} has no image tagged {tag}. {push}")
    manifest = json.loads(found[0]["imageManifest"])
    media_type = found[0].get("imageManifestMediaType") or manifest.get("mediaType", "unknown")
    if media_type != SCHEMA_2:
        seen = "an index of several platforms or attestations" if media_type in INDEXES else "an OCI manifest"
        raise Stop(f"{name}:{tag} is {seen} ({media_type}), which SageMaker hosting refuses. {push}")
    digest = found[0]["imageId"]["imageDigest"]
    megabytes = sum(layer.get("size", 0) for layer in manifest.get("layers", [])) // 2**20
    return Image(f"{repository['repositoryUri']}@{digest}", digest, megabytes)


def quota(session: Any, instance_type: str, use: str, needed: int, better: int = 0) -> str:
    """One line on the quota for `use` ("endpoint usage", "training job usage", "transform job usage").

    Raises Stop when the account's quota is below `needed`. Other endpoints may use part of it: that is not counted.
    """
    wanted = f"{instance_type} for {use}"
    try:
        pages = session.client("service-quotas").get_paginator("list_service_quotas")
        for page in pages.paginate(ServiceCode="sagemaker", PaginationConfig={"PageSize": 100}):
            for row in page["Quotas"]:
                if row["QuotaName"] == wanted:
                    return _judged(row, wanted, needed, better)
    except (ClientError, BotoCoreError) as exc:
        return f"not checked (needs servicequotas:ListServiceQuotas): {exc}"
    return f"the account lists no quota named {wanted!r}"


def _judged(row: dict[str, Any], wanted: str, needed: int, better: int) -> str:
    if row["Value"] < needed:
        raise Stop(
            f"The quota {wanted!r} is {row['Value']:g} and {needed} is needed. Choose another instance type, or ask "
            f"for more: Service Quotas, Amazon SageMaker, {row.get('QuotaCode', wanted)} (takes hours to days)."
        )
    more = f" ({better} for an update at full size: old and new side by side)" if row["Value"] < better else ""
    return f"{wanted}: {row['Value']:g} allowed, {needed} needed{more}"


def _refuse_missing_permissions(iam: Any, arn: str, repository_arn: str, bucket_arn: str) -> None:
    needs = {
        repository_arn: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
        f"{bucket_arn}/*": ["s3:GetObject", "s3:PutObject"],
        "*": ["ecr:GetAuthorizationToken", "logs:CreateLogStream", "logs:PutLogEvents", "cloudwatch:PutMetricData"],
    }
    missing = []
    for resource, actions in needs.items():
        try:
            results = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=actions, ResourceArns=[resource])[
                "EvaluationResults"
            ]
        except (ClientError, BotoCoreError) as exc:
            return _not_checked("the role's permissions", "iam:SimulatePrincipalPolicy", exc)
        denied = [result["EvalActionName"] for result in results if result["EvalDecision"] != "allowed"]
        if denied:
            missing.append({"Effect": "Allow", "Action": denied, "Resource": resource})
    if missing:
        policy = {"Version": "2012-10-17", "Statement": missing}
        raise Stop(f"The role {arn} lacks permissions. Attach this policy to it:\n{_pretty(policy)}")
    return None


def _trusts_sagemaker(trust: Any) -> bool:
    document = json.loads(trust) if isinstance(trust, str) else trust
    return any(
        statement.get("Effect") == "Allow" and "sagemaker.amazonaws.com" in json.dumps(statement.get("Principal", {}))
        for statement in document.get("Statement", [])
    )


def _not_checked(what: str, permission: str, exc: Exception) -> None:
    denied = isinstance(exc, ClientError) and exc.response["Error"]["Code"] in DENIED
    print(f"  not checked: {what} ({f'you lack {permission}' if denied else exc})")


def _pretty(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2)
