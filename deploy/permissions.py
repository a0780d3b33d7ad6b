"""The permissions of everybody who takes part, as files in permissions/, and one command that fills in the names.

In a file, ACCOUNT, REGION, PARTITION, BUCKET, IMAGE_NAME, NAME and ROLE stand for what `python -m deploy permissions`
puts there. preflight asks IAM about the same files, so what is checked is what is written down.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from . import Stop
from .account import Account

HERE = Path(__file__).parent / "permissions"
KIT = Path(__file__).resolve().parent.parent
WHO = {
    "deployer": ("the person or CI that runs `python -m deploy` or the notebook", HERE / "deployer.json"),
    "execution-role": ("the role that endpoints and jobs run as", HERE / "execution-role.json"),
    "pusher": ("who runs ./build_and_push.sh", KIT / "push/push-policy.json"),
    "codebuild-caller": ("who runs ./build_and_push.sh --codebuild", KIT / "push/codebuild-caller-policy.json"),
}
NETWORK = [
    "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission", "ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs",
    "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups",
]  # fmt: skip


def filled(account: Account, who: str, names: dict[str, str], keys: list[str] | None = None,
           network: bool = False) -> dict[str, Any]:  # fmt: skip
    """The policy of `who` with the names filled in; with what a VPC and KMS keys need, where there are any. An alias
    names no key in a policy: it is left out."""
    me = account.me
    values = {"PARTITION": me.partition, "ACCOUNT": me.account, "REGION": me.region, **names}
    path = WHO[who][1]
    if not path.exists():
        raise Stop(f"There is no {path}.")
    word = re.compile(r"\b(" + "|".join(values) + r")\b")
    document: dict[str, Any] = json.loads(word.sub(lambda match: values[match[1]], path.read_text()))
    if network:
        document["Statement"].append({"Sid": "Network", "Effect": "Allow", "Action": NETWORK, "Resource": "*"})
    arns = [each if each.startswith("arn:") else account.arn("kms", f"key/{each}")
            for each in keys or [] if each and not each.startswith("alias/")]  # fmt: skip
    if arns:
        actions = ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:CreateGrant"]
        document["Statement"].append({"Sid": "Keys", "Effect": "Allow", "Action": actions, "Resource": arns})
    return document


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
