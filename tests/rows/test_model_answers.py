"""What is served is the model's own answer on the rows that pandas reads from the same bytes.

Each draw is an estimator, how it was fitted, and bodies of some content types and forms, which share a call.
HYPOTHESIS_DRAWS says how many.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import warnings
from itertools import islice
from typing import Any

import numpy as np
import pytest
from drawn_arrays import a_parquet, an_array, named_arrays
from drawn_models import Fitted, fitted
from drawn_rows import Body
from drawn_sentences import a_body, fitted_on_others
from drawn_texts import a_csv, a_json
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from serving.batching import in_blocks
from serving.batching.answering import answer
from serving.batching.in_blocks import Refused
from serving.batching.messages import Reply, Request
from serving.formats import array_blocks, blocks, csv_numbers, json_blocks, json_pieces, json_rows, pieces, streams

DRAWS = int(os.environ.get("HYPOTHESIS_DRAWS", "500"))
BOUNDED = settings(max_examples=DRAWS, deadline=None, suppress_health_check=list(HealthCheck))
REFUSED = "refused"
FORMS = [a_csv, a_csv, a_json, a_json, a_parquet, an_array, named_arrays]


def expected(fit: Fitted, body: Body) -> Any:
    """The model's own answer; REFUSED where pandas cannot read the rows, or the model does not take them."""
    try:
        return as_told(getattr(fit.model, fit.method)(body.rows()))
    except Exception as exc:
        note(f"refused: {type(exc).__name__}: {exc}")
        return REFUSED


def as_told(predictions: Any) -> Any:
    """As JSON tells it: what is not finite is null, float32 has few digits."""
    if getattr(predictions, "dtype", None) == np.float32:
        predictions = predictions.astype(str).astype(float)
    rows = predictions.tolist() if hasattr(predictions, "tolist") else predictions
    return json.loads(json.dumps(rows), parse_constant=lambda word: None)


def got(reply: Reply) -> Any:
    assert isinstance(reply.body, bytes)
    return json.loads(reply.body)["predictions"] if reply.status == 200 else REFUSED


def same(ours: Any, theirs: Any) -> bool:
    """Bit for bit, but for the last ones of a matrix product: they depend on how many rows there are."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-12)
    return type(ours) is type(theirs) and bool(ours == theirs)


@pytest.mark.slow
@BOUNDED
@given(st.data(), fitted())
def test_what_is_served_is_the_models_own_answer(data: st.DataObject, fit: Fitted) -> None:
    """For every estimator, way of fitting, content type and form of the body, whatever shares the call."""
    forms = data.draw(st.lists(st.sampled_from(FORMS), min_size=1, max_size=3))
    compare(data, fit, [form(data.draw, fit) for form in forms])


@pytest.mark.slow
@settings(BOUNDED, max_examples=DRAWS // 3)
@given(st.data(), fitted_on_others())
def test_models_of_texts_and_of_objects_get_them_as_they_are(data: st.DataObject, fit: Fitted) -> None:
    """For every content type that can carry them."""
    compare(data, fit, [a_body(data.draw, fit) for _ in range(data.draw(st.integers(1, 3)))])


def compare(data: st.DataObject, fit: Fitted, bodies: list[Body]) -> None:
    """Asks all at once, or each body in small blocks; a body is read in small pieces as well."""
    way = data.draw(st.sampled_from([answer_at_once, answer_at_once, answer_in_pieces, answer_in_blocks]))
    event(way.__name__)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for body, reply in zip(bodies, way(fit, bodies), strict=True):
            note(f"{way.__name__} {body.content_type} {body.bytes[:400]!r} → {reply.status} {reply.body[:400]!r}")
            theirs, ours = expected(fit, body), got(reply)
            event("refused" if theirs is REFUSED else "answered")
            assert reply.status in (200, 400)
            assert same(ours, theirs), f"{ours}\n{theirs}"


def answer_at_once(fit: Fitted, bodies: list[Body]) -> list[Reply]:
    """The requests share calls."""
    requests = [Request(body.bytes, body.content_type, body.encoding, "application/json") for body in bodies]
    return answer(fit.served, requests, 10**8)


def answer_in_pieces(fit: Fitted, bodies: list[Body]) -> list[Reply]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (pieces, json_pieces, json_rows, csv_numbers):
            patch.setattr(module, "PIECE", 24)
        patch.setattr(json_pieces, "LONG", 4)
        patch.setattr(pieces, "BATCH_CELLS", 4)
        return answer_at_once(fit, bodies)


def answer_in_blocks(fit: Fitted, bodies: list[Body]) -> list[Reply]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "ROWS", 2)
        return [in_one(fit, body, patch) for body in bodies]


def in_one(fit: Fitted, body: Body, patch: pytest.MonkeyPatch) -> Reply:
    """The reply to a body that is asked block by block; it is inflated before. A header and a row fit into a block."""
    plain = gzip.decompress(body.bytes) if body.encoding else body.bytes
    ends = (end for end, byte in enumerate(plain) if byte == ord("\n") and plain.count(b'"', 0, end) % 2 == 0)
    size = 30 + max(islice(ends, 2), default=0)
    for module in (streams, blocks, json_blocks, array_blocks):
        patch.setattr(module, "BLOCK", size)
    cut = blocks.cut(io.BytesIO(plain), body.content_type, fit.served.signature, 10**8)
    try:
        answers = in_blocks.answers(
            Request(b"", body.content_type, None, "application/json"),
            cut,
            lambda request, before: answer(fit.served, [request], 10**8)[0],
        )
        return Reply(200, b"".join(part.body for part in answers))
    except Refused as refused:
        return refused.reply
