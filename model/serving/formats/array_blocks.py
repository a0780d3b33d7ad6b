"""An npy file and RecordIO, cut between rows."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable, Iterator

import numpy as np

from ..errors import BadRequest
from ..rows.signature import Signature
from .npy import cut_short, header_of
from .recordio import MAGIC
from .streams import BLOCK, Stream, Whole, together

LARGEST_NUMBER = 8
"""Bytes: a model computes in float64, whatever is sent."""


def parts(stream: Stream, signature: Signature, guesses: Callable[[], None]) -> Iterator[tuple[bytes, bytes, str]]:
    """Arrays of some rows each. `guesses` raises Whole where texts cannot be cut. Raises Whole before any is taken."""
    try:
        shape, fortran, dtype, start = header_of(stream.ahead)
    except Exception:  # noqa: BLE001 - whoever reads it says why
        raise Whole("its header cannot be read") from None
    one_row = len(shape) == 1 and not dtype.names and signature.count != 1
    if len(shape) not in (1, 2) or one_row or (fortran and len(shape) > 1) or dtype.hasobject or not dtype.itemsize:
        raise Whole("an npy file can be cut that holds rows, one after another (C order)")
    if not _are_numbers(dtype):
        guesses()
    return _parts(stream, shape, dtype, start)


def _are_numbers(dtype: np.dtype) -> bool:
    return all(_are_numbers(dtype[name].base) for name in dtype.names) if dtype.names else dtype.kind in "fiub"


def _parts(stream: Stream, shape: tuple[int, ...], dtype: np.dtype, start: int) -> Iterator[tuple[bytes, bytes, str]]:
    stream.take(start)
    cells = math.prod(shape[1:]) * len(dtype.names or (1,))
    size, left = math.prod(shape[1:]) * dtype.itemsize, shape[0]
    count = together(max(1, BLOCK // max(size, cells * LARGEST_NUMBER, 1)))
    while left:
        rows = min(count, left)
        left -= rows
        data = stream.fill(rows * size + (not left))
        if len(data) < rows * size or (not left and len(data) > rows * size):
            raise BadRequest(cut_short("The body", shape))
        array = np.frombuffer(stream.take(rows * size), dtype).reshape(rows, *shape[1:])
        body = io.BytesIO()
        np.lib.format.write_array(body, array, allow_pickle=False)
        yield b"", body.getvalue(), ""


def whole_records(body: bytes) -> int:
    """How many bytes of the beginning of a RecordIO body are whole records; all of it where it is none."""
    places = [0]
    while places[-1] + 8 <= len(body):
        magic, length = struct.unpack_from("<II", body, places[-1])
        if magic != MAGIC or length >> 29:
            return len(body)
        after = places[-1] + 8 + (length + 3) // 4 * 4
        if after > len(body):
            break
        places.append(after)
    return places[together(len(places) - 1)]
