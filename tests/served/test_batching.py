"""The engine seen from outside: health, timeouts, overload and batches of a real server under real callers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from running import PAYLOAD, Native, Running, make_program, runtime_dir, wait_until

Serve = Callable[..., Native]
GOOD = b"5.1,3.4,1.5,0.2\n"


def call_many(running: Running, bodies: list[bytes], **headers: str) -> list[httpx.Response]:
    """All at once, each over a connection of its own."""
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: running.post(body, **headers), bodies))


@pytest.mark.parametrize("first_value", [60, 99], ids=["sleeping", "holding the lock"])
def test_ping_answers_while_every_worker_computes(nginx: None, serve: Serve, tmp_path: Path, first_value: int) -> None:
    """With calls of three seconds in every worker and more waiting, /ping is a 200 within SageMaker's 2 s, always."""
    running = serve(program=make_program(tmp_path, "three_seconds"), MODEL_SERVER_WORKERS="2").until_ready()
    wait_until(lambda: "ready" in [p.name for p in runtime_dir(running).iterdir()])
    body = f"{first_value},3,1,0.2\n".encode()
    with ThreadPoolExecutor(16) as pool:
        callers = [pool.submit(running.post, body) for _ in range(16)]
        while not all(caller.done() for caller in callers):
            answer = httpx.get(f"{running.url}/ping", timeout=2)
            assert answer.status_code == 200, answer.text
            time.sleep(0.05)
    assert Counter(caller.result().status_code for caller in callers) == {200: 16}


def test_a_prediction_that_never_returns_costs_one_worker_and_no_other_request(
    nginx: None, serve: Serve, tmp_path: Path
) -> None:
    """A stuck prediction: its caller gets a 504 in JSON, its neighbours their predictions, the worker is replaced."""
    running = serve(
        program=make_program(tmp_path, "never_returns"), MODEL_SERVER_WORKERS="1", MODEL_SERVER_TIMEOUT="2"
    ).until_ready()
    workers = runtime_dir(running) / "workers"
    [first] = [p.name for p in workers.iterdir()]
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(running.post, b"60,3,1,0.2\n")
        wait_until(lambda: stuck.done(), 10)
    assert stuck.result().status_code == 504
    assert stuck.result().json()["error"]["code"] == "timeout"
    assert "MODEL_SERVER_TIMEOUT" in stuck.result().json()["error"]["message"]
    for answer in call_many(running, [GOOD] * 8):
        assert answer.status_code == 200, answer.text
    wait_until(lambda: [p.name for p in workers.iterdir() if p.name != first], 40)
    wait_until(lambda: running.ping() is not None and running.ping().status_code == 200)
    assert running.post(GOOD).text == "setosa\n"
    assert "a prediction has not returned for 2 s: the worker is replaced" in running.log


def test_overload_is_refused_at_once(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """More than can be answered in time: the surplus gets 503 with Retry-After, the rest predictions, none a 504."""
    running = serve(
        program=make_program(tmp_path, "fixed_pace"), MODEL_SERVER_WORKERS="1", MODEL_SERVER_TIMEOUT="4",
        MODEL_SERVER_BATCH_ROWS="1",
    ).until_ready()  # fmt: skip
    running.post(GOOD)
    answers = call_many(running, [GOOD] * 120)
    codes = Counter(answer.status_code for answer in answers)
    assert set(codes) == {200, 503}, codes
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "overloaded"


def test_each_of_many_callers_gets_its_own(serve: Serve, tmp_path: Path) -> None:
    """Sixteen callers at once behind a slow call: each gets its own prediction or its own error."""
    running = serve(program=make_program(tmp_path, "slow"), MODEL_SERVER_WORKERS="1").until_ready()
    bodies = [GOOD, b"6.3,3.4,5.6,2.4\n", b"5.7,2.8,4.1,1.3\n", b"1,2\n"] * 4
    answers = call_many(running, bodies)
    assert [a.text for a in answers[:3]] == ["setosa\n", "virginica\n", "versicolor\n"]
    assert [a.status_code for a in answers] == [200, 200, 200, 400] * 4


def test_one_bad_request_does_not_fail_its_neighbours(serve: Serve, tmp_path: Path) -> None:
    """In a batch only the guilty request fails."""
    running = serve(program=make_program(tmp_path, "crashes"), MODEL_SERVER_WORKERS="1").until_ready()
    answers = call_many(running, [GOOD, b"-1,1,1,1\n"] * 10)
    assert [a.status_code for a in answers] == [200, 500] * 10
    assert "a flower has no negative length" in answers[1].json()["error"]["message"]
    request_id = answers[1].json()["error"]["request_id"]
    wait_until(lambda: request_id in running.log and "Traceback" in running.log)


def test_a_stream_reaches_the_caller_piece_by_piece(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """A generator is streamed through nginx unbuffered: the first prediction is there before the second is made."""
    gate = tmp_path / "gate"
    program = make_program(tmp_path, "streams")
    running = serve(program=program, GATE=str(gate)).until_ready()
    headers = {"Content-Type": "text/csv"}
    with httpx.stream("POST", f"{running.url}/invocations", content=GOOD * 2, headers=headers, timeout=30) as answer:
        pieces = answer.iter_text()
        assert next(pieces) == "setosa\n"
        gate.touch()
        assert "".join(pieces) == "setosa\n"


def test_another_method_of_the_model_can_be_chosen(serve: Serve) -> None:
    """MODEL_SERVER_PREDICT_METHOD=predict_proba: one column per class, without an edit."""
    running = serve(MODEL_SERVER_PREDICT_METHOD="predict_proba").until_ready()
    [row] = running.post(GOOD).text.splitlines()
    assert abs(sum(map(float, row.split(","))) - 1) < 1e-9


def test_a_method_that_the_model_lacks_is_told(serve: Serve) -> None:
    """A wrong method stops the start with those that there are."""
    running = serve(MODEL_SERVER_PREDICT_METHOD="transform_all")
    assert running.process.wait(30) == 78
    assert "has no such method. It has predict, predict_proba" in running.log


@pytest.mark.parametrize("setting", [{"MODEL_SERVER_FAST_PATHS": "off"}, {"MODEL_SERVER_PRELOAD": "off"}], ids=str)
def test_the_switches_change_nothing_but_the_way(serve: Serve, setting: dict[str, str]) -> None:
    """Without the program and without preload the predictions are the same."""
    running = serve(**setting).until_ready()
    assert running.post(PAYLOAD).text.startswith("setosa\nvirginica\n")
    if "MODEL_SERVER_FAST_PATHS" in setting:
        assert "compiled: " not in running.log
    else:  # proven while the server is answering already
        wait_until(lambda: "compiled: Pipeline (predict" in running.log)
        assert running.post(PAYLOAD).text.startswith("setosa\nvirginica\n")


def test_a_worker_that_dies_is_missed_by_ping(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """/ping answers by the workers that live: when the only one dies, the next must warm up first."""
    running = serve(program=make_program(tmp_path, "dies"), MODEL_SERVER_WORKERS="1").until_ready()
    workers = runtime_dir(running) / "workers"
    before = {p.name for p in workers.iterdir()}
    threading.Thread(target=lambda: running.post(b"-1,1,1,1\n")).start()
    wait_until(lambda: {p.name for p in workers.iterdir()} - before)
    wait_until(lambda: running.ping() is not None and running.ping().status_code == 200)
    assert running.post(GOOD).status_code == 200


@pytest.mark.parametrize(
    ("environ", "status"),
    [({"SAGEMAKER_BATCH": "true"}, 200), ({"MODEL_SERVER_BAD_RECORDS": "mark"}, 200), ({}, 400)],
)
def test_a_transform_job_keeps_its_file(serve: Callable[..., Native], environ: dict[str, str], status: int) -> None:
    """A real server marks in a transform job or when it is told to; else a bad record is a 400 for its request."""
    running = serve(nginx=False, MODEL_SERVER_WORKERS="1", **environ).until_ready()
    lines = PAYLOAD.splitlines(keepends=True)
    answer = running.post(b"".join([*lines[:3], b"5.1,broken\n", *lines[3:]]))
    assert answer.status_code == status
    if status == 200:
        good = running.post().text.splitlines()
        assert answer.text.splitlines() == [*good[:3], "ERROR", *good[3:]]
        assert "1 of 11 records are bad and marked; the first is record 4: Row 4 has 2 values" in running.log


@pytest.mark.parametrize("worker", ["loop", "gevent"])
def test_transformation_may_ask_other_programs(nginx: None, serve: Serve, tmp_path: Path, worker: str) -> None:
    """On the loop and in a thread: it gets what they have said, and the code that they have ended with."""
    running = serve(
        program=make_program(tmp_path, "asks_programs"), MODEL_SERVER_WORKERS="1", MODEL_SERVER_WORKER_CLASS=worker
    ).until_ready()
    for number in (3, 40, 4, 41, 5):
        answers = call_many(running, [f"{number},1,1,1\n".encode()] * 8)
        assert {answer.text for answer in answers} == {f"told {number % 7} popen\n"}, answers[0].text
