"""Content-Type and Accept."""

import pytest

from .conftest import not_offered

remedy = pytest.mark.remedy
PARSE = "Parse the media type and ignore parameters that you do not need; never compare the whole header."


def same(reply, answered):
    assert (reply.status, reply.body) == (200, answered.body), str(reply)


@remedy(PARSE)
@pytest.mark.parametrize("form", ["; charset=utf-8", ";charset=UTF-8", '; charset="utf-8"', " ; charset=utf-8 "])
def test_charset(answered, invoke, payload, form):
    """A Content-Type may carry a charset. [cdf-inference]"""
    same(invoke(content_type=payload.media_type + form), answered)


@remedy(PARSE)
@pytest.mark.parametrize("form", ["; header=absent", "; label_size=0", "; a=b; charset=utf-8"])
def test_other_parameters(answered, invoke, payload, form):
    """A Content-Type may carry parameters; those that do not concern the model change nothing. [cdf-training]"""
    same(invoke(content_type=payload.media_type + form), answered)


@remedy(PARSE)
def test_letter_case(answered, invoke, payload):
    """Media types are the same in capital letters. [API_runtime_InvokeEndpoint]"""
    same(invoke(content_type=payload.media_type.upper()), answered)


@remedy("Decode with the charset that is named; refuse one that does not exist with 415 or 400.")
def test_unknown_charset(invoke, payload):
    """A charset that does not exist is the caller's error, or ignored; it is not a failure of the server. [API_runtime_InvokeEndpoint]"""
    assert invoke(content_type=f"{payload.media_type}; charset=no-such-charset").status < 500


@remedy("Accept what you answer: a pipeline hands one container's reply to the next.")
def test_accepts_the_type_that_it_answers(answered, invoke, payload):
    """The Content-Type that a container answers with is one that it accepts: pipelines and retries feed it back. [inference-pipeline-real-time]"""
    if answered.media_type != payload.media_type:
        not_offered(f"it answers {payload.media_type} with {answered.media_type}, unless asked by Accept")
    same(invoke(content_type=answered.content_type), answered)


@remedy("Refuse types that have no decoder with 415, and say which there are.")
@pytest.mark.parametrize("content_type", ["application/x-no-such-type", "image/png", "nonsense"])
def test_unknown_type_is_415(invoke, content_type):
    """A Content-Type that the container does not know is refused with 415. [sagemaker-xgboost-container]"""
    reply = invoke(content_type=content_type)
    assert reply.status == 415, str(reply)


@remedy("Choose a default for requests without a Content-Type, or refuse them with 415.")
def test_no_type(invoke):
    """A request without Content-Type is answered or refused; it is not a failure of the server. [API_runtime_InvokeEndpoint]"""
    reply = invoke(content_type=None)
    assert reply.status in (200, 400, 415), str(reply)


@remedy("Send what Accept asks for, or 406.")
def test_accept_own_type(answered, invoke, payload):
    """A reply is of the type that Accept asks for. [API_runtime_InvokeEndpoint]"""
    reply = invoke(Accept=payload.media_type)
    if reply.status == 406:
        not_offered(f"it cannot answer in {payload.media_type}")
    assert (reply.status, reply.media_type) == (200, payload.media_type), str(reply)


@remedy("Read Accept: JSON is what most callers ask for. Send it or refuse with 406, but do not send something else.")
def test_accept_json(invoke):
    """A caller that asks for application/json gets JSON or 406, not something else under 200. [cdf-inference]"""
    import json

    reply = invoke(Accept="application/json")
    if reply.status == 406:
        not_offered("it cannot answer in JSON")
    assert (reply.status, reply.media_type) == (200, "application/json"), str(reply)
    json.loads(reply.body)


@remedy("Take no Accept, `*/*` and an empty one for your default type.")
@pytest.mark.parametrize("accept", ["*/*", "", None], ids=repr)
def test_accept_anything(answered, invoke, accept):
    """A caller that asks for nothing in particular gets the default type. [API_runtime_InvokeEndpoint]"""
    reply = invoke() if accept is None else invoke(Accept=accept)
    same(reply, answered)


@remedy("Parse the list in Accept with its q-values (werkzeug: request.accept_mimetypes).")
def test_accept_list(answered, invoke):
    """Accept may be a list with weights, as browsers and SDKs send it. [API_runtime_InvokeEndpoint]"""
    reply = invoke(Accept="text/html, application/xhtml+xml;q=0.9, */*;q=0.1")
    assert reply.status == 200, str(reply)
    assert reply.media_type != "text/html", "a page"


@remedy("Answer 406 and name what can be sent when Accept asks for something else.")
def test_accept_unknown_is_406(invoke):
    """When nothing that Accept asks for can be produced the answer is 406. [sagemaker-xgboost-container]"""
    reply = invoke(Accept="application/x-no-such-type")
    assert reply.status == 406, str(reply)


@remedy("Send identity unless Accept-Encoding asks for more.")
def test_no_unasked_compression(invoke):
    """A reply is passed on byte for byte: it is not compressed unless the caller asks. [hosting-faqs]"""
    assert invoke().headers.get("Content-Encoding", "identity") == "identity"


@remedy("Decode gzip, or refuse it with 415; do not parse compressed bytes as rows.")
def test_content_encoding(answered, invoke, payload):
    """A compressed body is decoded or refused as such; it is not taken for rows. [hosting-faqs]"""
    import gzip

    reply = invoke(gzip.compress(payload.body), Content_Encoding="gzip")
    if reply.status == 200:
        assert reply.body == answered.body
    assert reply.status in (200, 400, 415), str(reply)
