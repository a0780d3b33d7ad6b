"""A real client: the local mode of SageMaker's own Python SDK, which starts the image by docker-compose.

The SDK does not check a reply's status, keeps its network and its containers, and hands on what the container says of
BatchStrategy though it knows another spelling: what passes here passes unmodified, and leaves nothing behind.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from conftest import lacking
from running import KIT, PAYLOAD, free_port

GOOD = PAYLOAD.splitlines(keepends=True)
ANSWER = b"setosa\nvirginica\nvirginica\nsetosa\nversicolor\nsetosa\nversicolor\nsetosa\nversicolor\nversicolor\n"


def docker(*arguments: str) -> list[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True).stdout.splitlines()


def containers_of(directory: Path) -> list[str]:
    """Those that docker-compose has started from a file below the directory."""
    form = '{{.ID}} {{.Label "com.docker.compose.project.working_dir"}}'
    lines = [line.split(maxsplit=1) for line in docker("ps", "-a", "--format", form)]
    return [id for id, *place in lines if place and Path(place[0]).is_relative_to(directory)]


@pytest.fixture(scope="module")
def session(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A LocalSession on a free port, without telemetry, with all its files in one directory."""
    if not shutil.which("docker-compose"):
        lacking("docker-compose is not installed")
    from sagemaker.core.local.local_session import LocalSession

    root = tmp_path_factory.mktemp("local-mode")
    networks = set(docker("network", "ls", "--format", "{{.Name}}"))
    with pytest.MonkeyPatch.context() as patch:
        settings = root / "sdk.yaml"
        settings.write_text("SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n")
        patch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(settings))
        patch.setenv("NO_PROXY", "*")
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        session = LocalSession(boto3.Session(region_name="us-east-1", **keys))
        session.config = {"local": {"serving_port": free_port(), "container_root": str(root)}}
        try:
            yield session
        finally:
            for container in containers_of(root):
                docker("rm", "--force", "--volumes", container)
            if "sagemaker-local" not in networks:
                docker("network", "rm", "sagemaker-local")


@pytest.fixture(scope="module")
def artifact(session: Any, image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """file://…/model.tar.gz, made by a training job with a channel and hyperparameters."""
    output = tmp_path_factory.mktemp("artifacts")
    channel = {
        "ChannelName": "training",
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"file://{KIT}/local-test/test-dir/input/data"}
        },
    }
    session.sagemaker_client.create_training_job(
        TrainingJobName="kit-local-mode",
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        InputDataConfig=[channel],
        OutputDataConfig={"S3OutputPath": f"file://{output}"},
        ResourceConfig={"InstanceType": "local", "InstanceCount": 1, "VolumeSizeInGB": 1},
        HyperParameters={"depth": "3"},
    )
    job = session.sagemaker_client.describe_training_job("kit-local-mode")
    assert job["TrainingJobStatus"] == "Completed"
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


@pytest.fixture(scope="module")
def model(session: Any, image: str, artifact: str) -> str:
    container = {"Image": image, "ModelDataUrl": artifact, "Environment": {}}
    session.sagemaker_client.create_model("kit-local-mode", container)
    return "kit-local-mode"


def test_a_training_job_makes_the_artifact(artifact: str) -> None:
    """The job's model.tar.gz holds the model, byte for byte."""
    with tarfile.open(artifact.removeprefix("file://")) as tar:
        member = tar.extractfile("model.pkl")
        assert member is not None
        assert member.read() == (KIT / "model/model.pkl").read_bytes()


def test_an_endpoint_serves_the_artifact(session: Any, model: str) -> None:
    """Deploy, invoke, delete: the rows get the model's labels in the type that is asked for, and nothing runs on."""
    client, runtime = session.sagemaker_client, session.sagemaker_runtime_client
    variant = {"VariantName": "AllTraffic", "ModelName": model, "InstanceType": "local", "InitialInstanceCount": 1}
    client.create_endpoint_config("kit-local-mode", [variant])
    client.create_endpoint("kit-local-mode", "kit-local-mode")
    try:
        assert client.describe_endpoint("kit-local-mode")["EndpointStatus"] == "InService"
        csv = runtime.invoke_endpoint(PAYLOAD, "kit-local-mode", "text/csv")
        assert (csv["ResponseMetadata"]["HTTPStatusCode"], csv["Body"].read()) == (200, ANSWER)
        body = json.dumps({"instances": [[5.1, 3.4, 1.5, 0.2]]})
        answer = runtime.invoke_endpoint(body, "kit-local-mode", "application/json", "application/json")
        assert json.loads(answer["Body"].read()) == {"predictions": ["setosa"]}
        refused = runtime.invoke_endpoint("1,2\n", "kit-local-mode", "text/csv")
        assert refused["ResponseMetadata"]["HTTPStatusCode"] == 400
    finally:
        client.delete_endpoint("kit-local-mode")
        client.delete_endpoint_config("kit-local-mode")


@pytest.mark.parametrize(
    ("job", "between"),
    [({}, b""), ({"BatchStrategy": "SingleRecord", "MaxPayloadInMB": 1, "MaxConcurrentTransforms": 1}, b"\n")],
    ids=["the container's parameters", "the job's own"],
)
def test_a_transform_job_writes_a_line_for_each_record(
    session: Any, model: str, tmp_path: Path, job: dict[str, Any], between: bytes
) -> None:
    """One .out file per file, one line per record, ERROR for the bad one; with and without parameters of the job.

    AssembleWith=Line, as local mode understands it, adds a line end to what ends with one already.
    """
    data = tmp_path / "in"
    data.mkdir()
    (data / "rows.csv").write_bytes(b"".join([*GOOD[:4], b"5.1,broken\n", *GOOD[4:]]))
    source = {"S3DataType": "S3Prefix", "S3Uri": f"file://{data}"}
    session.sagemaker_client.create_transform_job(
        TransformJobName=f"kit-{len(job)}",
        ModelName=model,
        TransformInput={"DataSource": {"S3DataSource": source}, "ContentType": "text/csv", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": f"file://{tmp_path}/out", "AssembleWith": "Line" if between else "None"},
        TransformResources={"InstanceType": "local", "InstanceCount": 1},
        **job,
    )
    labels = ANSWER.splitlines(keepends=True)
    [out] = (tmp_path / "out").rglob("rows.csv.out")
    assert out.read_bytes() == b"".join(line + between for line in [*labels[:4], b"ERROR\n", *labels[4:]])
