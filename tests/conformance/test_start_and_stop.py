"""How SageMaker starts a container, and how it ends one."""

import time
from dataclasses import dataclass, field

import pytest

from .conftest import not_offered
from .wire import InParallel, NoAnswer, Reply, head, read_reply, send, wait_until

remedy = pytest.mark.remedy
KILLED = 137
STOP_SECONDS = 30


@dataclass
class Life:
    """What was seen of one server from its start to its end."""

    pinged: set[int | None] = field(default_factory=set)
    first: Reply | None = None
    log: str = ""
    lines_of_pings: int = 0
    code: int | None = None
    seconds_to_end: float = 0.0


@pytest.fixture(scope="session")
def life(target, artifact, payload):
    """One start and one stop, with connections idle at the stop, for all clauses that only look on."""
    seen = Life()
    started = target.serve(model=artifact)
    idle = []
    try:

        def ready():
            seen.pinged.add(started.status_of_ping(2))
            return 200 in seen.pinged or started.exit_code() is not None

        wait_until(ready, 180, 0.1)
        assert 200 in seen.pinged, f"it never became ready: {started.logs()[-200:]}"
        headers = {"Content-Type": payload.content_type}
        seen.first = started.request("POST", "/invocations", payload.body, headers)
        wait_until(lambda: started.logs().strip(), 5)
        seen.log = started.logs()
        for _ in range(20):
            started.get("/ping")
        started.get("/a-marker-for-the-log")
        wait_until(lambda: "/a-marker-for-the-log" in started.logs(), 2)
        seen.lines_of_pings = started.logs().count("/ping") - seen.log.count("/ping")
        for _ in range(5):
            connection = started.connect()
            idle.append(connection)
            send(connection, head("GET", "/ping", {"Connection": "keep-alive"}))
            read_reply(connection)
        began = time.monotonic()
        started.signal("TERM")
        seen.code = started.wait_exit(STOP_SECONDS)
        seen.seconds_to_end = time.monotonic() - began
        yield seen
    finally:
        for connection in idle:
            connection.close()
        started.close()


@remedy("Start faster: load less at import, copy less at start; serverless inference waits no longer.")
def test_ready_within_three_minutes(server):
    """A container answers /ping with 200 within 3 minutes of its start. [serverless-endpoints]"""
    assert server.ready_after is None or server.ready_after < 180


@remedy("Let the entrypoint refuse what it does not know and exit non-zero, so that a typo does not look like success.")
def test_unknown_argument_is_refused(dispatching):
    """The container is started with the argument `train` or `serve`, and nothing else is taken for one of them. [your-algorithms-inference-code]"""
    done = dispatching.run(["no-such-program"], seconds=60)
    assert done.code not in (0, -1), f"exit code {done.code}: {done.output[-200:]}"


@remedy("Print what can be said (`serve`, `train`) and exit non-zero when no argument is given.")
def test_no_argument_ends(dispatching):
    """Without the argument that SageMaker always gives, the container ends by itself instead of guessing. [your-algorithms-inference-code]"""
    done = dispatching.run([], seconds=30)
    assert done.code not in (0, -1), f"exit code {done.code}: {done.output[-200:]}"


@remedy("Take /ping's 200 from a prediction that has worked, not from the start of the process.")
def test_first_200_is_true(life):
    """When /ping says 200 for the first time, /invocations works at once. [your-algorithms-inference-code]"""
    assert life.first.status == 200, f"the first request after the first 200 got {life.first}"


@remedy("Bind to the port only when requests can be answered, or answer /ping with 503 until then.")
def test_before_ready_only_503(life):
    """Until the container can serve, /ping is refused or answered with 5xx, never with anything else. [your-algorithms-inference-code]"""
    assert all(status is None or status == 200 or status >= 500 for status in life.pinged), f"seen: {life.pinged}"


@remedy("Handle SIGTERM in the first process (exec-form entrypoint), close idle connections, end within 30 s.")
def test_sigterm_ends_it(life):
    """SIGTERM ends the container, connections that are idle notwithstanding, within the 30 s after which it is killed. [your-algorithms-inference-code]"""
    assert life.code is not None, "it still runs 30 s after SIGTERM"
    assert life.code != KILLED, "it was killed"


@remedy("Exit with 0 (or 143) after an orderly stop, so that a stop can be told from a crash.")
def test_exit_code_after_sigterm(life):
    """An orderly stop is not a failure: the exit code after SIGTERM is 0, or 143 which names the signal. [your-algorithms-training-signal-success-failure]"""
    assert life.code in (0, 143), f"exit code {life.code}"


@remedy("Log to stdout or stderr, unbuffered: nothing else reaches CloudWatch.")
def test_logs_go_to_the_streams(life):
    """The container logs to stdout and stderr, from where CloudWatch takes it; it has said something by the time it is ready. [inference-pipeline-troubleshoot]"""
    assert life.log.strip(), "not a word on stdout or stderr"


@remedy("Leave /ping out of the access log: it comes every few seconds for the life of the endpoint.")
def test_pings_are_not_logged(life):
    """Health checks, which come every few seconds for as long as the endpoint lives, do not fill the log. [sagemaker-inference-toolkit issue 70]"""
    assert life.lines_of_pings < 10, f"{life.lines_of_pings} lines for 20 pings"


@pytest.mark.slow
@remedy(
    "On SIGTERM stop accepting, answer what has begun, then exit: wait for nginx and gunicorn instead of exiting first."
)
def test_requests_in_flight_are_answered(launch, payload, long_body):
    """Every request that is in flight at SIGTERM is answered within the 30 s that are left. [your-algorithms-inference-code]"""
    started = launch()
    sent = []

    def call():
        with started.connect() as connection:
            send(connection, head("POST", "/invocations", {"Content-Type": payload.content_type}, long_body), long_body)
            sent.append(True)
            return read_reply(connection, "POST")

    calls = InParallel(call, 4)
    wait_until(lambda: len(sent) == 4, 30)
    started.status_of_ping(10)  # one round trip: the server has seen what came before
    started.signal("TERM")
    assert calls.statuses(STOP_SECONDS + 5) == [200] * 4


@remedy("Watch every child: exit non-zero when one dies (or start it again), and never go on without it.")
def test_child_death_is_seen(launch, payload):
    """When one of its processes dies the container ends with a non-zero code or recovers; it does not stay up broken. [your-algorithms-inference-code]"""
    first = launch()
    names = first.children()
    if not names:
        not_offered("it is one process without children")
    for number, (_, name) in enumerate(sorted(names.items())):
        started = first if number == 0 else launch()
        again = [pid for pid, other in sorted(started.children().items()) if other == name]
        pid = again[min(number, len(again) - 1)]
        started.kill(pid)

        def over(started=started, pid=pid):
            if started.exit_code() is not None:
                return True
            if pid in started.children() or started.status_of_ping(2) != 200:
                return False
            reply = started.request("POST", "/invocations", payload.body, {"Content-Type": payload.content_type})
            return reply.status == 200

        def settled(over=over):
            try:
                return over()
            except NoAnswer:
                return False

        assert wait_until(settled, 30, 0.2), f"30 s after {name} was killed it neither ended nor works"
        assert started.exit_code() != 0, f"after {name} was killed it exited with 0"


@remedy("Behave the same whether PID 1 is your program or docker's init.")
def test_runs_under_an_init(image, launch):
    """The container also starts and stops under `docker run --init`. [your-algorithms-batch-code]"""
    started = launch(flags=["--init"])
    started.signal("TERM")
    assert started.wait_exit(STOP_SECONDS) in (0, 143), f"exit code {started.exit_code()}"


@remedy("Reap adopted children in PID 1 (os.waitpid(-1, WNOHANG) on SIGCHLD).")
def test_no_zombies(image, server):
    """The first process of the container collects the children that it inherits. [your-algorithms-inference-code]"""
    orphan = server.sh("sleep 0.1 >/dev/null 2>&1 & echo $!")
    if not orphan:
        not_offered("there is no shell in the image to leave an orphan behind")
    gone = wait_until(lambda: server.sh(f"cat /proc/{orphan.strip()}/stat 2>/dev/null; true") == "", 10)
    assert gone, f"a zombie: {server.sh(f'cat /proc/{orphan.strip()}/stat')}"


@remedy("Keep no state between runs: temporary names per start, and clean up what is left behind.")
def test_restarts(image, launch):
    """A container that was stopped and is started again serves again. [your-algorithms-inference-code]"""
    from .targets import docker, published

    started = launch()
    docker("stop", "-t", "30", started.id)
    docker("start", started.id)
    started.port = published(started, 8080)
    started.wait_ready()
