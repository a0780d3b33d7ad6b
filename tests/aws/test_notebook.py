"""deploy_model.ipynb in a fresh kernel, as a user runs it, against aws_double.py: with real containers."""

from __future__ import annotations

import ast
import builtins
import json
import pickle
import uuid
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import nbformat
import pandas as pd
import pytest
from deploy import Stop, endpoint, names, preflight
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from aws_double import ACCOUNT, REGION, AwsDouble, docker
from running import KIT

NOTEBOOK = KIT / "deploy_model.ipynb"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Execution"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
PARAMETERS = {"CLEAN_UP": True, "POLL_SECONDS": 1, "LOAD_SECONDS": 0.3, "ROLE_ARN": ROLE}


@pytest.fixture(scope="session")
def broken_image(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The kit's image with a model whose package is not installed: what the build's own check would have refused."""
    directory = tmp_path_factory.mktemp("broken")
    (directory / "model.pkl").write_bytes(b"\x80\x04\x8c\x0bmissing_lib\x8c\x05Model\x93.")
    (directory / "Dockerfile").write_text(f"FROM {image}\nCOPY model.pkl /opt/program/model.pkl\n")
    tag = f"nb-broken-{uuid.uuid4().hex[:8]}"
    docker("build", "-q", "-t", tag, str(directory))
    yield tag
    docker("rmi", tag)


@pytest.fixture
def aws(image: str) -> Iterator[AwsDouble]:
    """An account with a role, a pushed image, quotas and prices."""
    with AwsDouble() as double:
        double.reset()
        double.push(image, "my-model")
        double.client("iam").create_role(RoleName="Execution", AssumeRolePolicyDocument=json.dumps(TRUST))
        double.quotas = {f"ml.m5.large for {use}": 4.0 for use in ("endpoint usage", "training job usage")}
        double.prices = {"USE1-Host:ml.m5.large": "0.5000000000", "USE1-Train:ml.m5.large": "0.2500000000"}
        yield double


def run(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> str:
    """Executes the whole notebook as papermill would; returns everything that it printed."""
    for name in ("AWS_PROFILE", "AWS_REGION", "SAGEMAKER_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    at = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    values = "\n".join(f"{name} = {value!r}" for name, value in {**PARAMETERS, **parameters}.items())
    notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(values))
    # pip is left out: a test above holds what it would install to what is installed here.
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", [])]
    try:
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(KIT)}}).execute()
    finally:
        aws.printed = "".join(
            output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output
        )
    return aws.printed


def left_over(aws: AwsDouble) -> dict[str, list[Any]]:
    """Everything in the account that the notebook could have made and that is still there."""
    sagemaker = aws.client("sagemaker")
    objects = []
    for bucket in aws.client("s3").list_buckets()["Buckets"]:
        objects += aws.client("s3").list_objects_v2(Bucket=bucket["Name"]).get("Contents", [])
    found = {
        "endpoints": sagemaker.list_endpoints()["Endpoints"],
        "configs": sagemaker.list_endpoint_configs()["EndpointConfigs"],
        "models": sagemaker.list_models()["Models"],
        "training jobs": sagemaker.list_training_jobs()["TrainingJobSummaries"],
        "alarms": aws.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "scaling": aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
            "ScalableTargets"
        ],
        "objects": objects,
        "containers": list(aws.containers),
    }
    return {kind: things for kind, things in found.items() if things}


def expected_predictions() -> list[str]:
    model = pickle.loads((KIT / "model/model.pkl").read_bytes())
    rows = pd.read_csv(KIT / "local-test/payload.csv", header=None, names=list(model.feature_names_in_))
    return [str(value) for value in model.predict(rows)]


def test_it_is_committed_without_outputs():
    """No outputs, no execution counts, no widget state; the first code cell, and no other, is tagged `parameters`."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert ["parameters" in cell.metadata.get("tags", []) for cell in code] == [True] + [False] * (len(code) - 1)


def test_it_installs_what_it_was_tested_with():
    """The versions that the notebook installs are those that these tests ran with."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    install = next(cell.source for cell in notebook.cells if "install" in cell.metadata.get("tags", []))
    pins = dict(word.split("==") for word in install.split() if "==" in word)
    assert set(pins) == {"boto3", "sagemaker-core", "matplotlib"}
    assert pins == {name: metadata.version(name) for name in pins}


def test_each_section_runs_alone_after_the_first():
    """A section uses only names of the parameters, of section 1 and of its own."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    sections: list[list[str]] = [[]]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## ") and not cell.source.startswith("## 1."):
            sections.append([])
        if cell.cell_type == "code" and "install" not in cell.metadata.get("tags", []):
            sections[-1].append(cell.source)
    assert len(sections) == 7
    first = _names("\n".join(sections[0]))[0]
    for number, cells in enumerate(sections[1:], 2):
        stored, loaded = _names("\n".join(cells))
        assert loaded - stored - first - set(dir(builtins)) == set(), f"section {number}"


def _names(source: str) -> tuple[set[str], set[str]]:
    """(names that are bound, names that are read)."""
    stored, loaded = set(), set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.ExceptHandler(name=str(name)) | ast.FunctionDef(name=name):
                stored.add(name)
            case ast.Name(id=name):
                loaded.add(name)
            case ast.alias(name=name, asname=alias):
                stored.add(alias or name.partition(".")[0])
    return stored, loaded


def test_from_a_fresh_kernel_to_predictions_and_back_to_nothing(aws, monkeypatch):
    """Top to bottom: the price is shown, the endpoint answers as scikit-learn does, and at the end nothing is left."""
    printed = run(aws, monkeypatch)
    assert "1 x ml.m5.large, at least: $0.5 an hour, $365.00 a month" in printed
    assert f"endpoint: {expected_predictions()}\nmodel:    {expected_predictions()}" in printed
    assert '"code": "bad_request"' in printed
    assert "No endpoint is running." in printed
    assert left_over(aws) == {}


def test_rows_that_are_not_of_the_model(aws, monkeypatch, tmp_path):
    """The payload belongs to another model: the server's message, and which parameter to change."""
    (tmp_path / "rows.csv").write_text("1,2\n")
    with pytest.raises(CellExecutionError, match=r"refuses these rows: Row 1 has 2 (.|\n)*PAYLOAD \(in the parameters"):
        run(aws, monkeypatch, TRAIN=False, PAYLOAD=str(tmp_path / "rows.csv"))


def test_the_other_ways_answer_the_same_and_leave_nothing(aws, monkeypatch):
    """Serverless, asynchronous and batch give scikit-learn's predictions, and delete what they made by themselves."""
    printed = run(aws, monkeypatch, MODES=["serverless", "async", "batch"], TRAIN=False)
    expected = expected_predictions()
    assert f"serverless: {expected}" in printed
    assert f"async: {expected}" in printed
    payload = (KIT / "local-test/payload.csv").read_text().split()
    assert "\n".join(f"{row},{label}" for row, label in zip(payload, expected, strict=True)) in printed
    assert left_over(aws) == {}


def test_several_models_behind_one_endpoint(aws, monkeypatch, tmp_path):
    """Two directories, two models: each answers for its own name, with its own predictor.py; nothing is left."""
    (tmp_path / "model.pkl").write_bytes((KIT / "model/model.pkl").read_bytes())
    predictor = "def transformation(model, rows):\n    return loud(model.predict(rows))\n"
    (tmp_path / "predictor.py").write_text("from shouting import loud\n\n\n" + predictor)
    (tmp_path / "shouting.py").write_text("def loud(labels):\n    return [label.upper() for label in labels]\n")
    printed = run(
        aws, monkeypatch, MODES=["multi-model"], TRAIN=False, MULTI_MODEL={"iris": "model", "loud": str(tmp_path)}
    )
    expected = expected_predictions()
    assert f"iris: {expected}" in printed
    assert f"loud: {[label.upper() for label in expected]}" in printed
    assert left_over(aws) == {}


def test_a_directory_without_a_model_is_no_model_of_several(aws, monkeypatch, tmp_path):
    """It is named before anything is created."""
    with pytest.raises(CellExecutionError, match=r"There is no model\.pkl in .*MULTI_MODEL names the directories"):
        run(aws, monkeypatch, MODES=["multi-model"], TRAIN=False, MULTI_MODEL={"iris": str(tmp_path)})
    assert left_over(aws) == {}


def test_a_second_deployment_updates_in_place_and_a_bad_one_is_rolled_back(aws, monkeypatch, broken_image):
    """The same: nothing changes. A change: updated in place, scaling kept. A broken one: the old one still answers."""
    quick = {"TRAIN": False, "CLEAN_UP": False, "LOAD_SECONDS": 0.1}
    assert "(created)" in run(aws, monkeypatch, **quick)
    models = aws.client("sagemaker").list_models()["Models"]

    assert "(unchanged)" in run(aws, monkeypatch, **quick)
    assert aws.client("sagemaker").list_models()["Models"] == models

    printed = run(aws, monkeypatch, **quick, ENVIRONMENT={"MODEL_SERVER_WORKERS": "1"})
    assert "(updated)" in printed
    assert "my-model-" + models[0]["ModelName"].rpartition("-")[2] in printed.split("deleted model ")[1]
    assert [len(left_over(aws)[kind]) for kind in ("endpoints", "configs", "models", "scaling")] == [1, 1, 1, 1]

    aws.push(broken_image, "my-model")
    with pytest.raises(CellExecutionError, match="was rolled back"):
        run(aws, monkeypatch, **quick)
    reply = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="my-model", ContentType="text/csv", Accept="text/csv", Body=b"5.1,3.4,1.5,0.2\n"
    )
    assert reply["Body"].read().decode().strip() == "setosa"
    assert len(left_over(aws)["scaling"]) == 1


def test_a_model_that_cannot_load_fails_the_training_job_with_the_reason(aws, monkeypatch, broken_image):
    """The training job fails first, and the notebook shows what `train` wrote to /opt/ml/output/failure."""
    aws.push(broken_image, "my-model")
    with pytest.raises(CellExecutionError, match=r"training job failed: .*Add missing_lib to model/requirements\.txt"):
        run(aws, monkeypatch)


def test_an_endpoint_that_never_comes_into_service_says_why(aws, image, monkeypatch, broken_image):
    """Without a training job the endpoint fails: likely cause and the container's last lines; a good image mends it."""
    digest = aws.push(broken_image, "my-model")
    with pytest.raises(CellExecutionError) as stopped:
        run(aws, monkeypatch, TRAIN=False)
    assert "The endpoint my-model is Failed" in str(stopped.value)
    assert "did not pass the ping health check" in str(stopped.value)
    assert "Likely cause: model.pkl needs the module missing_lib, which is not installed." in str(stopped.value)
    assert "serve: gunicorn has exited" in str(stopped.value)

    aws.images[digest] = image  # the same push, but the model loads
    assert "(created)" in run(aws, monkeypatch, TRAIN=False)
    assert left_over(aws) == {}


def test_an_image_that_was_not_pushed(aws, monkeypatch):
    """No repository, or no such tag: the notebook names the script to run. Nothing is created."""
    with pytest.raises(
        CellExecutionError, match=r"no repository never-pushed .*Run \./build_and_push\.sh never-pushed"
    ):
        run(aws, monkeypatch, IMAGE_NAME="never-pushed")
    assert left_over(aws) == {}
    with pytest.raises(Stop, match=r"has no image tagged v2\. Run \./build_and_push\.sh my-model"):
        preflight.image(aws.session, "my-model", "v2")


def test_an_image_with_a_manifest_that_hosting_refuses(aws, image, monkeypatch):
    """An OCI manifest, or an index of several, is refused before CreateModel refuses it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    for tag, kind in (("oci", "manifest"), ("index", "index")):
        aws.push(image, tag, media_type=f"application/vnd.oci.image.{kind}.v1+json")
        with pytest.raises(Stop, match=rf"image\.{kind}\.v1\+json\), which SageMaker hosting refuses"):
            preflight.image(aws.session, tag, "latest")


def test_a_role_that_sagemaker_may_not_assume(aws, monkeypatch):
    """The trust policy to paste is shown."""
    other = json.dumps(TRUST).replace("sagemaker.amazonaws.com", "ec2.amazonaws.com")
    aws.client("iam").create_role(RoleName="Other", AssumeRolePolicyDocument=other)
    with pytest.raises(CellExecutionError, match=r'may not assume(.|\n)*"Service": "sagemaker\.amazonaws\.com"'):
        run(aws, monkeypatch, ROLE_ARN=ROLE.replace("Execution", "Other"))
    with pytest.raises(Stop, match="There is no role Nobody"):
        preflight.role(aws.session, ROLE.replace("Execution", "Nobody"), "*", "*")


def test_a_role_without_permission(aws, monkeypatch):
    """The missing actions are named in a policy to paste."""
    aws.denied = {"ecr:BatchGetImage", "s3:PutObject"}
    with pytest.raises(CellExecutionError, match=r'lacks permissions(.|\n)*"ecr:BatchGetImage"(.|\n)*"s3:PutObject"'):
        run(aws, monkeypatch)


def test_an_endpoint_name_that_is_taken(aws, monkeypatch):
    """Somebody's endpoint of this name is left alone."""
    sagemaker = aws.client("sagemaker")
    variant = {"VariantName": "A", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "theirs"})
    sagemaker.create_endpoint_config(EndpointConfigName="theirs", ProductionVariants=[variant])
    aws.backend("sagemaker").create_endpoint("my-model", "theirs", [])
    with pytest.raises(CellExecutionError, match="my-model exists and was not made by this notebook"):
        run(aws, monkeypatch)
    tags = [{"Key": "model-server:deployment", "Value": "my-model"}, {"Key": "model-server:owner", "Value": "user/ana"}]
    sagemaker.add_tags(ResourceArn=f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/my-model", Tags=tags)
    with pytest.raises(Stop, match="belongs to user/ana, you are user/bob"):
        endpoint.refuse_if_taken(sagemaker, "my-model", names.tags("my-model", "user/bob", 7))
    assert aws.client("sagemaker").describe_endpoint(EndpointName="my-model")["EndpointConfigName"] == "theirs"


def test_a_quota_that_is_too_small(aws, monkeypatch):
    """The quota is named before anything is created; and a price that cannot be read is called unknown."""
    aws.quotas = {"ml.m5.large for endpoint usage": 0.0}
    with pytest.raises(CellExecutionError, match=r"The quota 'ml\.m5\.large for endpoint usage' is 0 and 2 is needed"):
        run(aws, monkeypatch)
    assert left_over(aws) == {}
