"""`python -m deploy`: words, exit codes, JSON, --set; against an account in memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from deploy import __main__ as cli

from cloud import ACCOUNT, REGION, ROLE, Cloud, Fault
from running import KIT


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.chdir(KIT)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "deployment.toml"
    path.write_text(f'role_arn = "{ROLE}"\nregion = "{REGION}"\npoll_seconds = 0\ninvocations_per_minute = 100\n')
    return str(path)


def call(cloud: Cloud, *arguments: str) -> int:
    return cli.main(list(arguments), cloud.session)


def test_the_life_of_a_deployment(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """plan says that there is something to do, up does it, then plan says that there is nothing; down ends it."""
    monkeypatch.setattr("deploy.local.predictions", lambda *_: ["setosa"] * 10)
    cloud = Cloud()
    assert call(cloud, "plan", file) == 0
    assert call(cloud, "plan", file, "--exit-code") == 3
    assert call(cloud, "status", file, "--exit-code") == 3
    assert call(cloud, "up", file) == 0
    assert call(cloud, "plan", file, "--exit-code") == 0
    assert call(cloud, "status", file, "--exit-code") == 0
    assert call(cloud, "test", file) == 0
    cloud.answer = lambda asked: b"virginica\n" * 10
    assert call(cloud, "test", file) == 3
    assert call(cloud, "costs", file) == 0
    assert call(cloud, "down", file) == 0
    assert cloud.everything() == {}
    printed = capsys.readouterr().out
    for said in (
        "is in service (created)",
        "1 instances",
        "endpoint sagemaker-my-model  InService  1 x ml.m5.large  $0.12/h",
    ):
        assert said in printed


def test_json_is_alone_on_stdout(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every word that has an answer gives it to other tools; what a person reads goes to stderr."""
    cloud = Cloud()
    for word in ("plan", "up", "status", "costs", "permissions"):
        assert call(cloud, word, file, "--json") == 0
        json.loads(capsys.readouterr().out)


def test_the_plans_json_has_the_names_that_the_page_tells(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Other tools rely on them; the same plan and account give the same text."""
    texts = []
    for _ in range(2):
        assert call(Cloud(), "plan", file, "--json") == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    told = json.loads(texts[0])
    sentence = re.search(r"The JSON of `plan` has (.+?)\. ", (KIT / "docs/deploy.md").read_text(), re.DOTALL)[1]
    assert [*told, *told["steps"][0]] == sorted(re.findall(r"`(\w+)`", sentence), key=[*told, *told["steps"][0]].index)


def test_set_goes_before_the_file(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As TOML, or as a text without quotes."""
    cloud = Cloud()
    assert call(cloud, "plan", file, "--json", "--set", "max_instances=4", "--set", "image_tag=latest") == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert (settings["max_instances"], settings["image_tag"]) == (4, "latest")


def test_exit_codes(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """2: the plan or the usage is wrong; 1: it failed, nothing costs money; 4: it failed, and something named does."""
    assert call(Cloud(), "plan", file, "--set", "max_instance=4") == 2
    assert "max_instance is not a setting. Did you mean max_instances?" in capsys.readouterr().err
    assert call(Cloud(), "plan", file, "--set", "nonsense") == 2
    assert call(Cloud(), "plan", "nowhere.toml") == 2
    with pytest.raises(SystemExit) as ended:
        call(Cloud(), "destroy", file)
    assert ended.value.code == 2
    assert call(Cloud(), "plan", file, "--set", "image_tag=unknown") == 1
    cloud = Cloud()
    cloud.refused = {"create_model"}
    assert call(cloud, "up", file) == 1
    cloud = Cloud(Fault("denied", 10**6))
    call(cloud, "up", file)
    cloud.refused = {"delete_endpoint"}
    capsys.readouterr()
    assert call(cloud, "down", file) == 4
    told = capsys.readouterr().err
    assert "endpoint sagemaker-my-model: ml.m5.large, $0.12 an hour each" in told
    assert f"End it: python -m deploy down {file}" in told


def test_clean_up_deletes_at_the_end(file: str) -> None:
    """A smoke test for CI: everything is made, and nothing is left, whether it went well or not."""
    cloud = Cloud()
    assert call(cloud, "up", file, "--set", "clean_up=true") == 0
    assert cloud.everything() == {}
    cloud.refused = {"create_endpoint"}
    assert call(cloud, "up", file, "--set", "clean_up=true") == 1
    assert cloud.everything() == {}


def test_the_permissions_of_all_who_take_part(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Account, region and names are filled in; every statement has its reason as its name."""
    assert call(Cloud(), "permissions", file, "--json") == 0
    printed = capsys.readouterr().out
    documents = json.loads(printed)
    assert set(documents) == {"deployer", "execution-role", "pusher", "codebuild-caller"}
    for word in ("ACCOUNT", "REGION", "PARTITION", "BUCKET", "IMAGE_NAME", '"ROLE"'):
        assert word not in printed
    passed = [row for row in documents["deployer"]["Statement"] if row["Action"] == "iam:PassRole"]
    assert {str(row["Condition"]) for row in passed} == {
        "{'StringEquals': {'iam:PassedToService': 'sagemaker.amazonaws.com'}}",
        "{'StringEquals': {'iam:PassedToService': 'scheduler.amazonaws.com'}}",
    }


def test_keys_are_in_the_permissions_of_who_uses_them(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By ARN, or by id; SageMaker makes grants in the name of who creates the endpoint. An alias is left out."""
    keys = ["--set", "kms_key=1234-abcd", "--set", "volume_key=alias/disks"]
    assert call(Cloud(), "permissions", file, "--json", *keys) == 0
    documents = json.loads(capsys.readouterr().out)
    for who, document in documents.items():
        rows = [row["Resource"] for row in document["Statement"] if row["Sid"] == "Keys"]
        wanted = [[f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234-abcd"]] if who in ("deployer", "execution-role") else []
        assert rows == wanted, who


def test_the_deployers_permissions_are_all_that_is_called(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every call that a deployment makes, in all ways and with all options, is in the deployer's policy."""
    cloud = Cloud()
    more = ["--set", 'modes=["realtime","serverless","async","batch","multi-model","components"]', "--set",
            "delete_when_expired=true", "--set", 'model_package_group="models"']  # fmt: skip
    assert call(cloud, "up", file, *more) == 0
    assert call(cloud, "up", file, "--set", "environment={A='1'}") == 0
    assert call(cloud, "down", file) == 0
    assert call(cloud, "costs", file) == 0
    capsys.readouterr()
    call(cloud, "permissions", file, "--json")
    rows = json.loads(capsys.readouterr().out)["deployer"]["Statement"]
    allowed = {
        each.lower() for row in rows for each in ([row["Action"]] if isinstance(row["Action"], str) else row["Action"])
    }
    free = {"sts:getcalleridentity"}
    same = {
        "s3:headbucket": "s3:listbucket", "s3:headobject": "s3:getobject", "s3:listobjectsv2": "s3:listbucket",
        "s3:deleteobjects": "s3:deleteobject", "s3:putbucketencryption": "s3:putencryptionconfiguration",
        "s3:putpublicaccessblock": "s3:putbucketpublicaccessblock",
    }  # fmt: skip
    prefix = {"sagemaker-runtime": "sagemaker", "service-quotas": "servicequotas"}
    for service, method, _ in cloud.calls:
        action = f"{prefix.get(service, service)}:{method.replace('_', '')}"
        assert same.get(action, action) in allowed | free, action


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    """--help is the manual; example is a plan that can be read; a missing file is a sentence, not a traceback."""
    run = lambda *words: subprocess.run(  # noqa: E731
        [sys.executable, "-m", "deploy", *words], cwd=KIT, capture_output=True, text=True, timeout=60
    )
    assert run("--help").stdout.startswith("Usage: python -m deploy WORD")
    (tmp_path / "it.toml").write_text(run("example").stdout)
    wrong = run("plan", str(tmp_path / "nowhere.toml"))
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "Traceback" not in wrong.stderr
