"""deploy_model.ipynb, executed as a user does it, in a fresh kernel, against tests/aws_double.py: real containers."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from aws_double import ACCOUNT, REGION, AwsDouble, docker

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOK = REPOSITORY / "deploy_model.ipynb"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Execution"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
PARAMETERS = {"CLEAN_UP": True, "POLL_SECONDS": 1, "LOAD_SECONDS": 0.3, "ROLE_ARN": ROLE}


@pytest.fixture(scope="session")
def image() -> str:
    """The kit's image: KIT_IMAGE, or built here. Without an engine: an error in CI, else a skip."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("no container engine answers")
        pytest.skip("no container engine answers")
    if os.environ.get("KIT_IMAGE"):
        return os.environ["KIT_IMAGE"]
    docker("build", "-t", "nb-kit", str(REPOSITORY))
    return "nb-kit"


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
    # pip is left out: what it installs is pinned alike in tests/requirements, which another test holds it to.
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", [])]
    try:
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(REPOSITORY)}}).execute()
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
    model = pickle.loads((REPOSITORY / "model/model.pkl").read_bytes())
    rows = pd.read_csv(REPOSITORY / "local-test/payload.csv", header=None, names=list(model.feature_names_in_))
    return [str(value) for value in model.predict(rows)]


def test_from_a_fresh_kernel_to_predictions_and_back_to_nothing(aws, monkeypatch):
    """Top to bottom: the price is shown, the endpoint answers as scikit-learn does, and at the end nothing is left."""
    printed = run(aws, monkeypatch)
    assert "1 x ml.m5.large, at least: $0.5 an hour, $365.00 a month" in printed
    assert f"endpoint: {expected_predictions()}" in printed
    assert '"code": "bad_request"' in printed
    assert "No endpoint is running." in printed
    assert left_over(aws) == {}
