"""What a caller is told when something is wrong. It reaches them as OriginalStatusCode and OriginalMessage."""

import json

import pytest

from .conftest import not_offered

remedy = pytest.mark.remedy

MALFORMED = {
    "empty": b"",
    "white space": b" \n",
    "binary": bytes(range(128, 256)) * 4,
    "an unclosed quote or bracket": b'{"instances": [[1, "2\n',
    "words": b"neither, numbers\nnor json\n",
    "ragged rows": None,
    "a column too many": None,
    "a column too few": None,
}


def malformed(kind, payload):
    body = MALFORMED[kind]
    if body is not None:
        return body
    if not payload.is_csv:
        not_offered("only rows of CSV have columns to add or to lose")
    first, *rest = payload.lines
    wider = [first + b"," + first.split(b",")[0], *rest]
    if kind == "ragged rows":
        lines = wider[:1] + (rest or [first])
    elif kind == "a column too many":
        lines = [line + b"," + line.split(b",")[0] for line in payload.lines]
    else:
        if b"," not in first:
            not_offered("the rows have one column only")
        lines = [line.rpartition(b",")[0] for line in payload.lines]
    return b"".join(line + b"\n" for line in lines)


def is_clean(reply):
    """No page, no traceback, and short enough for a message."""
    text = reply.body.decode(errors="replace")
    assert "<html" not in text.lower(), f"a page: {text[:120]!r}"
    assert "Traceback (most recent call last)" not in text, "a traceback"
    assert 'File "/' not in text, "paths of the source"


@remedy(
    "Validate what comes and answer 400 with the reason; 5xx tells the caller to try again and alarms the operator."
)
@pytest.mark.parametrize("kind", MALFORMED)
def test_bad_rows_are_4xx(invoke, payload, kind):
    """A request that cannot be right is the caller's error, 4xx (400), never 5xx. [sagemaker-xgboost-container]"""
    if kind == "words":
        not_numeric = payload.is_csv and any(c.isalpha() for c in payload.body.decode(errors="replace"))
        if not_numeric:
            not_offered("the model takes words")
    reply = invoke(malformed(kind, payload))
    if kind in ("empty", "white space") and reply.status in (200, 204) and not reply.body:
        return  # no rows, no predictions
    assert 400 <= reply.status < 500, str(reply)


@remedy("Turn every error into JSON: one handler in the application, error_page in nginx.")
@pytest.mark.parametrize("kind", ["binary", "an unclosed quote or bracket"])
def test_bad_rows_are_told_in_json(invoke, payload, kind):
    """The body of an error reaches the caller as OriginalMessage: it is JSON, without page or traceback. [API_runtime_InvokeEndpoint]"""
    reply = invoke(malformed(kind, payload))
    is_clean(reply)
    assert_json(reply)


@remedy("Answer 404 for every path but your own.")
@pytest.mark.parametrize("path", ["/", "/no-such-path", "/invocations/more", "/v1/chat/completions", "/pingpong"])
def test_unknown_path_is_404(server, path):
    """Paths that the container does not have are answered with 404; the platform probes for optional ones. [realtime-endpoints-openai-compatible]"""
    reply = server.get(path)
    assert reply.status == 404, str(reply)


@remedy("Route by method as well: GET, PUT and DELETE on /invocations are 405.")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_405(server, method):
    """/invocations takes POST only; other methods are answered with 405. [your-algorithms-inference-code]"""
    reply = server.request(method, "/invocations", b"" if method == "PUT" else None)
    assert reply.status == 405, str(reply)


@remedy(
    "Set errors' Content-Type to application/json and parse-able bodies, in nginx (error_page) and the application."
)
@pytest.mark.parametrize("case", ["404", "405", "415", "413"])
def test_refusals_are_json(server, invoke, payload, case):
    """Every refusal has a JSON body, whichever part of the container refuses. [API_runtime_InvokeEndpoint]"""
    if case == "404":
        reply = server.get("/no-such-path")
    elif case == "405":
        reply = server.get("/invocations")
    elif case == "415":
        reply = invoke(content_type="application/x-no-such-type")
    else:
        reply = too_large(server, payload)
    is_clean(reply)
    assert reply.status >= 400, str(reply)
    assert_json(reply)


@remedy("Limit the body (client_max_body_size) so that a length that cannot be served is refused before it is read.")
def test_huge_body_is_413(server, payload):
    """A body that is larger than any limit of the platform (1 GB) is refused with 413 before it is sent. [async-inference]"""
    assert too_large(server, payload).status == 413


@remedy("Answer what is not HTTP with 400, and stay up.")
def test_not_http(server):
    """What is not HTTP does no harm: the next request is answered. [your-algorithms-inference-code]"""
    from .wire import NoAnswer, read_reply, send

    for noise in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 4,
        b"GET\r\n\r\n",
        b"POST /invocations HTTP/9.9\r\n\r\n",
    ):
        with server.connect(10) as connection:
            send(connection, noise + b"\r\n\r\n")
            try:
                is_clean(read_reply(connection))
            except NoAnswer:
                pass
            except AssertionError as exc:
                if "a page" not in str(exc):
                    raise
    assert server.status_of_ping() == 200


@remedy("Leave no damage behind: one bad request must not change the answers to others.")
def test_good_after_bad(answered, invoke, payload):
    """After any number of bad requests good ones are answered as before. [your-algorithms-inference-code]"""
    for kind in MALFORMED:
        if MALFORMED[kind] is not None:
            invoke(MALFORMED[kind])
    assert {invoke().body for _ in range(8)} == {answered.body}


def assert_json(reply):
    assert reply.media_type in ("application/json", "application/problem+json"), f"Content-Type {reply.content_type!r}"
    try:
        value = json.loads(reply.body)
    except ValueError:
        raise AssertionError(f"not JSON: {reply.body[:120]!r}") from None
    assert value, "an empty JSON value says nothing"


def too_large(server, payload):
    """The reply to the headers alone of a request of 8 GB; its body is never sent."""
    from .wire import NoAnswer, head, read_reply, send

    headers = {"Content-Type": payload.content_type, "Content-Length": str(8 * 2**30)}
    with server.connect(4) as connection:
        send(connection, head("POST", "/invocations", headers), payload.body)
        try:
            return read_reply(connection, "POST")
        except NoAnswer:
            not_offered("it has no limit of its own: it waits for all 8 GB")
