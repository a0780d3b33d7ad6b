"""Our readers against pandas: the same table, the same bits, whichever way a body takes."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodies import encode
from serving.errors import BadRequest
from serving.formats import csv_numbers, csv_rows
from serving.formats.content_types import decode
from serving.rows.signature import Column, Signature

BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = {"number": "float64", "integer": "int64", "text": "str"}

spellings = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**53), 2**53).map(str),
    st.integers(0, 999).map("{:05d}".format),
    st.sampled_from(
        ["1.", ".5", "+1", "-0", "0", "-0.0", "1e5", "1E+5", "1e-7", "+.5e-3", "1e400", "-1e400", "inf", "-Infinity"]
    ),
    st.sampled_from(
        ["9007199254740993", "18446744073709551616", "123456789012345678901234567890", "0.1", "1e-320", "5e-324"]
    ),
    st.sampled_from(["", "NA", "nan", "NaN", "null", "None", "N/A", "-nan", '""', '"1.5"', " 1", "2 "]),
)
words = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["007", "1", "1.0", "True", "NA", "", "null", " x ", 'q"q', "a,b", "x\ny", "2024-05-31", "é"]),
)


def same(ours, theirs):
    """Equal bit for bit, NaN and the sign of zero included."""
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    return (
        ours.shape == theirs.shape
        and np.array_equal(ours, theirs, equal_nan=True)
        and np.array_equal(np.signbit(ours[~np.isnan(ours)]), np.signbit(theirs[~np.isnan(theirs)]))
    )


def read(body, signature, content_type="text/csv"):
    return decode(body, content_type, None, signature, 10**8).rows


def signatures(width):
    names = [f"x{i}" for i in range(width)]
    return Signature("array", (Column(kind="number"),) * width), Signature(
        "frame", tuple(Column(n, "number") for n in names)
    )


def exact(cell):
    """pandas' value of one cell, correctly rounded: read_csv itself may be one unit in the last place off."""
    frame = pd.read_csv(io.StringIO(f"x\n{cell or 'NA'}\n"), dtype=str, keep_default_na=True)
    text = frame["x"][0] if len(frame) else None
    return np.nan if text is None or text != text else float(text)


@BOUNDED
@given(
    st.integers(1, 5).flatmap(lambda w: st.lists(st.lists(spellings, min_size=w, max_size=w), min_size=1, max_size=6)),
    st.sampled_from(["\n", "\r\n"]),
)
def test_numbers(table, newline):
    """Every spelling of a number, or of none, is read as pandas reads it into float64."""
    body = (newline.join(",".join(row) for row in table) + newline).encode()
    table = [row for row in table if row != [""]]  # a blank line
    expected = [[exact(cell) for cell in row] for row in table]
    for signature in signatures(len(table[0]) if table else 1):
        got = read(body, signature)
        assert same(got, np.array(expected).reshape(len(table), -1 if table else 1))
        theirs = pd.read_csv(io.BytesIO(body), header=None, dtype=np.float64) if table else got
        assert np.allclose(np.asarray(got), theirs, rtol=3e-16, atol=1e-300, equal_nan=True)


@BOUNDED
@given(st.lists(st.lists(spellings, min_size=3, max_size=3), min_size=1, max_size=5), st.booleans())
def test_short_cuts(table, quoted):
    """Native code, what stands in for it and the reader of cells agree, or the short cut declines."""
    body = ("\n".join(",".join(row) for row in table) + "\n").encode()
    slow = csv_rows.cell_by_cell(body, signatures(3)[0], None)
    for way in (csv_numbers.numeric_block, csv_numbers.by_line):
        got = way(body.strip(b"\n"))
        assert got is None or same(got, slow)


@pytest.mark.parametrize(
    "bad", ["x", "1_0", "0x1", "1e", "1,2", "TRUE", "'1'", "(1)", "1%", "1 2", "--1", "\x00", "1d5", "infin", "++1"]
)
@pytest.mark.parametrize("many", [0, 30_000])
def test_bulk_takes_nothing_else(bad, many):
    """What the reader of cells refuses, no short cut takes, however large the file."""
    body = (f"1.5,2.5\n{bad},2\n" + "1.5,2.5\n" * many).encode()
    results = []
    for way in (
        lambda: csv_rows.cell_by_cell(body, signatures(2)[0], None),
        lambda: read(body, signatures(2)[0]),
    ):
        try:
            results.append(way().tolist())
        except BadRequest as exc:
            results.append(exc.details)
    assert results[0] == results[1]


@BOUNDED
@given(
    st.lists(
        st.tuples(words, st.floats(allow_infinity=False), st.integers(-(2**63), 2**63 - 1), words),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["plain", "header", "shuffled"]),
)
def test_mixed_tables(table, layout):
    """Texts, floats and integers written by DataFrame.to_csv are what read_csv with the model's dtypes gives."""
    frame = pd.DataFrame(table, columns=["t", "x", "i", "u"])
    signature = Signature(
        "frame", (Column("t", "text"), Column("x", "number"), Column("i", "integer"), Column("u", "text"))
    )
    written = frame[["u", "i", "x", "t"]] if layout == "shuffled" else frame
    body = written.to_csv(index=False, header=layout != "plain").encode()
    got = read(body, signature, f"text/csv; header={'absent' if layout == 'plain' else 'present'}")
    names = None if layout != "plain" else list(written.columns)
    dtypes = {"x": "float64", "i": "int64", "t": "str", "u": "str"}
    theirs = pd.read_csv(io.BytesIO(body), names=names, dtype=dtypes)[["t", "x", "i", "u"]]
    pd.testing.assert_frame_equal(got[["t", "i", "u"]], theirs[["t", "i", "u"]], check_index_type=False)
    assert same(got["x"], frame["x"])


@BOUNDED
@given(
    st.lists(st.tuples(words, spellings, words, spellings), min_size=1, max_size=6),
    st.sampled_from([None, ["t", "x", "u", "y"], ["y", "u", "x", "t"]]),
    st.booleans(),
)
def test_bulk_frames(table, names, quoted):
    """pandas' bulk parser and the reader of cells agree on texts and numbers, or the bulk parser declines."""
    kinds = {"t": "text", "x": "number", "u": "text", "y": "number"}
    signature = Signature("frame", tuple(Column(name, kind) for name, kind in kinds.items()))
    if names is not None:
        table = [[dict(zip("txuy", row, strict=True))[name] for name in names] for row in table]
    writer = (lambda cell: f'"{cell}"') if quoted else str
    body = "".join(",".join(map(writer, row)) + "\n" for row in table).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_numbers, "BULK_BYTES", 0)
        fast = csv_numbers.bulk_frame(body, names, signature)
    if fast is not None:
        text = (",".join(names) + "\n" if names else "") + body.decode()
        slow = csv_rows.cell_by_cell(text.encode(), signature, names).frame()
        pd.testing.assert_frame_equal(fast, slow, check_exact=True)


@BOUNDED
@given(
    st.lists(st.tuples(words, st.floats(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=5),
    st.sampled_from(["records", "split", "lines"]),
)
def test_json(table, orient):
    """JSON in every orientation gives back the values that were sent."""
    names = ["t", "x", "i"]
    signature = Signature("frame", (Column("t", "text"), Column("x", "number"), Column("i", "integer")))
    records = [dict(zip(names, row, strict=True)) for row in table]
    if orient == "lines":
        body, content_type = "\n".join(map(json.dumps, records)), "application/jsonlines"
    else:
        body = json.dumps(records if orient == "records" else {"columns": names, "data": table})
        content_type = "application/json"
    try:
        got = read(body.encode(), signature, content_type)
    except BadRequest:
        assert orient == "lines"  # NaN inside JSON Lines is read line by line
        raise
    assert got["t"].tolist() == [row[0] for row in table]
    assert same(got["x"], [row[1] for row in table])
    assert got["i"].tolist() == [row[2] for row in table]


@BOUNDED
@given(
    st.lists(st.lists(st.floats(), min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from(["<f8", ">f8", "<f4", "F"]),
)
def test_arrays(table, form):
    """npy and Parquet give back the bits that were sent."""
    array = np.array(table)
    array = np.asfortranarray(array) if form == "F" else array.astype(form, copy=False)
    stream = io.BytesIO()
    np.save(stream, array)
    array_signature, frame_signature = signatures(3)
    assert same(read(stream.getvalue(), array_signature, "application/x-npy"), array)
    parquet = io.BytesIO()
    frame = pd.DataFrame(array.astype(array.dtype.newbyteorder("=")), columns=["x0", "x1", "x2"])
    frame.to_parquet(parquet)
    assert same(read(parquet.getvalue(), frame_signature, "application/x-parquet"), array)


@BOUNDED
@given(st.lists(st.floats(), min_size=1, max_size=6), st.sampled_from(["f8", "f4"]), st.booleans())
def test_answers(values, dtype, two_columns):
    """Predictions in CSV and npy read back bit for bit; in JSON all but NaN and infinities do."""
    with np.errstate(over="ignore"):
        array = np.array(values).astype(dtype)
    if two_columns:
        array = np.column_stack([array, array])
    text = encode(array, len(array), "text/csv", "").body
    assert same(
        pd.read_csv(io.BytesIO(text), header=None, dtype=str).map(float).astype(dtype), np.atleast_2d(array.T).T
    )
    npy = encode(array, len(array), "application/x-npy", "").body
    assert np.load(io.BytesIO(npy)).tobytes() == array.tobytes()
    answer = json.loads(encode(array, len(array), "application/json", "").body)["predictions"]
    expected = np.where(np.isfinite(array), array, np.nan)
    assert np.array_equal(np.array(answer, dtype=np.float64).astype(dtype), expected, equal_nan=True)
