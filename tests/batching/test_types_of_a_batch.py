"""Requests of different types that arrive at the same time: none changes what another's values are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.batching.answering import answer
from serving.batching.messages import Reply, Request
from serving.models.loaded import LoadedModel
from serving.rows.signature import Column, Signature

SIGNATURES = [
    Signature(),
    Signature("frame", (Column("v"), Column("w"))),
    Signature("frame", (Column("v", "integer"), Column("w", "text"))),
    Signature("array", (Column(), Column())),
]
CELLS = [1, 2, 2**53 + 1, 2**63, 10**20, -1, 0.5, -0.0, True, False, None, "a", "1", "NA", "", [1], {"b": 1}]
POOLS = [CELLS, [1, None, 2**53 + 1], [1, 0.5], [1, 2], ["a", "1", None], [True, False, None], ["1", 1]]


def said(value: Any) -> str:
    return "missing" if value is None or value != value else f"{type(value).__name__}:{value}"


def what_it_got(model: Any, rows: Any) -> list[Any]:
    if isinstance(rows, list):
        return [said(row) for row in rows]
    if isinstance(rows, np.ndarray):
        return [[str(rows.dtype), *map(said, row)] for row in rows.tolist()]
    types = [str(dtype) for dtype in rows.dtypes]
    return [[*types, *map(said, row)] for row in rows.astype(object).to_numpy().tolist()]


def tables(pool: list[Any]) -> st.SearchStrategy[list[list[Any]]]:
    cells = st.sampled_from(pool)
    return st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=3)


def npy(rows: int, dtype: str) -> Request:
    stream = io.BytesIO()
    np.save(stream, np.ones((rows, 2)).astype(dtype))
    return Request(stream.getvalue(), "application/x-npy")


def parquet(column: Any) -> Request:
    stream = io.BytesIO()
    pq.write_table(pa.table({"v": column, "w": ["x"] * len(column)}), stream)
    return Request(stream.getvalue(), "application/x-parquet")


def of_table(rows: list[list[Any]], form: str) -> Request:
    objects = [dict(zip("vw", row, strict=True)) for row in rows]
    document: Any = {
        "lists": rows,
        "flat": rows[0],
        "objects": objects,
        "sparse": [{**objects[0]}, *({"w": row["w"]} for row in objects[1:])],
        "split": {"columns": ["v", "w"], "data": rows},
    }.get(form, rows)
    if form == "lines":
        return Request("\n".join(map(json.dumps, rows)).encode(), "application/jsonlines")
    return Request(json.dumps(document).encode(), "application/json")


FORMS = st.sampled_from(["lists", "flat", "objects", "sparse", "split", "lines"])
REQUESTS = st.one_of(
    st.builds(of_table, st.sampled_from(POOLS).flatmap(tables), FORMS),
    st.builds(npy, st.integers(1, 2), st.sampled_from(["i8", "u8", "f4", "f8", "i1", "?", "U3"])),
    st.sampled_from(
        [
            *([1, 2], [1, None], [2**53 + 1, None], ["a", None], [True, None], [0.5, None]),
            *(pa.array([1.5], pa.float32()), pa.array(["b"]).dictionary_encode(), pa.array([0], pa.timestamp("s"))),
        ]
    ).map(parquet),
)


def content(reply: Reply) -> Any:
    assert isinstance(reply.body, bytes)
    found = json.loads(reply.body)
    return found["predictions"] if reply.status == 200 else found["error"]["message"]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SIGNATURES), st.lists(REQUESTS, min_size=2, max_size=10))
def test_each_request_is_answered_as_if_it_were_alone(signature: Signature, requests: list[Request]) -> None:
    """Texts, integers, floats and truth values, typed by JSON, NumPy or Parquet, in one turn."""
    model = LoadedModel(None, what_it_got, signature, Path("model.pkl"))
    requests = [Request(r.body, r.content_type, accept="application/json") for r in requests]
    alone = [answer(model, [request], 10**6)[0] for request in requests]
    together = answer(model, requests, 10**6)
    assert [reply.status for reply in together] == [reply.status for reply in alone]
    assert [content(reply) for reply in together] == [content(reply) for reply in alone]
    assert all(reply.status in (200, 400) for reply in alone)
