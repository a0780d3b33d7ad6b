"""What can be said about an image without running it."""

import subprocess

import pytest

from .conftest import not_offered
from .targets import docker

remedy = pytest.mark.remedy
LABELS = "com.amazonaws.sagemaker.capabilities."


@pytest.fixture
def created(image):
    """A container that is never started."""
    id = docker("create", image.name, "serve").strip()
    yield id
    subprocess.run(["docker", "rm", "-f", "-v", id], capture_output=True)


@remedy('Use the exec form: ENTRYPOINT ["program", "argument"]; a shell in between swallows SIGTERM.')
def test_entrypoint_in_exec_form(image):
    """ENTRYPOINT is in exec form, so that SIGTERM reaches the program. [your-algorithms-inference-code]"""
    entrypoint = image.config.get("Entrypoint") or []
    assert entrypoint[:2] != ["/bin/sh", "-c"], f"ENTRYPOINT {' '.join(entrypoint)}"


@remedy("Take tini away from ENTRYPOINT; reap children in your own first process.")
def test_no_tini(image):
    """tini is not the entrypoint: it is confused by the arguments train and serve. [your-algorithms-inference-code]"""
    entrypoint = image.config.get("Entrypoint") or [""]
    assert "tini" not in entrypoint[0].rpartition("/")[2]


@remedy("Set ENTRYPOINT, or put an executable `serve` on the PATH.")
def test_serve_can_be_started(image, created):
    """`docker run IMAGE serve` starts something: an entrypoint, or a program of that name on the PATH. [your-algorithms-inference-code]"""
    if not image.config.get("Entrypoint"):
        done = subprocess.run(["docker", "start", created], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr.strip()[:200]


@remedy("Build with --platform linux/amd64.")
def test_amd64(image):
    """The image is for linux/amd64: training, processing and batch transform have no other instances. [API_CreateTransformJob]"""
    assert image.inspect("{{.Os}}/{{.Architecture}}") == "linux/amd64"


@remedy("Remove USER from the Dockerfile, or set it back to root at its end.")
def test_root_by_default(image):
    """The image runs as root unless it is told otherwise. [your-algorithms-inference-code]"""
    user = image.config.get("User") or ""
    assert user.partition(":")[0] in ("", "root", "0"), f"USER {user}"


@remedy("Keep data out of /opt/ml: the platform mounts over it.")
def test_no_data_in_opt_ml(created):
    """The image has no data below /opt/ml, which the platform reserves. [your-algorithms-training-algo-dockerfile]"""
    import io
    import tarfile

    done = subprocess.run(["docker", "cp", f"{created}:/opt/ml", "-"], capture_output=True)
    if done.returncode != 0:
        return
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        files = [member.name for member in tar if not member.isdir()]
    assert not files, f"{len(files)} files, among them {files[0]}"


@remedy("Declare no VOLUME below /opt/ml.")
def test_no_volume_in_opt_ml(image):
    """The image declares no volume below /opt/ml. [your-algorithms-training-algo-dockerfile]"""
    volumes = image.config.get("Volumes") or {}
    assert not [path for path in volumes if path.startswith("/opt/ml")], volumes


@remedy("Remove packages, caches and build tools; use a slim base.")
def test_size(image):
    """The image is smaller than the 10 GB of serverless inference. [serverless-endpoints]"""
    size = int(image.inspect("{{.Size}}"))
    assert size < 10 * 2**30, f"{size / 2**30:.1f} GB"


@remedy("Set the label to `true` in lower case, or leave it out.")
def test_labels_are_true(image):
    """Capabilities are announced by the value `true`. [inference-pipeline-real-time]"""
    ours = {name: value for name, value in image.labels.items() if name.startswith(LABELS)}
    if not ours:
        not_offered("no capability is announced")
    assert set(ours.values()) == {"true"}, ours


@remedy("Remove secrets from ENV: everybody who can pull the image reads them.")
def test_no_credentials_in_env(image):
    """Credentials come from the execution role, not from the image. [API_CreateModel]"""
    names = [pair.partition("=")[0] for pair in image.config.get("Env") or []]
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & set(names)


@remedy("Leave the platform's variables to the platform.")
def test_no_reserved_variables(image):
    """The image does not set the variables that the platform sets. [inference-pipeline-real-time]"""
    names = {pair.partition("=")[0] for pair in image.config.get("Env") or []}
    reserved = {"SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_SAFE_PORT_RANGE", "SAGEMAKER_BATCH", "SAGEMAKER_MULTI_MODEL"}
    assert not names & reserved, names & reserved
