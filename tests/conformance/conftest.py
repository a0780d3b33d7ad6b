"""The suite's options, what it tests, and the table at the end.

    pytest tests/conformance --image IMAGE --payload FILE --content-type TYPE     an image, as SageMaker runs it
    pytest tests/conformance --program DIR …                                      `python DIR/serve`, without Docker
    pytest tests/conformance --url http://127.0.0.1:8080 …                        what needs no start or stop

A clause asks for `server` (one that runs; shared), `launch` (starts more of them) or `image` (needs Docker); those
that the target cannot answer are not collected. A clause that the target does not offer says so by `not_offered`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import report, targets
from .payloads import MEGABYTE, Payload
from .targets import Image, Program, Server
from .wire import Reply

OF_THOSE_WE_START = {"launch", "image", "dispatching", "trained", "artifact", "life", "models"}
"""Fixtures that a server which somebody else has started cannot give."""

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "SageMaker conformance")
    group.addoption("--image", help="Docker image to test")
    group.addoption("--program", help="directory with the programs serve and train (or one file that takes them)")
    group.addoption("--python", default=sys.executable, help="the Python that runs --program (default: this one)")
    group.addoption("--url", help="address of a server that runs")
    group.addoption("--payload", help="file with a body that the model predicts for (default: local-test/payload.csv)")
    group.addoption("--content-type", default="text/csv", help="its Content-Type (default: text/csv)")
    group.addoption("--model", help="model directory to serve from; default: what the target's `train` makes")
    group.addoption("--input", help="directory to mount as /opt/ml/input for `train`")
    group.addoption(
        "--multi-model", help="model directory for the multi-model clauses (default: --model or what `train` makes)"
    )
    group.addoption("--env", action="append", default=[], metavar="NAME=VALUE", help="environment of the target")
    group.addoption("--heavy", action="store_true", help="also the clauses that send 100 MB")
    group.addoption("--report-html", metavar="FILE", help="write the table as one self-contained HTML file")
    group.addoption("--report-md", metavar="FILE", help="write the table as Markdown")
    group.addoption("--report-json", metavar="FILE", help="write the table as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "remedy(text): what to do when this clause fails")
    config.addinivalue_line("markers", "heavy: sends 100 MB or waits long; only with --heavy")
    config.addinivalue_line("markers", "slow: takes seconds on any server")
    if _target(config):
        config.pluginmanager.register(report.Table(config), "conformance-table")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without a target there is nothing to test: `pytest tests` passes by; served/test_conformance.py names targets."""
    return None if _target(config) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    target = _target(config)
    if not target:
        return
    refused = {"--url": OF_THOSE_WE_START, "--program": {"image"}, "--image": set()}[target].copy()
    program = config.getoption("--program")
    if program and not Path(program).is_file():
        refused.add("dispatching")
    kept, dropped = [], []
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            kept.append(item)
            continue
        heavy = item.get_closest_marker("heavy") and not config.getoption("--heavy")
        (dropped if heavy or refused & set(item.fixturenames) else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


def _target(config: pytest.Config) -> str | None:
    return next((name for name in ("--image", "--program", "--url") if config.getoption(name, default=None)), None)


def not_offered(reason: str) -> None:
    """Ends the clause: the target does not have this feature, and says so."""
    pytest.skip(reason)


# -- what is tested ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Image | Program | None:
    environ = dict(pair.split("=", 1) for pair in pytestconfig.getoption("--env"))
    if name := pytestconfig.getoption("--image"):
        if not targets.have_engine():
            pytest.exit("no Docker engine answers: start it, or test without one (--program DIR, --url URL)", 2)
        return Image(name, environ)
    if path := pytestconfig.getoption("--program"):
        return Program(Path(path).resolve(), environ, pytestconfig.getoption("--python"))
    return None


@pytest.fixture(scope="session")
def payload(pytestconfig: pytest.Config) -> Payload:
    path = pytestconfig.getoption("--payload") or REPOSITORY / "local-test/payload.csv"
    return Payload(Path(path).read_bytes(), pytestconfig.getoption("--content-type"))


@pytest.fixture(scope="session")
def training_input(pytestconfig: pytest.Config) -> Path:
    return Path(pytestconfig.getoption("--input") or REPOSITORY / "local-test/test-dir/input")


@pytest.fixture(scope="session")
def trained(
    target: Image | Program, training_input: Path, tmp_path_factory: pytest.TempPathFactory
) -> targets.Finished:
    """`train` has run once, as a training job runs it; `base` is its /opt/ml."""
    base = training_tree(tmp_path_factory.mktemp("trained"), training_input)
    done = target.train(base)
    done.base = base  # type: ignore[attr-defined]
    return done


@pytest.fixture(scope="session")
def artifact(request: pytest.FixtureRequest, target: Image | Program) -> Path | None:
    """The model directory to serve from, or None when the image holds its model itself."""
    if given := request.config.getoption("--model"):
        return Path(given).resolve()
    base = request.getfixturevalue("trained").base
    return base / "model" if any((base / "model").iterdir()) else None


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, target: Image | Program | None) -> Iterator[Server]:
    """One server for all clauses that do it no harm."""
    if target is None:
        yield targets.running(request.config.getoption("--url"))
        return
    running = None
    try:
        running = target.serve(model=request.getfixturevalue("artifact"))
        running.wait_ready()
    except targets.NotStarted:
        request.session.shouldfail = "it does not start: no other clause was tried"
        if running is not None:
            running.close()
        raise
    yield running
    running.close()


@pytest.fixture
def launch(target: Image | Program, artifact: Path | None) -> Iterator[Callable[..., Server]]:
    """Starts a server of the clause's own: launch(env=…, flags=…, model=…, ready=False)."""
    started: list[Server] = []

    def launched(ready: bool = True, **options: object) -> Server:
        one = target.serve(**{"model": artifact, **options})  # type: ignore[arg-type]
        started.append(one)
        return one.wait_ready() if ready else one

    yield launched
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def image(target: Image) -> Image:
    return target


@pytest.fixture(scope="session")
def dispatching(target: Image | Program) -> Image | Program:
    """A target with one entrypoint that is told `serve` or `train`."""
    return target


# -- what clauses share -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def invoke(server: Server, payload: Payload) -> Callable[..., Reply]:
    """POST /invocations on the shared server: invoke(), invoke(body), invoke(Accept="…"), invoke(to=other)."""

    def invoked(
        body: bytes | None = None, to: Server = server, content_type: str | None = payload.content_type, **headers: str
    ) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            named = {"Content-Type": content_type, **named}
        return to.request("POST", "/invocations", payload.body if body is None else body, named)

    return invoked


@pytest.fixture(scope="session")
def answered(invoke: Callable[..., Reply]) -> Reply:
    """The reply to the payload itself. Clauses compare with it; when it is not a 200 they all fail, with its text."""
    reply = invoke()
    assert reply.status == 200, f"the payload itself is answered with {reply}"
    return reply


@pytest.fixture(scope="session")
def long_body(server: Server, payload: Payload, invoke: Callable[..., Reply]) -> bytes:
    """A body that takes about a second to answer, or the largest that is accepted up to 4 MB."""
    size, body = MEGABYTE // 8, payload.body
    while size <= 4 * MEGABYTE:
        larger = payload.of_size(size)
        if larger is None:
            break
        reply = invoke(larger)
        if reply.status != 200:
            break
        body = larger
        if reply.seconds > 0.8:
            break
        size *= 2
    return body


def training_tree(base: Path, training_input: Path | None) -> Path:
    """An /opt/ml as a training job finds it."""
    base.chmod(0o755)
    for name in ("model", "output", "input"):
        (base / name).mkdir()
    if training_input is not None and training_input.is_dir():
        shutil.copytree(training_input, base / "input", dirs_exist_ok=True)
    return base


os.environ.setdefault("NO_PROXY", "*")
