"""The HTTP surface, the same in a container, natively behind nginx, and natively without nginx."""

from __future__ import annotations

import gzip
import io
import json
import pickle
from collections.abc import Callable

import httpx
import numpy as np
import pandas as pd
import pytest

from running import KIT, PAYLOAD, Native, Running
from serving import settings

MODEL = pickle.loads((KIT / "model/model.pkl").read_bytes())
ROWS = pd.read_csv(KIT / "local-test/payload.csv", header=None, names=list(MODEL.feature_names_in_))
EXPECTED = list(MODEL.predict(ROWS))


def error_of(response: httpx.Response) -> dict:
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert len(error["request_id"]) == 32
    assert "Traceback" not in response.text
    return error


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ping_answers_200_with_an_empty_body(server: Running, method: str) -> None:
    """/ping answers 200 with an empty body, to GET and to POST."""
    answer = httpx.request(method, f"{server.url}/ping")
    assert (answer.status_code, answer.content) == (200, b"")


def test_csv_rows_get_the_models_own_predictions(server: Running) -> None:
    """text/csv in, text/csv out: one line per row, what scikit-learn says of the same rows."""
    answer = server.post()
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text == "".join(f"{label}\n" for label in EXPECTED)


@pytest.mark.parametrize("body", [ROWS.values.tolist(), {"instances": ROWS.values.tolist()}])
def test_json_rows_get_the_models_own_predictions(server: Running, body: object) -> None:
    """application/json in, {"predictions": […]} out."""
    answer = server.post(json.dumps(body).encode(), "application/json")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"predictions": EXPECTED}


@pytest.mark.parametrize("content_type", ["text/csv; charset=utf-8", "Text/CSV", "text/csv;charset=UTF-8"])
def test_a_content_type_is_read_as_a_media_type(server: Running, content_type: str) -> None:
    """Case and parameters of a Content-Type do not turn a request away."""
    assert server.post(content_type=content_type).status_code == 200


@pytest.mark.parametrize("body", [PAYLOAD.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + PAYLOAD, PAYLOAD + b"\n\n"])
def test_line_ends_and_byte_order_marks_do_not_matter(server: Running, body: bytes) -> None:
    """CRLF, a BOM and trailing blank lines leave the predictions as they are."""
    assert server.post(body).text.split() == EXPECTED


def test_execution_parameters_are_the_same_everywhere(server: Running) -> None:
    """GET /execution-parameters gives the settings' JSON, byte for byte with nginx and without; POST is a 405."""
    answer = httpx.get(f"{server.url}/execution-parameters")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.text == settings.load({}).execution_parameters
    assert answer.headers["content-length"] == str(len(answer.content))
    refused = httpx.post(f"{server.url}/execution-parameters")
    assert refused.status_code == 405
    assert "GET" in refused.headers["allow"]
    assert error_of(refused)["code"] == "method_not_allowed"


def test_bidirectional_streaming_is_refused_in_words(server: Running) -> None:
    """/invocations-bidirectional-stream is a 404 that says what is not offered."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    answer = httpx.get(f"{server.url}/invocations-bidirectional-stream", headers=headers)
    assert answer.status_code == 404
    assert "not offered" in error_of(answer)["message"]


@pytest.mark.parametrize("session", ["NEW_SESSION", "3f6c"])
def test_a_session_is_neither_kept_nor_promised(server: Running, session: str) -> None:
    """Rows are predicted one like the other: the answer is the usual one, and no header says that a session began."""
    answer = server.post(X_Amzn_SageMaker_Session_Id=session)
    assert answer.status_code == 200
    assert answer.content == server.post().content
    assert not [name for name in answer.headers if "session" in name.lower()]


def test_an_unknown_path_is_a_404_in_json(server: Running) -> None:
    """An unknown path is a 404 that says what there is."""
    answer = httpx.get(f"{server.url}/no-such-path")
    assert answer.status_code == 404
    assert "/invocations" in error_of(answer)["message"]


def test_a_wrong_method_is_a_405_in_json(server: Running) -> None:
    """GET /invocations is a 405 with an Allow header."""
    answer = httpx.get(f"{server.url}/invocations")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    assert error_of(answer)["code"] == "method_not_allowed"
    assert "does not take GET. POST rows to it." in error_of(answer)["message"]
    other = httpx.put(f"{server.url}/execution-parameters", content=b"1")
    assert "It takes GET" in error_of(other)["message"]


def test_an_unknown_content_type_is_a_415_that_lists_the_known(server: Running) -> None:
    """An unknown Content-Type is a 415 that lists what is known."""
    answer = server.post(b"<rows/>", "application/xml")
    assert answer.status_code == 415
    assert "text/csv" in error_of(answer)["message"] + str(error_of(answer).get("expected"))


def test_a_body_over_the_limit_is_a_413_in_json(server: Running) -> None:
    """A body over MODEL_SERVER_MAX_BODY_MB is a 413 that names the limit."""
    answer = server.post(b"1" * (101 * 2**20))
    assert answer.status_code == 413
    assert "100 MB" in error_of(answer)["message"]


def test_a_body_of_25_mb_is_answered(server: Running) -> None:
    """25 MB, SageMaker's limit in real time, pass."""
    line = PAYLOAD.splitlines(keepends=True)[0]
    count = 25 * 10**6 // len(line)
    answer = server.post(line * count)
    assert answer.status_code == 200
    assert answer.text == (EXPECTED[0] + "\n") * count


@pytest.mark.parametrize(
    "environ", [{"MODEL_SERVER_MAX_BODY_MB": "1024"}, {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}]
)
def test_a_large_body_in_chunks_is_kept_in_a_file(
    nginx: None, serve: Callable[..., Native], environ: dict[str, str]
) -> None:
    """150 MB, as asynchronous inference or a job without a limit sends them, pass, and the log warns of nothing."""
    running = serve(MODEL_SERVER_WORKERS="1", **environ).until_ready()
    stream = io.BytesIO()
    np.save(stream, np.tile([5.1, 3.4, 1.5, 0.2], (150 * 2**20 // 32, 1)))
    body = memoryview(stream.getvalue())
    chunks = (bytes(body[start : start + 2**20]) for start in range(0, len(body), 2**20))
    headers = {"Content-Type": "application/x-npy", "Accept": "text/csv"}
    answer = httpx.post(f"{running.url}/invocations", content=chunks, headers=headers, timeout=300)
    assert (answer.status_code, answer.text) == (200, "setosa\n" * (150 * 2**20 // 32))
    assert "warn" not in running.log.lower()


@pytest.mark.parametrize(
    ("body", "content_type", "answer"),
    [(b"\n\n", "text/csv", b""), (b"[]", "application/json", b'{"predictions":[]}')],
)
def test_zero_rows_get_zero_predictions(server: Running, body: bytes, content_type: str, answer: bytes) -> None:
    """A batch client does not lose its file to a record without rows."""
    reply = server.post(body, content_type)
    assert (reply.status_code, reply.content) == (200, answer)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "text/csv"),
        (b"1,2,3\n", "text/csv"),
        (b"1,2,3,4,5\n", "text/csv"),
        (b"a,b,c,d\n", "text/csv"),
        (b"1,2,3,4\n1,2\n", "text/csv"),
        (b"\xff\xfe\x00", "text/csv"),
        (b"{", "application/json"),
        (b'"text"', "application/json"),
        (b"[[1,2,[3],4]]", "application/json"),
        (b"null", "application/json"),
        (b'{"instances": 3}', "application/json"),
    ],
)
def test_a_malformed_body_is_a_400_in_json(server: Running, body: bytes, content_type: str) -> None:
    """What is not rows for this model is a 400 with a message, never a 500 and never HTML."""
    answer = server.post(body, content_type)
    assert answer.status_code == 400, answer.text
    assert error_of(answer)["message"]


SAME = [
    ("POST", "/invocations", PAYLOAD, {"Content-Type": "text/csv"}),
    ("POST", "/invocations", PAYLOAD, {"Content-Type": "text/csv", "Accept": "application/json"}),
    ("POST", "/invocations?a=b", gzip.compress(PAYLOAD), {"Content-Type": "text/csv", "Content-Encoding": "gzip"}),
    ("POST", "/invocations", PAYLOAD, {"Accept": "image/png"}),
    ("POST", "/invocations", b"1,2\n", {"Content-Type": "text/csv", "X-Amzn-SageMaker-Inference-Id": "i"}),
    ("POST", "/invocations", b"<rows/>", {"Content-Type": "application/xml"}),
    ("POST", "/invocations", b"", {"Content-Type": "text/csv"}),
    ("GET", "/ping", None, {}),
    ("POST", "/ping", b"", {}),
    ("HEAD", "/ping", None, {}),
    ("GET", "/invocations", None, {}),
    ("OPTIONS", "/invocations", None, {}),
    ("BREW", "/ping", None, {}),
    ("GET", "/execution-parameters", None, {}),
    ("GET", "/no//such/../path?x", None, {}),
    ("GET", "/invocations-bidirectional-stream", None, {}),
]


def test_both_classes_of_workers_give_the_same_bytes(serve: Callable[..., Native]) -> None:
    """The kit's way past Flask, and gunicorn's gevent worker through it: status, headers and body of any request.

    With a length and in chunks. What belongs to the connection (Date, Server, Connection) may differ.
    """
    options = {"nginx": False, "MODEL_SERVER_WORKERS": "1"}
    servers = [serve(MODEL_SERVER_WORKER_CLASS=name, **options).until_ready() for name in ("loop", "gevent")]
    ignored = {"date", "server", "connection"}
    for method, path, body, headers in SAME:
        for content in (body, iter([body])) if body else (body,):
            answers = []
            for server in servers:
                sent = content if isinstance(content, bytes | None) else iter([body])
                answer = httpx.request(
                    method, server.url + path, content=sent, headers={"X-Request-Id": "0" * 32, **headers}
                )
                kept = {k: v for k, v in answer.headers.items() if k not in ignored}
                answers.append((answer.status_code, answer.reason_phrase.upper(), answer.content, kept))
            assert answers[0] == answers[1], (method, path)
            assert "x-model-server-log" not in answers[0][3]
