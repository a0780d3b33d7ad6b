"""What is wanted: one table of settings, read from a TOML file or from the notebook's parameters, and checked whole.

A setting has the same name in both: `min_instances` in deployment.toml, MIN_INSTANCES in the notebook. Nothing here
talks to AWS. A wrong plan is a Stop that lists every wrong setting with its value and what is expected.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from loadtest.costs import is_arm as is_arm

from . import Stop, names

MODES = ("realtime", "serverless", "async", "batch", "multi-model", "components")
Check = Callable[[Any], str]
"""Says what is expected, or nothing when the value is right."""


def _setting(default: Any, text: str, check: Check) -> Any:
    metadata = {"help": text, "check": check}
    if isinstance(default, (dict, list)):
        return field(metadata=metadata, default_factory=default.copy)
    return field(metadata=metadata, default=default)


def _text(pattern: str = r".*", expected: str = "a text") -> Check:
    return lambda value: "" if isinstance(value, str) and re.fullmatch(pattern, value) else expected


def _number(low: int, high: int) -> Check:
    whole = f"a whole number from {low} to {high}"
    return lambda value: "" if type(value) is int and low <= value <= high else whole


def _seconds(value: Any) -> str:
    return "" if type(value) in (int, float) and 0 <= value <= 3600 else "seconds from 0 to 3600"


def _switch(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _list(pattern: str, expected: str, most: int) -> Check:
    def check(value: Any) -> str:
        right = isinstance(value, (list, tuple)) and len(value) <= most
        right = right and all(isinstance(each, str) and re.fullmatch(pattern, each) for each in value)
        return "" if right else f"a list of at most {most}: {expected}"

    return check


def _table(expected: str, key: str = ".{1,128}", most: int = 100) -> Check:
    def check(value: Any) -> str:
        right = isinstance(value, Mapping) and len(value) <= most and all(
            isinstance(k, str) and re.fullmatch(key, k) and isinstance(v, str) for k, v in value.items()
        )  # fmt: skip
        return "" if right else f"a table of texts: {expected}"

    return check


INSTANCE = r"ml\.[a-z0-9-]+\.[a-z0-9]+"
IMAGE = r"(?!.*\.dkr\.ecr)[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
KEY = _text(r"|[a-zA-Z0-9:/_-]{1,2048}", "the id, alias or ARN of a KMS key")


@dataclass(frozen=True)
class Plan:
    """Every setting of a deployment. `of` and `read` make checked ones."""

    # fmt: off
    image_name: str = _setting("sagemaker-my-model", "as you gave it to ./build_and_push.sh", _text(IMAGE, "the name of an ECR repository, without its host and without a tag"))
    image_tag: str = _setting("latest", "or sha256:… for one very image", _text(r"(sha256:[0-9a-f]{64}|\w[\w.-]{0,127})", "a tag or a digest"))
    endpoint_name: str = _setting("", "empty: image_name", _text(r"|[A-Za-z0-9/_.-]+", "letters, digits and hyphens"))
    instance_type: str = _setting("ml.m5.large", "of the endpoint", _text(INSTANCE, "such as ml.m5.large"))
    fallback_instance_types: list[str] = _setting([], "taken in this order when instance_type is short", _list(INSTANCE, "instance types", 4))
    min_instances: int = _setting(1, "autoscaling keeps the endpoint between min_instances", _number(1, 1000))
    max_instances: int = _setting(2, "and max_instances", _number(1, 1000))
    job_instance_type: str = _setting("ml.m5.large", "of training and transform jobs", _text(INSTANCE, "such as ml.m5.large"))
    modes: list[str] = _setting(["realtime"], f"any of {', '.join(MODES)}", _list("|".join(MODES), ", ".join(MODES), len(MODES)))
    keep: bool = _setting(False, "the other ways stay until `down`; else each is tried and deleted", _switch)
    train: bool = _setting(True, "false: no training job, the image serves the model that is in it", _switch)
    model_data: str = _setting("", "or serve this model.tar.gz (s3://…), also without a training job", _text(r"|s3://[^/]+/.+", "s3://bucket/…/model.tar.gz"))
    environment: dict[str, str] = _setting({}, "settings of the model server", _table('MODEL_SERVER_TIMEOUT = "30"', r"[A-Za-z_]\w*", 100))
    payload: str = _setting("local-test/payload.csv", "rows that your model takes", _text(r".+", "the path of a CSV file"))
    latency_ms: int = _setting(500, "95 of 100 answers should come sooner", _number(1, 60000))
    invocations_per_minute: int = _setting(0, "target of an instance; 0: half of what was measured", _number(0, 10**7))
    measure_again: bool = _setting(False, "measure although it has been measured: load on a live endpoint", _switch)
    clean_up: bool = _setting(False, "delete everything at the end, also when something failed", _switch)
    region: str = _setting("", "empty: AWS_REGION, AWS_DEFAULT_REGION, your profile", _text(r"|[a-z]{2,}(-[a-z]+)+-\d+", "such as eu-west-1"))
    role_arn: str = _setting("", "the execution role; empty: your own, where you are a role", _text(r"|arn:aws[\w-]*:iam::\d{12}:role/.+", "arn:aws:iam::<account>:role/<name>"))
    bucket: str = _setting("", "empty: sagemaker-<region>-<account>", _text(r"|[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket"))
    owner: str = _setting("", "empty: you, as AWS knows you", _text(r"[\w .:/=+@-]{0,256}", "letters, digits and _.:/=+-@"))
    expires_after_days: int = _setting(7, "a tag; `costs` warns of it", _number(1, 3650))
    delete_when_expired: bool = _setting(False, "EventBridge Scheduler deletes the endpoint then", _switch)
    subnets: list[str] = _setting([], "of the VPC where the containers run", _list(r"subnet-[0-9a-z]+", "subnet-…", 16))
    security_groups: list[str] = _setting([], "of the containers in that VPC", _list(r"sg-[0-9a-z]+", "sg-…", 5))
    kms_key: str = _setting("", "encrypts what is written to S3", KEY)
    volume_key: str = _setting("", "encrypts the disks of instances", KEY)
    network_isolation: bool = _setting(True, "the container cannot reach any network; it needs none", _switch)
    permissions_boundary: str = _setting("", "of every role that is made", _text(r"|arn:aws[\w-]*:iam::(\d{12}|aws):policy/.+", "arn:aws:iam::<account>:policy/<name>"))
    tags: dict[str, str] = _setting({}, "more tags for everything that is made", _table('team = "fraud"', r"(?!aws:|model-server:)[\w .:/=+@-]{1,128}", 40))
    serverless_memory_mb: int = _setting(2048, "1024 to 6144, in steps of 1024", lambda v: "" if v in range(1024, 6145, 1024) else "1024 to 6144, in steps of 1024")
    multi_model: dict[str, str] = _setting({"a": "model", "b": "model"}, "name and directory of each model of a multi-model endpoint", _table('a = "model"', r"[\w.-]{1,100}"))
    capture_percent: int = _setting(0, "of requests and answers that are written to S3", _number(0, 100))
    shadow_tag: str = _setting("", "an image of this tag gets a copy of each request; its answers are dropped", _text(r"|sha256:[0-9a-f]{64}|\w[\w.-]{0,127}", "a tag or a digest"))
    model_package_group: str = _setting("", "register each version in this group of the model registry", _text(r"|[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "letters, digits and hyphens"))
    poll_seconds: float = _setting(15, "between two looks at what is under way", _seconds)
    load_seconds: float = _setting(5, "of each step of the load", _seconds)
    # fmt: on

    @property
    def name(self) -> str:
        return names.deployment(self.endpoint_name or self.image_name)

    @property
    def instance_types(self) -> list[str]:
        return [self.instance_type, *self.fallback_instance_types]

    @property
    def needs_job(self) -> bool:
        return self.train and not self.model_data

    def data(self) -> dict[str, Any]:
        return asdict(self)


SETTINGS = {row.name: row for row in fields(Plan)}


def of(values: Mapping[str, Any]) -> Plan:
    """A plan of these settings, the others as the table says. Raises Stop with all that is wrong."""
    wrong = []
    for name, value in values.items():
        if name not in SETTINGS:
            near = difflib.get_close_matches(name, SETTINGS, 1)
            wrong.append(f"{name} is not a setting." + (f" Did you mean {near[0]}?" if near else ""))
        elif expected := SETTINGS[name].metadata["check"](value):
            wrong.append(f"{name} = {value!r}: expected {expected}.")
    if not wrong:
        given: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        plan = Plan(**given)
        wrong = _contradictions(plan)
    if wrong:
        raise Stop("The plan cannot be carried out:\n" + "\n".join(f"  {line}" for line in wrong))
    return plan


def read(path: str | Path, **more: Any) -> Plan:
    """The plan of a TOML file; `more` goes before what the file says."""
    try:
        values = tomllib.loads(Path(path).read_text())
    except FileNotFoundError:
        raise Stop(f"There is no {path}. A first one: python -m deploy example > deployment.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise Stop(f"{path} cannot be read: {exc}") from None
    return of({**values, **more})


def example() -> str:
    """A deployment.toml with every setting, its default and what it is."""
    return "\n".join(f"{_toml(name)}  # {row.metadata['help']}" for name, row in SETTINGS.items()) + "\n"


def default(name: str) -> Any:
    row = SETTINGS[name]
    return row.default if row.default_factory is MISSING else row.default_factory()


def _toml(name: str) -> str:
    match default(name):
        case bool(value):
            return f"{name} = {str(value).lower()}"
        case str(value):
            return f'{name} = "{value}"'
        case dict(value):
            return f"{name} = {{{', '.join(f'{k} = {json.dumps(v)}' for k, v in value.items())}}}"
        case list(value):
            return f"{name} = {json.dumps(value)}"
        case value:
            return f"{name} = {value}"


def _contradictions(plan: Plan) -> list[str]:
    """What each setting allows and all together do not."""
    modes, arm = set(plan.modes), {kind for kind in plan.instance_types if is_arm(kind)}
    said = [
        (plan.min_instances > plan.max_instances, f"min_instances = {plan.min_instances} is above max_instances = {plan.max_instances}."),
        (bool(plan.subnets) != bool(plan.security_groups), "subnets and security_groups go together: set both or none."),
        ("serverless" in modes and bool(plan.subnets), "Serverless endpoints cannot run in a VPC: take serverless out of modes, or subnets away."),
        ("serverless" in modes and bool(plan.capture_percent and "realtime" not in modes), "Serverless endpoints capture no data: set capture_percent = 0."),
        (bool(plan.volume_key) and any(map(has_local_disk, plan.instance_types)), f"volume_key cannot be used with {', '.join(filter(has_local_disk, plan.instance_types))}: its disk is its own, and encrypted by its hardware."),
        (len(modes) < len(plan.modes), "modes names one of them twice."),
        (not modes, f"modes is empty: choose of {', '.join(MODES)}."),
        (0 < len(arm) < len(plan.instance_types), f"{', '.join(sorted(arm))} is Graviton and the others are not: one image runs on one kind only."),
        (bool(plan.shadow_tag) and plan.max_instances > plan.min_instances, "A shadow variant and autoscaling exclude each other: set max_instances = min_instances."),
        (bool(plan.shadow_tag) and bool(plan.fallback_instance_types), "A shadow variant cannot have fallback_instance_types."),
        (is_arm(plan.job_instance_type) and (plan.needs_job or "batch" in modes), "Training and transform jobs have no Graviton types: set job_instance_type to another."),
        (bool(arm) and plan.needs_job, "instance_type is Graviton: the image is for arm64, which no training job runs. Set train = false."),
        (bool(arm) and "batch" in modes, "instance_type is Graviton: the image is for arm64, which no transform job runs. Take batch out of modes."),
    ]  # fmt: skip
    return [text for is_so, text in said if is_so]


def has_local_disk(instance_type: str) -> bool:
    """A d behind the family's number: m5d, c6gd, g4dn. SageMaker takes no key for such a disk."""
    return bool(re.match(r"ml\.[a-z]+\d+[a-z]*d[a-z]*\.", instance_type))
