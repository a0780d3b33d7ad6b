"""The engine asks a large body block by block: the answer is the whole's, and others are answered meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_core import ARRAY, FakeLoop

from serving import settings
from serving.batching import parts
from serving.batching.engine import Engine
from serving.batching.messages import Reply, Request
from serving.formats import array_blocks, blocks, json_blocks, streams
from serving.models.loaded import LoadedModel
from serving.models.predictor import takes_context

ROWS = [[i, 2 * i] for i in range(200)]
CSV = "".join(f"{a},{b}\n" for a, b in ROWS).encode()
ANSWER = "".join(f"{float(a)}\n" for a, _ in ROWS).encode()
JSON = json.dumps(ROWS).encode()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (streams, blocks, json_blocks, array_blocks, parts):
        monkeypatch.setattr(module, "BLOCK", 300)


class Calls:
    """The first column, and how many rows each call had."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def __call__(self, model: Any, rows: Any) -> Any:
        self.counts.append(len(rows))
        return np.asarray(rows)[:, 0]


def engine_of(loop: FakeLoop, transformation: Callable[..., Any], **environ: str) -> Engine:
    context = not isinstance(transformation, Calls) and takes_context(transformation)
    model = LoadedModel(None, transformation, ARRAY, Path("model.pkl"), context)
    engine = Engine(model, settings.load(environ))
    engine.not_ready = None
    engine.start(loop, loop.thread(), lambda reason: None)
    return engine


def asked(loop: FakeLoop, engine: Engine, body: bytes, content_type: str = "text/csv", **options: Any) -> list[Reply]:
    replies: list[Reply] = []
    engine.submit(Request(body, content_type, **options), replies.append)
    while loop.calls:
        loop.turn()
    return replies


@pytest.mark.parametrize(
    ("body", "content_type", "answer"),
    [
        (CSV, "text/csv", ANSWER),
        (
            JSON,
            "application/json",
            json.dumps({"predictions": [float(a) for a, _ in ROWS]}, separators=(",", ":")).encode(),
        ),
        (b"\n".join(json.dumps(row).encode() for row in ROWS), "application/jsonlines", ANSWER),
    ],
    ids=["CSV", "JSON", "JSON Lines"],
)
def test_a_large_body_is_answered_in_blocks(body: bytes, content_type: str, answer: bytes) -> None:
    """Each call has some of its rows, in order; the answer is one, and counted once."""
    loop, calls = FakeLoop(), Calls()
    engine = engine_of(loop, calls)
    [reply] = asked(loop, engine, body, content_type)
    assert (reply.status, reply.body, reply.measured) == (200, answer, "rows=200")
    assert sum(calls.counts) == 200
    assert max(calls.counts) < 100


@pytest.mark.parametrize(
    ("transformation", "environ"),
    [
        (lambda model, rows: (x for x in np.asarray(rows)[:, 0]), {}),
        (lambda model, rows, context: np.asarray(rows)[:, 0], {}),
        (lambda model, rows: np.asarray(rows)[:, 0], {"MODEL_SERVER_BATCH_ROWS": "1"}),
        (lambda model, rows: (b"%d" % len(rows), "text/xml"), {}),
    ],
    ids=["stream", "context", "rows that depend on each other", "bytes of its own"],
)
def test_what_must_be_one_call_is_one(transformation: Callable[..., Any], environ: dict[str, str]) -> None:
    """A stream goes out as it is made; a context is one request's; the user's own bytes are one answer."""
    loop = FakeLoop()
    [reply] = asked(loop, engine_of(loop, transformation, **environ), CSV)
    body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
    assert (reply.status, body) == (200, b"200" if reply.content_type == "text/xml" else ANSWER)


def test_others_are_answered_between_blocks() -> None:
    """A request that comes after a large one need not wait for all of it."""
    loop, calls = FakeLoop(), Calls()
    engine = engine_of(loop, calls)
    order: list[str] = []
    engine.submit(Request(CSV * 5, "text/csv"), lambda reply: order.append("large"))
    engine.submit(Request(b"1,2\n", "text/csv"), lambda reply: order.append("small"))
    while loop.calls:
        loop.turn()
    assert order == ["small", "large"]


def test_a_bad_row_is_named_or_marked_in_the_whole() -> None:
    """As it would be without blocks."""
    loop = FakeLoop()
    [reply] = asked(loop, engine_of(loop, Calls()), CSV + b"x,1\n")
    assert isinstance(reply.body, bytes)
    assert (reply.status, json.loads(reply.body)["error"]["row"]) == (400, 201)
    [reply] = asked(loop, engine_of(loop, Calls(), SAGEMAKER_BATCH="true"), CSV + b"x,1\n" + CSV)
    assert reply.body == ANSWER + b"ERROR\n" + ANSWER


def test_all_blocks_together_have_the_time_of_a_request() -> None:
    """A 504 after MODEL_SERVER_TIMEOUT, however short each call is."""
    loop = FakeLoop()

    def slow(model: Any, rows: Any) -> Any:
        loop.time += 20
        return np.asarray(rows)[:, 0]

    [reply] = asked(loop, engine_of(loop, slow), CSV * 3)
    assert reply.status == 504
