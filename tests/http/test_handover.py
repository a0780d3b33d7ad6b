"""Who waits in a worker in which a call hangs goes to another: what Python marks, and what the C thread does by it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from test_server import POST, Caller, Served

from conftest import lacking
from running import KIT
from serving.batching.messages import GONE, Reply
from serving.http import handover
from serving.http.handover import HANDED_ON, KEPT, NOBODY, OPEN


def test_a_request_may_go_elsewhere_until_it_is_in_a_call() -> None:
    """And a connection without one: whatever comes over it could not be answered here."""
    served = Served()
    caller = Caller(served)
    marks, number = served.server.handover.marks, caller.connection.number
    assert marks[number] == OPEN
    caller.send(POST)
    request = served.asked[0][0]
    assert (request.connection, marks[number]) == (number, OPEN)
    served.loop.keep([request])
    assert marks[number] == KEPT
    served.reply()
    assert b"200 OK" in caller.read()
    assert marks[number] == OPEN


def test_a_request_is_handed_on_once() -> None:
    """One that hangs every worker would else go round."""
    served = Served()
    caller = Caller(served).send(POST.replace(b"\r\n\r\n", b"\r\nX-Model-Server-Handed-On: 1\r\n\r\n"))
    assert served.asked[0][0].connection == 0
    assert served.server.handover.marks[caller.connection.number] == KEPT
    served.loop.keep([served.asked[0][0]])
    assert not served.loop.has_gone(served.asked[0][0])


def test_what_was_handed_on_is_not_answered_twice() -> None:
    """Neither what waits, nor what comes over a connection whose caller has been sent elsewhere."""
    served = Served()
    waits, idle = Caller(served).send(POST), Caller(served)
    for caller in (waits, idle):
        served.server.handover.marks[caller.connection.number] = HANDED_ON
    assert served.loop.has_gone(served.asked[0][0])
    idle.send(POST)
    assert len(served.asked) == 1
    served.reply(Reply(503, b"", code=GONE))
    assert waits.read() == b""
    assert waits.is_closed()
    idle.socket.close()


HELD = """
import os, socket, sys, tempfile, time
from pathlib import Path
from serving.http import handover
from serving.http.handover import *
handover.share(2)
child = os.fork()
if not child:
    other = Handover()
    other.begin(1, -1, Path("/nowhere"))
    for _ in range(100):
        other.beat(is_free=sys.argv[1] == "free")
        time.sleep(0.1)
    os._exit(0)
path = Path(tempfile.mkdtemp()) / "own.sock"
listening = socket.socket(socket.AF_UNIX)
listening.bind(str(path))
listening.listen()
listening.setblocking(False)
own = Handover()
own.begin(0, listening.fileno(), path)
idle, kept, closed = socket.socketpair(), socket.socketpair(), socket.socketpair()
for (mine, _), mark in ((idle, OPEN), (kept, KEPT), (closed, OPEN)):
    own.marks[mine.fileno()] = mark
own.forget(closed[0].fileno())
coming = socket.socket(socket.AF_UNIX)
coming.connect(str(path))
coming.sendall(b"x" * 100_000)
def read(sock, seconds):
    sock.settimeout(seconds)
    try:
        return sock.recv(1000).split(b"\\r\\n")[1:2] + [sock.recv(1)]
    except TimeoutError:
        return None
def beat(times, **how):
    for _ in range(times):
        own.beat(**how)
        time.sleep(0.1)
beat(15, is_free=True)
assert read(idle[1], 0.01) is None and path.exists()
beat(5, is_free=sys.argv[2] != "overdue")
wait = 4 if sys.argv[1] == "free" else 2
print([read(sock, wait) for sock in (idle[1], coming)], [read(sock, 0.01) for sock in (kept[1], closed[1])])
print([own.marks[mine.fileno()] for mine, _ in (idle, kept, closed)], path.exists())
own.beat(is_free=False)
print(path.exists())
own.beat(is_free=True)
print(path.exists())
own.end()
os.kill(child, 9)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["held", "overdue"])
@pytest.mark.parametrize("other", ["free", "busy"])
def test_connections_are_handed_on_when_another_worker_is_free(how: str, other: str) -> None:
    """Those that are open and those on their way in, not those that are kept or closed; the socket is away meanwhile.
    Where no worker is free all stay."""
    if handover._library is None:
        lacking("handover.c is not built: no C compiler")
    done = subprocess.run(
        [sys.executable, "-c", HELD, other, how], capture_output=True, text=True, timeout=60, cwd=KIT / "model"
    )
    if other == "free":
        told = "[b'X-Accel-Redirect: @handed_on', b'']"
        said = f"[{told}, {told}] [None, None]\n[{HANDED_ON}, {KEPT}, {NOBODY}] False\nFalse\nTrue\n"
    else:
        said = f"[None, None] [None, None]\n[{OPEN}, {KEPT}, {NOBODY}] True\nTrue\nTrue\n"
    assert done.stdout == said, done.stdout + done.stderr
