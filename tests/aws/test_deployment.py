"""deploy/ against an account in memory: second runs, updates, roll-backs, two at once, refusals with their remedies."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import Any

import pytest
from deploy import Stop, lock, logs, money, names, plan, scaling
from deploy.deployment import Deployment

from cloud import ACCOUNT, DIGEST, REGION, ROLE, Cloud, Fault
from cloud_books import error
from running import KIT

COMMON = {"poll_seconds": 0, "role_arn": ROLE, "invocations_per_minute": 1000, "region": REGION}
NEXT = "sha256:" + "cd" * 32
NAME = "sagemaker-my-model"


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.chdir(KIT)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def deployment(cloud: Cloud, **settings: Any) -> Deployment:
    said: list[str] = []
    made = Deployment(plan.of({**COMMON, **settings}), cloud.session, said.append, "DOWN")
    made.said = said  # type: ignore[attr-defined]
    return made


def up(cloud: Cloud, **settings: Any) -> str:
    made = deployment(cloud, **settings)
    made.up()
    return "\n".join(made.said)  # type: ignore[attr-defined]


def changes(cloud: Cloud) -> list[str]:
    """The calls that changed something, but for the lock."""
    called = [cloud.calls[n] for n in cloud.mutations()]
    return [method for _, method, asked in called if not str(asked.get("Key", "")).endswith("lock.json")]


def test_a_plan_changes_nothing(cloud: Cloud) -> None:
    """What is, what will be, what it costs an hour and a month; no call that changes anything."""
    made = deployment(cloud, modes=list(plan.MODES))
    text, data = made.text(), made.data()
    assert changes(cloud) == []
    assert "1 x ml.m5.large, at least: $0.12 an hour, $87.60 a month" in text
    assert json.loads(json.dumps(data))["costs"][0]["dollars_a_month"] == pytest.approx(87.6)
    assert {step["kind"] for step in data["steps"]} >= {"model", "endpoint", "training job", "inference component"}


def test_a_second_run_changes_nothing(cloud: Cloud) -> None:
    """Only the expiry in the endpoint's tags is renewed."""
    up(cloud)
    cloud.calls.clear()
    assert "(unchanged)" in up(cloud)
    assert changes(cloud) == ["add_tags"]
    assert "Nothing: everything is as it is wanted." in deployment(cloud).text()


def test_a_change_updates_in_place_and_the_old_version_goes(cloud: Cloud) -> None:
    """One endpoint, one config, one model afterwards; no job for the same image; no load on what people use."""
    up(cloud)
    before = cloud.everything()
    cloud.calls.clear()
    assert "(updated)" in up(cloud, environment={"MODEL_SERVER_WORKERS": "1"})
    after = cloud.everything()
    assert {kind: len(those) for kind, those in after.items()} == {kind: len(those) for kind, those in before.items()}
    assert after["model"] != before["model"]
    assert "create_training_job" not in changes(cloud)
    assert cloud.asked("invoke_endpoint") == []


def test_what_an_update_leaves_alone(cloud: Cloud) -> None:
    """Scheduled actions, other policies and suspended states survive, also where the instance type changes."""
    up(cloud)
    client, where = cloud.session.client("application-autoscaling"), scaling.where(NAME)
    client.put_scheduled_action(**where, ScheduledActionName="night", Schedule="cron(0 20 * * ? *)",
                                ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 1})  # fmt: skip
    client.register_scalable_target(**where, SuspendedState={"DynamicScalingInSuspended": True})
    cloud.calls.clear()
    up(cloud, environment={"A": "1"})
    assert "deregister_scalable_target" not in changes(cloud)
    up(cloud, environment={"A": "1"}, instance_type="ml.m5.xlarge")
    assert "deregister_scalable_target" in changes(cloud)
    [target] = cloud.things["target"].values()
    assert target["SuspendedState"] == {"DynamicScalingInSuspended": True}
    assert [row["ScheduledActionName"] for row in cloud.things["action"].values()] == ["night"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)


def test_max_lowered_to_min_ends_autoscaling(cloud: Cloud) -> None:
    """The endpoint goes to the wanted number of instances, and is not scaled any more."""
    up(cloud)
    up(cloud, max_instances=1)
    assert cloud.things["target"] == {}
    assert cloud.things["endpoint"][NAME]["Desired"] == 1


def test_a_bad_version_is_rolled_back_and_a_good_one_mends_it(cloud: Cloud) -> None:
    """Stop says so and shows why; the endpoint serves what it served; the next update is watched by its own alarm."""
    up(cloud, train=False)
    cloud.images["latest"], cloud.broken = NEXT, {NEXT}
    with pytest.raises(
        Stop, match=r"was rolled back: it serves what it served before\.\n  SageMaker says: The container"
    ):
        up(cloud, train=False)
    assert cloud.things["endpoint"][NAME]["Status"] == "InService"
    cloud.images["latest"] = DIGEST
    assert "(unchanged)" in up(cloud, train=False)
    cloud.images["latest"] = "sha256:" + "ef" * 32
    assert "(updated)" in up(cloud, train=False)
    dimensions = cloud.things["alarm"][f"{NAME}-errors"]["Metrics"][0]["MetricStat"]["Metric"]["Dimensions"]
    assert {"Name": "EndpointConfigName", "Value": cloud.things["endpoint"][NAME]["Config"]} in dimensions


def test_the_image_of_an_endpoint_has_a_tag_that_keeps_it(cloud: Cloud) -> None:
    """No rule that expires untagged images takes it away: the version that serves, and the one that is tried."""
    up(cloud, train=False)
    assert cloud.images[f"serving-{NAME}"] == DIGEST
    cloud.images["latest"], cloud.broken = NEXT, {NEXT}
    with pytest.raises(Stop, match="was rolled back"):
        up(cloud, train=False)
    assert (cloud.images[f"serving-{NAME}"], cloud.images[f"coming-{NAME}"]) == (DIGEST, NEXT)


def test_an_endpoint_that_never_came_into_service_is_replaced(cloud: Cloud) -> None:
    cloud.broken = {DIGEST}
    with pytest.raises(Stop, match=rf"The endpoint {NAME} is Failed"):
        up(cloud, train=False)
    cloud.broken = set()
    assert "(created)" in up(cloud, train=False)


def test_a_training_job_that_fails_says_why(cloud: Cloud) -> None:
    """And the next run makes another, under a name of its own."""
    cloud.broken = {DIGEST}
    with pytest.raises(
        Stop, match=r"failed: AlgorithmError: the model cannot serve(.|\n)*Likely cause: model\.pkl is empty"
    ):
        up(cloud)
    cloud.broken = set()
    up(cloud)
    assert sorted(cloud.things["training"]) == [f"{NAME}-ababababab-1", f"{NAME}-ababababab-2"]


def test_an_artifact_that_was_replaced_is_not_served(cloud: Cloud) -> None:
    """The digest of what the job made is kept with the job; another file in its place means another job."""
    up(cloud)
    [key] = cloud.objects
    cloud._put(key, b"somebody else's")
    assert "training job sagemaker-my-model-ababababab-2 (minutes)" in deployment(cloud).text()


def test_an_interrupted_training_is_taken_up_again(cloud: Cloud) -> None:
    """A job that runs already is waited for, not made a second time."""
    wished = deployment(cloud)
    wished.look()
    [step] = [step for step in wished.steps() if step.kind == "training job"]
    cloud.session.client("sagemaker").create_training_job(**step.request)
    up(cloud)
    assert len(cloud.asked("create_training_job")) == 1


def test_two_runs_at_once(cloud: Cloud) -> None:
    """The second is told who works there; a lock whose time has passed is taken over."""
    made = deployment(cloud)
    made.up()
    bobs = {
        "owner": "user/bob",
        "machine": "elsewhere",
        "process": 1,
        "since": "now",
        "until": "2999-01-01T00:00:00+00:00",
    }
    made.files.put(f"deploy-model/{NAME}/lock.json", json.dumps(bobs).encode())
    for work in ("up", "down"):
        with pytest.raises(Stop, match="Another run works on this deployment: user/bob on elsewhere"):
            getattr(deployment(cloud), work)()
    made.files.put(
        f"deploy-model/{NAME}/lock.json", json.dumps({**bobs, "until": "2020-01-01T00:00:00+00:00"}).encode()
    )
    up(cloud)
    assert not any(key.endswith("lock.json") for key in cloud.objects)


def test_of_two_that_begin_together_one_is_refused(cloud: Cloud) -> None:
    """Between looking and writing another may write: S3 decides."""
    made = deployment(cloud)
    made.files.make()
    asked = made.files.read
    made.files.read = lambda key: (asked(key), made.files.put(key, b"{}"))[0]  # type: ignore[method-assign]
    with pytest.raises(Stop, match="Another run has just begun"):
        made.up()


def test_a_lock_of_the_dead_is_taken_over_at_once(cloud: Cloud) -> None:
    """Of a process of this machine that has ended. Another machine may have the same name and process numbers."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    holder = {"owner": "ana", "machine": socket.gethostname(), "place": lock.place(), "process": ended.pid,
              "since": "now", "until": "2999-01-01T00:00:00+00:00"}  # fmt: skip
    made = deployment(cloud)
    made.files.make()
    made.files.put(f"deploy-model/{NAME}/lock.json", json.dumps({**holder, "place": "another container"}).encode())
    with pytest.raises(Stop, match="Another run works on this deployment"):
        made.up()
    made.files.put(f"deploy-model/{NAME}/lock.json", json.dumps(holder).encode())
    made.up()


def test_a_run_that_slept_too_long_leaves_the_lock_to_the_other(cloud: Cloud) -> None:
    """It neither writes over the other's lock nor deletes it."""
    files = deployment(cloud).files
    files.make()
    sleeper = lock.Lock(files, "lock.json", "user/ana")
    sleeper.take()
    files.put("lock.json", b"the other's")
    sleeper.written -= 3600
    with pytest.raises(Stop, match="Another run has just begun"):
        sleeper.renew()
    sleeper.kept = True
    sleeper.release()
    assert files.get("lock.json") == b"the other's"


def test_without_a_lock_nothing_of_another_is_deleted(cloud: Cloud) -> None:
    """Who may not write to the bucket deploys all the same, and leaves earlier versions alone."""
    up(cloud, train=False)
    cloud.refused = {"put_object"}
    said = up(cloud, train=False, environment={"A": "1"})
    assert "not locked against a second run" in said
    assert "stays: without a lock another run may just have made it" in said
    assert len(cloud.things["model"]) == 2


@pytest.mark.parametrize("tags", [{}, {names.DEPLOYMENT: NAME, names.OWNER: "user/bob"}])
def test_anothers_endpoint_is_left_alone(cloud: Cloud, tags: dict[str, str]) -> None:
    """An endpoint of this name that another deployment or another person made is refused, and not changed."""
    up(cloud)
    arn = cloud.things["endpoint"][NAME]["Arn"]
    cloud.tags[arn] = tags
    cloud.calls.clear()
    with pytest.raises(Stop, match=r"was not made by this kit|belongs to user/bob, you are"):
        up(cloud)
    assert changes(cloud) == []
    if not tags:
        deployment(cloud).down()
        assert list(cloud.things["endpoint"]) == [NAME]


def test_a_bucket_of_another_account_is_refused(cloud: Cloud) -> None:
    """Anybody may take the name of a bucket: every call names the owner that it must have."""
    cloud.buckets[f"sagemaker-{REGION}-{ACCOUNT}"] = "999999999999"
    with pytest.raises(Stop, match=r"You may not use the bucket .* or it is another account's"):
        up(cloud)
    assert cloud.everything() == {}


def test_a_bucket_that_is_made_is_closed(cloud: Cloud) -> None:
    """Encrypted, no public access, no plain HTTP."""
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
    up(cloud, kms_key=key)
    assert set(cloud.asked("put_public_access_block")[0]["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = cloud.asked("put_bucket_encryption")[0]["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key
    assert "aws:SecureTransport" in cloud.asked("put_bucket_policy")[0]["Policy"]


def test_two_prices_for_one_machine_are_no_price(cloud: Cloud) -> None:
    """Which of them holds is not known, so the price is said to be unknown; the same price twice is one."""
    made = deployment(cloud)
    cloud.prices |= {"EU-Host:ml.c5.large": "0.2", "EUW1-Host:ml.c5.large": "0.3"}
    assert made.prices.hourly("ml.c5.large") is None
    cloud.prices |= {"EU-Host:ml.c5.xlarge": "0.4", "EUW1-Host:ml.c5.xlarge": "0.4"}
    assert made.prices.hourly("ml.c5.xlarge") == 0.4


def test_where_iam_prices_and_quotas_cannot_be_reached(cloud: Cloud) -> None:
    """In a VPC without internet they are said to be unknown, and the deployment goes on."""
    cloud.unreachable = {"iam", "pricing", "service-quotas"}
    made = deployment(cloud)
    text = made.text()
    assert "price unknown" in text
    said = "\n".join(made.said)  # type: ignore[attr-defined]
    assert "unknown: the role's trust policy" in said
    assert "quotas: unknown" in said
    assert len(cloud.asked("get_products")) == 1  # what does not answer is not asked again and again
    made.up()


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        (lambda cloud: cloud.images.clear(), {}, r"has no image tagged latest\. Run \./build_and_push\.sh"),
        (
            lambda cloud: setattr(cloud, "media_type", "application/vnd.oci.image.manifest.v1+json"),
            {},
            "an OCI manifest",
        ),
        (
            lambda cloud: setattr(cloud, "media_type", "application/vnd.oci.image.index.v1+json"),
            {},
            "an index of several",
        ),
        (lambda cloud: setattr(cloud, "quota", 0.0), {}, r"The quota 'ml\.m5\.large for endpoint usage' is 0 and 2 is"),
        (lambda cloud: None, {"role_arn": ROLE.replace("Execution", "Nobody")}, "There is no role Nobody"),
        (
            lambda cloud: cloud.denied_by_iam.add("ecr:BatchGetImage"),
            {},
            r'lacks permissions(.|\n)*"ecr:BatchGetImage"',
        ),
        (lambda cloud: cloud.denied_by_iam.add("cloudwatch:DescribeAlarms"), {}, '"cloudwatch:DescribeAlarms"'),
        (lambda cloud: setattr(cloud, "caller", f"arn:aws:iam::{ACCOUNT}:user/ana"), {"role_arn": ""}, "is not a role"),
        (lambda cloud: None, {"payload": "nowhere.csv"}, r"nowhere\.csv cannot be read"),
        (
            lambda cloud: None,
            {"modes": ["multi-model"], "multi_model": {"a": "docs"}},
            r"There is no model\.pkl in docs",
        ),
    ],
)
def test_what_can_be_seen_before_is_said_before(cloud: Cloud, change: Any, settings: dict[str, Any], said: str) -> None:
    """The cause and the remedy; nothing that costs money was made."""
    change(cloud)
    with pytest.raises(Stop, match=said):
        up(cloud, **settings)
    assert not cloud.asked("create_endpoint")
    assert not cloud.costly()


def test_iam_is_asked_about_the_caller_too(cloud: Cloud) -> None:
    """What you may not do is said before it is tried; it is not certain, so it does not stop the run."""
    cloud.denied_by_iam.add("application-autoscaling:RegisterScalableTarget")
    assert "IAM says that you may not: application-autoscaling:RegisterScalableTarget" in up(cloud)


def test_your_own_role_is_the_execution_role_in_studio(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is named: the role that you are, with its path where IAM does not tell."""
    monkeypatch.delenv("SAGEMAKER_ROLE_ARN", raising=False)
    cloud.caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/AmazonSageMaker-ExecutionRole-1/SageMaker"
    cloud.unreachable = {"iam"}
    made = deployment(cloud, role_arn="")
    made.look()
    assert made.facts.role == f"arn:aws:iam::{ACCOUNT}:role/service-role/AmazonSageMaker-ExecutionRole-1"


@pytest.mark.parametrize(
    ("lines", "reason", "cause"),
    [
        (["ERROR serving: the model cannot serve: model.pkl is empty."], "", "model.pkl is empty"),
        (["serve: wrong setting: MODEL_SERVER_TIMEOUT='x': expected a number"], "", "wrong setting in environment"),
        (["exec /usr/local/bin/python3: exec format error"], "", "another CPU"),
        (["unknown argument: serve"], "", "not one of this kit"),
        (["Worker (pid:12) was sent SIGKILL! Perhaps out of memory?"], "", "memory"),
        ([], "Unable to provision requested ML compute capacity", "fallback_instance_types"),
        ([], "The role does not have BatchGetImage permission for the image", "lacks a permission"),
        ([], "MinInstanceCount 0 is not supported", "do not let|does not let"),
        ([], "did not pass the ping health check", "wrote nothing"),
        (["something new"], "did not pass the ping health check", "Not one that is known"),
    ],
)
def test_the_likely_cause_of_a_failure(lines: list[str], reason: str, cause: str) -> None:
    """What the container's log says comes before what SageMaker says; the unknown is called unknown."""
    assert any(each in logs.likely_cause(lines, reason) for each in cause.split("|"))


def test_after_a_roll_back_the_new_instances_log_is_shown(cloud: Cloud) -> None:
    """The old ones go on writing; the stream that was begun last says why."""
    cloud.streams = {
        "AllTraffic/i-old": ({"creationTime": 1, "lastEventTimestamp": 99}, ["served"]),
        "AllTraffic/i-new": ({"creationTime": 50, "lastEventTimestamp": 60}, ["the model cannot serve: it is empty."]),
    }
    up(cloud, train=False)
    cloud.images["latest"], cloud.broken = NEXT, {NEXT}
    with pytest.raises(Stop, match=r"was rolled back(.|\n)*Likely cause: it is empty\."):
        up(cloud, train=False)


def test_costs_survive_other_peoples_endpoints(cloud: Cloud) -> None:
    """One that may not be looked into is listed; one that is Creating counts with what it was asked for; jobs too."""
    made = deployment(cloud)
    made.up()
    cloud.things["endpoint"][NAME] |= {"Status": "Creating", "Looks": -9}
    cloud.things["training"]["theirs"] = {
        "Arn": cloud._arn("training-job", "theirs"),
        "Status": "InProgress",
        "Looks": -9,
        "Fails": False,
        "Uri": "s3://b/k",
        "Machine": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10},
    }
    rows = made.costs()
    assert [(row["name"], row["status"], row["$/hour"]) for row in rows] == [
        (NAME, "Creating", 0.12), ("theirs", "InProgress", 0.28),
    ]  # fmt: skip
    cloud.refused = {"list_tags", "describe_endpoint"}
    assert "not looked into" in made.costs()[0]["status"]


def test_a_price_is_shown_or_called_unknown() -> None:
    """Per hour and per month; without an answer a link, never a guess."""
    assert money.line(0.1, 2, "2 x ml.m5.large") == "2 x ml.m5.large: $0.2 an hour, $146.00 a month"
    assert "price unknown" in money.line(None, 2, "2 x ml.m5.large")
    assert money.PAGE in money.line(None, 2, "2 x ml.m5.large")


def test_a_scheduled_deletion_may_delete_this_endpoint_and_nothing_else(cloud: Cloud) -> None:
    """Off by default; its role can do one thing, within the permissions boundary, with the company's tags."""
    up(cloud)
    assert cloud.things["schedule"] == {}
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    up(cloud, delete_when_expired=True, permissions_boundary=boundary, tags={"team": "fraud"})
    [role] = [role for name, role in cloud.things["role"].items() if name != "Execution"]
    [statement] = json.loads(role["PolicyDocument"])["Statement"]
    assert statement["Action"] == "sagemaker:DeleteEndpoint"
    assert statement["Resource"] == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{NAME}"
    assert role["PermissionsBoundary"] == boundary
    assert {"Key": "team", "Value": "fraud"} in role["Tags"]
    [schedule] = cloud.things["schedule"].values()
    assert json.loads(schedule["Target"]["Input"]) == {"EndpointName": NAME}
    up(cloud, delete_when_expired=True)  # the day is moved
    assert len(cloud.things["schedule"]) == 1


def test_a_version_is_registered_once(cloud: Cloud) -> None:
    """In the model registry, by digest, with content types and a sample."""
    for _ in range(2):
        up(cloud, model_package_group="models")
    [package] = cloud.things["package"].values()
    assert package["InferenceSpecification"]["Containers"][0]["ImageDigest"] == DIGEST
    assert package["SamplePayloadUrl"].endswith("registry/payload.csv")


def test_kept_ways_stay_until_down(cloud: Cloud) -> None:
    """Each has its endpoint; those that can go down to none have the policies and the alarm for it."""
    modes = ["serverless", "async", "multi-model", "components"]
    up(cloud, modes=modes, keep=True)
    assert len(cloud.things["endpoint"]) == 4
    assert {row["MinCapacity"] for row in cloud.things["target"].values()} == {0}
    assert len(cloud.things["alarm"]) == 2
    cloud.calls.clear()
    up(cloud, modes=modes, keep=True)
    assert set(changes(cloud)) <= {"add_tags"}
    deployment(cloud, modes=modes).down()
    assert cloud.everything() == {}


def test_an_endpoint_that_is_not_of_the_modes_any_more_is_shown(cloud: Cloud) -> None:
    """It goes on costing money: the plan says so, and `down` ends it too."""
    up(cloud)
    made = deployment(cloud, modes=["serverless"], keep=True)
    made.up()
    assert f"other endpoint {NAME} (not of these modes; costs money until `down`)" in made.text()
    made.down()
    assert cloud.everything() == {}


def test_a_region_without_a_call_has_nothing_of_its_kind(cloud: Cloud) -> None:
    """Where there are no inference components `down` ends well all the same; a denial is named."""
    cloud.not_here = {"list_inference_components"}
    up(cloud)
    up(cloud, environment={"A": "1"})
    assert len(cloud.things["model"]) == 1
    deployment(cloud).down()
    assert cloud.everything() == {}
    cloud.refused, cloud.not_here = {"list_inference_components"}, set()
    with pytest.raises(Stop, match=r"inference component sagemaker-my-model…: .*could not be looked for"):
        deployment(cloud).down()


def test_an_answer_that_is_not_the_models_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.predictions", lambda *_: ["setosa"] * 10)
    made = deployment(cloud)
    made.up()
    assert made.test()
    cloud.answer = lambda asked: b"virginica\n" * 10
    assert not made.test()


def test_what_a_run_cannot_foresee_is_still_no_traceback(cloud: Cloud) -> None:
    """A fault of ours names the place, and what costs money is still named."""
    made = deployment(cloud)
    made.up()
    made.account.client("application-autoscaling")
    made.account._clients["application-autoscaling"] = None
    with pytest.raises(Stop, match=r"Deploying: unforeseen AttributeError at .*py, line \d+(.|\n)*End it: DOWN"):
        made.up()


# -- bad moments ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["RollingBack", "SystemUpdating", "UpdateRollbackFailed"])
def test_an_endpoint_that_aws_itself_is_changing(cloud: Cloud, status: str) -> None:
    """It is waited for, and then updated or deleted; what AWS could not roll back is updated too."""
    up(cloud)
    cloud.things["endpoint"][NAME] |= {"Status": status, "Looks": 0}
    assert "(updated)" in up(cloud, environment={"MODEL_SERVER_WORKERS": "1"})
    cloud.things["endpoint"][NAME] |= {"Status": status, "Looks": 0}
    deployment(cloud).down()
    assert cloud.everything() == {}


def test_the_end_comes_also_where_the_instances_have_a_timetable(cloud: Cloud) -> None:
    """Scheduled actions go with the scaling that they belong to."""
    up(cloud)
    night = {"ScheduledActionName": "night", "Schedule": "cron(0 22 * * ? *)"}
    cloud.call("application-autoscaling", "put_scheduled_action", {**scaling.where(NAME), **night})
    deployment(cloud).down()
    assert cloud.everything() == {}


def test_a_token_that_expires_half_way(cloud: Cloud) -> None:
    """What costs is named with its price, what has ended is not among it; signed in again, the same call ends all."""
    up(cloud)
    ends = deployment(cloud)
    cloud.fault = Fault("token expired", len(cloud.calls) + 30)
    with pytest.raises(Stop) as stopped:
        ends.down()
    costly, cheap = str(stopped.value).split("Still there, and costs nothing:")
    assert f"endpoint {NAME}: ml.m5.large, $0.12 an hour each (AWS does not accept these credentials" in costly
    assert f"training job {NAME}-ababababab-1 (for the same reason)" in cheap
    cloud.fault = None
    ends.down()
    assert cloud.everything() == {}


def test_what_another_has_under_a_name_that_begins_with_ours_stays(cloud: Cloud) -> None:
    """A deployment of its own may be called as one of our ways would be: its scaling and its alarm are not ours."""
    up(cloud, endpoint_name=f"{NAME}-async")
    up(cloud, endpoint_name=f"x-{NAME}")
    theirs = cloud.everything()
    up(cloud)
    deployment(cloud).down()
    assert cloud.everything() == theirs
    with pytest.raises(Stop, match=f"The endpoint {NAME}-async exists and was not made by this kit"):
        up(cloud, modes=["async"])
    assert cloud.everything() == theirs


def test_an_endpoint_of_anothers_that_may_not_be_looked_into_keeps_nothing_of_ours(cloud: Cloud) -> None:
    """Our scaling and our alarm go all the same."""
    up(cloud, endpoint_name=f"x-{NAME}")
    theirs = cloud.everything()
    up(cloud)
    asked = cloud.sagemaker_describe_endpoint_config

    def described(EndpointConfigName: str) -> dict[str, Any]:
        if EndpointConfigName.startswith("x-"):
            raise error("AccessDeniedException", "User is not authorized to perform: sagemaker:DescribeEndpointConfig")
        return asked(EndpointConfigName)

    cloud.sagemaker_describe_endpoint_config = described  # type: ignore[method-assign]
    deployment(cloud).down()
    assert cloud.everything() == theirs


def test_a_role_of_anothers_is_neither_used_nor_deleted(cloud: Cloud) -> None:
    """The scheduled deletion is then left out, and said to be."""
    role = f"{NAME}-expires-{REGION}"
    cloud.things["role"][role] = {}
    assert f"the scheduled deletion: not done. The role {role} exists" in up(cloud, delete_when_expired=True)
    deployment(cloud).down()
    assert (cloud.things["role"][role], cloud.things["schedule"]) == ({}, {})


def test_the_alarm_of_an_update_does_not_ring_for_the_version_before(cloud: Cloud) -> None:
    """CloudWatch keeps the state of an alarm that is changed, so it is deleted and made anew."""
    up(cloud)
    cloud.calls.clear()
    up(cloud, environment={"MODEL_SERVER_WORKERS": "1"})
    called = [method for method in changes(cloud) if "alarm" in method or method == "update_endpoint"]
    assert called == ["delete_alarms", "put_metric_alarm", "update_endpoint"]


@pytest.mark.parametrize(
    ("low", "high", "per_minute", "differs"),
    [(1, 4, 900, False), (2, 4, 900, True), (1, 5, 900, True), (1, 4, 901, True)],
)
def test_scaling_is_set_anew_where_bounds_or_target_differ(low: int, high: int, per_minute: int, differs: bool) -> None:
    """Policies and actions that somebody else has made are not looked at."""
    theirs = {"PolicyName": "theirs", "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1.0}}
    kept = {"targets": [scaling.target("a", 1, 4)], "policies": [scaling.policy("a", 900), theirs], "actions": []}
    assert scaling.differs(kept, "a", low, high, per_minute) is differs
    assert scaling.differs({"targets": [], "policies": [], "actions": []}, "a", low, high, per_minute)
