"""An AWS account in memory, without containers: for what a deployment asks, in which order, and what is left of it.

Every request is held to AWS's own service model (names, types, patterns, ranges, enums), and so is every answer. It
does what the documentation says: an endpoint that is Creating or Updating cannot be deleted, a running job neither, a
config that an endpoint uses neither; what is under way takes some looks. `fault` breaks one call in the ways in which
a call can break. What it cannot prove: IAM's verdicts, AWS's own texts, capacity.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.validate import ParamValidator

ACCOUNT, REGION = "123456789012", "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Execution"
DIGEST = "sha256:" + "ab" * 32
READS = re.compile(r"(describe|list|get|head|simulate|batch_get|invoke|download)_")
LOOKS = 2
"""How often something is looked at before it is ready."""
FAULTS = ("ctrl-c before", "ctrl-c after", "denied", "throttled", "answer lost", "token expired")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Fault:
    """`kind` of FAULTS happens at the call with this number, counted over all calls; a denial and an expired token
    last."""

    kind: str
    at: int
    operation: str = ""
    happened: bool = False


def error(code: str, message: str, operation: str = "Operation", status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)  # type: ignore[arg-type]


@cache
def model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@cache
def operations(service: str) -> dict[str, Any]:
    return {xform_name(name): model(service).operation_model(name) for name in model(service).operation_names}


def problems(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """What botocore's validator does not look at: patterns, enums, lengths and ranges, as the model has them."""
    match shape.type_name:
        case "structure":
            for name, member in value.items():
                if name in shape.members:
                    yield from problems(member, shape.members[name], f"{path}.{name}")
        case "list":
            if not shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", 10**9):
                yield f"{path}: {len(value)} members"
            for each in value:
                yield from problems(each, shape.member, f"{path}[]")
        case "map":
            for key, each in value.items():
                yield from problems(key, shape.key, f"{path} key")
                yield from problems(each, shape.value, f"{path}[{key}]")
        case "string":
            if shape.enum and value not in shape.enum:
                yield f"{path}: {value!r} is not one of the enum"
            if not shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", 10**9):
                yield f"{path}: {len(value)} characters"
            pattern = shape.metadata.get("pattern")
            if pattern and not _fits(pattern, value):
                yield f"{path}: {value!r} does not fit {pattern}"
        case "integer" | "long" | "float" | "double":
            if not shape.metadata.get("min", -(10**18)) <= value <= shape.metadata.get("max", 10**18):
                yield f"{path}: {value}"


def _fits(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w\s").replace("\\p{L}", "\\w"), value) is not None
    except re.error:  # a dialect that Python does not know
        return True


CHECKED: set[tuple[str, str]] = set()
"""What has been found right is not looked at again: thousands of runs ask the same."""


def check(params: dict[str, Any], shape: Any, what: str) -> None:
    """Raises AssertionError unless `params` are what the service model takes."""
    if shape is None:
        assert not params, what
        return
    if (what, known := repr(params)) in CHECKED:
        return
    report = ParamValidator().validate(params, shape)
    assert not report.has_errors(), f"{what}: {report.generate_report()}"
    found = list(problems(params, shape))
    assert not found, f"{what}: {found}"
    CHECKED.add((what, known))


class Session:
    region_name = REGION

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def client(self, service: str, **_: Any) -> Client:
        return Client(self.cloud, service)

    def get_credentials(self) -> Credentials:
        return Credentials("testing", "testing")


class Client:
    def __init__(self, cloud: Cloud, service: str) -> None:
        self._cloud, self._service = cloud, service
        self.meta = SimpleNamespace(endpoint_url=cloud.url, region_name=REGION)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_") or method not in operations(self._service):
            raise AttributeError(f"{self._service} has no {method}")
        return lambda **params: self._cloud.call(self._service, method, params)

    def get_paginator(self, method: str) -> Any:
        def paginate(PaginationConfig: Any = None, **params: Any) -> list[Any]:
            return [getattr(self, method)(**params)]

        return SimpleNamespace(paginate=paginate)


class Cloud:
    """`fault` breaks a call; `calls` has them all; `broken` images never become healthy; `unreachable` services do not
    answer."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.things: dict[str, dict[str, dict[str, Any]]] = {
            kind: {} for kind in ("model", "config", "endpoint", "component", "training", "transform", "group",
                                  "package", "alarm", "target", "policy", "action", "schedule", "role")
        }  # fmt: skip
        self.tags: dict[str, dict[str, str]] = {}
        self.buckets: dict[str, str] = {}
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.broken: set[str] = set()
        self.there_before: set[str] = set()
        self.unreachable: set[str] = set()
        self.refused: set[str] = set()
        self.denied_by_iam: set[str] = set()
        self.images = {"latest": DIGEST}
        self.media_type = "application/vnd.docker.distribution.manifest.v2+json"
        self.prices = {"EU-Host:ml.m5.large": "0.12", "EU-AsyncInf:ml.m5.large": "0.13", "EU-Train:ml.m5.large": "0.14",
                       "EU-Tsform:ml.m5.large": "0.15"}  # fmt: skip
        self.quota = 10.0
        self.caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/Data/ana"
        self.url = "http://127.0.0.1:9"
        self.answer: Callable[[dict[str, Any]], bytes] = lambda asked: b"setosa\n" * len(asked["Body"].split())
        self.things["role"]["Execution"] = {}
        self.session = Session(self)

    # -- a call, and how it can break -------------------------------------------------------------------------------

    def call(self, service: str, method: str, params: dict[str, Any]) -> Any:
        operation = operations(service)[method]
        check(params, operation.input_shape, f"{service}.{method}")
        number = len(self.calls)
        self.calls.append((service, method, params))
        assert number < 2000, f"it waits for ever: {self.calls[-3:]}"
        if service in self.unreachable:
            raise EndpointConnectionError(endpoint_url=f"https://{service}.{REGION}.amazonaws.com")
        fault = self.fault if self.fault and self._strikes(self.fault, number, method) else None
        if method in self.refused:
            raise error("AccessDeniedException", f"User is not authorized to perform: {service}:{operation.name}")
        if fault:
            if not fault.happened:
                fault.operation = method
            fault.happened = True
            self._before(fault, service, operation.name)
        answer = getattr(self, f"{service.replace('-', '_')}_{method}")(**params) or {}
        if fault and fault.kind == "ctrl-c after":
            raise KeyboardInterrupt
        if fault and fault.kind == "answer lost":
            raise ReadTimeoutError(endpoint_url=f"https://{service}.{REGION}.amazonaws.com")
        if operation.output_shape is not None:
            told = {key: b"" if key == "Body" else value for key, value in answer.items()}
            check(told, operation.output_shape, f"answer of {method}")
        return answer

    def _strikes(self, fault: Fault, number: int, method: str) -> bool:
        if number == fault.at:
            return True
        lasts = fault.happened and (fault.kind == "token expired" or (fault.kind == "denied" and method == fault.operation))
        return lasts

    def _before(self, fault: Fault, service: str, name: str) -> None:
        match fault.kind:
            case "ctrl-c before":
                raise KeyboardInterrupt
            case "denied":
                raise error("AccessDeniedException", f"User: ana is not authorized to perform: {service}:{name}", name)
            case "throttled":
                raise error("ThrottlingException", "Rate exceeded", name)
            case "token expired":
                raise error("ExpiredTokenException", "The security token included in the request is expired", name)

    # -- what is left -----------------------------------------------------------------------------------------------

    def costly(self) -> set[str]:
        """The names of what costs money by the hour."""
        alive = {*self.things["endpoint"], *self.things["component"]}
        for kind in ("training", "transform"):
            alive |= {name for name, job in self.things[kind].items() if job["Status"] in ("InProgress", "Stopping")}
        return alive

    def everything(self) -> dict[str, list[str]]:
        """All that a deployment can have made and that is still there; ended transform jobs cannot be deleted."""
        left = {kind: sorted(named) for kind, named in self.things.items() if kind not in ("transform", "group", "package")}
        left["role"] = [name for name in left["role"] if name != "Execution"]
        left["objects"] = sorted(self.objects)
        left["transform"] = sorted(self.costly() & set(self.things["transform"]))
        return {kind: named for kind, named in left.items() if named}

    def mutations(self) -> list[int]:
        return [n for n, (_, method, _) in enumerate(self.calls) if not READS.match(method)]

    def asked(self, method: str) -> list[dict[str, Any]]:
        return [params for _, name, params in self.calls if name == method]

    # -- SageMaker --------------------------------------------------------------------------------------------------

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"

    def _add(self, kind: str, name: str, word: str, tags: list[dict[str, str]], **more: Any) -> str:
        if name in self.things[kind]:
            code = "ResourceInUse" if kind in ("training", "transform") else "ValidationException"
            raise error(code, f"Cannot create already existing {word} {name}")
        arn = self._arn(word, name)
        self.things[kind][name] = {"Arn": arn, "Looks": 0, **more}
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in tags}
        return arn

    def _get(self, kind: str, name: str, word: str) -> dict[str, Any]:
        if name not in self.things[kind]:
            raise error("ValidationException", f'Could not find {word} "{name}".')
        return self.things[kind][name]

    def sagemaker_create_model(self, ModelName: str, ExecutionRoleArn: str, PrimaryContainer: dict, Tags: list, **more: Any) -> dict:  # fmt: skip # noqa: E501
        return {"ModelArn": self._add("model", ModelName, "model", Tags, Container=PrimaryContainer, More=more)}

    def sagemaker_describe_model(self, ModelName: str) -> dict:
        arn = self._get("model", ModelName, "model")["Arn"]
        return {"ModelName": ModelName, "ModelArn": arn, "CreationTime": NOW}

    def sagemaker_delete_model(self, ModelName: str) -> None:
        self._get("model", ModelName, "model")
        del self.things["model"][ModelName]

    def sagemaker_list_models(self, NameContains: str) -> dict:
        rows = [{"ModelName": n, "ModelArn": t["Arn"], "CreationTime": NOW} for n, t in self._named("model", NameContains)]
        return {"Models": rows}

    def _named(self, kind: str, part: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, thing) for name, thing in self.things[kind].items() if part in name]

    def sagemaker_create_endpoint_config(self, EndpointConfigName: str, Tags: list, **asked: Any) -> dict:
        for variant in [*asked["ProductionVariants"], *asked.get("ShadowProductionVariants", [])]:
            if "ModelName" in variant:
                self._get("model", variant["ModelName"], "model")
        return {"EndpointConfigArn": self._add("config", EndpointConfigName, "endpoint-config", Tags, Asked=asked)}

    def sagemaker_describe_endpoint_config(self, EndpointConfigName: str) -> dict:
        config = self._get("config", EndpointConfigName, "endpoint configuration")
        return {"EndpointConfigName": EndpointConfigName, "EndpointConfigArn": config["Arn"], "CreationTime": NOW,
                **config["Asked"]}  # fmt: skip

    def sagemaker_delete_endpoint_config(self, EndpointConfigName: str) -> None:
        self._get("config", EndpointConfigName, "endpoint configuration")
        used = [n for n, e in self.things["endpoint"].items() if EndpointConfigName in (e["Config"], e.get("Next"))]
        assert not used, f"{EndpointConfigName} is deleted while {used} uses it"
        del self.things["config"][EndpointConfigName]

    def sagemaker_list_endpoint_configs(self, NameContains: str) -> dict:
        rows = [{"EndpointConfigName": n, "EndpointConfigArn": t["Arn"], "CreationTime": NOW}
                for n, t in self._named("config", NameContains)]  # fmt: skip
        return {"EndpointConfigs": rows}

    def sagemaker_create_endpoint(self, EndpointName: str, EndpointConfigName: str, Tags: list) -> dict:
        self._get("config", EndpointConfigName, "endpoint configuration")
        arn = self._add("endpoint", EndpointName, "endpoint", Tags, Status="Creating", Config=EndpointConfigName)
        return {"EndpointArn": arn}

    def sagemaker_update_endpoint(self, EndpointName: str, EndpointConfigName: str, **more: Any) -> dict:
        endpoint = self._idle(EndpointName)
        self._get("config", EndpointConfigName, "endpoint configuration")
        endpoint |= {"Status": "Updating", "Next": EndpointConfigName, "Looks": 0, "Update": more}
        return {"EndpointArn": endpoint["Arn"]}

    def _idle(self, name: str) -> dict[str, Any]:
        endpoint = self._get("endpoint", name, "endpoint")
        if endpoint["Status"] not in ("InService", "Failed"):
            raise error("ValidationException", f'Cannot update in-progress endpoint "{endpoint["Arn"]}".')
        return endpoint

    def _serves(self, config: str) -> bool:
        variants = self.things["config"][config]["Asked"]["ProductionVariants"]
        names = [v["ModelName"] for v in variants if "ModelName" in v]
        return not any(self.things["model"][n]["Container"]["Image"].rpartition("@")[2] in self.broken for n in names)

    def _move(self, name: str) -> None:
        """One look further."""
        endpoint = self.things["endpoint"][name]
        endpoint["Looks"] += 1
        if endpoint["Looks"] < LOOKS:
            return
        match endpoint["Status"]:
            case "Creating":
                endpoint["Status"] = "InService" if self._serves(endpoint["Config"]) else "Failed"
            case "Updating":
                if self._serves(endpoint["Next"]):
                    endpoint["Config"] = endpoint["Next"]
                else:
                    endpoint["Reason"] = "The container did not pass the ping health check."
                endpoint |= {"Status": "InService", "Next": None}
            case "Deleting":
                del self.things["endpoint"][name]

    def sagemaker_describe_endpoint(self, EndpointName: str) -> dict:
        if EndpointName in self.things["endpoint"]:
            self._move(EndpointName)
        endpoint = self._get("endpoint", EndpointName, "endpoint")
        variants = self.things["config"][endpoint["Config"]]["Asked"]["ProductionVariants"]
        shown = [{"VariantName": v["VariantName"], "CurrentInstanceCount": v.get("InitialInstanceCount", 0)} for v in variants]
        there = {"ProductionVariants": shown} if endpoint["Status"] != "Creating" else {}
        reason = {"FailureReason": endpoint["Reason"]} if "Reason" in endpoint else {}
        return {"EndpointName": EndpointName, "EndpointArn": endpoint["Arn"], "EndpointConfigName": endpoint["Config"],
                "EndpointStatus": endpoint["Status"], "CreationTime": NOW, "LastModifiedTime": NOW, **there, **reason}  # fmt: skip # noqa: E501

    def sagemaker_delete_endpoint(self, EndpointName: str) -> None:
        endpoint = self._idle(EndpointName)
        if any(c["Endpoint"] == EndpointName for c in self.things["component"].values()):
            raise error("ValidationException", f"Cannot delete {EndpointName} before deleting its inference components")
        endpoint |= {"Status": "Deleting", "Looks": 0}

    def sagemaker_list_endpoints(self, NameContains: str = "") -> dict:
        rows = [{"EndpointName": n, "EndpointArn": t["Arn"], "CreationTime": NOW, "LastModifiedTime": NOW,
                 "EndpointStatus": t["Status"]} for n, t in self._named("endpoint", NameContains)]  # fmt: skip
        return {"Endpoints": rows}

    def sagemaker_update_endpoint_weights_and_capacities(self, EndpointName: str, DesiredWeightsAndCapacities: list) -> dict:  # fmt: skip # noqa: E501
        endpoint = self._idle(EndpointName)
        endpoint |= {"Desired": DesiredWeightsAndCapacities[0]["DesiredInstanceCount"]}
        return {"EndpointArn": endpoint["Arn"]}

    def sagemaker_create_inference_component(self, InferenceComponentName: str, EndpointName: str, Tags: list, **more: Any) -> dict:  # fmt: skip # noqa: E501
        assert self._get("endpoint", EndpointName, "endpoint")["Status"] == "InService"
        arn = self._add("component", InferenceComponentName, "inference-component", Tags, Status="Creating",
                        Endpoint=EndpointName, Model=more["Specification"]["ModelName"])  # fmt: skip
        return {"InferenceComponentArn": arn}

    def sagemaker_describe_inference_component(self, InferenceComponentName: str) -> dict:
        component = self._get("component", InferenceComponentName, "inference component")
        component["Looks"] += 1
        if component["Looks"] >= LOOKS and component["Status"] == "Deleting":
            del self.things["component"][InferenceComponentName]
        elif component["Looks"] >= LOOKS:
            component["Status"] = "InService"
        return {"InferenceComponentName": InferenceComponentName, "InferenceComponentArn": component["Arn"],
                "EndpointName": component["Endpoint"], "EndpointArn": self._arn("endpoint", component["Endpoint"]),
                "CreationTime": NOW, "LastModifiedTime": NOW, "InferenceComponentStatus": component["Status"],
                "Specification": {"ModelName": component["Model"]}}  # fmt: skip

    def sagemaker_delete_inference_component(self, InferenceComponentName: str) -> None:
        component = self._get("component", InferenceComponentName, "inference component")
        if component["Status"] != "InService":
            raise error("ValidationException", "Cannot delete an inference component that is Creating")
        component |= {"Status": "Deleting", "Looks": 0}

    def sagemaker_list_inference_components(self, NameContains: str) -> dict:
        rows = [{"InferenceComponentName": n, "InferenceComponentArn": t["Arn"], "EndpointName": t["Endpoint"],
                 "EndpointArn": self._arn("endpoint", t["Endpoint"]), "VariantName": "AllTraffic", "CreationTime": NOW,
                 "LastModifiedTime": NOW} for n, t in self._named("component", NameContains)]  # fmt: skip
        return {"InferenceComponents": rows}

    # -- jobs -------------------------------------------------------------------------------------------------------

    def sagemaker_create_training_job(self, TrainingJobName: str, Tags: list, **asked: Any) -> dict:
        uri = f"{asked['OutputDataConfig']['S3OutputPath']}/{TrainingJobName}/output/model.tar.gz"
        image = asked["AlgorithmSpecification"]["TrainingImage"].rpartition("@")[2]
        arn = self._add("training", TrainingJobName, "training-job", Tags, Status="InProgress", Uri=uri,
                        Fails=image in self.broken)  # fmt: skip
        return {"TrainingJobArn": arn}

    def _job(self, kind: str, name: str, word: str) -> dict[str, Any]:
        job = self._get(kind, name, word)
        job["Looks"] += 1
        if job["Looks"] >= LOOKS and job["Status"] == "Stopping":
            job["Status"] = "Stopped"
        elif job["Looks"] >= LOOKS and job["Status"] == "InProgress":
            job["Status"] = "Failed" if job["Fails"] else "Completed"
            if not job["Fails"]:
                self._put(job["Uri"], b"what the job made")
        return job

    def sagemaker_describe_training_job(self, TrainingJobName: str) -> dict:
        job = self._job("training", TrainingJobName, "training job")
        why = {"FailureReason": "AlgorithmError: the model cannot serve: model.pkl is empty."} if job["Fails"] else {}
        return {"TrainingJobName": TrainingJobName, "TrainingJobArn": job["Arn"], "TrainingJobStatus": job["Status"],
                "SecondaryStatus": {"InProgress": "Training"}.get(job["Status"], job["Status"]),
                "ModelArtifacts": {"S3ModelArtifacts": job["Uri"]}, "CreationTime": NOW, "StoppingCondition": {},
                "AlgorithmSpecification": {"TrainingInputMode": "File"}, "ResourceConfig": {"VolumeSizeInGB": 10}, **why}  # fmt: skip # noqa: E501

    def _stop(self, kind: str, name: str) -> None:
        job = self._get(kind, name, "job")
        if job["Status"] != "InProgress":
            raise error("ValidationException", "The job is in a terminal state and cannot be stopped")
        job |= {"Status": "Stopping", "Looks": 0}

    def sagemaker_stop_training_job(self, TrainingJobName: str) -> None:
        self._stop("training", TrainingJobName)

    def sagemaker_delete_training_job(self, TrainingJobName: str) -> None:
        if self._get("training", TrainingJobName, "training job")["Status"] in ("InProgress", "Stopping"):
            raise error("ResourceInUse", "The job is InProgress")
        del self.things["training"][TrainingJobName]

    def sagemaker_list_training_jobs(self, NameContains: str = "", StatusEquals: str = "") -> dict:
        rows = [{"TrainingJobName": n, "TrainingJobArn": t["Arn"], "CreationTime": NOW, "TrainingJobStatus": t["Status"]}
                for n, t in self._named("training", NameContains) if StatusEquals in ("", t["Status"])]  # fmt: skip
        return {"TrainingJobSummaries": rows}

    def sagemaker_create_transform_job(self, TransformJobName: str, ModelName: str, Tags: list, **asked: Any) -> dict:
        self._get("model", ModelName, "model")
        source = asked["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"].rpartition("/")[2]
        uri = f"{asked['TransformOutput']['S3OutputPath']}/{source}.out"
        arn = self._add("transform", TransformJobName, "transform-job", Tags, Status="InProgress", Uri=uri, Fails=False)
        return {"TransformJobArn": arn}

    def sagemaker_describe_transform_job(self, TransformJobName: str) -> dict:
        job = self._job("transform", TransformJobName, "transform job")
        return {"TransformJobName": TransformJobName, "TransformJobArn": job["Arn"], "TransformJobStatus": job["Status"],
                "ModelName": "m", "CreationTime": NOW,
                "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}}},
                "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}  # fmt: skip

    def sagemaker_stop_transform_job(self, TransformJobName: str) -> None:
        self._stop("transform", TransformJobName)

    def sagemaker_list_transform_jobs(self, NameContains: str = "", StatusEquals: str = "") -> dict:
        rows = [{"TransformJobName": n, "TransformJobArn": t["Arn"], "CreationTime": NOW, "TransformJobStatus": t["Status"]}
                for n, t in self._named("transform", NameContains) if StatusEquals in ("", t["Status"])]  # fmt: skip
        return {"TransformJobSummaries": rows}

    # -- tags, registry -----------------------------------------------------------------------------------------------

    def sagemaker_add_tags(self, ResourceArn: str, Tags: list) -> dict:
        self.tags.setdefault(ResourceArn, {}).update({tag["Key"]: tag["Value"] for tag in Tags})
        return {"Tags": Tags}

    def sagemaker_list_tags(self, ResourceArn: str) -> dict:
        return {"Tags": [{"Key": k, "Value": v} for k, v in self.tags.get(ResourceArn, {}).items()]}

    def sagemaker_create_model_package_group(self, ModelPackageGroupName: str, Tags: list) -> dict:
        return {"ModelPackageGroupArn": self._add("group", ModelPackageGroupName, "model-package-group", Tags)}

    def sagemaker_create_model_package(self, **asked: Any) -> dict:
        number = str(len(self.things["package"]) + 1)
        self.things["package"][number] = asked
        return {"ModelPackageArn": self._arn("model-package", f"{asked['ModelPackageGroupName']}/{number}")}

    def sagemaker_list_model_packages(self, ModelPackageGroupName: str) -> dict:
        self._get("group", ModelPackageGroupName, "model package group")
        rows = [{"ModelPackageArn": self._arn("model-package", f"{ModelPackageGroupName}/{n}"), "CreationTime": NOW,
                 "ModelPackageStatus": "Completed"} for n in self.things["package"]]  # fmt: skip
        return {"ModelPackageSummaryList": rows}

    def sagemaker_describe_model_package(self, ModelPackageName: str) -> dict:
        asked = self.things["package"][ModelPackageName.rpartition("/")[2]]
        return {"ModelPackageName": "p", "ModelPackageArn": ModelPackageName, "CreationTime": NOW,
                "ModelPackageStatus": "Completed", "ModelPackageStatusDetails": {"ValidationStatuses": []},
                "CustomerMetadataProperties": asked["CustomerMetadataProperties"]}  # fmt: skip

    # -- asking -------------------------------------------------------------------------------------------------------

    def sagemaker_runtime_invoke_endpoint(self, **asked: Any) -> dict:
        assert self._get("endpoint", asked["EndpointName"], "endpoint")["Status"] in ("InService", "Updating")
        return {"Body": io.BytesIO(self.answer(asked)), "ContentType": "text/csv"}

    def sagemaker_runtime_invoke_endpoint_async(self, EndpointName: str, InputLocation: str, **_: Any) -> dict:
        config = self.things["config"][self._get("endpoint", EndpointName, "endpoint")["Config"]]["Asked"]
        where = config["AsyncInferenceConfig"]["OutputConfig"]
        output = f"{where['S3OutputPath']}/1.out"
        self._put(output, self.answer({"Body": self.objects[InputLocation.removeprefix("s3://")][0]}))
        return {"InferenceId": "1", "OutputLocation": output, "FailureLocation": f"{where['S3FailurePath']}/1.out"}

    # -- S3 -----------------------------------------------------------------------------------------------------------

    def _put(self, uri: str, body: bytes) -> str:
        self.writes = getattr(self, "writes", 0) + 1
        self.objects[uri.removeprefix("s3://")] = (body, f'"{self.writes}"')
        return f'"{self.writes}"'

    def _bucket(self, Bucket: str, ExpectedBucketOwner: str) -> None:
        if Bucket not in self.buckets:
            raise error("404", "Not Found", "HeadBucket", 404)
        if self.buckets[Bucket] != ExpectedBucketOwner:
            raise error("403", "Forbidden", "HeadBucket", 403)

    def s3_head_bucket(self, **owner: str) -> None:
        self._bucket(**owner)

    def s3_create_bucket(self, Bucket: str, **_: Any) -> None:
        if Bucket in self.buckets:
            raise error("BucketAlreadyOwnedByYou", "It is yours.")
        self.buckets[Bucket] = ACCOUNT

    def _of_bucket(self, Bucket: str, ExpectedBucketOwner: str, **_: Any) -> None:
        self._bucket(Bucket, ExpectedBucketOwner)

    s3_put_public_access_block = s3_put_bucket_encryption = s3_put_bucket_policy = _of_bucket

    def s3_put_object(self, Bucket: str, ExpectedBucketOwner: str, Key: str, Body: bytes, IfNoneMatch: str = "",
                      IfMatch: str = "", **_: Any) -> dict:  # fmt: skip
        self._bucket(Bucket, ExpectedBucketOwner)
        there = self.objects.get(f"{Bucket}/{Key}")
        if (IfNoneMatch and there) or (IfMatch and (not there or there[1].strip('"') != IfMatch.strip('"'))):
            raise error("PreconditionFailed", "At least one of the pre-conditions did not hold", "PutObject", 412)
        return {"ETag": self._put(f"{Bucket}/{Key}", Body)}

    def _object(self, Bucket: str, ExpectedBucketOwner: str, Key: str) -> tuple[bytes, str]:
        self._bucket(Bucket, ExpectedBucketOwner)
        if f"{Bucket}/{Key}" not in self.objects:
            raise error("NoSuchKey", "The specified key does not exist.", "GetObject", 404)
        return self.objects[f"{Bucket}/{Key}"]

    def s3_get_object(self, **asked: str) -> dict:
        return {"Body": io.BytesIO(self._object(**asked)[0])}

    def s3_head_object(self, **asked: str) -> dict:
        return {"ETag": self._object(**asked)[1]}

    def s3_list_objects_v2(self, Bucket: str, ExpectedBucketOwner: str, Prefix: str, MaxKeys: int = 1000) -> dict:
        self._bucket(Bucket, ExpectedBucketOwner)
        keys = [k.removeprefix(f"{Bucket}/") for k in self.objects if k.startswith(f"{Bucket}/{Prefix}")]
        return {"Contents": [{"Key": key} for key in keys[:MaxKeys]], "KeyCount": len(keys[:MaxKeys])}

    def s3_delete_objects(self, Bucket: str, ExpectedBucketOwner: str, Delete: dict) -> None:
        self._bucket(Bucket, ExpectedBucketOwner)
        for row in Delete["Objects"]:
            self.objects.pop(f"{Bucket}/{row['Key']}", None)

    def s3_delete_object(self, Bucket: str, ExpectedBucketOwner: str, Key: str) -> None:
        self._bucket(Bucket, ExpectedBucketOwner)
        self.objects.pop(f"{Bucket}/{Key}", None)

    # -- autoscaling, alarms --------------------------------------------------------------------------------------------

    def application_autoscaling_register_scalable_target(self, ResourceId: str, **asked: Any) -> dict:
        kind, name = ResourceId.split("/")[:2]
        self._get("endpoint" if kind == "endpoint" else "component", name, kind)
        old = self.things["target"].get(ResourceId, {})
        self.things["target"][ResourceId] = {**old, "ResourceId": ResourceId, **asked}
        return {}

    def application_autoscaling_deregister_scalable_target(self, ResourceId: str, **_: Any) -> dict:
        if ResourceId not in self.things["target"]:
            raise error("ObjectNotFoundException", f"No scalable target registered for {ResourceId}")
        del self.things["target"][ResourceId]
        for kind in ("policy", "action"):
            self.things[kind] = {k: v for k, v in self.things[kind].items() if v["ResourceId"] != ResourceId}
        return {}

    def application_autoscaling_put_scaling_policy(self, ResourceId: str, PolicyName: str, **asked: Any) -> dict:
        assert ResourceId in self.things["target"], ResourceId
        arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:1:resource/sagemaker/{ResourceId}:policyName/{PolicyName}"
        row = {"ResourceId": ResourceId, "PolicyName": PolicyName, "PolicyARN": arn, "CreationTime": NOW, **asked}
        self.things["policy"][f"{ResourceId} {PolicyName}"] = row
        return {"PolicyARN": arn}

    def application_autoscaling_put_scheduled_action(self, ResourceId: str, ScheduledActionName: str, **asked: Any) -> dict:  # fmt: skip # noqa: E501
        arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scheduledAction:1"
        row = {"ResourceId": ResourceId, "ScheduledActionName": ScheduledActionName, "ScheduledActionARN": arn,
               "CreationTime": NOW, **asked}  # fmt: skip
        self.things["action"][f"{ResourceId} {ScheduledActionName}"] = row
        return {}

    def application_autoscaling_describe_scalable_targets(self, ResourceIds: list[str], ServiceNamespace: str) -> dict:
        rows = [self.things["target"][each] for each in ResourceIds if each in self.things["target"]]
        return {"ScalableTargets": [{"RoleARN": ROLE, "CreationTime": NOW, **row} for row in rows]}

    def application_autoscaling_describe_scaling_policies(self, ResourceId: str, **_: Any) -> dict:
        return {"ScalingPolicies": [p for p in self.things["policy"].values() if p["ResourceId"] == ResourceId]}

    def application_autoscaling_describe_scheduled_actions(self, ResourceId: str, **_: Any) -> dict:
        return {"ScheduledActions": [p for p in self.things["action"].values() if p["ResourceId"] == ResourceId]}

    def cloudwatch_put_metric_alarm(self, AlarmName: str, **asked: Any) -> None:
        self.things["alarm"][AlarmName] = {"AlarmName": AlarmName, **asked}

    def cloudwatch_describe_alarms(self, AlarmNames: list[str]) -> dict:
        return {"MetricAlarms": [{"AlarmName": name} for name in AlarmNames if name in self.things["alarm"]]}

    def cloudwatch_delete_alarms(self, AlarmNames: list[str]) -> None:
        for name in AlarmNames:
            if name not in self.things["alarm"]:
                raise error("ResourceNotFound", f"There is no alarm {name}")
            del self.things["alarm"][name]

    def cloudwatch_get_metric_data(self, **asked: Any) -> dict:
        return {"MetricDataResults": [{"Id": q["Id"], "Timestamps": [NOW], "Values": [1000.0]} for q in asked["MetricDataQueries"]]}  # fmt: skip # noqa: E501

    def logs_describe_log_streams(self, **_: Any) -> dict:
        raise error("ResourceNotFoundException", "The specified log group does not exist.")

    # -- who, where, how much -------------------------------------------------------------------------------------------

    def sts_get_caller_identity(self) -> dict:
        return {"Account": ACCOUNT, "Arn": self.caller, "UserId": "A"}

    def iam_get_role(self, RoleName: str) -> dict:
        if RoleName not in self.things["role"]:
            raise error("NoSuchEntity", f"The role with name {RoleName} cannot be found.")
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        return {"Role": {"Path": "/", "RoleName": RoleName, "RoleId": "A" * 20, "Arn": f"arn:aws:iam::{ACCOUNT}:role/{RoleName}",
                         "CreateDate": NOW, "AssumeRolePolicyDocument": json.dumps(trust)}}  # fmt: skip

    def iam_create_role(self, RoleName: str, **asked: Any) -> dict:
        if RoleName in self.things["role"]:
            raise error("EntityAlreadyExists", "It is there.")
        self.things["role"][RoleName] = asked
        return self.iam_get_role(RoleName)

    def iam_put_role_policy(self, RoleName: str, **asked: Any) -> None:
        self.things["role"][RoleName] |= asked

    def iam_delete_role_policy(self, RoleName: str, PolicyName: str) -> None:
        self.iam_get_role(RoleName)

    def iam_delete_role(self, RoleName: str) -> None:
        self.iam_get_role(RoleName)
        del self.things["role"][RoleName]

    def iam_simulate_principal_policy(self, ActionNames: list[str], **_: Any) -> dict:
        return {"EvaluationResults": [
            {"EvalActionName": each, "EvalDecision": "implicitDeny" if each in self.denied_by_iam else "allowed"}
            for each in ActionNames
        ]}  # fmt: skip

    def scheduler_create_schedule(self, Name: str, **asked: Any) -> dict:
        if Name in self.things["schedule"]:
            raise error("ConflictException", "It is there.")
        self.things["schedule"][Name] = asked
        return {"ScheduleArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{Name}"}

    def scheduler_update_schedule(self, Name: str, **asked: Any) -> dict:
        self.things["schedule"][Name] = asked
        return {"ScheduleArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{Name}"}

    def scheduler_get_schedule(self, Name: str) -> dict:
        if Name not in self.things["schedule"]:
            raise error("ResourceNotFoundException", "There is no such schedule.")
        return {"Name": Name}

    def scheduler_delete_schedule(self, Name: str) -> dict:
        self.scheduler_get_schedule(Name)
        del self.things["schedule"][Name]
        return {}

    def ecr_describe_repositories(self, repositoryNames: list[str]) -> dict:
        uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repositoryNames[0]}"
        return {"repositories": [{"repositoryName": repositoryNames[0], "repositoryUri": uri}]}

    def ecr_batch_get_image(self, repositoryName: str, imageIds: list[dict], **_: Any) -> dict:
        wanted = imageIds[0]
        digest = wanted.get("imageDigest") or self.images.get(wanted["imageTag"])
        manifest = {"mediaType": self.media_type, "config": {"digest": DIGEST}, "layers": [{"size": 2**28}]}
        found = {"imageId": {"imageDigest": digest}, "imageManifest": json.dumps(manifest),
                 "imageManifestMediaType": self.media_type}  # fmt: skip
        return {"images": [found] if digest else []}

    def ecr_get_download_url_for_layer(self, **_: Any) -> dict:
        raise error("LayersNotFoundException", "It is not there.")

    def service_quotas_list_service_quotas(self, **_: Any) -> dict:
        uses = ("endpoint usage", "training job usage", "transform job usage")
        return {"Quotas": [{"QuotaName": f"ml.m5.large for {use}", "Value": self.quota, "QuotaCode": "L-0"} for use in uses]}

    def pricing_get_products(self, Filters: list[dict], **_: Any) -> dict:
        wanted = {row["Field"]: row["Value"] for row in Filters}
        products = [
            {"product": {"attributes": {"usagetype": usage}},
             "terms": {"OnDemand": {"A": {"priceDimensions": {"B": {"unit": "Hrs", "pricePerUnit": {"USD": dollars}}}}}}}
            for usage, dollars in self.prices.items() if usage.endswith(":" + wanted["instanceName"])
        ]  # fmt: skip
        return {"PriceList": [json.dumps(product) for product in products]}

