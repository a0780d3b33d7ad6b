"""What a prediction is: the same answer for the same rows, however they come."""

import pytest

from .conftest import not_offered
from .payloads import records
from .wire import InParallel, chunked

remedy = pytest.mark.remedy


def by_record(reply):
    found = records(reply.content_type, reply.body)
    if found is None:
        not_offered(f"a reply of type {reply.media_type} does not tell its records apart")
    return found


def lines_only(payload):
    if not payload.by_line:
        not_offered(f"a payload of type {payload.media_type} has no lines")


@remedy("Accept the payload that you say you accept: compare media types, not header strings; see the container's log.")
def test_answers_the_payload(answered):
    """POST /invocations answers a valid request with 200 and a body. [your-algorithms-inference-code]"""
    assert answered.body


@remedy("Set Content-Type on every reply: data capture and the caller's deserializer choose by it.")
def test_reply_has_a_type(answered):
    """A reply names its Content-Type, which reaches the caller. [API_runtime_InvokeEndpoint]"""
    assert "/" in answered.media_type, f"Content-Type: {answered.content_type!r}"


@remedy("Give the media type that the body really has.")
def test_reply_is_what_its_type_says(answered):
    """The body of a reply is of the type that its header names; a wrong name breaks data capture and pipelines. [API_CaptureContentTypeHeader]"""
    if answered.media_type == "application/json":
        import json

        json.loads(answered.body)
    answered.body.decode() if answered.media_type.startswith("text/") else None
    assert answered.media_type != "text/html", "a page, not predictions"


@remedy("Keep no state between requests that changes predictions.")
def test_same_rows_same_answer(answered, invoke):
    """The same request gets the same answer: shadow variants and retries repeat requests. [shadow-tests]"""
    assert {invoke().body for _ in range(5)} == {answered.body}


@remedy("Return one prediction per row.")
def test_one_prediction_per_row(answered, payload):
    """There is one record in the reply for each record in the request. [your-algorithms-batch-code]"""
    lines_only(payload)
    assert len(by_record(answered)) == len(payload.lines)


@remedy("Keep the rows' order from the body to the reply.")
def test_order_is_kept(answered, payload, invoke):
    """Predictions come in the order of the rows. [your-algorithms-batch-code]"""
    lines_only(payload)
    backwards = b"".join(line + b"\n" for line in reversed(payload.lines))
    assert by_record(invoke(backwards)) == by_record(answered)[::-1]


@remedy("Predict rows independently of each other, or refuse to be batched.")
def test_rows_alone_as_together(answered, payload, invoke):
    """A row gets the same prediction alone as among others: batch transform cuts files at will. [your-algorithms-batch-code]"""
    lines_only(payload)
    alone = [by_record(invoke(line + b"\n"))[0] for line in payload.lines]
    assert alone == by_record(answered)


@remedy("Split rows on \\n and take an end of file for the end of a row.")
def test_no_newline_at_the_end(answered, payload, invoke):
    """The last row needs no newline after it. [cdf-inference]"""
    lines_only(payload)
    reply = invoke(payload.body.rstrip(b"\r\n"))
    assert (reply.status, reply.body) == (200, answered.body), str(reply)


@remedy("Take \\r\\n for the end of a row as well.")
def test_windows_line_ends(answered, payload, invoke):
    """Rows may end in CRLF, as RFC 4180 (text/csv) has it. [cdf-inference]"""
    lines_only(payload)
    reply = invoke(b"".join(line + b"\r\n" for line in payload.lines))
    assert (reply.status, reply.body) == (200, answered.body), str(reply)


@remedy("Decode as utf-8-sig: spreadsheets write a byte order mark.")
def test_byte_order_mark(answered, payload, invoke):
    """A byte order mark before the first row is not part of its first value. [cdf-inference]"""
    if not payload.is_csv:
        not_offered("only CSV files come with a byte order mark")
    reply = invoke(b"\xef\xbb\xbf" + payload.body)
    assert (reply.status, reply.body) == (200, answered.body), str(reply)


@remedy("Skip empty lines at the end.")
def test_blank_line_at_the_end(answered, payload, invoke):
    """An empty line at the end of the file is not a row. [your-algorithms-batch-code]"""
    lines_only(payload)
    reply = invoke(payload.body.rstrip(b"\r\n") + b"\n\n")
    assert (reply.status, reply.body) == (200, answered.body), str(reply)


@remedy("Use a server that reads chunked request bodies (gunicorn does) and pass them on.")
def test_chunked_request(answered, server, payload):
    """A request body may come in chunks without a length, as batch transform sends it when MaxPayloadInMB is 0. [API_CreateTransformJob]"""
    half = len(payload.body) // 2
    body = chunked([payload.body[:half], payload.body[half:]])
    headers = {"Content-Type": payload.content_type, "Transfer-Encoding": "chunked"}
    reply = server.request("POST", "/invocations", body, headers)
    assert (reply.status, reply.body) == (200, answered.body), str(reply)


@remedy("Keep requests apart: no globals, no reused buffers.")
def test_answers_do_not_mix(payload, invoke, answered):
    """Requests that run at the same time each get their own answer. [your-algorithms-inference-code]"""
    lines_only(payload)
    lines = payload.lines[:8]
    expected = by_record(answered)[: len(lines)]
    for line, prediction in zip(lines, expected, strict=True):
        rows = [line + b"\n"] * 3
        others = InParallel(invoke, 4)
        replies = InParallel(lambda rows=rows: invoke(b"".join(rows)), 4).results()
        assert [by_record(reply) for reply in replies] == [[prediction] * 3] * 4
        assert all(reply.body == answered.body for reply in others.results())


@remedy("Never unpickle input: numpy.load(allow_pickle=False), and 415 for pickles.")
@pytest.mark.parametrize(
    "content_type", ["application/x-npy", "application/python-pickle", "application/octet-stream", None], ids=str
)
def test_input_is_never_unpickled(server, invoke, content_type):
    """A request body is data, not code: a pickle in it is not executed. [sagemaker-scikit-learn-container pull 266]"""
    import io
    import pickle
    import time

    class Sleeper:
        def __reduce__(self):
            return time.sleep, (4,)

    body = pickle.dumps(Sleeper(), protocol=2)
    if content_type == "application/x-npy":
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
        header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
        body = io.BytesIO(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body).getvalue()
    reply = invoke(body, content_type=content_type)
    assert reply.seconds < 4, "the pickle in the request was executed"
    assert reply.status >= 400, f"a pickle was taken for rows: {reply}"
