"""Inference pipelines: containers in a row on one instance, each on its own port and on no other."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from running import Native, Running, make_program

Serve = Callable[..., Native]
X, Y = load_iris(return_X_y=True)
LABELS = np.array(["setosa", "versicolor", "virginica"])[Y]


def listening(pid: int) -> set[int]:
    """The TCP ports that a process and its descendants listen on."""
    family, todo = set(), [pid]
    while todo:
        family.add(one := todo.pop())
        for task in Path(f"/proc/{one}/task").iterdir():
            todo += [int(child) for child in (task / "children").read_text().split()]
    inodes = set()
    for one in family:
        for link in Path(f"/proc/{one}/fd").iterdir():
            try:
                inodes.add(str(link.readlink()))
            except FileNotFoundError:
                continue
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}


@pytest.mark.parametrize("with_nginx", [True, False])
def test_no_other_port_is_bound(nginx: None, serve: Serve, with_nginx: bool) -> None:
    """SAGEMAKER_BIND_TO_PORT is the only TCP port that listens: SAGEMAKER_SAFE_PORT_RANGE is left to others."""
    running = serve(nginx=with_nginx, SAGEMAKER_SAFE_PORT_RANGE="23000-23999").until_ready()
    assert listening(running.process.pid) == {int(running.url.rpartition(":")[2])}


@pytest.fixture(scope="module")
def pipeline(nginx: None, tmp_path_factory: pytest.TempPathFactory) -> object:
    """An imputer, a scaler and a classifier, each in a server of its own."""
    imputer = SimpleImputer().fit(X)
    scaler = StandardScaler().fit(X)
    steps = [imputer, scaler, LogisticRegression(max_iter=500).fit(scaler.transform(X), LABELS)]
    servers = []
    try:
        for place, model in enumerate(steps):
            directory = tmp_path_factory.mktemp(f"container-{place}")
            method = {"MODEL_SERVER_PREDICT_METHOD": "transform"} if place < 2 else {}
            program = make_program(directory, model=pickle.dumps(model))
            servers.append(Native(directory, program=program, MODEL_SERVER_WORKERS="1", **method))
        yield steps, [server.until_ready() for server in servers]
    finally:
        for server in servers:
            server.stop()


def sent_through(servers: list[Running], body: bytes, content_type: str, accept: str | None) -> httpx.Response:
    """As the platform does it: each answer's body and Content-Type are the next request's."""
    for server in servers:
        answer = server.post(body, content_type, **({"Accept": accept} if accept and server is not servers[-1] else {}))
        assert answer.status_code == 200, answer.text
        body, content_type = answer.content, answer.headers["content-type"]
    return answer


@pytest.mark.parametrize("between", [None, "application/jsonlines", "application/json", "application/x-npy"])
def test_the_answer_of_one_is_the_request_of_the_next(pipeline: tuple, between: str | None) -> None:
    """Three servers in a row predict what the three steps predict in one process, in every type between them."""
    (imputer, scaler, model), servers = pipeline
    rows = X[::7].copy()
    rows[3, 2] = np.nan
    expected = model.predict(scaler.transform(imputer.transform(rows)))
    body = pd.DataFrame(rows).to_csv(header=False, index=False).encode()
    assert len({server.url for server in servers}) == 3
    answer = sent_through(servers, body, "text/csv", between)
    kind = answer.headers["content-type"]
    labels = answer.json()["predictions"] if kind == "application/json" else answer.text.replace('"', "").splitlines()
    assert labels == list(expected)
