"""deploy_model.ipynb as a user runs it: its text, its cells on an account in memory, and its cells with containers."""

from __future__ import annotations

import ast
import builtins
import json
import pickle
import subprocess
import sys
import uuid
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import boto3
import nbformat
import pandas as pd
import pytest
from deploy import Stop, plan, sdk
from deploy.deployment import Deployment
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import cloud as memory
from aws_double import ACCOUNT, REGION, AwsDouble, docker
from cloud import Cloud
from running import KIT

NOTEBOOK = KIT / "deploy_model.ipynb"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Execution"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
PARAMETERS = {"CLEAN_UP": True, "POLL_SECONDS": 1, "LOAD_SECONDS": 0.3, "ROLE_ARN": ROLE, "IMAGE_NAME": "my-model"}


# -- its text ---------------------------------------------------------------------------------


def code_cells() -> list[Any]:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def test_it_is_committed_without_outputs() -> None:
    """No outputs, no execution counts, no widget state; the first code cell, and no other, is tagged `parameters`."""
    code = code_cells()
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}
    assert set(nbformat.read(NOTEBOOK, as_version=4).metadata) <= {"kernelspec", "language_info"}
    assert [tagged(cell, "parameters") for cell in code] == [True] + [False] * (len(code) - 1)


def test_it_installs_what_it_was_tested_with() -> None:
    """The versions that the notebook installs are those that these tests ran with, and that the lock pins by hash."""
    [install] = [cell.source for cell in code_cells() if tagged(cell, "install")]
    assert install == "%pip install -q -r deploy/requirements.txt"
    lines = (KIT / "deploy/requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins == {name: metadata.version(name) for name in ("boto3", "matplotlib", "sagemaker-core")}
    lock = (KIT / "deploy/requirements.lock").read_text()
    assert all(f"{name}=={version} \\\n    --hash=sha256:" in lock for name, version in pins.items())


def test_its_parameters_are_the_settings_of_a_plan() -> None:
    """Each setting on a line of its own, as papermill sees it, with the default and the text of the plan."""
    lines = [line for line in code_cells()[0].source.splitlines() if " = " in line]
    assert lines.pop(0).startswith('PLAN = ""  # ')
    told = {line.split(" = ")[0]: line for line in lines}
    assert set(told) == {name.upper() for name in plan.SETTINGS}
    values: dict[str, Any] = {}
    exec("\n".join(lines), {}, values)
    for name, row in plan.SETTINGS.items():
        assert values[name.upper()] == plan.default(name)
        assert told[name.upper()].endswith(f"  # {row.metadata['help']}")


def test_each_section_runs_alone_after_the_first() -> None:
    """A section uses only names of the parameters, of section 1 and of its own."""
    sections: list[list[str]] = [[]]
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## ") and not cell.source.startswith("## 1."):
            sections.append([])
        if cell.cell_type == "code" and not tagged(cell, "install"):
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


# -- its cells, on an account in memory -------------------------------------------------------

SETTINGS = {"poll_seconds": 0, "role_arn": memory.ROLE, "invocations_per_minute": 1000, "region": memory.REGION}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """What the notebook's boto3 talks to; no time passes, nothing is shown."""
    cloud = Cloud()
    monkeypatch.setattr(boto3, "Session", lambda **_: cloud.session)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    monkeypatch.setattr("deploy.local.predictions", lambda *_: ["setosa"] * 10)
    monkeypatch.chdir(KIT)
    return cloud


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def run_all(shell: InteractiveShell, before_section_4: str = "pass", **settings: Any) -> bool:
    """As Run All: cell by cell until one fails; whether none did."""
    cells = [cell.source for cell in code_cells() if not tagged(cell, "install")]
    values = "\n".join(f"{name.upper()} = {value!r}" for name, value in {**SETTINGS, **settings}.items())
    cells.insert(1, values)
    cells.insert(next(n for n, source in enumerate(cells) if "notebook.test" in source), before_section_4)
    return all(shell.run_cell(source).success for source in cells)


MODES = [["realtime"], ["realtime", "batch"], ["serverless", "async", "multi-model", "components"]]


@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize("keep", [False, True])
def test_the_notebook_and_the_command_line_make_the_same(account, shell, modes: list[str], keep: bool) -> None:
    """From the same plan the same requests, and the same account at the end."""
    assert run_all(shell, modes=modes, keep=keep)
    other = Cloud()
    Deployment(plan.of({**SETTINGS, "modes": modes, "keep": keep}), other.session, say=lambda line: None).up()
    assert made(account) == made(other)
    assert [list(named) for named in account.everything().values()] == [list(n) for n in other.everything().values()]


def made(cloud: Cloud) -> list[str]:
    """What changed the account, but for the lock, which each section takes; renewed tags; and times in names."""
    asked = [cloud.calls[n] for n in cloud.mutations()]
    kept = [
        f"{method} {params}"
        for _, method, params in asked
        if method != "add_tags" and not str(params.get("Key", "")).endswith("lock.json")
    ]
    return sorted(_without_times(each) for each in kept)  # section 5 comes before section 6


def _without_times(text: str) -> str:
    start = text.find("'TransformJobName': '")
    return text if start < 0 else text[:start] + text[text.index("'", start + 21) :]


def test_a_file_can_be_the_plan(account, shell, tmp_path) -> None:
    """PLAN names a deployment.toml; a parameter that was changed goes before it."""
    (tmp_path / "it.toml").write_text('modes = ["serverless"]\nexpires_after_days = 3\nimage_name = "from-file"\n')
    assert run_all(shell, image_name="sagemaker-my-model", PLAN=str(tmp_path / "it.toml"))
    assert shell.user_ns["deployment"].plan.modes == ["serverless"]
    assert shell.user_ns["deployment"].plan.name == "from-file"


def test_clean_up_also_when_a_cell_fails(account, shell, capsys) -> None:
    """Whatever cell it is: an error of ours, of the user's own, Ctrl-C. Without CLEAN_UP what stays is named."""
    account.refused = {"invoke_endpoint"}
    assert not run_all(shell, clean_up=True)
    assert account.everything() == {}
    for broken in ("1 / 0", "raise KeyboardInterrupt"):
        account.refused = set()
        assert not run_all(shell, before_section_4=broken, clean_up=True)
        assert account.everything() == {}
    account.refused = {"invoke_endpoint"}
    capsys.readouterr()
    assert not run_all(shell, clean_up=False)
    assert account.costly() == {"sagemaker-my-model"}
    assert "endpoint sagemaker-my-model: ml.m5.large, $0.12 an hour each (it stays)" in capsys.readouterr().out


# -- the SageMaker SDK ------------------------------------------------------------------------


def test_the_sdk_goes_on_where_the_plan_ends(account, shell, capsys) -> None:
    """Its endpoint answers as the deployment's does, its session has the deployment's bucket, and it makes nothing."""
    assert run_all(shell)
    assert f"InService: {['setosa'] * 10}" in capsys.readouterr().out
    endpoint, session = shell.user_ns["endpoint"], shell.user_ns["session"]
    assert endpoint.refresh().production_variants[0].variant_name == "AllTraffic"
    assert session.boto_session is account.session
    account.calls.clear()
    endpoint.wait_for_status("InService")
    assert account.mutations() == []


def test_the_role_is_what_the_sdk_finds(account, shell, capsys) -> None:
    """Where the plan names none: the role that you are; a person who is not a role is told what to make."""
    account.things["role"]["Data"] = {}
    assert run_all(shell, role_arn="")
    assert {made["ExecutionRoleArn"] for made in account.asked("create_model")} == {
        memory.ROLE.replace("Execution", "Data")
    }
    account.caller = f"arn:aws:iam::{memory.ACCOUNT}:user/ana"
    assert not run_all(shell, role_arn="")
    assert "Stop: No execution role: The current AWS identity is not a role" in capsys.readouterr().out


def test_without_the_sdk_the_notebook_says_what_to_install(account, shell, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sagemaker.core.helper.session_helper", None)
    assert not run_all(shell)
    assert "Run the cell above, which installs deploy/requirements.txt" in capsys.readouterr().out
    assert account.mutations() == []


def test_the_command_line_does_without_the_sdk() -> None:
    """boto3 is all that `python -m deploy` loads of AWS."""
    code = "import sys, deploy.__main__; print([name for name in sys.modules if name.startswith('sagemaker')])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=KIT, capture_output=True, text=True, check=True).stdout
    assert loaded == "[]\n"


def test_the_sdks_default_bucket_is_the_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes the bucket if it has to, and would have chosen the same name."""
    with AwsDouble() as aws:
        aws.reset()
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        wished = Deployment(plan.of({"region": REGION}), aws.session)
        opened = sdk.session(wished.account, wished.bucket)
        assert opened.default_bucket() == f"sagemaker-{REGION}-{ACCOUNT}"
        assert [row["Name"] for row in aws.client("s3").list_buckets()["Buckets"]] == [wished.bucket]


def test_a_failed_cell_shows_a_sentence(account, shell, capsys) -> None:
    """No traceback, and no name of ours but the message."""
    account.images.clear()
    assert not run_all(shell)
    printed = capsys.readouterr().out
    assert "Stop: The ECR repository sagemaker-my-model has no image tagged latest" in printed
    assert "Traceback" not in printed
    assert "File " not in printed


def test_plots_are_never_fatal(account, shell, capsys, monkeypatch) -> None:
    """Without permission for the metrics the notebook goes on, and says what it lacks."""
    account.refused = {"get_metric_data"}
    assert run_all(shell)
    assert "Not shown: you may not cloudwatch:GetMetricData" in capsys.readouterr().out


# -- its cells, with containers ---------------------------------------------------------------


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
    at = next(i for i, cell in enumerate(notebook.cells) if tagged(cell, "parameters"))
    values = "\n".join(f"{name} = {value!r}" for name, value in {**PARAMETERS, **parameters}.items())
    notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(values))
    # pip is left out: a test above holds what it would install to what is installed here.
    notebook.cells = [cell for cell in notebook.cells if not tagged(cell, "install")]
    try:
        NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(KIT)}}).execute()
    finally:
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        aws.printed = "".join(output.get("text", "") for output in outputs if "text" in output)
    return aws.printed


def left_over(aws: AwsDouble) -> dict[str, list[Any]]:
    """Everything in the account that the notebook could have made and that is still there."""
    sagemaker = aws.client("sagemaker")
    objects = []
    for bucket in aws.client("s3").list_buckets()["Buckets"]:
        objects += aws.client("s3").list_objects_v2(Bucket=bucket["Name"]).get("Contents", [])
    scaled = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    found = {
        "endpoints": sagemaker.list_endpoints()["Endpoints"],
        "configs": sagemaker.list_endpoint_configs()["EndpointConfigs"],
        "models": sagemaker.list_models()["Models"],
        "training jobs": sagemaker.list_training_jobs()["TrainingJobSummaries"],
        "alarms": aws.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "scaling": scaled["ScalableTargets"],
        "objects": objects,
        "containers": list(aws.containers),
    }
    return {kind: things for kind, things in found.items() if things}


def expected_predictions() -> list[str]:
    model = pickle.loads((KIT / "model/model.pkl").read_bytes())
    rows = pd.read_csv(KIT / "local-test/payload.csv", header=None, names=list(model.feature_names_in_))
    return [str(value) for value in model.predict(rows)]


def test_from_a_fresh_kernel_to_predictions_and_back_to_nothing(aws, monkeypatch) -> None:
    """Top to bottom: the price is shown, the endpoint answers as scikit-learn does, and at the end nothing is left."""
    printed = run(aws, monkeypatch)
    assert "1 x ml.m5.large, at least: $0.5 an hour, $365.00 a month" in printed
    assert "architecture of the image: amd64" in printed
    assert f"model:    {expected_predictions()}\nendpoint: {expected_predictions()}" in printed
    assert '"code": "bad_request"' in printed
    assert "Target: " in printed
    assert "No endpoint and no job is running." in printed
    assert left_over(aws) == {}


def test_rows_that_are_not_of_the_model(aws, monkeypatch, tmp_path) -> None:
    """The payload belongs to another model: the server's message, and which parameter to change; nothing is left."""
    (tmp_path / "rows.csv").write_text("1,2\n")
    with pytest.raises(CellExecutionError, match=r"refuses these rows: Row 1 has 2 (.|\n)*PAYLOAD in the notebook"):
        run(aws, monkeypatch, TRAIN=False, PAYLOAD=str(tmp_path / "rows.csv"))
    assert left_over(aws) == {}


def test_the_other_ways_answer_the_same_and_leave_nothing(aws, monkeypatch, tmp_path) -> None:
    """Serverless, asynchronous, batch and several models give scikit-learn's predictions, and delete themselves."""
    (tmp_path / "model.pkl").write_bytes((KIT / "model/model.pkl").read_bytes())
    predictor = "def transformation(model, rows):\n    return loud(model.predict(rows))\n"
    (tmp_path / "predictor.py").write_text("from shouting import loud\n\n\n" + predictor)
    (tmp_path / "shouting.py").write_text("def loud(labels):\n    return [label.upper() for label in labels]\n")
    several = {"iris": "model", "loud": str(tmp_path)}
    modes = ["serverless", "async", "batch", "multi-model"]
    printed = run(aws, monkeypatch, MODES=modes, TRAIN=False, MULTI_MODEL=several, CLEAN_UP=False)
    expected = expected_predictions()
    assert f"serverless: {expected}" in printed
    assert f"async: {expected}" in printed
    payload = (KIT / "local-test/payload.csv").read_text().split()
    assert f"batch: {[f'{row},{label}' for row, label in zip(payload, expected, strict=True)]}" in printed
    assert f"iris: {expected}" in printed
    assert f"loud: {[label.upper() for label in expected]}" in printed
    assert set(left_over(aws)) == {"models"}


def test_an_update_in_place_and_a_bad_version_that_is_rolled_back(aws, monkeypatch, broken_image) -> None:
    """A change: updated in place, scaling kept. A broken one: the old one still answers, and the reason is shown."""
    quick = {"TRAIN": False, "CLEAN_UP": False, "LOAD_SECONDS": 0.1}
    assert "(created)" in run(aws, monkeypatch, **quick)
    printed = run(aws, monkeypatch, **quick, ENVIRONMENT={"MODEL_SERVER_WORKERS": "1"})
    assert "(updated)" in printed
    assert "Not measured in this run." in printed
    assert [len(left_over(aws)[kind]) for kind in ("endpoints", "configs", "models", "scaling")] == [1, 1, 1, 1]

    aws.push(broken_image, "my-model")
    with pytest.raises(CellExecutionError) as stopped:
        run(aws, monkeypatch, **quick)
    assert "was rolled back: it serves what it served before" in str(stopped.value)
    assert "Likely cause: model.pkl needs the module missing_lib, which is not installed." in str(stopped.value)
    reply = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="my-model", ContentType="text/csv", Accept="text/csv", Body=b"5.1,3.4,1.5,0.2\n"
    )
    assert reply["Body"].read().decode().strip() == "setosa"
    assert len(left_over(aws)["scaling"]) == 1


def test_a_model_that_cannot_load_fails_the_training_job_with_the_reason(aws, monkeypatch, broken_image) -> None:
    """The notebook shows what `train` wrote to /opt/ml/output/failure."""
    aws.push(broken_image, "my-model")
    with pytest.raises(CellExecutionError, match=r"failed: .*Add missing_lib to model/requirements\.txt"):
        run(aws, monkeypatch)
    assert left_over(aws) == {}


def test_stop_is_what_a_cell_raises() -> None:
    """Jupyter shows its message instead of a traceback."""
    assert Stop("Set REGION.")._render_traceback_() == ["Stop: Set REGION."]
