"""nginx and gunicorn live and die together; requests in flight are answered; /ping tells the truth."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from running import KIT, Native, make_program, wait_until
from serving import settings
from serving.commands import nginx as nginx_conf
from serving.commands import processes

Serve = Callable[..., Native]


def children_of(pid: int) -> dict[str, int]:
    """Command name to pid of the supervisor's two children."""
    shown = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    pairs = [line.split(None, 1) for line in shown.splitlines()]
    return {"nginx" if "nginx" in args else "gunicorn": int(child) for child, args in pairs}


def test_the_rendered_nginx_conf_is_valid(nginx: None, tmp_path: Path) -> None:
    """`nginx -t` accepts the rendered file."""
    config = settings.load({"MODEL_SERVER_MAX_BODY_MB": "7", "SAGEMAKER_BIND_TO_PORT": "9"})
    rendered = tmp_path / "nginx.conf"
    rendered.write_text(nginx_conf.render_nginx_conf((KIT / "model/nginx.conf").read_text(), config, tmp_path))
    tested = subprocess.run(
        ["nginx", "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(rendered)], capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stderr
    assert "client_max_body_size 7m;" in rendered.read_text()


@pytest.mark.parametrize("victim", ["nginx", "gunicorn"])
def test_the_server_dies_with_either_child(nginx: None, serve: Serve, victim: str) -> None:
    """When nginx or gunicorn dies, all end and the exit code is not 0."""
    running = serve().until_ready()
    family = children_of(running.process.pid)
    assert set(family) == {"nginx", "gunicorn"}
    os.kill(family[victim], signal.SIGKILL)
    assert running.process.wait(30) == 128 + signal.SIGKILL
    assert f"{victim} has exited (killed by SIGKILL)" in running.log
    for pid in family.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("nginx_in_front", [True, False])
def test_requests_in_flight_are_answered_after_sigterm(
    nginx: None, serve: Serve, tmp_path: Path, nginx_in_front: bool
) -> None:
    """After SIGTERM every request in flight is answered, and the exit code is 0."""
    running = serve(
        program=make_program(tmp_path, "slow"), nginx=nginx_in_front, MODEL_SERVER_WORKERS="2"
    ).until_ready()
    answers: list[int] = []
    callers = [threading.Thread(target=lambda: answers.append(running.post().status_code)) for _ in range(4)]
    for caller in callers:
        caller.start()
    listening = int(running.url.rsplit(":", 1)[1])
    wait_until(lambda: established(listening) >= len(callers))
    running.terminate()
    for caller in callers:
        caller.join()
    assert answers == [200] * 4
    assert running.process.wait(30) == 0


def established(port: int) -> int:
    """Connections that clients hold to the port, as the kernel counts them."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def test_a_worker_that_dies_is_replaced_and_its_request_gets_json(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """A worker killed by its model costs the request that did it, with a JSON 502; the next is answered."""
    running = serve(program=make_program(tmp_path, "dies"), MODEL_SERVER_WORKERS="1").until_ready()
    fatal = running.post(b"-1,1,1,1\n")
    assert fatal.status_code == 502
    assert fatal.json()["error"]["code"] == "worker_lost"
    wait_until(lambda: running.post(b"5,3,1,0.2\n").status_code == 200)


def test_a_failing_warm_up_is_told_by_ping(serve: Serve, tmp_path: Path) -> None:
    """A model that loads but cannot predict: /ping is a 503 whose JSON names the cause, /invocations as well."""
    running = serve(program=make_program(tmp_path, "always_fails"))
    answer = wait_until(running.ping)
    assert isinstance(answer, httpx.Response)
    wait_until(lambda: "petal" in running.ping().text)
    assert running.ping().status_code == 503
    message = running.post().json()["error"]["message"]
    assert re.search(r"warm-up prediction failed: KeyError: 'petal' \(predictor.py, line \d+\)", message)


def test_a_model_that_cannot_load_ends_the_server_with_the_reason(serve: Serve, tmp_path: Path) -> None:
    """No server without a model: a non-zero exit, and one line that says why."""
    running = serve(program=make_program(tmp_path, "missing_function"))
    assert running.process.wait(30) != 0
    assert "predictor.py has no function `transformation`. Found: transform, load." in running.log
    assert "Traceback" not in running.log


def test_a_wrong_setting_stops_the_start(serve: Serve) -> None:
    """A wrong value stops the start with exit code 2, its name, its value and the form expected."""
    running = serve(MODEL_SERVER_WORKERS="many", MODEL_SERVER_TIMEOUT="0")
    assert running.process.wait(10) == 2
    assert "MODEL_SERVER_WORKERS='many': expected a whole number from 1 to 512" in running.log
    assert "MODEL_SERVER_TIMEOUT='0'" in running.log


def test_the_start_announces_what_was_derived(serve: Serve) -> None:
    """One line at the start: workers, threads, CPUs and their source, timeout, limits, port."""
    running = serve(MODEL_SERVER_WORKERS="1").until_ready()
    assert re.search(r"serve: .*1 worker .*\d+ CPUs? by the .*timeout 60 s.*100 MB.*port \d+", running.log)


def test_nothing_is_left_behind(serve: Serve) -> None:
    """The runtime directory in /tmp is gone after the end."""
    running = serve().until_ready()
    gunicorn = children_of(running.process.pid)["gunicorn"]
    command = Path(f"/proc/{gunicorn}/cmdline").read_text()
    runtime_dir = Path(re.search(r"/tmp/model-server-\w+", command).group())
    assert runtime_dir.is_dir()
    running.stop()
    assert not runtime_dir.exists()


def test_the_supervisor_reaps_orphans(serve: Serve) -> None:
    """Natively the supervisor is not PID 1; that it asks for all exited children is seen on its own."""
    orphan = os.spawnlp(os.P_NOWAIT, "true", "true")
    wait_until(lambda: Path(f"/proc/{orphan}/stat").read_text().split()[2] == "Z")
    processes.reap_orphans(set())
    assert not Path(f"/proc/{orphan}").exists()


@pytest.mark.parametrize("nginx_in_front", [True, False], ids=["behind nginx", "without nginx"])
def test_the_last_line_of_the_start_says_what_is_served(nginx: None, serve: Serve, nginx_in_front: bool) -> None:
    """Model, class, columns with their kinds, how it is answered, and where to ask: once for all workers, and last."""
    running = serve(nginx=nginx_in_front, MODEL_SERVER_WORKERS="2").until_ready()
    wait_until(lambda: "ready: " in running.log)
    last = running.log.splitlines()[-1]
    assert last.startswith(
        "INFO serving: ready: model.pkl, a Pipeline that takes 4 columns: sepal length (cm) (number)"
    )
    assert "compiled: " in last
    assert last.endswith(f"ask by POST {running.url}/invocations")
    assert running.log.count("ready: ") == 1
    for gone in ("Listening at", "unix:", "Booting worker", "\\u"):
        assert gone not in running.log
