"""What the supervisor makes of files that workers write: of any names and any bytes, without an exception."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from serving.monitoring import exposition, health, shared_files
from serving.monitoring.clocks import AwakeClock

STRANGE = ["9x", "x9", "0", "-1", "9" * 40, "１２", "7\n", "..7", "\udcff1", " 5", "5.partial", "12\x1b[31m"]
NONSENSE = [
    b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'{"": 5}', b'{"": {"no_such_metric": {"a": 1}}}', b"[" * 100_000,
    b'{"": {"model_server_rows_total": {"a": "b"}}}', b'{"": {"model_server_rows_total": []}}', b"9" * 5_000,
    b'{"": {"model_server_rows_total": {"a": %s}}}' % (b"9" * 4_000), b'{"": {"model_server_rows_total": {"a": NaN}}}',
    b'{"\\ud800": {"model_server_rows_total": {"model_server_rows_total{model=\\"\\ud800\\"}": 1}}}',
]  # fmt: skip


class Wall:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("folder", [health.WORKERS, exposition.WORKERS])
def test_strange_names_are_somebody_elses(tmp_path: Path, folder: str) -> None:
    """Names that are not process ids, and things that are not files, are passed by."""
    (tmp_path / folder).mkdir()
    for name in STRANGE:
        (tmp_path / folder / name).write_bytes(b"")
    pid = os.getpid()
    os.mkfifo(tmp_path / folder / str(pid))
    (tmp_path / folder / "1").mkdir()
    (tmp_path / folder / "2").symlink_to("/etc/passwd")
    (tmp_path / folder / "3").symlink_to("3")
    health.Watch(tmp_path, 5, AwakeClock()).publish()
    assert health.reasons(tmp_path) == []
    exposition.Exposition(tmp_path).publish(True)
    assert "sagemaker_endpoint_health" in (tmp_path / exposition.TEXT).read_text()
    assert Path("/etc/passwd").exists()


@pytest.mark.parametrize("content", NONSENSE, ids=lambda content: repr(content[:30]))
def test_strange_counts_are_not_counted(tmp_path: Path, content: bytes) -> None:
    """Whatever a worker writes, the text is there, and the other worker's numbers are in it."""
    exposition.WorkerFile(tmp_path, os.getpid()).write(
        {"": {"model_server_rows_total": {"model_server_rows_total": 7}}}
    )
    (tmp_path / exposition.WORKERS / str(os.getppid())).write_bytes(content)
    exposition.Exposition(tmp_path).publish(True)
    assert "model_server_rows_total 7" in (tmp_path / exposition.TEXT).read_text()


def test_a_symlink_is_never_written_through(tmp_path: Path) -> None:
    """What is written replaces a link; what it points to stays as it was."""
    (tmp_path / "other").write_text("kept")
    (tmp_path / "metrics").symlink_to("other")
    shared_files.write_whole(tmp_path / "metrics", "new \ud800")
    assert (tmp_path / "other").read_text() == "kept"
    assert (tmp_path / "metrics").read_text() == "new \\ud800"


def test_a_worker_counts_while_its_file_changes(tmp_path: Path) -> None:
    """Not by the clock on the wall: a beat from last year is one, and a freeze of the container is not silence."""
    wall = Wall()
    watch = health.Watch(tmp_path, 5, AwakeClock(wall))
    pid = os.getpid()
    health.report(tmp_path, pid, None)

    def beat(at: float) -> bool:
        os.utime(tmp_path / health.WORKERS / str(pid), (at, at))
        return look(0.5)

    def look(seconds: float) -> bool:
        wall.now += seconds
        return watch.publish()

    assert beat(1.0)
    assert beat(2.0)
    assert look(86_400), "frozen for a day: the next look comes before the worker's next beat"
    assert beat(3.0)
    assert all(look(1) for _ in range(4))
    assert not look(1), "five seconds of silence while we are awake"
    assert not (tmp_path / health.READY).exists()
    assert beat(4.0)
    assert health.is_ready(tmp_path)


def test_the_reason_is_told_and_forgotten(tmp_path: Path) -> None:
    """Of a worker that is not ready; `has_been_ready` is asked when it has ended."""
    health.report(tmp_path, os.getpid(), "no memory")
    assert health.reasons(tmp_path) == ["no memory"]
    assert not health.has_been_ready(tmp_path, os.getpid())
    health.report(tmp_path, os.getpid(), None)
    assert health.reasons(tmp_path) == []
    assert health.has_been_ready(tmp_path, os.getpid())


def test_a_full_disk_costs_the_news_alone(tmp_path: Path) -> None:
    """Where nothing can be written, nothing is raised."""
    gone = tmp_path / "gone"
    health.report(gone, 5, None)
    health.beat(gone, 5)
    exposition.Exposition(gone).publish(True)
    assert health.Watch(gone, 5, AwakeClock()).publish() is False
    assert json.dumps(health.living(gone)) == "[]"
