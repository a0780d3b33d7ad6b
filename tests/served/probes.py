"""Requests that are not valid, or strange, as bytes; and how the answers are judged. Standard library only.

A probe is refused (4xx, 501 or 505, in JSON), or taken (also 2xx), or, where it is not whole, perhaps not answered.
What must never come: a page, a traceback, a 500, a second answer to one request.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass

REFUSED, TAKEN, UNFINISHED = "refused", "taken", "unfinished"
ROW = b"5.1,3.4,1.5,0.2\n"
GOOD = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 16\r\n\r\n" + ROW
LIMIT_SECONDS = 20


@dataclass(frozen=True)
class Probe:
    name: str
    sent: bytes
    expected: str = REFUSED
    answers: int = 1
    """Most answers that may come."""
    half_close: bool = False
    """The caller ends its side at once: nothing more will come."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def head(*lines: bytes, line: bytes = b"POST /invocations HTTP/1.1") -> bytes:
    return b"\r\n".join((line, b"Host: localhost", *lines)) + b"\r\n\r\n"


def get(target: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return head(line=b" ".join((method, target, version)))


def all_probes() -> list[Probe]:
    groups = (_lines, _targets, _other_protocols, _headers, _lengths, _codings, _chunks, _smuggled, _sizes)
    groups += (_methods, _addresses, _pipelined, _half_closed, _conditions)
    probes = [probe for group in groups for probe in group()]
    assert len({probe.name for probe in probes}) == len(probes), "each has a name of its own"
    return probes


def _lines() -> Iterator[Probe]:
    lines = {
        "a method in lower case": b"post /invocations HTTP/1.1",
        "a method with a digit and a slash": b"PO/ST /invocations HTTP/1.1",
        "a method with a quote": b'PO"ST /invocations HTTP/1.1',
        "a method of control characters": b"\x01\x02 /invocations HTTP/1.1",
        "a method of Latin-1": b"P\xd6ST /invocations HTTP/1.1",
        "no method": b" /invocations HTTP/1.1",
        "two spaces before the version": b"GET /ping  HTTP/1.1 x",
        "a word too many": b"GET /ping more HTTP/1.1",
        "no version but a word": b"GET /ping HELLO",
        "a version in lower case": b"GET /ping http/1.1",
        "a misspelt version": b"GET /ping HTPP/1.1",
        "a version without a point": b"GET /ping HTTP/11",
        "a version of one number": b"GET /ping HTTP/1",
        "a version with letters behind it": b"GET /ping HTTP/1.1x",
        "a version of words": b"GET /ping HTTP/one.one",
        "a negative version": b"GET /ping HTTP/-1.1",
        "a version with a zero before it": b"GET /ping HTTP/01.1",
        "a long version": b"GET /ping HTTP/1.1111111111",
        "HTTP/2.0": b"GET /ping HTTP/2.0",
        "HTTP/3.0": b"GET /ping HTTP/3.0",
        "HTTP/9.9": b"POST /invocations HTTP/9.9",
        "HTTP/0.1": b"GET /ping HTTP/0.1",
    }
    for name, line in lines.items():
        yield Probe(f"line: {name}", head(line=line))
    for name, line in {
        "a tab for a space": b"GET\t/ping\tHTTP/1.1",
        "two spaces before the target": b"GET  /ping HTTP/1.1",
        "a space at its end": b"GET /ping HTTP/1.1 ",
        "a carriage return within": b"GET /pi\rng HTTP/1.1",
        "a NUL within": b"GET /pi\0ng HTTP/1.1",
        "an escape sequence within": b"GET /\x1b[31mping HTTP/1.1",
        "HTTP/1.2": b"GET /ping HTTP/1.2",
    }.items():
        yield Probe(f"line: {name}", head(line=line), TAKEN)
    yield Probe("line: one word", b"GET\r\n\r\n")
    yield Probe("line: HTTP/0.9", b"GET /no-such-path\r\n\r\n", UNFINISHED)
    yield Probe("line: empty lines before it", b"\r\n\r\n" + get(b"/ping"), TAKEN)
    yield Probe("line: ended by line feeds alone", b"GET /ping HTTP/1.1\nHost: localhost\n\n", TAKEN)
    yield Probe("line: ended by carriage returns alone", b"GET /ping HTTP/1.1\rHost: localhost\r\r", UNFINISHED)


def _targets() -> Iterator[Probe]:
    for target in (
        b"ping", b"../ping", b"/../ping", b"/a/../../ping", b"/%2e%2e/ping", b"/%zz", b"/%", b"/%4", b"/%00",
        b"/ping%00", b"/%c0%ae%c0%ae/ping", b"?a=b", b"#top", b"\\ping", b"http:///ping", b"http:/ping", b"//",
        b"ftp://localhost/ping", b"http://a b/ping", b"localhost:80", b"*", b"/pi ng", b"/\x7f", b"/\xff\xfe",
        b"/\xc3\xa9", b"/" + b"../" * 50, b"/./" * 20 + b"nowhere", b"/no-such-path;a=b", b"/<script>", b"/${jndi:ldap://x}",
        b"/%0d%0aSet-Cookie:%20a=b", b"/%1b[31m", b"/.env", b"/.git/config", b"/.errors/500", b"/.errors/starting",
        b"/invocations/", b"//invocations", b"/INVOCATIONS", b"/invocations/../metrics",
    ):  # fmt: skip
        taken = target.endswith((b"metrics", b"/invocations", b"invocations/", b"localhost/ping"))
        yield Probe(f"target: {target[:30]!r}", get(target), TAKEN if taken else REFUSED)


def _other_protocols() -> Iterator[Probe]:
    yield Probe("protocol: HTTP/2 by its preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
    yield Probe("protocol: TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 4 + b"\r\n\r\n", UNFINISHED)
    yield Probe("protocol: SSH", b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    yield Probe("protocol: SMTP", b"EHLO example\r\n\r\n")
    yield Probe("protocol: Redis", b"*1\r\n$4\r\nPING\r\n\r\n")
    yield Probe("protocol: NULs", bytes(64) + b"\r\n\r\n")
    yield Probe("protocol: bytes over 127", bytes(range(128, 256)) + b"\r\n\r\n")
    yield Probe("protocol: an object of JSON", b'{"instances": [[1]]}\r\n\r\n')
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: eA==", b"Sec-WebSocket-Version: 13")
    yield Probe("protocol: WebSocket", head(*upgrade, line=b"GET /invocations-bidirectional-stream HTTP/1.1"))
    yield Probe("protocol: h2c", head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", line=b"GET /x HTTP/1.1"))
    yield Probe("protocol: a proxy's line", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(b"/x"))


def _headers() -> Iterator[Probe]:
    length = b"Content-Length: 16"
    for name, line, expected in (
        ("no colon", b"Nonsense", TAKEN),
        ("a space before the colon", b"X-A : b", TAKEN),
        ("no name", b": b", TAKEN),
        ("a name with a space", b"X A: b", TAKEN),
        ("a name with a bracket", b"X(A): b", TAKEN),
        ("a name of Latin-1", b"X-\xe9: b", TAKEN),
        ("a NUL in a name", b"X-\0: b", TAKEN),
        ("a NUL in a value", b"X-A: b\0c", REFUSED),
        ("a carriage return in a value", b"X-A: b\rc", TAKEN),
        ("an escape in a value", b"X-A: \x1b[31mred", TAKEN),
        ("a value of Latin-1", b"X-A: \xe9\xff", TAKEN),
        ("a second line that begins with a space", b"X-A: b\r\n c", TAKEN),
        ("an underscore", b"Content_Length: 5", TAKEN),
        ("two hosts", b"Host: other", REFUSED),
        ("a cookie of braces", b"Cookie: " + b"{}" * 500, TAKEN),
        ("an id of braces", b'X-Amzn-SageMaker-Inference-Id: {"_aws": 1}', TAKEN),
        ("a strange Connection", b"Connection: close, keep-alive, content-length", TAKEN),
        ("a log line of its own", b"X-Model-Server-Log: error=forged rows=9", TAKEN),
        ("an internal redirect", b"X-Accel-Redirect: /.errors/500", TAKEN),
        ("another method", b"X-HTTP-Method-Override: DELETE", TAKEN),
        ("a strange type", b"Content-Type: \xff/\x80; charset=\x81", TAKEN),
        ("a charset with a slash", b"Content-Type: text/csv; charset=../../x", TAKEN),
        ("a strange Accept", b"Accept: ;;;q=,,, */", TAKEN),
        ("an unknown coding", b"Content-Encoding: zstd, br, gzip", TAKEN),
    ):  # fmt: skip
        yield Probe(f"header: {name}", head(b"Content-Type: text/csv", length, line) + ROW, expected)
    yield Probe("header: no Host", b"GET /no-such-path HTTP/1.1\r\n\r\n")
    for host in (b"", b"a b", b"a/b", b"a\0b", b"[::1", b"a,b", b"\xff", b"a@b", b"a:b:c"):
        line = b"POST /invocations HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 0\r\n\r\n"
        yield Probe(f"header: the Host {host!r}", line)
    for value in (b"100-continue, 100-continue", b"200-ok", b"\x80"):
        yield Probe(f"header: Expect: {value!r}", head(length, b"Expect: " + value) + ROW, TAKEN)


def _lengths() -> Iterator[Probe]:
    for value in (
        b"-1", b"+16", b"0x10", b"1e1", b"16.0", b"16 16", b"sixteen", b"'16'", b"\xb2", b"16;", b"16\x0b", b"1_6",
        b"9" * 18, b"9" * 19, b"9" * 40, b"18446744073709551632", b"16, 17",
    ):  # fmt: skip
        yield Probe(f"length: {value!r}", head(b"Content-Length: " + value) + ROW)
    yield Probe("length: nothing", head(b"Content-Length:") + ROW, answers=2)
    yield Probe("length: 16, 16", head(b"Content-Type: text/csv", b"Content-Length: 16, 16") + ROW, TAKEN)
    for second in (b"16", b"17", b"0"):
        yield Probe(
            f"length: 16 and again {second!r}",
            head(b"Content-Type: text/csv", b"Content-Length: 16", b"Content-Length: " + second) + ROW,
            TAKEN if second == b"16" else REFUSED,
        )
    yield Probe("length: none for rows", head(b"Content-Type: text/csv") + ROW, answers=2)
    yield Probe("length: with zeros before it", head(b"Content-Type: text/csv", b"Content-Length: 0016") + ROW, TAKEN)


def _codings() -> Iterator[Probe]:
    body = b"10\r\n" + ROW + b"\r\n0\r\n\r\n"
    for value in (
        b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"xchunked", b"chunked;a=b",
        b"chunked\x0b", b"\x0bchunked", b"'chunked'", b"chunked,", b",chunked", b"chunk", b"cow", b"",
    ):  # fmt: skip
        yield Probe(
            f"coding: {value!r}", head(b"Content-Type: text/csv", b"Transfer-Encoding: " + value) + body, TAKEN, 2
        )
    coding = b"Transfer-Encoding: chunked"
    yield Probe("coding: in HTTP/1.0", head(coding, line=b"POST /invocations HTTP/1.0") + body)
    yield Probe("coding: twice", head(coding, coding) + body)
    yield Probe("coding: with a length", head(coding, b"Content-Length: 16") + body)
    yield Probe("coding: with a length of 0", head(b"Content-Length: 0", coding) + body)
    yield Probe("coding: in capitals", head(b"Content-Type: text/csv", b"TRANSFER-ENCODING: CHUNKED") + body, TAKEN)


def _chunks() -> Iterator[Probe]:
    for name, body in {
        "a size that is not a number": b"xyz\r\n" + ROW,
        "a negative size": b"-10\r\n" + ROW,
        "a size with 0x": b"0x10\r\n" + ROW,
        "a size with a plus": b"+10\r\n" + ROW,
        "a size with an underscore": b"1_0\r\n" + ROW,
        "a size of sixteen fs": b"f" * 16 + b"\r\n" + ROW,
        "a size of forty digits": b"1" * 40 + b"\r\n" + ROW,
        "no size": b"\r\n" + ROW,
        "a chunk that is longer than its size": b"8\r\n" + ROW + b"\r\n0\r\n\r\n",
        "a chunk without its end": b"10\r\n" + ROW + b"0\r\n\r\n",
        "a size of control characters": b"\x01\x02\r\n" + ROW,
    }.items():
        yield Probe(f"chunks: {name}", head(b"Content-Type: text/csv", b"Transfer-Encoding: chunked") + body)
    for name, body in {
        "a size in zeros": b"0" * 30 + b"10\r\n" + ROW + b"\r\n0\r\n\r\n",
        "a space behind the size": b"10 \r\n" + ROW + b"\r\n0\r\n\r\n",
        "an extension": b"10;a=b\r\n" + ROW + b"\r\n0\r\n\r\n",
        "an extension of 5000 bytes": b"10;" + b"a" * 5000 + b"\r\n" + ROW + b"\r\n0\r\n\r\n",
        "line feeds alone": b"10\n" + ROW + b"\n0\n\n",
        "a trailer": b"10\r\n" + ROW + b"\r\n0\r\nX-A: b\r\n\r\n",
        "a trailer that sets a length": b"10\r\n" + ROW + b"\r\n0\r\nContent-Length: 99\r\n\r\n",
        "a trailer that is not a header": b"10\r\n" + ROW + b"\r\n0\r\nno colon\r\n\r\n",
        "many of one byte": b"".join(b"1\r\n%c\r\n" % byte for byte in ROW * 20) + b"0\r\n\r\n",
    }.items():
        yield Probe(f"chunks: {name}", head(b"Content-Type: text/csv", b"Transfer-Encoding: chunked") + body, TAKEN)


def _smuggled() -> Iterator[Probe]:
    """The body holds a request. It must never be answered as one."""
    hidden = get(b"/smuggled")
    chunked = b"0\r\n\r\n" + hidden
    size = b"%d" % len(chunked)
    for name, lines in {
        "length and coding": (b"Content-Length: " + size, b"Transfer-Encoding: chunked"),
        "coding and length": (b"Transfer-Encoding: chunked", b"Content-Length: " + size),
        "a tab before the coding": (b"Content-Length: " + size, b"Transfer-Encoding:\tchunked"),
        "two lengths": (b"Content-Length: 5", b"Content-Length: " + size),
        "two lengths in one": (b"Content-Length: 5, " + size,),
        "a coding on a line of its own": (b"Content-Length: " + size, b"Transfer-Encoding:\r\n chunked"),
    }.items():
        yield Probe(f"smuggling: {name}", head(*lines) + chunked)
    for name, lines in {
        "a space before the colon": (b"Content-Length: " + size, b"Transfer-Encoding : chunked"),
        "a coding with an underscore": (b"Content-Length: " + size, b"Transfer_Encoding: chunked"),
        "a coding behind a control character": (b"Content-Length: " + size, b"X: a\x01Transfer-Encoding: chunked"),
        "a length behind a line feed": (b"X-A: b\nContent-Length: 5", b"Content-Length: " + size),
    }.items():
        yield Probe(f"smuggling: {name}", head(*lines) + chunked, TAKEN)
    yield Probe(
        "smuggling: the body of a GET",
        get(b"/no-such-path")[:-2] + b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden,
    )
    yield Probe(
        "smuggling: the body of a HEAD",
        get(b"/no-such-path", b"HEAD")[:-2] + b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden,
    )


def _sizes() -> Iterator[Probe]:
    yield Probe("size: a line of 20 KB", get(b"/" + b"a" * 20_000))
    yield Probe("size: a line of 100 KB", get(b"/" + b"a" * 100_000))
    yield Probe("size: a method of 20 KB", get(b"/", b"A" * 20_000))
    yield Probe("size: a query of 20 KB", get(b"/ping?" + b"a" * 20_000))
    yield Probe("size: a header of 20 KB", head(b"X-A: " + b"a" * 20_000))
    yield Probe("size: a name of 20 KB", head(b"X-" + b"a" * 20_000 + b": b"))
    yield Probe("size: headers of 100 KB", head(*[b"X-%d: %s" % (n, b"a" * 1000) for n in range(100)]))
    yield Probe("size: 5000 headers", head(*[b"X-%d: a" % n for n in range(5000)], b"Content-Length: 0"), REFUSED)
    row = head(b"Content-Type: text/csv", b"Content-Length: 16", *[b"X-%d: a" % n for n in range(300)]) + ROW
    yield Probe("size: 300 headers", row, TAKEN)
    row = head(b"Content-Type: text/csv", b"Content-Length: 16", b"X-A: " + b"a" * 12_000) + ROW
    yield Probe("size: a header of 12 KB", row, TAKEN)
    yield Probe("size: a body of 8 GB", head(b"Content-Length: 8589934592"))
    yield Probe("size: a body of an exabyte", head(b"Content-Length: 1152921504606846976"))


def _methods() -> Iterator[Probe]:
    for path in (b"/ping", b"/invocations", b"/execution-parameters", b"/metrics", b"/no-such-path"):
        for method in (b"OPTIONS", b"PUT", b"DELETE", b"PATCH", b"PROPFIND", b"FOO"):
            yield Probe(f"method: {method.decode()} {path.decode()}", get(path, method))
    for method in (b"TRACE", b"CONNECT"):
        yield Probe(f"method: {method.decode()}", get(b"/ping", method))
    yield Probe("method: CONNECT with an authority", get(b"localhost:80", b"CONNECT"))
    yield Probe("method: OPTIONS *", get(b"*", b"OPTIONS"))
    yield Probe("method: GET /invocations", get(b"/invocations"))


def _addresses() -> Iterator[Probe]:
    for target in (
        b"/models//invoke", b"/models/%00/invoke", b"/models/a%0ab", b"/models/%ff", b"/models/..", b"/models/%2e%2e/x",
        b"/models/" + b"a" * 300, b"/models/a/b/c/invoke", b"/models/%ed%a0%80/invoke", b"//models", b"/models/",
    ):  # fmt: skip
        for method in (b"GET", b"POST", b"DELETE"):
            yield Probe(f"address: {method.decode()} {target[:30]!r}", get(target, method))


def _pipelined() -> Iterator[Probe]:
    yield Probe("pipelined: 30 good ones", GOOD * 30, TAKEN, 30)
    yield Probe("pipelined: a good one and a bad one", GOOD + b"BAD\r\n\r\n", TAKEN, 2)
    yield Probe("pipelined: a bad one and a good one", b"BAD\r\n\r\n" + GOOD)
    yield Probe("pipelined: refused rows and good ones", GOOD.replace(ROW, b"a,b,c,d,e,f,g,h\n") + GOOD, TAKEN, 2)
    yield Probe("pipelined: unknown addresses", get(b"/no-such-path") * 10, REFUSED, 10)
    yield Probe("pipelined: a good one and noise", GOOD + bytes(100), TAKEN, 2)


def _half_closed() -> Iterator[Probe]:
    yield Probe("half-closed: a good one", GOOD, TAKEN, half_close=True)
    yield Probe("half-closed: an unknown address", get(b"/no-such-path"), REFUSED, half_close=True)
    for name, sent in {
        "nothing": b"",
        "a part of the line": b"POST /invo",
        "a part of the headers": b"POST /invocations HTTP/1.1\r\nHost: lo",
        "a part of the body": GOOD[:-4],
        "a part of a chunk": head(b"Transfer-Encoding: chunked") + b"10\r\n1,2",
        "no last chunk": head(b"Transfer-Encoding: chunked") + b"10\r\n" + ROW + b"\r\n",
    }.items():
        yield Probe(f"half-closed: {name}", sent, UNFINISHED, half_close=True)


def _conditions() -> Iterator[Probe]:
    for line in (
        b"Range: bytes=0-3", b"Range: bytes=999999999-", b"Range: bytes=-0,-1,x", b"If-Match: x", b"If-None-Match: *",
        b"If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT", b"If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
        b"If-Range: x",
    ):  # fmt: skip
        for path in (b"/metrics", b"/execution-parameters", b"/ping"):
            yield Probe(
                f"condition: {line.decode()} {path.decode()}", head(line, line=b"GET " + path + b" HTTP/1.1"), TAKEN
            )


# ---- sending and judging ---------------------------------------------------------------------------------------------


def ask(port: int, probe: Probe) -> tuple[list[Answer], bytes]:
    """What came back within a few seconds: whole answers, and bytes that are not one."""
    with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as connection:
        try:
            connection.sendall(probe.sent)
            if probe.half_close:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was refused before all was sent; the answer may be there
        return _read(connection, probe)


def _read(connection: socket.socket, probe: Probe) -> tuple[list[Answer], bytes]:
    received = b""
    answers: list[Answer] = []
    bodiless = probe.sent.startswith(b"HEAD ")
    while True:
        while (whole := _whole(received, bodiless)) is not None:
            answer, received = whole
            answers.append(answer)
        # after the last answer that may come, what follows at once would be one too many
        connection.settimeout(0.3 if len(answers) >= probe.answers else 1.5 if answers else LIMIT_SECONDS)
        if probe.expected == UNFINISHED:
            connection.settimeout(1.5)
        try:
            data = connection.recv(65536)
        except (TimeoutError, ConnectionResetError):
            return answers, received
        if not data:
            return answers, received
        received += data


def _whole(data: bytes, bodiless: bool) -> tuple[Answer, bytes] | None:
    """The first answer of the bytes and the rest of them."""
    top, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    parts = first.split(" ")
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
        return None
    if parts[1] == "100":
        return _whole(rest, bodiless)
    length = 0 if bodiless else int(headers.get("content-length", 0))
    return (Answer(int(parts[1]), headers, rest[:length]), rest[length:]) if len(rest) >= length else None


def complaints(probe: Probe, answers: list[Answer], rest: bytes) -> list[str]:
    """What is wrong with the answers, in words; nothing when all is well."""
    found = []
    if rest and not (probe.expected == UNFINISHED and _is_error(rest)):
        found.append(f"bytes that are not an answer: {rest[:80]!r}")
    if not answers and probe.expected != UNFINISHED:
        found.append("no answer")
    if len(answers) > probe.answers:
        found.append(f"{len(answers)} answers to {probe.answers}: {[a.status for a in answers]}")
    for answer in answers:
        refused = 400 <= answer.status < 500 or answer.status in (501, 505)
        if not refused and (probe.expected == REFUSED or answer.status not in (200, 204, 206, 304)):
            found.append(f"the status {answer.status}")
        if refused and not probe.sent.startswith(b"HEAD ") and not _is_error(answer.body):
            found.append(f"{answer.status} without an error in JSON: {answer.body[:80]!r}")
        if refused and answer.headers.get("content-type") != "application/json":
            found.append(f"{answer.status} of type {answer.headers.get('content-type')}")
        if "x-model-server-log" in answer.headers:
            found.append("the header for the log reached the caller")
        if b"<html" in answer.body.lower() or b"Traceback" in answer.body:
            found.append(f"a page or a traceback: {answer.body[:80]!r}")
    return found


def _is_error(body: bytes) -> bool:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(error.get("code") and error.get("message"))
