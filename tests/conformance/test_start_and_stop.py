"""How SageMaker starts a container, and how it ends one."""

import time

import pytest

from .conftest import not_offered
from .wire import InParallel, NoAnswer, head, read_reply, send, wait_until

remedy = pytest.mark.remedy
KILLED = 137
STOP_SECONDS = 30


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
def test_first_200_is_true(launch, payload):
    """When /ping says 200 for the first time, /invocations works at once. [your-algorithms-inference-code]"""
    started = launch()
    reply = started.request("POST", "/invocations", payload.body, {"Content-Type": payload.content_type})
    assert reply.status == 200, f"the first request after the first 200 got {reply}"


@remedy("Bind to the port only when requests can be answered, or answer /ping with 503 until then.")
def test_before_ready_only_503(launch):
    """Until the container can serve, /ping is refused or answered with an error of the 5xx kind, never with anything else. [your-algorithms-inference-code]"""
    started = launch(ready=False)
    seen = set()

    def ready():
        seen.add(started.status_of_ping(2))
        return 200 in seen or started.exit_code() is not None

    wait_until(ready, 180, 0.02)
    assert 200 in seen, "it never became ready"
    assert all(status is None or status == 200 or status >= 500 for status in seen), f"seen: {seen}"


@remedy("Handle SIGTERM in the first process of the container (exec-form entrypoint) and end within 30 s.")
def test_sigterm_ends_it(launch):
    """SIGTERM ends the container within the 30 s after which SageMaker kills it. [your-algorithms-inference-code]"""
    started = launch()
    started.signal("TERM")
    code = started.wait_exit(STOP_SECONDS)
    assert code is not None, "it still runs 30 s after SIGTERM"
    assert code != KILLED, "it was killed"


@remedy("Exit with 0 (or 143) after an orderly stop, so that a stop can be told from a crash.")
def test_exit_code_after_sigterm(launch):
    """An orderly stop is no failure: the exit code after SIGTERM is 0, or 143 which names the signal. [your-algorithms-training-signal-success-failure]"""
    started = launch()
    started.signal("TERM")
    assert started.wait_exit(STOP_SECONDS) in (0, 143), f"exit code {started.exit_code()}"


@pytest.mark.slow
@remedy("On SIGTERM stop accepting, answer what has begun, then exit: wait for nginx and gunicorn instead of exiting first.")
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


@remedy("Close connections that are idle when SIGTERM comes; do not wait for their clients.")
def test_idle_connections_do_not_hold_it(launch):
    """Connections that are open and idle do not hold up the stop. [your-algorithms-inference-code]"""
    started = launch()
    idle = []
    for _ in range(5):
        connection = started.connect()
        send(connection, head("GET", "/ping", {"Connection": "keep-alive"}))
        read_reply(connection)
        idle.append(connection)
    started.signal("TERM")
    code = started.wait_exit(STOP_SECONDS)
    for connection in idle:
        connection.close()
    assert code is not None, "it still runs 30 s after SIGTERM"


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


@remedy("Forward nothing blindly: behave the same whether PID 1 is your program or docker's init.")
def test_runs_under_an_init(image, launch):
    """The container also starts and stops under `docker run --init`. [your-algorithms-batch-code]"""
    started = launch(flags=["--init"])
    began = time.monotonic()
    started.signal("TERM")
    assert started.wait_exit(STOP_SECONDS) in (0, 143), f"exit code {started.exit_code()} after {time.monotonic() - began:.0f} s"


@remedy("Reap adopted children in PID 1 (os.waitpid(-1, WNOHANG) on SIGCHLD).")
def test_no_zombies(image, launch):
    """The first process of the container collects the children that it inherits. [your-algorithms-inference-code]"""
    started = launch()
    if started.sh("(sleep 0.1 &) ; true") is None:
        not_offered("there is no shell in the image to leave an orphan behind")

    def zombies():
        stats = started.sh("cat /proc/[0-9]*/stat 2>/dev/null; true") or ""
        return [line for line in stats.splitlines() if line.rpartition(") ")[2].startswith("Z")]

    assert wait_until(lambda: not zombies(), 10), f"zombies: {zombies()}"


@remedy("Keep no state between runs: temporary names per start, and clean up what is left behind.")
def test_restarts(image, launch):
    """A container that was stopped and is started again serves again. [your-algorithms-inference-code]"""
    from .targets import _published, docker

    started = launch()
    docker("stop", "-t", "30", started.id)
    docker("start", started.id)
    started.port = _published(started, 8080)
    started.wait_ready()


@remedy("Take every setting from a default: SageMaker sets none of yours.")
def test_logs_go_to_the_streams(launch, payload):
    """The container logs to stdout and stderr, from where CloudWatch takes it; it has said something by the time it is ready. [inference-pipeline-troubleshoot]"""
    started = launch()
    assert wait_until(lambda: started.logs().strip(), 10), "not a word on stdout or stderr"


@remedy("Leave /ping out of the access log: it comes every few seconds for the life of the endpoint.")
def test_pings_are_not_logged(launch):
    """Health checks, which come every few seconds for as long as the endpoint lives, do not fill the paid log. [sagemaker-inference-toolkit issue 70]"""
    started = launch()
    for _ in range(20):
        started.get("/ping")
    started.get("/a-marker-for-the-log")
    wait_until(lambda: "/a-marker-for-the-log" in started.logs(), 2)
    assert started.logs().count("/ping") < 10
