"""Who you are, where, and the clients that everything is asked through.

What a deployment can do without (IAM, prices, quotas) gives up fast where it cannot be reached, as in a VPC without
internet. Everything in S3 is asked with the owner that the bucket must have: anybody may have taken its name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, ProfileNotFound

from . import Stop, trouble

OPTIONAL = {"iam", "pricing", "service-quotas"}
PATIENT = Config(retries={"mode": "standard", "max_attempts": 6}, max_pool_connections=32)
FAST = Config(connect_timeout=3, read_timeout=8, retries={"total_max_attempts": 1})
STUDIO = Path("/opt/ml/metadata/resource-metadata.json")
TRUST_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
HOW_TO_MAKE_A_ROLE = (
    "In IAM make a role with the policy AmazonSageMakerFullAccess (or deploy/permissions/execution-role.json) and this "
    f"trust policy, and set role_arn (ROLE_ARN in the notebook):\n{json.dumps(TRUST_POLICY, indent=2)}"
)


@dataclass(frozen=True)
class Identity:
    account: str
    region: str
    partition: str
    owner: str
    """Who runs this, as in the caller's ARN: `user/ana`, `assumed-role/DataScience/ana@example.com`."""
    arn: str


class Account:
    """An AWS account and region, as the caller sees it. Clients are made once each."""

    def __init__(self, region: str = "", session: Any = None) -> None:
        wanted = region or os.environ.get("AWS_REGION") or None
        try:
            self.session = session or boto3.Session(region_name=wanted)
        except ProfileNotFound as exc:
            raise Stop(f"{exc}. AWS_PROFILE names no profile of yours: aws configure list-profiles") from None
        except BotoCoreError as exc:
            raise Stop(f"{exc}. Mend the file, or run: aws configure") from None
        self._clients: dict[str, Any] = {}
        self.me = self._identity()
        self.find_role: Callable[[], str] = str
        """Who else may know the execution role; a notebook asks the SageMaker SDK."""

    def client(self, service: str) -> Any:
        if service not in self._clients:
            # The Price List API has a few regions only. AWS China has its own, with other currencies.
            where = {"region_name": "us-east-1"} if service == "pricing" else {}
            patience = FAST if service in OPTIONAL else PATIENT
            self._clients[service] = self.session.client(service, config=patience, **where)
        return self._clients[service]

    @property
    def region(self) -> str:
        return self.me.region

    def arn(self, service: str, rest: str) -> str:
        return f"arn:{self.me.partition}:{service}:{self.me.region}:{self.me.account}:{rest}"

    def _identity(self) -> Identity:
        try:
            if not self.session.region_name:
                raise NoRegionError
            caller = self.session.client("sts", config=PATIENT).get_caller_identity()
        except (ClientError, BotoCoreError, ValueError) as exc:
            raise Stop(trouble.explained(exc, "Finding out who you are")) from None
        partition, owner = caller["Arn"].split(":")[1], caller["Arn"].split(":", 5)[5]
        owner = re.sub(r"/botocore-session-\d+$", "", owner)
        return Identity(caller["Account"], self.session.region_name, partition, owner, caller["Arn"])

    def own_role(self) -> str:
        """The execution role where none is named: SAGEMAKER_ROLE_ARN, or the role that you are, as in Studio."""
        if named := os.environ.get("SAGEMAKER_ROLE_ARN"):
            return named
        if found := self.find_role():
            return found
        if STUDIO.exists() and (told := json.loads(STUDIO.read_text()).get("ExecutionRoleArn")):
            return str(told)
        if not (assumed := re.match(r"assumed-role/([^/]+)", self.me.owner)):
            raise Stop(f"No execution role: you are {self.me.owner}, which is not a role. {HOW_TO_MAKE_A_ROLE}")
        try:
            return str(self.client("iam").get_role(RoleName=assumed[1])["Role"]["Arn"])
        except (ClientError, BotoCoreError):  # Studio's own roles have this path; others have none
            path = "service-role/" if assumed[1].startswith("AmazonSageMaker-") else ""
            return f"arn:{self.me.partition}:iam::{self.me.account}:role/{path}{assumed[1]}"


class Files:
    """What is in the deployment's bucket. Every call names the account that must own it."""

    def __init__(self, account: Account, bucket: str, kms_key: str = "") -> None:
        self.account, self.bucket, self.kms_key = account, bucket, kms_key
        self.owner = {"Bucket": bucket, "ExpectedBucketOwner": account.me.account}

    @property
    def s3(self) -> Any:
        return self.account.client("s3")

    def there(self) -> bool:
        """Whether the bucket is there and yours. Raises Stop when it is somebody's."""
        try:
            self.s3.head_bucket(**self.owner)
        except ClientError as exc:
            if trouble.denied(exc):
                raise Stop(
                    f"You may not use the bucket {self.bucket}, or it is another account's. Set bucket to yours."
                ) from None
            if trouble.missing(exc):
                return False
            raise
        return True

    def make(self) -> None:
        """A bucket that nobody reads: encrypted, no public access, no plain HTTP."""
        for call, request in self.bucket_calls():
            getattr(self.s3, call)(**request)

    def bucket_calls(self) -> list[tuple[str, dict[str, Any]]]:
        where = {"CreateBucketConfiguration": {"LocationConstraint": self.account.region}}
        algorithm = {"SSEAlgorithm": "AES256"}
        if self.kms_key:
            algorithm = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.kms_key}
        blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        arn = f"arn:{self.account.me.partition}:s3:::{self.bucket}"
        refuse_http = {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "OnlyHttps", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                 "Resource": [arn, f"{arn}/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
            ],
        }  # fmt: skip
        rules = [{"ApplyServerSideEncryptionByDefault": algorithm, "BucketKeyEnabled": True}]
        return [
            ("create_bucket", {"Bucket": self.bucket, **({} if self.account.region == "us-east-1" else where)}),
            ("put_public_access_block", {**self.owner, "PublicAccessBlockConfiguration": dict.fromkeys(blocked, True)}),
            ("put_bucket_encryption", {**self.owner, "ServerSideEncryptionConfiguration": {"Rules": rules}}),
            ("put_bucket_policy", {**self.owner, "Policy": json.dumps(refuse_http)}),
        ]

    def put(self, key: str, body: bytes, **more: Any) -> str:
        """Returns S3's own digest of the object."""
        key_of = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key} if self.kms_key else {}
        return str(self.s3.put_object(**self.owner, Key=key, Body=body, **key_of, **more)["ETag"])

    def get(self, key: str) -> bytes | None:
        """What is in the object, or None when there is none."""
        return self.read(key)[0]

    def read(self, key: str) -> tuple[bytes | None, str]:
        """What is in the object, and S3's own digest of the same."""
        try:
            told = self.s3.get_object(**self.owner, Key=key)
        except ClientError as exc:
            if trouble.missing(exc):
                return None, ""
            raise
        return told["Body"].read(), str(told["ETag"])

    def etag(self, key: str) -> str | None:
        """S3's own digest of the object, or None when there is none."""
        try:
            return str(self.s3.head_object(**self.owner, Key=key)["ETag"]).strip('"')
        except ClientError as exc:
            if trouble.missing(exc):
                return None
            raise

    def delete(self, prefix: str, but: str = "") -> int:
        """Deletes the objects under `prefix`, which ends with a slash and is the deployment's own; returns how many."""
        count = 0
        for page in self.s3.get_paginator("list_objects_v2").paginate(**self.owner, Prefix=prefix):
            keys = [{"Key": row["Key"]} for row in page.get("Contents", []) if row["Key"] != but]
            if keys:
                answer = self.s3.delete_objects(**self.owner, Delete={"Objects": keys, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise Stop(f"{len(errors)} objects under {prefix} stay: {errors[0].get('Message')}")
                count += len(keys)
        return count

    def key_of(self, uri: str) -> str | None:
        """The key of an s3:// URI in this bucket, or None when it is in another."""
        start = f"s3://{self.bucket}/"
        return uri.removeprefix(start) if uri.startswith(start) else None
