"""Where the container listens."""

import pytest

from .conftest import not_offered

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


@pytest.fixture(scope="session")
def bound(target, artifact):
    """A container as a pipeline starts it."""
    if target.labels.get(LABEL) != "true":
        not_offered(f"the image has no label {LABEL}=true: it cannot be part of a pipeline")
    env = {"SAGEMAKER_BIND_TO_PORT": "9000", "SAGEMAKER_SAFE_PORT_RANGE": "23000-23999"}
    started = target.serve(model=artifact, env=env, port=9000)
    try:
        yield started.wait_ready(60)
    finally:
        started.close()


@remedy("Listen on port 8080 of 0.0.0.0 when nothing else is said.")
def test_8080(image, server):
    """The container listens on port 8080 for /ping and /invocations. [your-algorithms-inference-code]"""
    assert server.get("/ping").status == 200


@remedy("Listen where SAGEMAKER_BIND_TO_PORT says, or take the label away.")
def test_bind_to_port(image, bound, payload):
    """An image with the label accept-bind-to-port listens on SAGEMAKER_BIND_TO_PORT, which pipelines set. [inference-pipeline-real-time]"""
    reply = bound.request("POST", "/invocations", payload.body, {"Content-Type": payload.content_type})
    assert reply.status == 200, str(reply)


@remedy("Do not listen on 8080 when another port is given.")
def test_leaves_8080_to_others(image, bound):
    """With SAGEMAKER_BIND_TO_PORT port 8080 belongs to another container of the pipeline. [inference-pipeline-real-time]"""
    assert 8080 not in listening(bound)


@remedy("Listen on no other port than the one that is given (gunicorn: on a unix socket in /tmp).")
def test_no_other_port(image, server):
    """The container binds no other fixed port: the containers of a pipeline share the instance. [inference-pipeline-real-time]"""
    assert set(listening(server)) <= {8080}, f"it listens on {sorted(listening(server))}"


@remedy("Take further ports only from SAGEMAKER_SAFE_PORT_RANGE.")
def test_safe_port_range(image, bound):
    """Ports that it opens besides lie within SAGEMAKER_SAFE_PORT_RANGE. [inference-pipeline-real-time]"""
    others = [port for port in listening(bound) if port != 9000]
    assert all(23000 <= port <= 23999 for port in others), f"it listens on {others}"
