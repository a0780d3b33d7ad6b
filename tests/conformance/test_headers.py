"""The headers that the platform passes on, and those that it may add."""

import pytest

remedy = pytest.mark.remedy
IGNORE = "Ignore headers that you do not know; the platform may add some."


def same(reply, answered):
    assert (reply.status, reply.body) == (200, answered.body), str(reply)


@remedy(IGNORE)
def test_unknown_headers(answered, invoke):
    """Headers that the container does not know are ignored: the platform might add some. [your-algorithms-inference-code]"""
    same(
        invoke(X_Amzn_SageMaker_Not_Yet_Invented="1", X_Amzn_Trace_Id="Root=1-0-0", Via="1.1 x", Cookie="a=b"), answered
    )


@remedy(IGNORE)
def test_custom_attributes(answered, invoke):
    """X-Amzn-SageMaker-Custom-Attributes may hold up to 1024 visible ASCII characters, of any meaning or none. [API_runtime_InvokeEndpoint]"""
    same(invoke(X_Amzn_SageMaker_Custom_Attributes="c000b4f9-df62-4c85-a0bf-7c525f9104a4"), answered)
    same(invoke(X_Amzn_SageMaker_Custom_Attributes='k=v; {"a":[1]} <b>%n$ ' + "~" * 1003), answered)


@remedy(
    "Set X-Amzn-SageMaker-Custom-Attributes on a reply only when you mean to, at most 1024 visible ASCII characters."
)
def test_custom_attributes_of_the_reply(invoke):
    """Custom attributes of a reply are at most 1024 visible ASCII characters. [API_runtime_InvokeEndpoint]"""
    reply = invoke(X_Amzn_SageMaker_Custom_Attributes="trace=1")
    value = reply.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")
    assert len(value) <= 1024, f"{len(value)} characters"
    assert all(" " <= character <= "~" for character in value), repr(value)


@remedy(IGNORE)
def test_inference_id(answered, invoke):
    """X-Amzn-SageMaker-Inference-Id (1 to 64 characters) does not change the answer. [API_runtime_InvokeEndpoint]"""
    same(invoke(X_Amzn_SageMaker_Inference_Id="i" * 64), answered)


@remedy("Ignore session headers unless you serve stateful sessions and set their reply headers.")
def test_session_id(answered, invoke):
    """A request for a session is answered by a container without sessions as any other, and opens none. [stateful-sessions]"""
    reply = invoke(X_Amzn_SageMaker_Session_Id="NEW_SESSION")
    if "X-Amzn-SageMaker-New-Session-Id" not in reply.headers:
        assert reply.status == 200 or 400 <= reply.status < 500, str(reply)


@remedy(IGNORE)
def test_routing_headers(answered, invoke):
    """Headers that route a request (target variant, container, component, model) are the platform's business. [API_runtime_InvokeEndpoint]"""
    same(
        invoke(
            X_Amzn_SageMaker_Target_Variant="AllTraffic",
            X_Amzn_SageMaker_Target_Container_Hostname="main",
            X_Amzn_SageMaker_Inference_Component="c",
            X_Amzn_SageMaker_Enable_Explanations="`true`",
            X_Amzn_SageMaker_Prefix_Aware_Id="p" * 64,
        ),
        answered,
    )


@remedy("Allow header lines of 2 KB and 8 KB in all (nginx: large_client_header_buffers).")
def test_long_headers(answered, invoke, payload):
    """The longest headers that the API allows fit: Accept, Content-Type and custom attributes of 1024 characters each. [API_runtime_InvokeEndpoint]"""
    long_type = f"{payload.media_type}; note="
    reply = invoke(
        content_type=long_type + "x" * (1024 - len(long_type)),
        Accept="*/*;q=0.5" + ", */*;q=0.5" * 90,
        X_Amzn_SageMaker_Custom_Attributes="a" * 1024,
        X_Amzn_SageMaker_Session_Id="",
    )
    same(reply, answered)


@remedy("Give each reply a Content-Length or send it in chunks.")
def test_length_of_the_reply(invoke):
    """The end of a reply is known from its headers, so that a reply that was cut off is not taken for a whole one. [RFC 9112]"""
    headers = invoke().headers
    assert "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "")
