"""deploy/plan.py, wanted.py and steps.py: what is wanted, as data, without AWS."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import replace
from typing import Any

import pytest
from botocore.session import get_session
from deploy import Stop, names, plan, registry, rollback, scaling, steps, wanted
from deploy.state import State
from deploy.wanted import Facts, Image

from cloud import ACCOUNT, DIGEST, REGION, ROLE, check, operations
from running import KIT

IMAGE = Image(f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-my-model@{DIGEST}", DIGEST, 256, "amd64")
TAGS = names.tags("sagemaker-my-model", "user/ana", 7)
FACTS = Facts(ACCOUNT, REGION, "aws", ROLE, "bucket", "user/ana", TAGS, IMAGE)
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/abcd"
GOVERNED = {"subnets": ["subnet-0a", "subnet-0b"], "security_groups": ["sg-0c"], "kms_key": KEY, "volume_key": KEY,
            "tags": {"team": "fraud"}}  # fmt: skip


def test_the_example_is_the_default_plan() -> None:
    """Every setting is in it, with its default, as TOML reads it."""
    assert plan.of(tomllib.loads(plan.example())) == plan.of({})
    assert set(tomllib.loads(plan.example())) == set(plan.SETTINGS)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"min_instance": 1}, "min_instance is not a setting. Did you mean min_instances?"),
        ({"min_instances": "1"}, "min_instances = '1': expected a whole number from 1 to 1000."),
        ({"min_instances": True}, "min_instances = True: expected a whole number"),
        ({"modes": ["realtim"]}, "modes = ['realtim']: expected a list of at most 6: realtime, serverless"),
        ({"modes": "realtime"}, "modes = 'realtime': expected a list"),
        ({"modes": []}, "modes is empty"),
        ({"min_instances": 3}, "min_instances = 3 is above max_instances = 2."),
        ({"subnets": ["subnet-1"]}, "subnets and security_groups go together"),
        ({**GOVERNED, "modes": ["serverless"]}, "Serverless endpoints cannot run in a VPC"),
        ({"environment": {"A": 1}}, "environment = {'A': 1}: expected a table of texts"),
        ({"tags": {"aws:x": "y"}}, "tags = {'aws:x': 'y'}"),
        ({"role_arn": "Execution"}, "role_arn = 'Execution': expected arn:aws:iam::<account>:role/<name>"),
        ({"region": "us-east-1;rm"}, "region = 'us-east-1;rm': expected such as eu-west-1"),
        ({"image_name": "my-model:v1"}, "expected the name of an ECR repository, without its host and without a tag"),
        ({"instance_type": "ml.m6g.large"}, "no training job runs. Set train = false"),
        ({"job_instance_type": "ml.m6g.large"}, "have no Graviton types: set job_instance_type"),
        ({"fallback_instance_types": ["ml.m6g.large"]}, "ml.m6g.large is Graviton and the others are not"),
        ({"endpoint_name": "x" * 41}, "expected 1 to 40 letters"),
        ({"instance_type": "ml.m5d.large", "volume_key": "alias/disks"}, "volume_key cannot be used with ml.m5d.large"),
        ({"capture_percent": 101}, "expected a whole number from 0 to 100"),
    ],
)
def test_a_wrong_plan_names_each_setting_its_value_and_what_is_expected(values: dict[str, Any], said: str) -> None:
    with pytest.raises(Stop) as stopped:
        _ = plan.of(values).name
    assert said in str(stopped.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path) -> None:
    """Two wrong settings are two lines; a file that is not TOML names the line."""
    (tmp_path / "it.toml").write_text("min_instances = 0\ntrain = 1\n")
    with pytest.raises(Stop, match=r"min_instances(.|\n)*train"):
        plan.read(tmp_path / "it.toml")
    (tmp_path / "it.toml").write_text("min_instances = \n")
    with pytest.raises(Stop, match="line 1"):
        plan.read(tmp_path / "it.toml")
    with pytest.raises(Stop, match=r"There is no nowhere\.toml"):
        plan.read("nowhere.toml")


def test_graviton_is_told_from_gpus() -> None:
    enum = operations("sagemaker")["create_endpoint_config"].input_shape.members["ProductionVariants"].member
    arm = {kind for kind in enum.members["InstanceType"].enum if plan.is_arm(kind)}
    assert {kind.split(".")[1] for kind in arm} >= {"m6g", "c7g", "r8g", "m6gd", "c6gn"}
    assert not {kind.split(".")[1] for kind in arm} & {"g4dn", "g5", "g6", "p4d", "inf2", "m5", "c5d"}


def resources(wished: plan.Plan, facts: Facts = FACTS) -> list[wanted.Resource]:
    every = [each for mode in wished.modes for each in wanted.way(wished, facts, mode)]
    every.append(wanted.training_job(wished, facts))
    every.append(wanted.transform_job(wished, facts, "job-1", "model", "s3://bucket/in"))
    every.append(rollback.alarm(wished.name, "config", facts.tags))
    if wished.model_package_group:
        every.append(registry.model_package(wished, facts))
    return every


PLANS = {
    "all ways": {"modes": list(plan.MODES)},
    "governed": {**GOVERNED, "modes": [mode for mode in plan.MODES if mode != "serverless"]},
    "options": {"capture_percent": 20, "fallback_instance_types": ["ml.m6i.large"], "model_package_group": "models"},
    "shadow": {"shadow_tag": "next", "max_instances": 1},
    "graviton": {"instance_type": "ml.c7g.large", "train": False, "modes": ["realtime", "async"]},
    "no isolation": {"network_isolation": False, "model_data": "s3://b/model.tar.gz"},
}


@pytest.mark.parametrize("name", PLANS)
def test_every_request_is_what_awss_own_service_models_take(name: str) -> None:
    """Names, types, patterns, lengths, ranges and enums, as botocore has them."""
    facts = replace(FACTS, shadow=IMAGE) if "shadow_tag" in PLANS[name] else FACTS
    wished = plan.of(PLANS[name])
    for each in resources(wished, facts):
        check(each.request, operations(each.service)[each.call].input_shape, each.call)
    update = rollback.update(wished.name, "config", 2, True)
    check(update, operations("sagemaker")["update_endpoint"].input_shape, "update_endpoint")
    for request in (scaling.policy("n", 100), scaling.policy("n", 100, scaling.COPIES), scaling.backlog_policy("n"),
                    scaling.first_policy("n"), scaling.first_policy("n", scaling.COPIES)):  # fmt: skip
        check(request, operations("application-autoscaling")["put_scaling_policy"].input_shape, "put_scaling_policy")


def test_a_governed_account_finds_its_network_keys_and_tags_in_every_request() -> None:
    """Subnets, isolation, both keys and the company's tags: in every call whose request can carry them."""
    wished = plan.of(PLANS["governed"])
    facts = replace(FACTS, tags=names.tags(wished.name, "user/ana", 7, wished.tags))
    for each in resources(wished, facts):
        members = operations(each.service)[each.call].input_shape.members
        on_component = each.call == "create_endpoint_config" and "ExecutionRoleArn" not in each.request
        if "VpcConfig" in members and not on_component:  # a config has it only where components are made on it
            assert each.request["VpcConfig"] == {"Subnets": ["subnet-0a", "subnet-0b"], "SecurityGroupIds": ["sg-0c"]}
            assert each.request["EnableNetworkIsolation"] is True
        assert {"Key": "team", "Value": "fraud"} in each.request["Tags"], each.call
        for path, shape in _keys(operations(each.service)[each.call].input_shape, each.request):
            assert _at(each.request, path) == KEY, (each.call, path, shape)


def _keys(shape: Any, value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Where a request could name a KMS key, of the structures that it has."""
    found = []
    for name, member in shape.members.items():
        if name in ("KmsKeyId", "VolumeKmsKeyId"):
            found.append(((*path, name), name))
        elif member.type_name == "structure" and isinstance(value.get(name), dict):
            found += _keys(member, value[name], (*path, name))
    return found


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name, {})
    return value


def test_the_container_needs_no_network() -> None:
    """Isolation is on by default, but for serverless endpoints, which do not know it."""
    assert wanted.model(plan.of({}), FACTS).request["EnableNetworkIsolation"] is True
    assert "EnableNetworkIsolation" not in wanted.model(plan.of({}), FACTS, "serverless").request


def test_the_alarm_counts_the_new_version_only() -> None:
    """A version that fails already does not roll back the update that mends it: a rate, of the new config's fleet."""
    request = rollback.alarm("churn", "churn-new", TAGS).request
    for metric in request["Metrics"][:2]:
        assert {"Name": "EndpointConfigName", "Value": "churn-new"} in metric["MetricStat"]["Metric"]["Dimensions"]
    assert request["Metrics"][2]["Expression"] == "100 * errors / calls"
    assert request["TreatMissingData"] == "notBreaching"


def test_an_update_moves_one_instance_first_where_there_are_several() -> None:
    """A canary may be half of the instances at most, so a single instance is replaced at once; both roll back."""
    policies = {n: rollback.update("churn", "config", n, False)["DeploymentConfig"] for n in (1, 2)}
    routing = {n: row["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"] for n, row in policies.items()}
    assert routing[1] == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300}
    assert routing[2]["Type"] == "CANARY"
    assert routing[2]["CanarySize"] == {"Type": "INSTANCE_COUNT", "Value": 1}
    assert policies[1]["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "churn-errors"}]}


def test_the_same_thing_has_the_same_name() -> None:
    """A name is the deployment's and a digest of what it names; the day, which is in a tag, does not count."""
    assert names.version("churn", {"a": 1, "b": 2}) == names.version("churn", {"b": 2, "a": 1})
    assert names.version("churn", {"a": 1}) != names.version("churn", {"a": 2})
    assert len(names.version("x" * names.LONGEST + "-components", {})) <= 63
    tomorrow = replace(FACTS, tags=names.tags("sagemaker-my-model", "user/ana", 8))
    assert wanted.model(plan.of({}), FACTS).name == wanted.model(plan.of({}), tomorrow).name


def test_a_name_is_made_fit_for_sagemaker() -> None:
    """Slashes and underscores of an ECR repository become hyphens; what cannot be a name is refused."""
    assert names.deployment("team/churn_model") == "team-churn-model"
    for wished in ("", "///", "x" * 41):
        with pytest.raises(Stop, match="expected 1 to 40"):
            names.deployment(wished)


def test_steps_are_data_and_need_no_aws() -> None:
    """From a plan and a state to steps: what is there is kept, what is missing is made, what is not wanted ends."""
    wished = plan.of({"max_instances": 1})
    target = {"MinCapacity": 1, "MaxCapacity": 2}
    state = State(bucket=True, job="Completed", scaling={"targets": [target], "policies": [], "actions": []})
    actions = {step.kind: step.action for step in steps.of(wished, FACTS, state)}
    assert actions == {"bucket": "keep", "training job": "reuse", "model": "create", "endpoint config": "create",
                       "alarm": "create", "endpoint": "create", "autoscaling": "end"}  # fmt: skip


def test_what_was_measured_is_not_measured_again() -> None:
    """The target is a tag of the endpoint; only MEASURE_AGAIN puts load on it once more."""
    wished = plan.of({})
    there = {wished.name: {"EndpointStatus": "InService", "EndpointConfigName": "old", "Tags": {names.CAPACITY: "900"}}}
    state = State(bucket=True, job="Completed", endpoints=there)
    kinds = [step.kind for step in steps.of(wished, FACTS, state)]
    assert "capacity" not in kinds
    [scaled] = [step for step in steps.of(wished, FACTS, state) if step.kind == "autoscaling"]
    policy = scaled.request["put_scaling_policy"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 900.0
    again = [step.kind for step in steps.of(plan.of({"measure_again": True}), FACTS, state)]
    assert "capacity" in again


def test_pure_rooms_do_not_know_aws() -> None:
    """plan, wanted, steps and names import no boto: they can be shown and tested without an account."""
    for room in ("plan", "wanted", "steps", "names"):
        tree = ast.parse((KIT / f"deploy/{room}.py").read_text())
        imported = {
            alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        imported |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & {"boto3", "botocore"}, room


def test_the_regions_of_the_service_models_are_regions_of_a_plan() -> None:
    """The form of `region` takes every region that botocore knows."""
    for partition in get_session().get_available_partitions():
        for region in get_session().get_available_regions("sagemaker", partition):
            assert plan.of({"region": region}).region == region
