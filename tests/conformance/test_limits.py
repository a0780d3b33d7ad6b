"""Sizes: from one row to what the platform lets through."""

import pytest

from .conftest import not_offered
from .payloads import MEGABYTE, records
from .wire import InParallel

remedy = pytest.mark.remedy
LARGER = "Raise the body limit (nginx: client_max_body_size) and the time and memory that a request may take."


def of_size(payload, megabytes):
    body = payload.of_size(int(megabytes * MEGABYTE))
    if body is None:
        not_offered(f"no larger body can be made from a payload of type {payload.media_type}")
    return body


def all_answered(reply, payload, body):
    assert reply.status == 200, f"after {reply.seconds:.0f} s: {reply}"
    assert reply.seconds < 60, f"{reply.seconds:.0f} s"
    found = records(reply.content_type, reply.body)
    if payload.by_line and found is not None:
        assert len(found) == body.count(b"\n")


@remedy("Take one row for a table of one row.")
def test_one_row(invoke, payload):
    """A request may hold a single record (BatchStrategy SINGLE_RECORD, most real-time callers). [your-algorithms-batch-code]"""
    body = payload.rows(1) or payload.body
    all_answered(invoke(body), payload, body)


@pytest.mark.parametrize("count", [100, 10_000])
@remedy("Predict all rows of a request in one call.")
def test_many_rows(invoke, payload, count):
    """A request may hold many records (BatchStrategy MULTI_RECORD). [your-algorithms-batch-code]"""
    body = payload.rows(count)
    if body is None:
        not_offered(f"a payload of type {payload.media_type} has no lines")
    all_answered(invoke(body), payload, body)


@pytest.mark.parametrize("megabytes", [4, 6], ids=["4 MB serverless", "6 MB batch default"])
@pytest.mark.slow
@remedy(LARGER)
def test_default_sizes(invoke, payload, megabytes):
    """Bodies of 4 MB (serverless inference) and 6 MB (batch transform's default) are answered within 60 s. [hosting-faqs]"""
    body = of_size(payload, megabytes)
    all_answered(invoke(body), payload, body)


@pytest.mark.slow
@remedy(LARGER)
def test_25_mb(invoke, payload):
    """A body of 25 MB, the most that a real-time endpoint takes, is answered within 60 s. [hosting-faqs]"""
    body = of_size(payload, 25)
    all_answered(invoke(body), payload, body)


@pytest.mark.slow
@remedy("Do not refuse by size what has no declared size: count while reading.")
def test_6_mb_in_chunks(server, payload):
    """A body without a length is read to its end however large it is, as batch transform sends it when MaxPayloadInMB is 0. [API_CreateTransformJob]"""
    from .wire import chunked

    body = of_size(payload, 6)
    headers = {"Content-Type": payload.content_type, "Transfer-Encoding": "chunked"}
    parts = [body[i : i + 65536] for i in range(0, len(body), 65536)]
    all_answered(server.request("POST", "/invocations", chunked(parts), headers), payload, body)


@pytest.mark.heavy
@pytest.mark.slow
@remedy(LARGER)
def test_100_mb(launch, payload):
    """A body of 100 MB, the most that batch transform sends, is answered within its default time limit of 600 s. [API_CreateTransformJob]"""
    started = launch(env={"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "100"})
    body = of_size(payload, 100)
    reply = started.request("POST", "/invocations", body, {"Content-Type": payload.content_type}, timeout=600)
    assert reply.status == 200, str(reply)


@remedy("Buffer the request in the front (nginx does): a slow sender must not hold a worker.")
@pytest.mark.slow
def test_large_after_large(invoke, payload, server):
    """Large requests leave the server as it was: it goes on answering small ones. [your-algorithms-inference-code]"""
    body = payload.of_size(2 * MEGABYTE) or payload.body
    for _ in range(3):
        assert invoke(body).status == 200
    assert server.status_of_ping() == 200


@remedy("Refuse for overload only what could not be answered in time; four bodies of 4 MB are not an overload.")
@pytest.mark.slow
def test_several_large_at_once(invoke, payload):
    """Several large requests at the same time are all answered within 60 s, as parallel mini-batches come. [hosting-faqs]"""
    body = of_size(payload, 4)
    replies = InParallel(lambda: invoke(body), 4).results()
    bad = [str(reply) for reply in replies if getattr(reply, "status", None) != 200]
    assert not bad, f"{len(bad)} of 4: {bad[0]}"
