"""Bodies for native.c, what Python's own readers make of them, and whether the two agree."""

from __future__ import annotations

import ast
import csv
import io
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from serving.compiler import bodies
from serving.rows.cells import NA_WORDS, number

LINES = Path(__file__).with_name("bodies.txt").read_text().splitlines()
CORPUS = [*map(ast.literal_eval, LINES), b"1" * 999 + b"," + b"1" * 1001, b"0." + b"0" * 400 + b"1"]
"""Tried first in every run. What the fuzzer finds is added to it."""

TOKENS = [*map(str.encode, NA_WORDS), b",", b"\n", b"\r\n", b"[", b"]", b"null", b"0", b"-0", b"1e5", b".", b'"', b" "]
TOKENS += [b"e-30", b"17976931348623157", b"0.1000000000000000055511151231257827", b"9007199254740993", b"1e-45"]


def by_csv_reader(body: bytes) -> Any:
    """The matrix, or None if it is not one of numbers."""
    try:
        lines = csv.reader(io.StringIO(body.decode(), newline=""), strict=True)
        rows = [row for row in lines if row and not (len(row) == 1 and row[0].isspace())]
        cells = [[number(cell) for cell in row] for row in rows]
    except (ValueError, csv.Error):
        return None
    return np.array(cells) if cells and len(set(map(len, cells))) == 1 else None


def by_orjson(body: bytes) -> Any:
    """(matrix, were all integers?), or None."""
    try:
        rows = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(rows, dict) and len(rows) == 1:
        rows = rows.get("instances", rows.get("inputs"))
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
        return None
    kinds = {type(cell) for row in rows for cell in row}
    if len(set(map(len, rows))) != 1 or not kinds <= {int, float, type(None)}:
        return None
    return np.array([[np.nan if cell is None else float(cell) for cell in row] for row in rows]), kinds == {int}


def compare(body: bytes, columns: int | None) -> None:
    """native.c reads the same values, or hands the body back; what is plainly numbers it does not hand back."""
    got = bodies.matrix_csv(body, columns)
    expected = by_csv_reader(body)
    if expected is not None and columns not in (None, expected.shape[1]):
        expected = None
    if isinstance(got, bodies.Unusual):
        assert 0 <= got.offset <= len(body)
        plain = re.fullmatch(rb"[-+.,0-9eEnaNA/\n]*", body.replace(b"\r\n", b"\n"))
        assert expected is None or not plain or len(max(body.split(b","), key=len)) > 900, got
    else:
        assert expected is not None
        assert same_bits(got, expected), (got, expected)
    compare_json(body, columns)


def compare_json(body: bytes, columns: int | None) -> None:
    got, whole = bodies.matrix_json(body, columns)
    expected = by_orjson(body)
    if expected is not None and columns not in (None, expected[0].shape[1]):
        expected = None
    if isinstance(got, bodies.Unusual):
        # not as an integer what is another one as a float; and a name may stand there twice
        assert expected is None or b"-0" in body or np.nanmax(np.abs(expected[0])) >= 2**53 or body.count(b":") > 1, got
    else:
        assert expected is not None
        assert same_bits(got, expected[0]), (got, expected)
        assert whole == expected[1]


def same_bits(one: Any, other: Any) -> bool:
    return bool(one.shape == other.shape and one.tobytes() == other.astype(np.float64).tobytes())


def mutated(chance: random.Random) -> bytes:
    """A body of the corpus, a little or much changed."""
    body = bytearray(chance.choice(CORPUS))
    for _ in range(chance.choice((0, 1, 1, 2, 4, 8))):
        place = chance.randint(0, len(body))
        kind = chance.random()
        if kind < 0.25:
            body[place : place + 1] = bytes([chance.randrange(256)])
        elif kind < 0.5:
            body[place:place] = chance.choice(TOKENS)
        elif kind < 0.65:
            del body[place : place + chance.randint(1, 8)]
        elif kind < 0.8:
            body[place:place] = body[place : place + chance.randint(1, 20)]
        elif kind < 0.9:
            body[place:] = chance.choice(CORPUS)
        else:
            body[place:place] = repr(chance.uniform(-1, 1) * 10.0 ** chance.randint(-320, 308)).encode()
    return bytes(body[:5000])
