"""http/protocol.py beside gunicorn's own parser: the same bytes mean the same requests, or the difference is listed."""

from __future__ import annotations

import itertools

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from test_protocol import BAD, GOOD

from serving.errors import ServingError
from serving.http.protocol import Parser

Meaning = tuple[list[tuple[str, str, bytes]], bool]
"""The requests that were understood, and whether the bytes after them were refused."""


def ours(data: bytes) -> Meaning:
    parser, requests = Parser(2**20), []
    parser.feed(data)
    try:
        while (request := parser.take()) is not None:
            requests.append((request.method, request.target, request.body))
            if not request.keep_alive:
                break
    except ServingError:
        return requests, True
    return requests, False


def gunicorns(data: bytes) -> Meaning:
    requests: list[tuple[str, str, bytes]] = []
    try:
        for request in RequestParser(Config(), iter([data]), ("127.0.0.1", 1)):
            requests.append((request.method, request.uri, request.body.read()))
            if request.should_close():
                break
    except StopIteration:
        return requests, False
    except Exception:
        return requests, True
    return requests, False


LINES = {
    "GET": b"GET /ping HTTP/1.1\r\n",
    "POST": b"POST /invocations HTTP/1.1\r\n",
    "query": b"POST /invocations?a=%20&b=+ HTTP/1.1\r\n",
    "HTTP/1.0": b"POST /invocations HTTP/1.0\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\n",
    "absolute": b"POST http://a/invocations HTTP/1.1\r\n",
    "lower-case method": b"post /invocations HTTP/1.1\r\n",
    "HTTP/1.7": b"POST /invocations HTTP/1.7\r\n",
    "HTTP/2.0": b"POST /invocations HTTP/2.0\r\n",
    "no version": b"POST /invocations\r\n",
    "bare line feed": b"POST /invocations HTTP/1.1\n",
    "double slash": b"POST //invocations/../x HTTP/1.1\r\n",
}
FIELDS = {
    "plain": b"Host: a\r\nContent-Type: text/csv\r\n",
    "close": b"Host: a\r\nConnection: close\r\n",
    "no host": b"Accept: */*\r\n",
    "control": b"Host: a\r\nX: a\x01b\r\n",
    "folded": b"Host: a\r\nX: a\r\n\tb\r\n",
    "space before colon": b"Host: a\r\nX : a\r\n",
    "no colon": b"Host: a\r\nX\r\n",
    "odd name": b"Host: a\r\n(X): a\r\n",
    "underscore": b"Host: a\r\nContent_Length: 7\r\n",
    "Latin-1": b"Host: a\r\nX: \xe4\r\n",
}
BODIES = {
    "none": b"\r\n",
    "length": b"Content-Length: 3\r\n\r\n1,2",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n2\r\n1,\r\n1\r\n2\r\n0\r\n\r\n",
    "both": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n1,\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n1,2",
    "signed length": b"Content-Length: +3\r\n\r\n1,2",
    "bad chunk": b"Transfer-Encoding: chunked\r\n\r\n2\r\n1,2\r\n0\r\n\r\n",
    "bad size": b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n1,\r\n0\r\n\r\n",
    "unknown coding": b"Transfer-Encoding: cow\r\n\r\n",
}
DIFFERENT = {
    "absolute": "gunicorn leaves the host in the path; RFC 9112 3.2.2 has it taken off",
    "absolute, no path": "as above",
    "HTTP/1.2": "gunicorn takes any 1.x; nginx and we speak 1.0 and 1.1",
    "HTTP/1.7": "as above",
    "lower-case method": "gunicorn refuses it; here the application answers 405, as to any other unknown method",
    "no host": "RFC 9112 3.2 demands a 400, which nginx gives",
    "host with a path": "as above",
    "fragment": "RFC 9112 3.2: it is not part of a request's target",
    "user in the target": "RFC 9110 4.2.4: no client sends it, so it is a trick",
    "other scheme": "this is not a proxy",
    "CONNECT": "this is not a proxy",
    "length too large": "gunicorn leaves that to the application; here it is refused before the body comes",
    "gzip coding": "gunicorn hands on what it does not undo",
}
"""What is read in another way than gunicorn reads it, and why."""

CASES = {
    **{(name,): data for name, (data, _) in {**GOOD, **BAD}.items()},
    **{
        (line, fields, body): LINES[line] + FIELDS[fields] + BODIES[body]
        for line, fields, body in itertools.product(LINES, FIELDS, BODIES)
    },
}


@pytest.mark.parametrize("follower", [b"", b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_the_same_bytes_mean_the_same_requests(follower: bytes) -> None:
    """Over a thousand of them, alone and with another request behind."""
    surprises = []
    for case, data in CASES.items():
        if set(case) & DIFFERENT.keys():
            continue
        if ours(data + follower) != gunicorns(data + follower):
            surprises.append((case, ours(data + follower), gunicorns(data + follower)))
    assert surprises == []


def test_what_is_listed_as_different_is_different() -> None:
    """Nothing is listed that is not so, and none of it smuggles: what differs is the path, or it is refused."""
    for name in DIFFERENT:
        differing = [(ours(data), gunicorns(data)) for case, data in CASES.items() if name in case]
        assert any(mine != other for mine, other in differing), name
        for mine, other in differing:
            assert mine[1] or other[1] or [m[2] for m in mine[0]] == [o[2] for o in other[0]], name
