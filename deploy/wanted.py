"""Every call that makes something, as plain data: a plan and what was found out, to the requests that AWS takes.

Pure: nothing here asks AWS, so a plan can be shown, compared and validated before anything is made. What governed
accounts demand (VPC, keys, isolation, tags) is put into each request here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import names
from .plan import Plan

VARIANT, SHADOW = "AllTraffic", "Shadow"
JOB_SECONDS = 900
CONTENT_TYPES = ["text/csv", "application/json", "application/jsonlines"]
Request = dict[str, Any]


@dataclass(frozen=True)
class Image:
    uri: str
    """By digest: what was checked is what will run, wherever the tag moves."""
    digest: str
    megabytes: int
    architecture: str = ""
    manifest: str = field(default="", repr=False)


@dataclass(frozen=True)
class Facts:
    """What a plan leaves open, as it was found out."""

    account: str
    region: str
    partition: str
    role: str
    bucket: str
    owner: str
    tags: list[dict[str, str]]
    image: Image
    shadow: Image | None = None
    attempt: int = 1
    """Number of the training job of this image: a name is never used twice."""
    models: dict[str, str] = field(default_factory=dict)
    """Of a multi-model endpoint: the digest of each model's archive."""


@dataclass(frozen=True)
class Resource:
    kind: str
    name: str
    service: str
    call: str
    request: Request


def prefix(plan: Plan) -> str:
    """Where the deployment's files are in its bucket."""
    return f"deploy-model/{plan.name}/"


def _under(plan: Plan, facts: Facts, what: str) -> str:
    return f"s3://{facts.bucket}/{prefix(plan)}{what}"


def _governed(plan: Plan) -> Request:
    network = {"VpcConfig": {"Subnets": plan.subnets, "SecurityGroupIds": plan.security_groups}} if plan.subnets else {}
    return {**network, "EnableNetworkIsolation": True} if plan.network_isolation else network


def _key(plan: Plan) -> Request:
    return {"KmsKeyId": plan.kms_key} if plan.kms_key else {}


def job_prefix(plan: Plan, facts: Facts) -> str:
    return f"{plan.name}-{facts.image.digest[7:17]}"


def training_job(plan: Plan, facts: Facts) -> Resource:
    """The job that only copies the model. Its name, and with it the place of its artifact, is known before it runs."""
    name = f"{job_prefix(plan, facts)}-{facts.attempt}"
    volume = {"VolumeKmsKeyId": plan.volume_key} if plan.volume_key else {}
    machine = {"InstanceType": plan.job_instance_type, "InstanceCount": 1, "VolumeSizeInGB": 10, **volume}
    return Resource("training job", name, "sagemaker", "create_training_job", {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": facts.image.uri, "TrainingInputMode": "File"},
        "RoleArn": facts.role,
        "OutputDataConfig": {"S3OutputPath": _under(plan, facts, "training"), **_key(plan)},
        "ResourceConfig": machine,
        "StoppingCondition": {"MaxRuntimeInSeconds": JOB_SECONDS},
        "Environment": plan.environment,
        **_governed(plan),
        "Tags": facts.tags,
    })  # fmt: skip


def model_data(plan: Plan, facts: Facts) -> str:
    """The model.tar.gz that is served, or nothing where the image brings the model."""
    if plan.needs_job:
        return _under(plan, facts, f"training/{training_job(plan, facts).name}/output/model.tar.gz")
    return plan.model_data


def model(plan: Plan, facts: Facts, mode: str = "realtime", image: Image | None = None) -> Resource:
    container: Request = {"Image": (image or facts.image).uri, "Environment": plan.environment}
    if mode == "multi-model":
        container |= {"Mode": "MultiModel", "ModelDataUrl": _under(plan, facts, "models/")}
    elif data := ("" if image else model_data(plan, facts)):
        container["ModelDataUrl"] = data
    # Serverless endpoints know neither a VPC nor isolation.
    governed = {} if mode == "serverless" else _governed(plan)
    return _versioned("model", plan.name, "create_model", "ModelName", facts,
                      {"ExecutionRoleArn": facts.role, "PrimaryContainer": container, **governed})  # fmt: skip


def config(plan: Plan, facts: Facts, name: str, variant: Request, **more: Any) -> Resource:
    disks = "ServerlessConfig" not in variant
    key = {"KmsKeyId": plan.volume_key} if plan.volume_key and disks else {}
    variant = {"VariantName": VARIANT, **variant}
    return _versioned("endpoint config", name, "create_endpoint_config", "EndpointConfigName", facts,
                      {"ProductionVariants": [variant], **key, **more})  # fmt: skip


def _versioned(kind: str, name: str, call: str, key: str, facts: Facts, definition: Request) -> Resource:
    """Named by what it is: tags, which change from day to day, do not count."""
    version = names.version(name, definition)
    return Resource(kind, version, "sagemaker", call, {key: version, **definition, "Tags": facts.tags})


def _machines(plan: Plan, count: int) -> Request:
    """One type, or several in the order in which SageMaker tries them."""
    if not plan.fallback_instance_types:
        return {"InstanceType": plan.instance_type, "InitialInstanceCount": count}
    pools = [{"InstanceType": kind, "Priority": n} for n, kind in enumerate(plan.instance_types, 1)]
    return {"InstancePools": pools, "InitialInstanceCount": count, "VariantInstanceProvisionTimeoutInSeconds": 900}


def endpoint(facts: Facts, name: str, config_name: str) -> Resource:
    request = {"EndpointName": name, "EndpointConfigName": config_name, "Tags": facts.tags}
    return Resource("endpoint", name, "sagemaker", "create_endpoint", request)


def endpoint_of(plan: Plan, mode: str) -> str:
    """The name of a way's endpoint; batch has none."""
    suffix = {"realtime": "", "serverless": "-serverless", "async": "-async", "multi-model": "-multi",
              "components": "-components"}  # fmt: skip
    return plan.name + suffix[mode]


def way(plan: Plan, facts: Facts, mode: str) -> list[Resource]:
    """What a way needs, in the order in which it is made."""
    return WAYS[mode](plan, facts)


def _realtime(plan: Plan, facts: Facts) -> list[Resource]:
    served = model(plan, facts)
    more: Request = {}
    made: list[Resource] = []
    if plan.capture_percent:
        more["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": plan.capture_percent,
            "DestinationS3Uri": _under(plan, facts, "captured"),
            **_key(plan),
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": CONTENT_TYPES[1:]},
        }
    if facts.shadow:
        other = model(plan, facts, image=facts.shadow)
        made = [other]
        more["ShadowProductionVariants"] = [{
            "VariantName": SHADOW, "ModelName": other.name, "InitialVariantWeight": 1.0,
            "InstanceType": plan.instance_type, "InitialInstanceCount": plan.min_instances,
        }]  # fmt: skip
    variant = {"ModelName": served.name, **_machines(plan, plan.min_instances),
               "ContainerStartupHealthCheckTimeoutInSeconds": 480}  # fmt: skip
    settings = config(plan, facts, plan.name, variant, **more)
    return [served, *made, settings, endpoint(facts, plan.name, settings.name)]


def _serverless(plan: Plan, facts: Facts) -> list[Resource]:
    served, name = model(plan, facts, "serverless"), endpoint_of(plan, "serverless")
    size = {"MemorySizeInMB": plan.serverless_memory_mb, "MaxConcurrency": 5}
    settings = config(plan, facts, name, {"ModelName": served.name, "ServerlessConfig": size})
    return [served, settings, endpoint(facts, name, settings.name)]


def _async(plan: Plan, facts: Facts) -> list[Resource]:
    served, name = model(plan, facts), endpoint_of(plan, "async")
    output = {"S3OutputPath": _under(plan, facts, "async/out"), "S3FailurePath": _under(plan, facts, "async/failed")}
    variant = {"ModelName": served.name, **_machines(plan, 1)}
    settings = config(plan, facts, name, variant, AsyncInferenceConfig={"OutputConfig": {**output, **_key(plan)}})
    return [served, settings, endpoint(facts, name, settings.name)]


def _multi_model(plan: Plan, facts: Facts) -> list[Resource]:
    served, name = model(plan, facts, "multi-model"), endpoint_of(plan, "multi-model")
    machine = {"InstanceType": plan.instance_type, "InitialInstanceCount": 1}
    settings = config(plan, facts, name, {"ModelName": served.name, **machine})
    return [served, settings, endpoint(facts, name, settings.name)]


def _components(plan: Plan, facts: Facts) -> list[Resource]:
    """An endpoint of machines that come and go, and on it the model as a component whose copies do."""
    served, name = model(plan, facts), endpoint_of(plan, "components")
    scaling = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": plan.max_instances}
    variant = {**_machines(plan, 1), "ManagedInstanceScaling": scaling,
               "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}}  # fmt: skip
    settings = config(plan, facts, name, variant, ExecutionRoleArn=facts.role, **_governed(plan))
    needs = {"NumberOfCpuCoresRequired": 1.0, "MinMemoryRequiredInMb": 1024}
    component = {
        "InferenceComponentName": name,
        "EndpointName": name,
        "VariantName": VARIANT,
        "Specification": {"ModelName": served.name, "ComputeResourceRequirements": needs},
        "RuntimeConfig": {"CopyCount": 1},
        "Tags": facts.tags,
    }
    made = Resource("inference component", name, "sagemaker", "create_inference_component", component)
    return [served, settings, endpoint(facts, name, settings.name), made]


def transform_job(plan: Plan, facts: Facts, name: str, served: str, source: str) -> Resource:
    volume = {"VolumeKmsKeyId": plan.volume_key} if plan.volume_key else {}
    data = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}}
    return Resource("transform job", name, "sagemaker", "create_transform_job", {
        "TransformJobName": name,
        "ModelName": served,
        "BatchStrategy": "MultiRecord",
        "TransformInput": {"DataSource": data, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": _under(plan, facts, "batch/out"), "Accept": "text/csv",
                            "AssembleWith": "Line", **_key(plan)},
        "DataProcessing": {"JoinSource": "Input"},
        "TransformResources": {"InstanceType": plan.job_instance_type, "InstanceCount": 1, **volume},
        "Tags": facts.tags,
    })  # fmt: skip


def _batch(plan: Plan, facts: Facts) -> list[Resource]:
    return [model(plan, facts)]


WAYS = {
    "realtime": _realtime,
    "serverless": _serverless,
    "async": _async,
    "batch": _batch,
    "multi-model": _multi_model,
    "components": _components,
}
