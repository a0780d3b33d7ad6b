"""http/protocol.py and writing.py: bytes → requests, replies → bytes. No test needs a socket."""

from __future__ import annotations

import io
import random
import tracemalloc

import pytest

from serving.errors import ServingError
from serving.http import protocol, writing
from serving.http.protocol import Parser

POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\n"
MEGABYTE = 2**20


def taken(data: bytes, step: int = 0, max_body: int = MEGABYTE) -> list[tuple[str, str, bytes]]:
    """The requests in the bytes, fed in pieces of `step` (0: at once). Raises what the parser raises."""
    parser, requests = Parser(max_body), []
    for start in range(0, len(data), step or len(data) or 1):
        parser.feed(data[start : start + (step or len(data))])
        while (request := parser.take()) is not None:
            requests.append((request.method, request.target, request.body))
    return requests


GOOD = {
    "no body": (b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n", [("GET", "/ping", b"")]),
    "length": (POST + b"Content-Length: 3\r\n\r\n1,2", [("POST", "/invocations", b"1,2")]),
    "zero length": (POST + b"Content-Length: 0\r\n\r\n", [("POST", "/invocations", b"")]),
    "leading zeros": (POST + b"Content-Length: 003\r\n\r\n1,2", [("POST", "/invocations", b"1,2")]),
    "chunked": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n1,\r\n1;x=y\r\n2\r\n0\r\n\r\n",
        [("POST", "/invocations", b"1,2")],
    ),
    "capital coding": (POST + b"transfer-encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
                       [("POST", "/invocations", b"0123456789")]),
    "trailers": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n7\r\n00\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
        [("POST", "/invocations", b"7")],
    ),
    "empty chunked": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [("POST", "/invocations", b"")]),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", [("GET", "/", b"")]),
    "absolute": (b"GET http://a:80/x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n", [("GET", "/x?y=1", b"")]),
    "absolute, no path": (b"GET HTTP://a?y HTTP/1.1\r\nHost: a\r\n\r\n", [("GET", "/?y", b"")]),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", [("OPTIONS", "*", b"")]),
    "blank line before": (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", [("GET", "/", b"")]),
    "no space after the colon": (b"GET / HTTP/1.1\r\nHost:a\r\n\r\n", [("GET", "/", b"")]),
    "empty value": (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", [("GET", "/", b"")]),
    "IPv6 host": (b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", [("GET", "/", b"")]),
    "bytes beyond ASCII": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\xe4\r\n\r\n", [("GET", "/", b"")]),
    "own method": (b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", [("BREW", "/pot", b"")]),
    "body with line ends": (POST + b"Content-Length: 6\r\n\r\n\r\n\r\n\r\n", [("POST", "/invocations", b"\r\n" * 3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
def test_a_request_is_read_however_it_arrives(name: str, step: int) -> None:
    """The bytes come in pieces of any size."""
    data, expected = GOOD[name]
    assert taken(data, step) == expected


@pytest.mark.parametrize("step", [0, 1, 5])
def test_requests_may_follow_each_other_without_waiting(step: int) -> None:
    """Pipelined requests are taken one by one, in order, each with its own body."""
    assert taken(b"".join(data for data, _ in GOOD.values()), step) == [r for _, some in GOOD.values() for r in some]


BAD = {
    "not HTTP": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "HTTP/11": (b"GET / HTTP/11\r\nHost: a\r\n\r\n", 400),
    "http/1.1": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tab in the request line": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space at the line's end": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "space before": (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "relative target": (b"GET ping HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "user in the target": (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "other scheme": (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "byte in the target": (b"GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "NUL in the target": (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "a bare line feed": (b"GET / HTTP/1.1\r\nX: a\nHost: a\r\n\r\n", 400),
    "a bare carriage return": (b"GET / HTTP/1.1\r\nX: a\rContent-Length: 3\r\nHost: a\r\n\r\n", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    "escape in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n", 400),
    "space before the colon": (POST + b"Content-Length : 3\r\n\r\n1,2", 400),
    "tab before the colon": (POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400),
    "line without a colon": (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    "nameless header": (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    "folded header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    "folded coding": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    "name beyond ASCII": (b"GET / HTTP/1.1\r\nHost: a\r\n\xe4: b\r\n\r\n", 400),
    "name with a bracket": (b"GET / HTTP/1.1\r\nHost: a\r\nX[0]: b\r\n\r\n", 400),
    "length and chunked": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n1,2", 400),
    "two equal lengths": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n1,2", 400),
    "list of lengths": (POST + b"Content-Length: 3, 3\r\n\r\n1,2", 400),
    "signed length": (POST + b"Content-Length: +3\r\n\r\n1,2", 400),
    "negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "hexadecimal length": (POST + b"Content-Length: 0x3\r\n\r\n1,2", 400),
    "length with underscore": (POST + b"Content-Length: 1_0\r\n\r\n0123456789", 400),
    "empty length": (POST + b"Content-Length:\r\n\r\n", 400),
    "length in other digits": (POST + "Content-Length: \xb2\r\n\r\n".encode("latin-1") + b"1,2", 400),
    "length too large": (POST + b"Content-Length: 1048577\r\n\r\n", 413),
    "length beyond all": (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
    "two codings": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    "gzip coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
    "unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
    "quoted coding": (POST + b'Transfer-Encoding: "chunked"\r\n\r\n', 501),
    "coding with a control character": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "chunked HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "expectation": (POST + b"Expect: 200-ok\r\nContent-Length: 3\r\n\r\n1,2", 417),
    **{
        f"chunks {chunks!r:.24}": (POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks, status)
        for chunks, status in (
            (b"x\r\n", 400),
            (b"\r\n", 400),
            (b"-1\r\n", 400),
            (b"+1\r\n1\r\n", 400),
            (b"0x1\r\n1\r\n", 400),
            (b" 1\r\n1\r\n", 400),
            (b"1 \r\n1\r\n0\r\n\r\n", 400),
            (b"1_0\r\n", 400),
            (b"1\n1\r\n", 400),
            (b"1\r\n12\r\n", 400),
            (b"1\r\n1\n0\r\n\r\n", 400),
            (b"1\r\n10\r\n\r\n", 400),
            (b"1;a\nb\r\n1\r\n", 400),
            (b"1;a\0\r\n1\r\n", 400),
            (b"1;" + b"a" * 2000, 400),
            (b"f" * 16 + b"\r\n", 413),
            (b"f" * 17 + b"\r\n", 413),
            (b"100001\r\n", 413),
            (b"0\r\nX\r\n\r\n", 400),
            (b"0\r\nX : a\r\n\r\n", 400),
            (b"0\r\n\0\r\n\r\n", 400),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("step", [0, 1, 3])
def test_what_is_not_http_is_refused(name: str, step: int) -> None:
    """With a status of its own and words for the caller, and before the next request is looked at."""
    data, status = BAD[name]
    with pytest.raises(ServingError) as refused:
        taken(data + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", step)
    assert refused.value.status == status
    assert b"\0" not in refused.value.body("id")


def test_a_head_is_limited_while_it_arrives() -> None:
    """Neither an endless line nor endless headers are kept."""
    for endless, status in ((b"GET /" + b"a" * 2**17, 414), (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2**14, 431)):
        for step in (0, 4096):
            with pytest.raises(ServingError) as refused:
                taken(endless, step)
            assert refused.value.status in (status, 431)
    with pytest.raises(ServingError) as refused:
        taken(b"GET /" + b"a" * protocol.MAX_LINE + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert refused.value.status == 414


def test_a_head_within_the_limits_is_taken() -> None:
    """The limits are nginx's: 16 KB a line, 64 KB in all."""
    target = b"/" + b"a" * 16_000
    head = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 16_000 + b"\r\n" + b"C: d\r\n" * 5000 + b"\r\n"
    assert taken(head, 1000) == [("GET", target.decode(), b"")]


def test_a_chunked_body_is_limited_while_it_arrives() -> None:
    """Also when no chunk by itself is too large."""
    chunk = b"1000\r\n" + b"a" * 4096 + b"\r\n"
    with pytest.raises(ServingError) as refused:
        taken(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 257, 8192)
    assert refused.value.status == 413


def test_chunks_of_a_byte_cost_a_byte() -> None:
    """What is kept of a body does not grow with the number of its chunks."""
    data = POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n"
    tracemalloc.start()
    [(_, _, body)] = taken(data, 4096)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body == b"a" * 100_000
    assert peak < 20 * len(body)


def test_a_long_body_waits_in_a_file_while_it_arrives() -> None:
    """Not in memory; whole, it is the same as ever. A short one, or one that comes at once, needs no file."""
    files: list[io.BytesIO] = []

    def spool() -> io.BytesIO:
        files.append(io.BytesIO())
        return files[-1]

    body = random.Random(7).randbytes(3 * protocol.MOST_IN_MEMORY)
    chunks = b"".join(b"%x\r\n%b\r\n" % (50_000, body[start : start + 50_000]) for start in range(0, 3_000_000, 50_000))
    for framed, expected in (
        (b"Content-Length: %d\r\n\r\n" % len(body) + body, body),
        (b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n", body[:3_000_000]),
    ):
        parser = Parser(len(body), spool)
        data = POST + framed
        for start in range(0, len(data), 65_536):
            parser.feed(data[start : start + 65_536])
            request = parser.take()
        assert request is not None
        assert request.body == expected
        assert files[-1].closed
    parser.feed(POST + b"Content-Length: 3\r\n\r\n1,2")
    assert parser.take().body == b"1,2"
    assert len(files) == 2


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Keep-Alive, Close", False),
        ("1.1", "upgrade", True),
        ("1.0", None, False),
        ("1.0", "keep-alive", True),
        ("1.0", "keep-alive, close", False),
    ],
)
def test_a_connection_is_kept_as_the_caller_says(version: str, connection: str | None, kept: bool) -> None:
    """HTTP/1.1 keeps it unless told otherwise, HTTP/1.0 closes it unless told otherwise."""
    parser = Parser(0)
    line = f"Connection: {connection}\r\n" if connection else ""
    parser.feed(f"GET / HTTP/{version}\r\nHost: a\r\n{line}\r\n".encode())
    request = parser.take()
    assert request is not None
    assert request.keep_alive is kept


def test_continue_is_wanted_once_and_only_before_the_body() -> None:
    """Expect: 100-continue. Who sends the body at once needs no answer to it."""
    head = POST + b"Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n"
    parser = Parser(MEGABYTE)
    parser.feed(head)
    assert parser.take() is None
    assert parser.wants_continue()
    assert not parser.wants_continue()
    parser.feed(b"1,2")
    assert parser.take() is not None
    parser.feed(head + b"1")
    assert parser.take() is None
    assert not parser.wants_continue()
    with pytest.raises(ServingError):  # 413, not 100, for a body that will not be taken
        taken(POST + b"Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n")


def test_headers_are_found_by_their_names_in_lower_case() -> None:
    """What came twice is joined; a name with an underscore could pass for another one and is left out."""
    parser = Parser(0)
    parser.feed(b"GET / HTTP/1.1\r\nHOST: a\r\nAccept: a/b\r\nX_Request_Id: 1\r\naccept:\t c/d \r\n\r\n")
    request = parser.take()
    assert request is not None
    assert request.fields == {"host": "a", "accept": "a/b, c/d"}


def test_random_bytes_are_refused_or_wait() -> None:
    """Whatever comes, the parser raises nothing but a ServingError, and in the same way in pieces."""
    random.seed(7)
    alphabet = [b"GET / HTTP/1.1", b"\r\n", b"\n", b"Host: a", b":", b" ", b"\0", b"0", b"5", b"Content-Length: 5",
                b"Transfer-Encoding: chunked", b"abcde", b"\r", b"\t", b"\xff", b"POST /x HTTP/1.0"]  # fmt: skip

    def outcome(data: bytes, step: int) -> object:
        try:
            return taken(data, step)
        except ServingError as exc:
            return exc.status

    for _ in range(3000):
        data = b"".join(random.choices(alphabet, k=random.randint(1, 12)))
        whole, pieces = outcome(data, 0), outcome(data, 1)
        if isinstance(whole, list) and isinstance(pieces, list):
            assert whole == pieces
        else:
            assert isinstance(whole, int) or isinstance(pieces, int)


# ---- the way out -----------------------------------------------------------------------------------------------------


def test_a_reply_has_its_head_in_one_piece() -> None:
    """Status, date and headers; what the version needs to keep or close the connection."""
    date = writing.http_date(1_700_000_000)
    assert date == "Tue, 14 Nov 2023 22:13:20 GMT"
    headers = [("Content-Type", "text/csv"), ("Content-Length", "2")]
    assert writing.head(200, headers, date, "1.1", True) == (
        b"HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\n"
    )
    assert b"\r\nConnection: close\r\n" in writing.head(404, [], date, "1.1", False)
    assert b"\r\nConnection: keep-alive\r\n" in writing.head(200, [], date, "1.0", True)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\0b", "\u20ac"])
def test_a_header_cannot_break_its_line(value: str) -> None:
    """Whatever the model's code says it is called."""
    with pytest.raises(ValueError, match="X-Name"):
        writing.head(200, [("X-Name", value)], "", "1.1", True)


def test_a_piece_of_a_stream_is_a_chunk() -> None:
    """An empty piece would be the end."""
    assert writing.chunk(b"0123456789abcdef") == b"10\r\n0123456789abcdef\r\n"
    assert writing.chunk(b"") == b""
