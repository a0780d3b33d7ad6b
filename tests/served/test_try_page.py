"""GET / and GET /openapi.json: offered to this machine where it is switched on, else a 404 that says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from running import EXPECTED, PAYLOAD, Container, Native, Running
from serving.http import try_page

Serve = Callable[..., Native]
ON = {"MODEL_SERVER_TRY_PAGE": "on", "MODEL_SERVER_WORKERS": "1"}


def get(running: Running, path: str, host: str = "localhost", method: str = "GET") -> httpx.Response:
    return httpx.request(method, f"{running.url}{path}", headers={"Host": host, "X-Request-Id": "0" * 32}, timeout=30)


def check_offered(running: Running) -> None:
    page = get(running, "/")
    assert (page.status_code, page.content) == (200, try_page.PAGE.read_bytes())
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none';")
    described = get(running, "/openapi.json")
    assert (described.status_code, described.headers["content-type"]) == (200, "application/json")
    csv = described.json()["paths"]["/invocations"]["post"]["requestBody"]["content"]["text/csv"]["example"]
    assert len(running.post(csv.encode()).text.splitlines()) == 1
    assert get(running, "/", method="POST").status_code == 405
    for path in ("/", "/openapi.json", "/invocations"):
        assert get(running, path, host="example.com").status_code == 421, path
    assert running.post(PAYLOAD).text == EXPECTED


def check_refused(running: Running, why: str) -> None:
    for path in ("/", "/openapi.json"):
        answer = get(running, path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json"), path
        assert why in answer.json()["error"]["message"]


@pytest.mark.parametrize("options", [{}, {"nginx": False}], ids=["behind nginx", "without nginx"])
def test_it_is_offered_where_it_is_switched_on(nginx: None, serve: Serve, options: dict[str, bool]) -> None:
    """To this machine's names, with the policy and the description."""
    check_offered(serve(**options, **ON).until_ready())


def test_it_is_off_unless_it_is_switched_on(server: Running) -> None:
    """As on SageMaker: a 404 in JSON that says how to get it."""
    check_refused(server, "MODEL_SERVER_TRY_PAGE=on")


def test_it_is_not_offered_on_another_interface(serve: Serve) -> None:
    """Whatever the setting says."""
    check_refused(serve(MODEL_SERVER_HOST="0.0.0.0", nginx=False, **ON).until_ready(), "MODEL_SERVER_HOST=127.0.0.1")


def test_both_classes_of_workers_give_the_same_bytes(serve: Serve) -> None:
    """Past Flask and through it: status, headers and body, also of what is refused."""
    answers = []
    for name in ("loop", "gevent"):
        running = serve(MODEL_SERVER_WORKER_CLASS=name, nginx=False, **ON).until_ready()
        found = [get(running, path) for path in ("/", "/openapi.json", "/openapi.json/")]
        found += [get(running, "/", method="HEAD"), get(running, "/", "example.com"), get(running, "/", method="PUT")]
        ignored = {"date", "server", "connection"}
        answers.append(
            [(r.status_code, r.content, {k: v for k, v in r.headers.items() if k not in ignored}) for r in found]
        )
    assert answers[0] == answers[1]


def test_several_models_are_described_as_they_come_and_go(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """Each loaded model has its address and its schema in /openapi.json."""
    running = serve(SAGEMAKER_MULTI_MODEL="true", MODEL_SERVER_MODELS_DIR=str(tmp_path), **ON).until_ready()
    directory = tmp_path / "a"
    directory.mkdir()
    (directory / "model.pkl").write_bytes((Path(__file__).parents[1] / "assets/model.pkl").read_bytes())

    def invoked() -> list[str]:
        return [path for path in get(running, "/openapi.json").json()["paths"] if path.endswith("/invoke")]

    assert invoked() == []
    wish = json.dumps({"model_name": "a b", "url": str(directory)})
    assert httpx.post(f"{running.url}/models", content=wish, timeout=60).status_code == 200
    assert invoked() == ["/models/a%20b/invoke"]
    assert httpx.delete(f"{running.url}/models/a%20b", timeout=60).status_code == 200
    assert invoked() == []


def test_the_image_offers_it_unless_aws_runs_it(image: str, tmp_path: Path) -> None:
    """In a container of one's own it is there, for this machine's names; with what only AWS sets it is not."""
    options = [word for name, value in ON.items() for word in ("--env", f"{name}={value}")]
    with Container(tmp_path, image, *options) as running:
        check_offered(running.until_ready())
    options += ["--env", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/x"]
    with Container(tmp_path, image, *options) as running:
        check_refused(running.until_ready(), "where AWS runs the container")
