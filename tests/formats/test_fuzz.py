"""Whatever bytes arrive: rows, or a 4xx that can be written as JSON. Never another exception."""

import contextlib
import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodies import SIGNATURES, saved
from serving.errors import NotAcceptable, ServingError
from serving.formats.content_types import CONTENT_TYPES, decode, negotiate
from serving.formats.media_types import parse

BOUNDED = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
LIMIT = 200_000


SEEDS = [
    b"a,b\n1,2\n",
    b"1,2\n3,4\n",
    b'1,"x\n',
    b"\xff\xfe1\x00",
    b'[{"a":1,"b":2}]',
    b'{"instances":[[1,2]]}',
    b'{"columns":["a"],"data":[[1]]}',
    b'{"data":{"features":{"keys":[0],"shape":[2],"values":[1]}}}',
    b'[[1,[2]],[null,{"a":NaN}]]',
    b"[1e999,-1E-999,123456789123456789123]",
    b"1,x,x,True,2024-01-01,q,1\n",
    b'{"a":1,"t":"x","c":"x","f":true,"d":"2024-01-01","z":[],"i":0.5}',
    saved(np.save, np.eye(2)),
    saved(np.savez, np.eye(2)),
    saved(np.savez_compressed, np.eye(2)),
    saved(np.save, np.array([(1, 2)], dtype=[("a", "f8"), ("b", "i4")])),
    saved(lambda s, f: f.to_parquet(s), pd.DataFrame({"a": [1.5, None], "b": [1, 2]})),
    saved(lambda s, f: f.to_parquet(s), pd.DataFrame({"a": ["x", None], "b": [[1], {"c": 2}][:1] * 2})),
    bytes.fromhex("0a23d7ce 12000000 0a10 0a0676616c756573 1206 1204 0a02 0000 0000 0000"),
]


def mutated(seed, edits):
    body = bytearray(seed)
    for place, byte, how in edits:
        place %= len(body) + 1
        if how == 0:
            body[place : place + 1] = bytes([byte])
        elif how == 1:
            body[place:place] = bytes([byte]) * (byte % 9)
        else:
            del body[place : place + byte % 17]
    return bytes(body)


edits = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255), st.integers(0, 2)), max_size=6)
bodies = st.one_of(
    st.binary(max_size=80),
    st.builds(mutated, st.sampled_from(SEEDS), edits),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "a",
                        "b",
                        "instances",
                        "data",
                        "features",
                        "values",
                        "columns",
                        "inputs",
                        "dataframe_split",
                        "t",
                        "keys",
                        "shape",
                    ]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.text("0123456789.,-+eE\n\r\"' naNA", max_size=40).map(str.encode),
)
types = st.one_of(
    st.sampled_from([None, *CONTENT_TYPES]),
    st.builds(
        "{}; charset={}; header={}".format,
        st.sampled_from(list(CONTENT_TYPES)),
        st.sampled_from(["utf-8", "utf-16", "latin-1", "x"]),
        st.sampled_from(["present", "absent", "?"]),
    ),
    st.text(max_size=20),
)


def rows_or_refusal(body, content_type, encoding, signature):
    """What was decoded; None if it was refused properly."""
    try:
        decoded = decode(body, content_type, encoding, signature, LIMIT)
        len(decoded.rows)
    except ServingError as exc:
        refusal = exc
    else:
        return decoded
    assert 400 <= refusal.status < 500
    json.loads(refusal.body())
    assert len(refusal.body()) < 6000
    return None


@pytest.mark.parametrize("signature", SIGNATURES, ids=["silent", "texts", "array", "frame", "mixed"])
@BOUNDED
@given(body=bodies, content_type=types, encoding=st.sampled_from([None, None, None, "gzip"]), zipped=st.booleans())
def test_any_bytes(signature, body, content_type, encoding, zipped):
    """Any body of any type is rows or a 4xx."""
    if encoding and zipped:
        body = gzip.compress(body)
    decoded = rows_or_refusal(body, content_type, encoding, signature)
    if decoded is not None:
        assert len(decoded.rows) == decoded.count <= LIMIT
        hash(decoded.batch_key)


@BOUNDED
@given(seed=st.sampled_from(SEEDS), edits=edits, signature=st.sampled_from(SIGNATURES))
def test_damaged_files(seed, edits, signature):
    """A damaged file whose type is found by looking is rows or a 4xx."""
    rows_or_refusal(mutated(seed, edits), None, None, signature)


@BOUNDED
@given(st.text(max_size=60), st.sampled_from(list(CONTENT_TYPES)))
def test_any_accept(accept, media_type):
    """Any Accept is a type or a 406."""
    parse(accept)
    with contextlib.suppress(NotAcceptable):
        assert negotiate(accept, media_type)[0] in CONTENT_TYPES


MUCH = {
    "digits": b"9" * 150_000,
    "exponent": b"1e" + b"9" * 150_000,
    "decimals": b"0." + b"3" * 150_000,
    "minuses": b"-" * 150_000,
    "quotes": b'"' * 150_001,
    "commas": b"," * 150_000,
    "nested lists": b"[" * 150_000,
    "nested objects": b'{"a":' * 30_000,
    "digits in a list": b"[" + b"9" * 150_000 + b"]",
    "a wide row": b"[[" + b"1," * 70_000 + b"1]]",
    "carriage returns": b"\r" * 150_000,
    "short rows": b"1\n" * 70_000,
    "zero bytes": b"\0" * 150_000,
    "large exponents": b"[1e99999, -1e99999]",
    "half a surrogate": b'["\\ud800"]',
    "a byte order mark": b"\xef\xbb\xbf",
    "one and a line break": b"\xef\xbb\xbf\n",
}


@pytest.mark.parametrize("what", MUCH)
@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "application/jsonlines", "text/plain", None])
def test_large_and_odd(what, content_type):
    """Long numbers, deep nesting, endless quotes and commas are served or refused."""
    for signature in SIGNATURES:
        rows_or_refusal(MUCH[what], content_type, None, signature)


@pytest.mark.slow
def test_a_short_fuzz_of_the_decoders_finds_nothing() -> None:
    """Mutations of the corpus are rows or a 4xx, in time and memory that fit; `make fuzz` goes on for longer."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "fuzz_decoders.py"), "--runs", "30000"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "30000 bodies" in done.stdout
