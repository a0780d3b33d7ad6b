"""Replies that come in parts, and connections that go both ways."""

import base64
import os
import socket

import pytest

from .conftest import not_offered
from .wire import head, read_reply, send

remedy = pytest.mark.remedy
ASKING = {"X-Amzn-SageMaker-Accept": "application/jsonlines", "Accept": "application/jsonlines, */*;q=0.5"}
BIDIRECTIONAL = "com.amazonaws.sagemaker.capabilities.bidirectional-streaming"


@pytest.fixture
def stream(server, payload):
    """The raw bytes of a streamed reply, part by part."""
    with server.connect() as connection:
        body = payload.rows(2000) or payload.body
        send(connection, head("POST", "/invocations", {"Content-Type": payload.content_type, **ASKING}, body), body)
        parts = []
        while part := connection.recv(4096):
            parts.append(part)
    raw = b"".join(parts)
    headers, _, rest = raw.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in headers.lower():
        not_offered("replies have a length and come in one piece")
    return headers, rest


@remedy("End a chunked reply with the empty chunk, also when its generator ends early.")
def test_stream_has_an_end(stream):
    """A reply that is sent in chunks ends with the empty chunk, so that its caller sees no StreamBroken. [API_runtime_InvokeEndpointWithResponseStream]"""
    assert stream[1].endswith(b"0\r\n\r\n")


@remedy("Send either a length or chunks, never both.")
def test_stream_has_no_length(stream):
    """A reply in chunks names no length. [RFC 9112]"""
    assert b"content-length" not in stream[0].lower()


@remedy("Take X-Amzn-SageMaker-Accept for Accept, or ignore it.")
def test_streaming_call_to_a_container_without_streams(invoke):
    """A streaming call is answered also by a container that answers in one piece. [API_runtime_InvokeEndpointWithResponseStream]"""
    reply = invoke(X_Amzn_SageMaker_Accept="*/*")
    assert reply.status == 200, str(reply)


@remedy("Close the generator and free the worker when the caller has gone.")
def test_reader_that_leaves(server, payload, answered, invoke):
    """A caller that leaves in the middle of a long reply does no harm to others. [API_runtime_InvokeEndpointWithResponseStream]"""
    body = payload.rows(20_000) or payload.body
    for _ in range(5):
        with server.connect() as connection:
            send(connection, head("POST", "/invocations", {"Content-Type": payload.content_type}, body), body)
            connection.recv(16)
    assert invoke().body == answered.body


@remedy("Buffer replies in the front or write them without blocking: a slow reader must not hold a worker.")
@pytest.mark.slow
def test_slow_reader_blocks_nobody(server, payload, invoke, answered):
    """A caller that reads slowly gets its whole reply, and keeps nobody from theirs. [your-algorithms-inference-code]"""
    body = payload.rows(20_000) or payload.body
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the reply fits into no buffer on the way
        send(connection, head("POST", "/invocations", {"Content-Type": payload.content_type}, body), body)
        assert invoke().body == answered.body
        assert server.status_of_ping(2) == 200
        reply = read_reply(connection, "POST")
    assert reply.status == 200


@remedy("Serve a WebSocket at /invocations-bidirectional-stream, or take the label away.")
def test_bidirectional_stream(image, server):
    """An image with the label bidirectional-streaming takes a WebSocket at /invocations-bidirectional-stream. [your-algorithms-inference-code]"""
    if image.labels.get(BIDIRECTIONAL) != "true":
        not_offered(f"the image has no label {BIDIRECTIONAL}=true")
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    assert server.request("GET", "/invocations-bidirectional-stream", headers=headers).status == 101


@remedy("Answer 404 (or 426) to a WebSocket that you do not serve.")
def test_websocket_without_the_label(server):
    """A WebSocket at a path that the container does not serve is refused by a status, not by silence. [your-algorithms-inference-code]"""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
               "Sec-WebSocket-Version": "13"}  # fmt: skip
    assert server.request("GET", "/no-such-stream", headers=headers).status >= 400
