"""A socket for each worker: who has which, and that nginx feeds those that answer."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from running import KIT, Native, make_program, runtime_dir, wait_until
from serving import settings
from serving.commands.nginx import render_nginx_conf
from serving.http import own_socket
from serving.http.own_socket import OwnSocket

Serve = Callable[..., Native]
ROW = b"5.1,3.4,1.5,0.2\n"
HEADERS = {"Content-Type": "text/csv"}


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
        return True


def test_each_worker_has_a_place_until_it_ends(tmp_path: Path) -> None:
    """The first free one; who comes when all are taken has none; what a dead worker has left behind is replaced."""
    first, second = OwnSocket(tmp_path, 2), OwnSocket(tmp_path, 2)
    assert answers(own_socket.path(tmp_path, 0))
    assert answers(own_socket.path(tmp_path, 1))
    with pytest.raises(OSError, match="taken"):
        OwnSocket(tmp_path, 2)
    first.close()
    assert not answers(own_socket.path(tmp_path, 0))
    own_socket.path(tmp_path, 0).touch()
    third = OwnSocket(tmp_path, 2)
    assert answers(own_socket.path(tmp_path, 0))
    for one in (second, third):
        one.close()
    assert not list(tmp_path.glob("*.sock"))


@pytest.fixture
def two(nginx: None, serve: Serve, tmp_path: Path) -> Native:
    running = serve(program=make_program(tmp_path, "tells_pid"), MODEL_SERVER_WORKERS="2", MODEL_SERVER_TIMEOUT="5")
    running.until_ready()
    places = [own_socket.path(runtime_dir(running), number) for number in range(2)]
    wait_until(lambda: all(map(answers, places)))
    # nginx leaves a place that it has found closed out until the second is over: both must answer for longer than that
    wait_until(lambda: all(len(who_answers(running)) == 2 for _ in range(40)))
    return running


def who_answers(running: Native, requests: int = 40) -> Counter[str]:
    """The workers that have answered so many requests of eight callers, over kept connections."""

    def call(count: int) -> list[str]:
        with httpx.Client() as client:
            url = f"{running.url}/invocations"
            return [client.post(url, content=ROW, headers=HEADERS, timeout=30).text.strip() for _ in range(count)]

    with ThreadPoolExecutor(8) as pool:
        return Counter(pid for pids in pool.map(call, [requests // 8] * 8) for pid in pids)


@pytest.mark.slow
def test_a_worker_that_comes_later_gets_its_share(two: Native) -> None:
    """One ends, another takes its place: it answers like the first, over connections that were there before."""
    before = set(who_answers(two))
    with httpx.Client() as kept:
        post = lambda row: kept.post(f"{two.url}/invocations", content=row, headers=HEADERS, timeout=30)  # noqa: E731
        assert post(ROW).status_code == 200
        assert post(b"-1,1,1,1\n").status_code == 502
        wait_until(lambda: set(who_answers(two)) - before)

        def shared() -> bool:
            answered = Counter(post(ROW).text.strip() for _ in range(40))
            return len(answered) == 2 and min(answered.values()) >= 10

        wait_until(shared, 5)


@pytest.mark.slow
def test_a_worker_that_hangs_is_not_fed(two: Native) -> None:
    """It keeps what it has got; whoever calls after that is answered by the other one."""
    hung, other = sorted(who_answers(two))
    os.kill(int(hung), signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as pool:
            first = [pool.submit(two.post, ROW) for _ in range(4)]
            wait_until(lambda: sum(call.done() for call in first) >= 2)
            assert {two.post(ROW).text.strip() for _ in range(30)} == {other}
            os.kill(int(hung), signal.SIGCONT)
            assert {call.result().status_code for call in first} == {200}
    finally:
        os.kill(int(hung), signal.SIGCONT)


@pytest.mark.parametrize(
    ("worker_class", "servers"),
    [("loop", ["worker-0.sock", "worker-1.sock", "gunicorn.sock backup"]), ("gevent", ["gunicorn.sock"])],
)
def test_nginx_knows_the_sockets_that_there_are(tmp_path: Path, worker_class: str, servers: list[str]) -> None:
    """One for each worker, and the one of all for when no worker has its own; gunicorn's own workers have but that."""
    config = settings.load({"MODEL_SERVER_WORKERS": "2", "MODEL_SERVER_WORKER_CLASS": worker_class})
    rendered = render_nginx_conf((KIT / "model/nginx.conf").read_text(), config, tmp_path)
    found = re.findall(r"server unix:\S*/([\w-]+\.sock)(?: max_fails=\d)?(?: fail_timeout=0)?( backup)?;", rendered)
    assert ["".join(parts) for parts in found] == servers
