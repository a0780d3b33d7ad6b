"""Where the container listens."""

import pytest

from .conftest import not_offered
from .wire import wait_until

remedy = pytest.mark.remedy
LABEL = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"


def listening(container):
    """The TCP ports that listen inside a container on any address but the loopback's."""
    table = container.sh("cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; true")
    if table is None:
        not_offered("there is no shell in the image to look with")
    rows = [line.split() for line in table.splitlines()]
    found = {}
    for row in rows:
        if len(row) > 3 and row[3] == "0A":
            address, _, port = row[1].partition(":")
            found[int(port, 16)] = address
    return found


@remedy("Listen on port 8080 of 0.0.0.0 when nothing else is said.")
def test_8080(image, launch):
    """The container listens on port 8080 for /ping and /invocations. [your-algorithms-inference-code]"""
    started = launch()
    assert started.get("/ping").status == 200


@remedy("Listen where SAGEMAKER_BIND_TO_PORT says, or take the label away.")
def test_bind_to_port(image, launch, payload):
    """An image with the label accept-bind-to-port listens on SAGEMAKER_BIND_TO_PORT, which pipelines set. [inference-pipeline-real-time]"""
    if image.labels.get(LABEL) != "true":
        not_offered(f"the image has no label {LABEL}=true: it cannot be part of a pipeline")
    started = launch(env={"SAGEMAKER_BIND_TO_PORT": "9000"}, port=9000)
    reply = started.request("POST", "/invocations", payload.body, {"Content-Type": payload.content_type})
    assert reply.status == 200, str(reply)
    assert 8080 not in listening(started), "it listens on 8080 as well, which belongs to another container then"


@remedy("Listen on no other port than the one that is given (gunicorn: on a unix socket in /tmp).")
def test_no_other_port(image, launch):
    """The container binds no other port: the containers of a pipeline share the instance. [inference-pipeline-real-time]"""
    started = launch()
    assert set(listening(started)) <= {8080}, f"it listens on {sorted(listening(started))}"


@remedy("Take further ports only from SAGEMAKER_SAFE_PORT_RANGE.")
def test_safe_port_range(image, launch):
    """Ports that it opens besides lie within SAGEMAKER_SAFE_PORT_RANGE. [inference-pipeline-real-time]"""
    started = launch(env={"SAGEMAKER_SAFE_PORT_RANGE": "23000-23999"})
    others = [port for port in listening(started) if port != 8080]
    assert all(23000 <= port <= 23999 for port in others), f"it listens on {others}"


@remedy("Read the port from SAGEMAKER_BIND_TO_PORT.")
def test_program_takes_its_port(launch, request):
    """The server listens on the port that SAGEMAKER_BIND_TO_PORT names. [inference-pipeline-real-time]"""
    if request.config.getoption("--image"):
        labels = request.getfixturevalue("target").labels
        if labels.get(LABEL) != "true":
            not_offered(f"the image has no label {LABEL}=true")
        started = launch(ready=False, env={"SAGEMAKER_BIND_TO_PORT": "8081"}, port=8081)
    else:
        started = launch(ready=False)
    assert wait_until(lambda: started.status_of_ping() == 200 or started.exit_code() is not None, 60, 0.1)
    assert started.exit_code() is None, f"it exited with {started.exit_code()}"
