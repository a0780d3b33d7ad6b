"""The health check."""

import pytest

from .conftest import not_offered
from .payloads import MEGABYTE
from .wire import kept_busy, pace, wait_until

remedy = pytest.mark.remedy


@remedy("Answer GET /ping with 200 when a prediction works.")
def test_get(server):
    """GET /ping is answered with 200. [your-algorithms-inference-code]"""
    reply = server.get("/ping")
    assert reply.status == 200, str(reply)


@remedy("Allow POST on the route of /ping as well.")
def test_post(server):
    """POST /ping is answered like GET: the page says that containers must accept POST requests to both paths. [your-algorithms-inference-code]"""
    reply = server.request("POST", "/ping", b"")
    assert reply.status == 200, str(reply)


@remedy("Send no body with the 200.")
def test_body_is_empty(server):
    """The 200 of /ping has an empty body. [your-algorithms-inference-code]"""
    assert server.get("/ping").body == b""


@remedy("Answer /ping from what is known already; do not load or compute in it.")
def test_fast_when_idle(server):
    """/ping is answered within 2 s. [your-algorithms-inference-code]"""
    slowest = max(server.get("/ping").seconds for _ in range(20))
    assert slowest < 2, f"slowest of 20: {slowest:.2f} s"


@pytest.mark.slow
@remedy("Keep /ping out of the queue of the predictions: another thread or process must answer it.")
def test_fast_under_full_load(server, invoke, payload, answered):
    """/ping is answered within 2 s while every worker computes and more requests wait. [your-algorithms-inference-code]"""
    body = payload.of_size(MEGABYTE) or payload.body
    slowest = []
    with kept_busy(lambda: invoke(body), 64):
        for _ in range(12):
            reply = server.get("/ping")
            slowest.append(reply.seconds if reply.status == 200 else 1e9)
            if max(slowest) >= 2:
                break
            pace(0.25)
    assert max(slowest) < 2, f"slowest of {len(slowest)} under load: {max(slowest):.1f} s"


@remedy("Ignore headers that /ping does not know; each caller (AHC, Go, a collector) sends its own.")
def test_any_caller(server):
    """/ping does not depend on the caller: real-time endpoints ping as AHC/2.0, batch transform as Go-http-client/1.1. [amazon-sagemaker-examples issue 2028]"""
    plain = server.get("/ping").body
    for agent in ("AHC/2.0", "Go-http-client/1.1", ""):
        reply = server.get("/ping", User_Agent=agent, Accept_Encoding="gzip", Accept="*/*")
        assert (reply.status, reply.body) == (200, plain), f"to {agent!r}: {reply}"


@remedy("Do not count pings as requests, and take no lock in them that predictions hold.")
def test_steady(server):
    """/ping stays 200 over many checks in a row: one failure takes the instance out of service. [your-algorithms-inference-code]"""
    assert {server.get("/ping").status for _ in range(100)} == {200}


@pytest.fixture(scope="module")
def with_a_broken_model(target, artifact, tmp_path_factory):
    """A server whose model files hold no model."""
    if artifact is None:
        not_offered("the model is not read from /opt/ml/model")
    root = tmp_path_factory.mktemp("broken")
    root.chmod(0o755)
    for path in sorted(artifact.rglob("*")):
        copy = root / "model" / path.relative_to(artifact)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            copy.write_bytes(b"this is not a model\n" * 50)
    started = target.serve(model=root / "model")
    try:
        wait_until(lambda: started.exit_code() is not None or started.status_of_ping() == 200, 12, 0.2)
        yield started
    finally:
        started.close()


@remedy("Predict a sample row before the first 200, and answer 503 (or exit non-zero) when that fails.")
def test_tells_of_a_broken_model(with_a_broken_model, launch, payload):
    """A container whose model cannot predict does not answer /ping with 200, and does not end with 0. [your-algorithms-inference-code]"""
    started = with_a_broken_model
    if started.exit_code() is not None:
        assert started.exit_code() != 0, "it exited with 0 although its model is broken"
    elif started.status_of_ping() == 200:
        reply = started.request("POST", "/invocations", payload.body, {"Content-Type": payload.content_type})
        if reply.status == 200:
            not_offered("the model is not read from /opt/ml/model: it predicts although nothing there is a model")
        raise AssertionError(f"/ping says 200, and predictions fail: {reply}")


@remedy("Say in the log why the model cannot be loaded: on SageMaker it is all that one sees.")
def test_broken_model_is_explained(with_a_broken_model, launch, artifact):
    """When the model cannot be loaded the log says so. [inference-pipeline-troubleshoot]"""
    started = with_a_broken_model
    if started.exit_code() is None and started.status_of_ping() == 200:
        not_offered("it is ready in spite of it")
    names = [path.name for path in artifact.rglob("*") if path.is_file()]
    words = [*names, "Error", "Traceback"]
    told = wait_until(lambda: any(word in started.logs() for word in words), 10)
    assert told, f"the log is silent about it: {started.logs()[-200:]!r}"
