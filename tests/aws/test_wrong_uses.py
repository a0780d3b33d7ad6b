"""`python -m deploy` in wrong hands: each mistake has its verdict, its cause and its remedy; none is a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deploy import __main__ as cli

from cloud import ACCOUNT, REGION, ROLE, Cloud
from cloud_books import error
from running import KIT


def refuses(call: str, code: str, message: str) -> Callable[[Cloud], None]:
    """An account that answers this call (service_method) with an error of AWS's."""

    def prepare(cloud: Cloud) -> None:
        def answer(**_: Any) -> ClientError:
            raise error(code, message, "Call")

        setattr(cloud, call, answer)

    return prepare


def sets(**values: Any) -> Callable[[Cloud], None]:
    return lambda cloud: cloud.__dict__.update(values)


HUGE = "Neither boto3 nor the account's quotas know the instance type ml.m5.huge. Did you mean ml.m5.large?"
WRONG = {
    # what is wrong: settings, the account, exit code, what is said
    "a type that there is not": ('instance_type="ml.m5.huge"', None, 1, HUGE),
    "no quota": ("", sets(quota=0.0), 1, "quota 'ml.m5.large for endpoint usage' is 0 and 2 is needed. Choose another"),
    "the quota is used up": (
        "", refuses("sagemaker_create_endpoint", "ResourceLimitExceeded", "The limit is 0 Instances."), 1,
        "The limit is 0 Instances. A quota of the account is reached: choose another instance type, or ask for more."),
    "a mode twice": ('modes=["batch", "batch"]', None, 2, "modes names one of them twice"),
    "the address of an image": (
        f'image_name="{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/x"', None, 2, "without its host and without a tag"),
    "a misspelt setting of the server": (
        'environment={MODEL_SERVER_TIMOUT="3"}', None, 1, "did you mean MODEL_SERVER_TIMEOUT?"),
    "a wrong value for the server": (
        'environment={MODEL_SERVER_TIMEOUT="soon"}', None, 1, "MODEL_SERVER_TIMEOUT='soon': expected a whole number"),
    "a role of another account": (
        'role_arn="arn:aws:iam::999999999999:role/Execution"', None, 1, f"999999999999, and you are in {ACCOUNT}."),
    "an empty payload": (f'payload="{os.devnull}"', None, 1, "is empty. Name rows of your model in payload."),
    "a key that there is not": (
        'volume_key="alias/none"',
        refuses("sagemaker_create_endpoint_config", "ValidationException", "Invalid KMS key: alias/none"), 1,
        "Invalid KMS key: alias/none. kms_key and volume_key must be keys of this account and region"),
    "a subnet that there is not": (
        'subnets=["subnet-0a"]\nsecurity_groups=["sg-0"]',
        refuses("sagemaker_create_model", "ValidationException", "The subnet ID 'subnet-0a' does not exist"), 1,
        "subnets and security_groups must be of one VPC"),
    "an artifact that there is not": (
        'model_data="s3://b/m.tar.gz"',
        refuses("sagemaker_create_model", "ValidationException", "Could not find model data at s3://b/m.tar.gz."), 1,
        "model_data must be there"),
    "an expired token": ("", refuses("sts_get_caller_identity", "ExpiredToken", "It is expired"), 2, "Sign in again"),
    "a wrong clock": (
        "", refuses("sts_get_caller_identity", "SignatureDoesNotMatch", "Signature expired"), 2, "machine's clock"),
    "throttled": (
        "", refuses("sagemaker_create_model", "ThrottlingException", "Rate exceeded"), 1, "Run it again in a minute"),
    "AWS itself fails": (
        "", refuses("sagemaker_create_model", "InternalFailure", "Oh."), 1, "AWS itself failed (Oh.). Run it again"),
    "no network": ("", sets(unreachable={"sts"}), 2, "Check the network and the region"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_has_a_verdict_a_cause_and_a_remedy(mistake: str, tmp_path, monkeypatch, capsys) -> None:
    """The exit code, and one sentence; nothing that costs money stays."""
    settings, prepare, code, said = WRONG[mistake]
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.chdir(KIT)
    cloud = Cloud()
    if prepare:
        prepare(cloud)
    base = "" if "role_arn" in settings else f'role_arn = "{ROLE}"\n'
    (tmp_path / "it.toml").write_text(f'{base}region = "{REGION}"\npoll_seconds = 0\n{settings}\n')
    assert cli.main(["up", str(tmp_path / "it.toml")], cloud.session) == code
    told = capsys.readouterr().err
    assert said in told
    assert "unforeseen" not in told
    assert cloud.costly() == set()


@pytest.mark.parametrize("word", ["test", "measure"])
def test_what_is_not_there_can_be_made(word: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(KIT)
    (tmp_path / "it.toml").write_text(f'role_arn = "{ROLE}"\nregion = "{REGION}"\n')
    assert cli.main([word, str(tmp_path / "it.toml")], Cloud().session) == 1
    printed = capsys.readouterr()
    assert 'Could not find endpoint "sagemaker-my-model". Make it by `up`' in printed.out + printed.err


def test_down_where_nothing_is_says_only_that(tmp_path, monkeypatch, capsys) -> None:
    """Also where there is no bucket yet, and so no lock to take."""
    monkeypatch.chdir(KIT)
    (tmp_path / "it.toml").write_text(f'region = "{REGION}"\n')
    assert cli.main(["down", str(tmp_path / "it.toml")], Cloud().session) == 0
    assert capsys.readouterr().out == "Nothing of sagemaker-my-model is left but logs and the image in ECR.\n"


SSO = "[default]\nregion = eu-west-1\nsso_session = x\nsso_account_id = 1\nsso_role_name = r\n[sso-session x]\nsso_region = eu-west-1\nsso_start_url = https://x.awsapps.com/start\n"  # fmt: skip # noqa: E501
MACHINES = {
    # what this machine lacks: environment, ~/.aws/config, what is said
    "region": ({}, "", "No AWS region. Set region in the plan"),
    "credentials": ({"AWS_REGION": REGION}, "", "Unable to locate credentials). Sign in again"),
    "profile": ({"AWS_REGION": REGION, "AWS_PROFILE": "nope"}, "", "AWS_PROFILE names no profile of yours"),
    "a session of SSO": ({}, SSO, "Token for x does not exist). Sign in again: aws sso login"),
    "a config that can be read": ({}, "garbage\n", "Unable to parse config file"),
    "a program that gives credentials": (
        {}, f"[default]\nregion = {REGION}\ncredential_process = false\n", "Sign in again"),
    "a way to AWS": (
        {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1",
         "HTTPS_PROXY": "http://127.0.0.1:9"}, "", "Check the network and the region"),
}  # fmt: skip


@pytest.mark.parametrize("lack", MACHINES)
def test_what_a_machine_lacks_is_one_sentence(lack: str, tmp_path: Path) -> None:
    """As boto3 itself says it, with what to do."""
    environment, config, said = MACHINES[lack]
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(config)
    (tmp_path / "it.toml").write_text("")
    told = subprocess.run(
        [sys.executable, "-m", "deploy", "plan", str(tmp_path / "it.toml")], cwd=KIT, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", **environment},
    )  # fmt: skip
    assert (told.returncode, told.stderr.count("\n")) == (2, 1), told.stderr
    assert said in told.stderr
