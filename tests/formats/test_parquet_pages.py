"""A Parquet file's pages are asked what they inflate to, whatever its metadata says."""

from __future__ import annotations

import io
import random
import struct

import numpy as np
import pandas as pd
import pytest

from serving.errors import PayloadTooLarge, ServingError
from serving.formats import parquet_pages
from serving.formats.budget import Bounds
from serving.formats.content_types import decode
from serving.rows.signature import Signature

pq = pytest.importorskip("pyarrow.parquet")
FRAMES = {
    "numbers": pd.DataFrame({"a": np.arange(50_000) / 7, "b": np.arange(50_000) % 7}),
    "one row": pd.DataFrame({"a": [1.0], "b": ["x"]}),
    "texts": pd.DataFrame({"a": [f"word {i}" for i in range(50_000)], "b": ["x", "y"] * 25_000}),
    "nothing": pd.DataFrame({"a": np.zeros(0)}),
}


def written(frame: pd.DataFrame, **options: object) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream, **options)
    return stream.getvalue()


def varint(number: int, length: int) -> bytes:
    """Zigzag, in so many bytes: what is left over are zeros that count nothing."""
    number *= 2
    return bytes([*(128 | number >> 7 * place & 127 for place in range(length - 1)), number >> 7 * (length - 1) & 127])


def claiming_less(body: bytes) -> bytes:
    """The same file, whose metadata says of everything large that it is one byte."""
    footer = len(body) - 8 - struct.unpack("<I", body[-8:-4])[0]
    metadata = pq.ParquetFile(io.BytesIO(body)).metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    told = body[footer:]
    for size in [group.total_byte_size for group in groups] + [chunk.total_uncompressed_size for chunk in chunks]:
        length = -(-(2 * size).bit_length() // 7)
        told = told.replace(varint(size, length), varint(1, length))
    return body[:footer] + told


@pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip", "brotli", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("frame", FRAMES)
def test_pages_say_what_the_metadata_says(frame: str, version: str, codec: str) -> None:
    """Of whoever does not lie; the metadata counts the headers too."""
    body = written(FRAMES[frame], compression=codec, data_page_version=version, row_group_size=20_000)
    metadata = pq.ParquetFile(io.BytesIO(body)).metadata
    told = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    groups = parquet_pages.groups(io.BytesIO(body))
    assert [group.size for group in groups] == [metadata.row_group(i).total_byte_size for i in range(len(groups))]
    assert 0 <= told - parquet_pages.inflated(body, groups) <= 0.01 * told + 200


def test_what_is_not_compressed_is_as_large_as_it_is() -> None:
    body = written(FRAMES["numbers"], compression=None)
    assert 0.9 * len(body) < parquet_pages.inflated(body, parquet_pages.groups(io.BytesIO(body))) < len(body)


def test_a_page_that_would_inflate_beyond_the_limit_is_refused_before() -> None:
    """One text of 20 MB in a few kilobytes, of which the metadata claims that it is a byte."""
    body = claiming_less(written(pd.DataFrame({"a": ["a" * 20_000_000]}), compression="zstd"))
    assert len(body) < 10_000
    metadata = pq.ParquetFile(io.BytesIO(body)).metadata
    assert metadata.row_group(0).total_byte_size < 100
    with pytest.raises(PayloadTooLarge, match=r"would take (19|20) MB"):
        decode(body, "application/x-parquet", None, Signature(), Bounds(2**20, 2**21))


def test_damaged_headers_are_refused_or_read() -> None:
    """A thousand bodies with a few bytes changed: rows, or a 4xx; each in the time that its length takes."""
    whole = written(FRAMES["texts"].head(500), compression="zstd")
    dice = random.Random(7)
    for _ in range(1000):
        body = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            body[dice.randrange(4, 400)] = dice.randrange(256)
        try:
            decode(bytes(body), "application/x-parquet", None, Signature(), Bounds(2**20, 2**24))
        except ServingError as exc:
            assert 400 <= exc.status < 500  # noqa: PT017


@pytest.mark.parametrize("codec", ["snappy", None])
def test_a_byte_of_the_metadata_that_is_another_ends_no_process(codec: str | None) -> None:
    """Rows, or a 4xx: Arrow ends the process when it is asked for some of what cannot be."""
    body = written(FRAMES["one row"], compression=codec)
    footer = len(body) - 8 - struct.unpack("<I", body[-8:-4])[0]
    refused = 0
    for place in range(footer, len(body)):
        for byte in (body[place] ^ 1, body[place] ^ 128, 1):
            try:
                decode(
                    body[:place] + bytes([byte]) + body[place + 1 :], "application/x-parquet", None, Signature(), 10**7
                )
            except ServingError as exc:
                assert 400 <= exc.status < 500  # noqa: PT017
                refused += 1
    assert refused
