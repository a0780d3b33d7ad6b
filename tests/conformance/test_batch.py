"""Batch transform."""

import json

import pytest

from .conftest import not_offered
from .payloads import MEGABYTE, records
from .wire import InParallel

remedy = pytest.mark.remedy


@pytest.fixture(scope="session")
def parameters(server):
    reply = server.get("/execution-parameters")
    if reply.status == 404:
        not_offered("GET /execution-parameters is 404: the job's own parameters or the defaults hold")
    assert reply.status == 200, str(reply)
    return json.loads(reply.body)


@remedy(
    "Answer GET /execution-parameters with a JSON object of MaxConcurrentTransforms, BatchStrategy, MaxPayloadInMB."
)
def test_execution_parameters(parameters):
    """GET /execution-parameters is answered with a JSON object of known keys, or with 404. [your-algorithms-batch-code]"""
    known = {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    assert isinstance(parameters, dict), parameters
    assert set(parameters) <= known, f"unknown keys: {set(parameters) - known}"


@remedy("Give whole numbers, not strings: MaxConcurrentTransforms ≥ 1.")
def test_concurrent_transforms(parameters):
    """MaxConcurrentTransforms is a positive whole number. [your-algorithms-batch-code]"""
    value = parameters.get("MaxConcurrentTransforms", 1)
    assert type(value) is int, repr(value)
    assert value >= 1, value


@remedy("Spell it MULTI_RECORD or SINGLE_RECORD.")
def test_batch_strategy(parameters):
    """BatchStrategy is MULTI_RECORD or SINGLE_RECORD. [your-algorithms-batch-code]"""
    assert parameters.get("BatchStrategy", "MULTI_RECORD") in ("MULTI_RECORD", "SINGLE_RECORD"), parameters


@remedy("Keep MaxPayloadInMB ≤ 100 and its product with MaxConcurrentTransforms ≤ 100.")
def test_payload_within_limits(parameters):
    """MaxPayloadInMB is at most 100, and so is its product with MaxConcurrentTransforms. [API_CreateTransformJob]"""
    size, count = parameters.get("MaxPayloadInMB", 6), parameters.get("MaxConcurrentTransforms", 1)
    assert type(size) is int, repr(size)
    assert 0 <= size <= 100, size
    assert size * count <= 100, f"{size} MB x {count}"


@pytest.mark.slow
@remedy("Announce no more than you accept: MaxPayloadInMB must be within your own body limit.")
def test_announced_payload_is_accepted(parameters, invoke, payload):
    """A mini-batch of the size that the container announces is accepted. [your-algorithms-batch-code]"""
    body = payload.of_size(min(parameters.get("MaxPayloadInMB", 6), 25) * MEGABYTE)
    if body is None:
        not_offered(f"no larger body can be made from a payload of type {payload.media_type}")
    assert invoke(body).status == 200


@remedy("Serve as many requests at once as you announce.")
def test_announced_concurrency_is_served(parameters, invoke, answered):
    """As many requests at once as MaxConcurrentTransforms says are answered. [your-algorithms-batch-code]"""
    replies = InParallel(invoke, parameters.get("MaxConcurrentTransforms", 1)).results()
    assert all(getattr(reply, "body", None) == answered.body for reply in replies)


@remedy("Compare SAGEMAKER_BATCH without regard to case, and read the other three only if they are there.")
def test_batch_environment(launch, payload, answered):
    """With the variables of a transform job (local mode writes True in capitals) the container starts and predicts the same. [your-algorithms-batch-code]"""
    started = launch(
        env={
            "SAGEMAKER_BATCH": "True",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
            "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
        }
    )
    reply = started.request("POST", "/invocations", payload.body, {"Content-Type": payload.content_type})
    assert (reply.status, reply.body) == (200, answered.body), str(reply)


@remedy("In a transform job put a placeholder (ERROR) where a record cannot be predicted, and predict all others.")
def test_bad_record_in_a_job(launch, payload, answered):
    """In a transform job a record that cannot be predicted gets a line in its place, and all others their prediction. [batch-transform-errors]"""
    if not payload.is_csv or answered.media_type != "text/csv":
        not_offered("it does not answer CSV with CSV")
    middle = len(payload.lines) // 2
    lines = [*payload.lines[:middle], b"no,record,at,all,\xff", *payload.lines[middle:]]
    started = launch(env={"SAGEMAKER_BATCH": "true"})
    body = b"".join(line + b"\n" for line in lines)
    reply = started.request("POST", "/invocations", body, {"Content-Type": payload.content_type})
    if 400 <= reply.status < 500:
        not_offered(f"a bad record refuses its mini-batch ({reply.status}), and its file has no output")
    assert reply.status == 200, str(reply)
    predictions = reply.body.splitlines()
    assert len(predictions) == len(lines), f"{len(predictions)} lines for {len(lines)} records"
    assert [*predictions[:middle], *predictions[middle + 1 :]] == answered.body.splitlines()


@remedy("Let a mini-batch be any number of whole lines.")
def test_cut_anywhere(invoke, payload, answered):
    """The outputs of mini-batches put one after the other are the output of the whole file, wherever it is cut. [your-algorithms-batch-code]"""
    if not payload.by_line or len(payload.lines) < 2:
        not_offered("the payload cannot be cut into lines")
    whole = records(answered.content_type, answered.body)
    if whole is None:
        not_offered(f"a reply of type {answered.media_type} does not tell its records apart")
    for cut in {1, len(payload.lines) // 2, len(payload.lines) - 1}:
        parts = [b"".join(line + b"\n" for line in half) for half in (payload.lines[:cut], payload.lines[cut:])]
        replies = [invoke(part) for part in parts]
        assert [x for r in replies for x in records(r.content_type, r.body)] == whole, f"cut after line {cut}"


@remedy("Put each prediction on one line, and no newline inside a value.")
def test_one_line_per_line(invoke, payload):
    """In CSV there is one line of output for each line of input, so that AssembleWith Line and the join of inputs work. [batch-transform-data-processing]"""
    reply = invoke(Accept="text/csv")
    if not payload.is_csv or reply.status != 200 or reply.media_type != "text/csv":
        not_offered("it does not answer CSV with CSV")
    assert len(reply.body.splitlines()) == len(payload.lines)


@remedy("Answer in the time that the job gives (up to 3600 s); keep proxies from cutting earlier.")
def test_retries_are_harmless(invoke, answered):
    """A mini-batch that is sent again, as after a timeout, gets the same answer. [API_ModelClientConfig]"""
    assert {invoke().body for _ in range(3)} == {answered.body}
