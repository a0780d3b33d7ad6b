"""What a request's headers say, to transformation, in errors and in the reply; and which Accept holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from running import KIT, PAYLOAD, Native, make_program

Serve = Callable[..., Native]
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
ROW = b"5.1,3.4,1.5,0.2\n"


@pytest.fixture(scope="module", params=["loop", "gevent"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    """Under both classes of workers."""
    directory = tmp_path_factory.mktemp("context")
    program = make_program(directory, "with_context")
    options = {"MODEL_SERVER_WORKERS": "1", "MODEL_SERVER_WORKER_CLASS": request.param}
    with Native(directory, program, nginx=False, **options) as running:
        yield running.until_ready()


@pytest.fixture(scope="module")
def send(told: Native) -> Callable[..., httpx.Response]:
    def sent(body: bytes, **headers: str) -> httpx.Response:
        named = {"Content-Type": "text/csv", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return httpx.post(f"{told.url}/invocations", content=body, headers=named, timeout=60)

    return sent


def test_transformation_is_told_of_the_request(send: Callable[..., httpx.Response]) -> None:
    """A third parameter has the request's id, inference id, custom attributes, Content-Type and Accept."""
    answer = send(
        ROW,
        X_Request_Id="r" * 32,
        X_Amzn_SageMaker_Inference_Id="i-1",
        X_Amzn_SageMaker_Custom_Attributes="tenant=7",
        Accept="application/json",
    )
    assert answer.json() == {
        "request_id": "r" * 32,
        "inference_id": "i-1",
        "custom_attributes": "tenant=7",
        "content_type": "text/csv",
        "accept": "application/json",
    }


def test_what_transformation_sets_is_in_the_reply(send: Callable[..., httpx.Response]) -> None:
    """The reply has the custom attributes that transformation has set, and none when it has set none."""
    assert send(ROW * 2, X_Amzn_SageMaker_Custom_Attributes="mine").headers[ATTRIBUTES] == "rows=2"
    assert ATTRIBUTES not in send(b"0,3,1,0.2\n", X_Amzn_SageMaker_Custom_Attributes="mine").headers


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-1, ["at most 1024 visible ASCII characters", "line\\nbreak"]),
        (-2, ["at most 1024 visible ASCII characters", "1025 characters"]),
        (-3, ["FrozenInstanceError", "custom_attributes"]),
    ],
)
def test_what_cannot_be_sent_is_a_500_that_says_so(
    send: Callable[..., httpx.Response], value: int, words: list[str]
) -> None:
    """A line break, 1025 characters, or an assignment to what came: model_failed, with the reason."""
    answer = send(b"%d,3,1,0.2\n" % value)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "model_failed")
    assert all(word in answer.json()["error"]["message"] for word in words), answer.text
    assert ATTRIBUTES not in answer.headers


def test_requests_with_a_context_share_no_call(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """While one request computes, others come: each is still called with its own rows and attributes."""
    from concurrent.futures import ThreadPoolExecutor

    running = serve(program=make_program(tmp_path, "with_context"), MODEL_SERVER_WORKERS="1").until_ready()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: running.post(ROW * n, X_Amzn_SageMaker_Inference_Id=str(n)), range(1, 40)))
    assert [answer.headers[ATTRIBUTES] for answer in answers] == [f"rows={n}" for n in range(1, 40)]
    assert [answer.json()["inference_id"] for answer in answers] == [str(n) for n in range(1, 40)]


@pytest.mark.parametrize("nginx_in_front", [True, False])
def test_a_stream_sets_attributes_before_its_first_item(
    nginx: None, serve: Serve, tmp_path: Path, nginx_in_front: bool
) -> None:
    """A generator's custom attributes are in the header of the streamed reply."""
    program = make_program(tmp_path, "streams_with_context")
    answer = serve(program=program, nginx=nginx_in_front, MODEL_SERVER_WORKERS="1").until_ready().post()
    assert (answer.status_code, answer.headers[ATTRIBUTES]) == (200, "of 10")
    assert answer.text.count("\n") == 10


def test_without_the_parameter_nothing_is_echoed(nginx: None, serve: Serve) -> None:
    """What the request's attributes say is not in the reply of a model that does not ask for them."""
    answer = serve(MODEL_SERVER_WORKERS="1").until_ready().post(X_Amzn_SageMaker_Custom_Attributes="mine")
    assert ATTRIBUTES not in answer.headers
    assert "mine" not in str(answer.headers)


# ---- ids and Accept --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nginx_in_front", [True, False])
def test_errors_carry_both_ids(nginx: None, serve: Serve, tmp_path: Path, nginx_in_front: bool) -> None:
    """An error's body has the inference id if one was sent; a failure's log line has both ids."""
    program = make_program(tmp_path, "crashes")
    running = serve(program=program, nginx=nginx_in_front, MODEL_SERVER_WORKERS="1").until_ready()
    wrong = running.post(b"1,2\n", X_Amzn_SageMaker_Inference_Id="order-7").json()["error"]
    assert wrong["inference_id"] == "order-7"
    assert "inference_id" not in running.post(b"1,2\n").json()["error"]
    assert "inference_id" not in running.post(b"1,2\n", X_Amzn_SageMaker_Inference_Id="").json()["error"]
    failed = running.post(CRASHING, X_Amzn_SageMaker_Inference_Id="order-8").json()["error"]
    assert (failed["code"], failed["inference_id"]) == ("model_failed", "order-8")
    assert f"request {failed['request_id']} (inference id 'order-8'): transformation failed" in running.log


CRASHING = b"-1,3,1,0.2\n"


@pytest.mark.parametrize("default", ["", "application/json"])
def test_the_accept_that_holds(nginx: None, serve: Serve, default: str) -> None:
    """Accept, else X-Amzn-SageMaker-Accept; neither, or */*: SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT, else in kind."""
    running = serve(MODEL_SERVER_WORKERS="1", SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=default).until_ready()

    def type_of(**headers: str) -> str:
        request = httpx.Request("POST", f"{running.url}/invocations", content=PAYLOAD)
        request.headers.update({"Content-Type": "text/csv", **{k.replace("_", "-"): v for k, v in headers.items()}})
        with httpx.Client(timeout=60) as client:
            return client.send(request).headers["content-type"].partition(";")[0]

    usual = default or "text/csv"
    assert type_of() == usual
    assert type_of(Accept="*/*") == usual
    assert type_of(Accept="text/csv") == "text/csv"
    assert type_of(X_Amzn_SageMaker_Accept="application/jsonlines") == "application/jsonlines"
    assert type_of(X_Amzn_SageMaker_Accept="application/jsonlines", Accept="text/csv") == "text/csv"


def test_check_and_train_predict_with_a_context(tmp_path: Path) -> None:
    """The warm-up prediction of `check` and `train` has a context too, of nobody's request."""
    import subprocess
    import sys

    program = make_program(tmp_path, "streams_with_context")
    environ = {"SAGEMAKER_BASE_DIR": str(tmp_path / "opt-ml"), "PATH": "/usr/bin:/bin"}
    for command in ([sys.executable, "-m", "serving", "check"], [sys.executable, str(program / "train")]):
        done = subprocess.run(command, cwd=program, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (KIT / "model/model.pkl").read_bytes() == (tmp_path / "opt-ml/model/model.pkl").read_bytes()
