"""examples/: the workflow's commands are run, and what the Terraform file reads is in the plan's JSON."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy import __main__ as cli
from deploy import plan
from deploy.deployment import Deployment
from standins import Clone

from cloud import DIGEST, REGION, ROLE, Cloud
from running import KIT

WORKFLOW = yaml.safe_load((KIT / "examples/github-actions.yml").read_text())
TERRAFORM = (KIT / "examples/terraform/main.tf").read_text()
CAPTURED = {"capture_percent": 10, "kms_key": "alias/files"}
GOVERNED = {"subnets": ["subnet-0a"], "security_groups": ["sg-0c"], "volume_key": "alias/disks"}


def test_the_workflows_commands_deploy(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `python -m deploy` of the workflow, in its order, ends with 0; at the end the pushed digest is served."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.chdir(KIT)
    file = tmp_path / "deployment.toml"
    file.write_text(f'role_arn = "{ROLE}"\nregion = "{REGION}"\npoll_seconds = 0\ninvocations_per_minute = 100\n')
    account = Cloud()
    for job in ("plan", "up"):
        for step in WORKFLOW["jobs"][job]["steps"]:
            command = step.get("run", "").replace("${{ steps.push.outputs.digest }}", DIGEST).partition(" > ")[0]
            if command.startswith("python -m deploy "):
                words = [str(file) if word == "deployment.toml" else word for word in shlex.split(command)[3:]]
                assert cli.main(words, account.session) == 0, command
    [served] = account.things["model"].values()
    assert served["Container"]["Image"].endswith(DIGEST)


def test_the_workflows_checks_can_be_run(tmp_path: Path) -> None:
    """Each command of the job `check` is a word of make or a script that takes its options, in an order that works."""
    commands = [step["run"] for step in WORKFLOW["jobs"]["check"]["steps"] if "run" in step]
    assert WORKFLOW["jobs"]["up"]["needs"] == "check"
    clone = Clone(tmp_path)  # docker, python and pytest are stand-ins there
    (clone.kit / "Makefile").write_text("check:\n\ttrue\n")
    first, _, rest = (tmp_path / "bin/python3").read_text().partition("\n")
    report = "case \"$*\" in *'-m pytest'*) echo passed >conformance.md ;; esac"
    (tmp_path / "bin/python3").write_text(f"{first}\n{report}\n{rest}")
    summary = tmp_path / "summary"
    for command in commands:
        process = clone.start("bash", "-e", "-c", command, GITHUB_STEP_SUMMARY=str(summary))
        said = process.communicate(timeout=60)[0]
        assert process.returncode == 0, said
    assert summary.read_text() == "passed\n"


def test_the_workflow_signs_in_without_keys() -> None:
    """OIDC, and the digest alone is taken from what the push prints; pip installs what was tested."""
    assert WORKFLOW["permissions"]["id-token"] == "write"
    assert "secrets." not in (KIT / "examples/github-actions.yml").read_text()
    [push] = [step["run"] for step in WORKFLOW["jobs"]["up"]["steps"] if step.get("id") == "push"]
    digest = subprocess.run(
        ["bash", "-e", "-c", push.replace('./build_and_push.sh "$IMAGE_NAME"', f"echo host/name@{DIGEST}")],
        env={"GITHUB_OUTPUT": "/dev/stdout", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert digest == f"digest={DIGEST}\n"
    failed = subprocess.run(
        ["bash", "-e", "-c", push.replace('./build_and_push.sh "$IMAGE_NAME"', "exit 7")], check=False
    )
    assert failed.returncode == 7
    installed = {
        line for job in WORKFLOW["jobs"].values() for step in job["steps"] if "pip" in (line := step.get("run", ""))
    }
    assert installed == {"pip install " + re.search(r"boto3==\S+", (KIT / "deploy/requirements.txt").read_text())[0]}


@pytest.mark.parametrize("settings", [{}, GOVERNED, CAPTURED], ids=["plain", "governed", "captured"])
def test_what_terraform_reads_is_in_the_plan(settings: dict[str, Any]) -> None:
    """Every local.….Name of the file is a key of the request, unless the file itself allows that it is missing."""
    made = Deployment(plan.of({"role_arn": ROLE, "region": REGION, "train": False, **settings}), Cloud().session,
                      say=lambda line: None)  # fmt: skip
    data = made.data()
    sections = re.findall(r'"(\w+)"', re.search(r"sections = (.+)", TERRAFORM)[1])
    steps = {each["kind"]: each for each in data["steps"] if each["section"] in sections and each["action"] != "delete"}
    model, config = steps["model"]["request"], steps["endpoint config"]["request"]
    scaling = steps["autoscaling"]["request"]
    found = {
        "local.plan": data,
        "local.model": model,
        "local.config": config,
        "local.variant": config["ProductionVariants"][0],
        "local.scaling": scaling,
        "local.tracking": scaling["put_scaling_policy"]["TargetTrackingScalingPolicyConfiguration"],
        "data_capture_config.value": config.get("DataCaptureConfig"),
        "vpc_config.value": model.get("VpcConfig"),
    }
    assert steps["endpoint"]["name"] == "sagemaker-my-model"
    may_be_missing = set(re.findall(r"(?:try|can)\((local(?:\.\w+)+)", TERRAFORM))
    read = set(re.findall(rf"(?:{'|'.join(found)})(?:\.\w+)+", TERRAFORM))
    assert {each.rpartition(".")[0] for each in read} >= set(found)
    for each in read:
        [start] = [name for name in found if each.startswith(f"{name}.")]
        value: Any = found[start]
        for name in [] if value is None else each.removeprefix(f"{start}.").split("."):
            if name not in value and each in may_be_missing:
                break
            value = value[name]
    assert ("VpcConfig" in model, "DataCaptureConfig" in config) == (settings == GOVERNED, settings == CAPTURED)


def test_what_terraform_does_not_take_it_refuses() -> None:
    """Each setting that changes the config is either read by the file or named in one of its preconditions."""
    said = " ".join(re.findall(r'error_message = "(.+)"', TERRAFORM))
    for setting in ("fallback_instance_types", "shadow_tag", "invocations_per_minute"):
        assert setting in said
