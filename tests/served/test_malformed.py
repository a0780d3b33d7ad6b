"""Whatever comes, the answer is JSON and says whose fault it is; through nginx and without."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import probes
import pytest

from running import EXPECTED, Native

PROBES = probes.all_probes()


@pytest.fixture(scope="module", params=[True, False], ids=["behind nginx", "without nginx"])
def running(request: pytest.FixtureRequest, nginx: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    with Native(tmp_path_factory.mktemp("malformed"), nginx=request.param, MODEL_SERVER_WORKERS="1") as started:
        yield started.until_ready()


def test_every_probe_is_answered_in_json(running: Native) -> None:
    """Each of 300 odd requests gets a 4xx, 501 or 505 in JSON (or is taken), never two answers, a page or a 500; after
    all of them a good request is answered, by the same worker."""
    port = int(running.url.rsplit(":", 1)[1])

    def complaints(probe: probes.Probe) -> list[str]:
        return [f"{probe.name}: {text}" for text in probes.complaints(probe, *probes.ask(port, probe))]

    with ThreadPoolExecutor(8) as pool:
        found = [text for texts in pool.map(complaints, PROBES) for text in texts]
    assert not found, "\n".join(found)
    assert running.post().text == EXPECTED
    assert "Traceback" not in running.log
    assert "worker" not in "\n".join(line for line in running.log.splitlines() if line.startswith("ERROR gunicorn"))
    assert not [line for line in running.log.splitlines() if any(ord(c) < 32 for c in line)]


def test_there_are_enough_probes() -> None:
    """As many as the last campaign had, and more."""
    assert len(PROBES) >= 300
