"""The faults that only a container can have: memory, disk, inodes, processes, a pause. `make faults` runs them, beside
those of test_faults.py; they take minutes."""

from __future__ import annotations

import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import Load
from test_faults import is_sound

from running import PREDICTORS, Container, wait_until

Run = Callable[..., Container]
FAULTY = ("--volume", f"{PREDICTORS}/faulty.py:/opt/program/predictor.py:ro", "--env", "MODEL_SERVER_WORKERS=2")
FILL = "import pathlib\ntry:\n  [pathlib.Path(f'/tmp/full{n}').touch() for n in range(100000)]\nexcept OSError: pass"


@pytest.fixture
def run(tmp_path: Path, image: str) -> Iterator[Run]:
    started: list[Container] = []

    def start(*options: str) -> Container:
        started.append(Container(tmp_path, image, *FAULTY, *options))
        return started[-1].until_ready()

    yield start
    for container in started:
        container.stop()


def port_of(running: Container) -> int:
    return int(running.url.rsplit(":", 1)[1])


def test_memory_that_is_exhausted_costs_one_worker(run: Run) -> None:
    """The kernel ends the worker that takes all of it; the others answer, and another is started."""
    container = run("--memory", "900m", "--memory-swap", "900m")
    with Load(port_of(container)) as load:
        load.until_right(50)
        status, body = load.send(-6)
        assert status in (500, 502), body
        load.until_right(100)
    is_sound(load, "a model that takes all memory (OOM)")
    assert container.process.poll() is None


def test_a_disk_that_is_full_costs_large_bodies(run: Run) -> None:
    """Bodies that would wait in a file are refused in JSON; all others are answered."""
    container = run("--read-only", "--tmpfs", "/tmp:size=6m")
    with Load(port_of(container)) as load:
        load.until_right(50)
        container.execute("sh", "-c", "head -c 20000000 /dev/zero >/tmp/full 2>/dev/null; true")
        load.until_right(100)
        kill_from_outside(container, 1)
        load.until_right(100)
        container.execute("rm", "/tmp/full")
        wait_until(lambda: workers_by_top(container) == 2)
        load.until_right(50)
    is_sound(load, "/tmp is full, and a worker is killed")


@pytest.mark.parametrize("what", ["inodes", "processes"])
def test_a_worker_that_cannot_be_started_is_tried_again(run: Run, what: str) -> None:
    """The others go on meanwhile; when there is room again, all are there."""
    limit = ("--read-only", "--tmpfs", "/tmp:nr_inodes=60") if what == "inodes" else ("--pids-limit", "60")
    container = run(*limit)
    with Load(port_of(container)) as load:
        load.until_right(50)
        if what == "inodes":
            container.execute("python3", "-c", FILL)
        else:
            subprocess.run(
                ["docker", "exec", "-d", container.name, "sh", "-c", "for i in $(seq 80); do sleep 15 & done; wait"],
                check=True,
            )
            time.sleep(1)
        kill_from_outside(container, 1)
        load.run(5)
        load.until_right(50)
        if what == "inodes":
            container.execute("sh", "-c", "rm -f /tmp/full*")
        wait_until(lambda: workers_by_top(container) == 2, 60)
        load.until_right(50)
    is_sound(load, f"no {what} left, and a worker is killed")
    assert container.process.poll() is None


def workers_by_top(container: Container) -> int:
    """Seen from outside: nothing can be started inside."""
    return len(pids_by_top(container)) - 1


def pids_by_top(container: Container) -> list[int]:
    shown = subprocess.run(
        ["docker", "top", container.name, "-eo", "pid,args"], capture_output=True, text=True, check=True
    ).stdout
    return sorted(int(line.split()[0]) for line in shown.splitlines()[1:] if "serving.http.arbiter" in line)


def kill_from_outside(container: Container, place: int) -> None:
    subprocess.run(["kill", "-9", str(pids_by_top(container)[place])], check=True)


def test_a_paused_container_goes_on(run: Run) -> None:
    """docker pause for longer than a timeout: the same workers go on."""
    container = run("--env", "MODEL_SERVER_TIMEOUT=5")
    before = pids_by_top(container)
    with Load(port_of(container), pings=False) as load:
        load.until_right(50)
        subprocess.run(["docker", "pause", container.name], check=True, capture_output=True)
        time.sleep(15)
        subprocess.run(["docker", "unpause", container.name], check=True, capture_output=True)
        load.until_right(100)
    is_sound(load, "docker pause, 15 s, with a timeout of 5 s")
    assert pids_by_top(container) == before


def test_more_idle_connections_than_files_may_be_open(run: Run) -> None:
    """1 500 callers that only connect, where 1 024 files may be open: who asks is answered, and so is /ping."""
    container = run("--ulimit", "nofile=1024:1024")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle = [socket.create_connection(("127.0.0.1", port_of(container)), 5) for _ in range(1500)]
    try:
        with Load(port_of(container)) as load:
            load.until_right(200)
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    is_sound(load, "1 500 idle connections, at most 1 024 open files")
    assert not load.tally.clean
