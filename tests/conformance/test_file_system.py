"""What the container may write, whom it runs as, and how little it may be given."""

import json
import subprocess

import pytest

from .conftest import not_offered
from .wire import wait_until

remedy = pytest.mark.remedy
TMP_ONLY = "Write below /tmp only: sockets, pid files, logs (to the streams), bodies that are buffered."


MEMORY = ["--memory", "512m", "--memory-swap", "512m"]
STRICTEST = [
    "--read-only", "--tmpfs", "/tmp:mode=1777", "--ipc", "none", "--cpus", "1", *MEMORY,
    "--security-opt", "no-new-privileges", "--hostname", "algo-1.no-such-domain",
]  # fmt: skip
USER = ["-u", "12345:12345"]


def predicts(started, payload):
    for _ in range(10):
        reply = started.request("POST", "/invocations", payload.body, {"Content-Type": payload.content_type})
        assert reply.status == 200, str(reply)
    body = payload.rows(1000)
    if body is not None:
        reply = started.request("POST", "/invocations", body, {"Content-Type": payload.content_type})
        assert reply.status == 200, f"1000 rows: {reply}"
    assert not started.state()["OOMKilled"], "the kernel killed a process for want of memory"


@pytest.fixture(scope="session")
def all_at_once(target, artifact, payload):
    """Whether it predicts under all restrictions together, as root and as another user."""

    def works(flags):
        started = target.serve(model=artifact, flags=flags)
        try:
            predicts(started.wait_ready(60), payload)
        except AssertionError:
            return False
        finally:
            started.close()
        return True

    return {True: works([*STRICTEST, *USER]), False: works(STRICTEST)}


@pytest.fixture
def restricted(all_at_once, launch, payload):
    """Starts under one restriction and predicts. What works under all of them together is not tried one by one."""

    def tried(*flags, user=False):
        if not all_at_once[user]:
            predicts(launch(flags=[*flags, *(USER if user else [])]), payload)

    return tried


@remedy(TMP_ONLY)
def test_read_only_root(image, restricted):
    """The container runs on a read-only root file system with a writable /tmp. [your-algorithms-inference-code]"""
    restricted("--read-only", "--tmpfs", "/tmp")


@remedy(TMP_ONLY)
def test_writes_only_to_tmp(image, answered, server):
    """While it serves it writes nothing outside /tmp. [your-algorithms-inference-code]"""
    changed = subprocess.run(["docker", "diff", server.id], capture_output=True, text=True).stdout.splitlines()
    mounts = ("/opt", "/opt/ml", "/opt/ml/model", "/tmp", "/dev", "/run")
    bad = [line[2:] for line in changed if line[2:] not in mounts and not line[2:].startswith("/tmp/")]
    directories = {path.rpartition("/")[0] for path in bad}
    assert not bad, f"it wrote {', '.join(path for path in bad if path not in directories)[:300]}"


@remedy(
    "Make what must be read readable for all (chmod -R a+rX), write to /tmp only, and drop root only if you are root."
)
def test_arbitrary_user(image, restricted):
    """The container runs as any user, without a name and a home: serverless inference does not run it as root. [serverless-endpoints]"""
    restricted(user=True)


@remedy("All of the above at once: read-only root file system, any user.")
def test_arbitrary_user_on_a_read_only_root(image, restricted):
    """The container runs as any user on a read-only root file system. [serverless-endpoints]"""
    restricted("--read-only", "--tmpfs", "/tmp:mode=1777", user=True)


@remedy("Only read from /opt/ml/model: no unpacking, no caches, no locks in it.")
def test_model_directory_is_read_only(server, answered, artifact):
    """/opt/ml/model is read-only. [your-algorithms-inference-code]"""
    if artifact is None:
        not_offered("there is nothing in /opt/ml/model: the image holds its model itself")
    assert answered.status == 200


@remedy("Read the model as any user: do not depend on who owns its files.")
def test_model_of_another_owner(image, launch, payload, artifact, tmp_path):
    """The files of the model belong to whoever unpacked them, not to the user of the container. [serverless-endpoints]"""
    if artifact is None:
        not_offered("there is nothing in /opt/ml/model: the image holds its model itself")
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(artifact, copy)
    tmp_path.chmod(0o755)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o444)
    predicts(launch(flags=["-u", "23456:23456"], model=copy), payload)


@remedy("Fetch nothing at start: what is needed is in the image or in the model's archive.")
def test_no_network(image, launch, payload):
    """The container starts and predicts without a network (EnableNetworkIsolation). [mkt-algo-model-internet-free]"""
    started = launch(ready=False, flags=["--network", "none"])
    body = payload.body.decode("latin-1")
    script = f"""
import sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:8080/" + sys.argv[1])
if sys.argv[1] == "invocations":
    request.data = {body!r}.encode("latin-1")
    request.add_header("Content-Type", {payload.content_type!r})
print(urllib.request.urlopen(request, timeout=30).status)
"""

    def status_of(path):
        for python in ("python3", "python"):
            done = subprocess.run(
                ["docker", "exec", started.id, python, "-c", script, path], capture_output=True, text=True
            )
            if done.returncode not in (126, 127):
                return done.stdout.strip() or done.stderr.strip().splitlines()[-1]
        if started.exit_code() is None:
            not_offered("there is no Python inside the container to ask with, and nobody reaches it from outside")
        return f"it exited with code {started.exit_code()}"

    wait_until(lambda: started.exit_code() is not None or status_of("ping") == "200", 120, 0.3)
    assert started.exit_code() is None, f"it exited with code {started.exit_code()}: {started.logs()[-200:]}"
    assert status_of("ping") == "200"
    assert status_of("invocations") == "200"


@remedy("Share the model among workers (preload), start fewer workers, import less.")
def test_512_mb(image, restricted):
    """Half the memory of the smallest serverless endpoint (1024 MB) is enough to start and to predict. [serverless-endpoints]"""
    restricted(*MEMORY)


@remedy("Take the number of workers from the cgroup, not from os.cpu_count().")
def test_one_cpu(image, restricted):
    """The container serves with one CPU: inference components get a share of the instance by cgroup. [API_InferenceComponentComputeResourceRequirements]"""
    restricted("--cpus", "1")


@pytest.mark.heavy
@pytest.mark.slow
@remedy("Start little: a quarter of a CPU must do within the startup window.")
def test_quarter_of_a_cpu(image, launch, payload):
    """The container starts with a quarter of a CPU, the least that an inference component may ask for. [API_InferenceComponentComputeResourceRequirements]"""
    predicts(launch(flags=["--cpus", "0.25"]), payload)


@remedy("Use /tmp instead of /dev/shm (gunicorn: --worker-tmp-dir /tmp).")
def test_no_shared_memory(image, restricted):
    """The container does without /dev/shm, which serverless inference does not have. [serverless-endpoints]"""
    restricted("--ipc", "none")


@remedy("Ask for no privilege and no capability.")
def test_no_privileges(image, restricted):
    """The container runs without privileged access and gains none. [amazon-sagemaker-toolkits]"""
    restricted("--security-opt", "no-new-privileges")


@remedy("Resolve no names of your own at start; /etc/hosts may hold anything.")
def test_any_host_name(image, restricted):
    """The container does not depend on its host name. [your-algorithms-training-algo-running-container]"""
    restricted("--hostname", "algo-1.no-such-domain")


@remedy("Take your settings from defaults, and read the platform's variables without failing on any value.")
def test_variables_of_the_platform(image, launch, payload):
    """The variables that the platform and its SDK set change nothing that the container does not mean to change. [API_ContainerDefinition]"""
    env = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        "SAGEMAKER_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x",
        "LONG": "x" * 1024,
        "JSON": json.dumps({"a": ["b", "'", '"']}),
    }
    predicts(launch(env=env), payload)
