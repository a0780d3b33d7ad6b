"""application/x-parquet: columns from Arrow, each with its own type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import BadRequest, PayloadTooLarge, UnsupportedMediaType
from ..rows.signature import Signature
from ..rows.table import Table, align


def decode_parquet(body: bytes, parameters: Mapping[str, str], signature: Signature, max_bytes: int) -> Any:
    """A table by column names; a model without names takes the columns in order."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UnsupportedMediaType("Parquet needs pyarrow: add it to requirements.txt and build again.") from None
    try:
        source = pa.BufferReader(body)
        schema = pq.read_schema(source)
        words = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        # texts stay dictionaries, or one long word, repeated, would be as large as its repetitions
        file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=words)
        _check_size(file.metadata, max_bytes)
        columns: list[list[Any]] = [[] for _ in schema]
        size = 0
        for batch in file.iter_batches(batch_size=16_384):
            size += sum(map(_inflated_size, batch.columns))
            if size > max_bytes:
                raise PayloadTooLarge(f"The Parquet file inflates to more than the limit of {max_bytes} bytes.")
            for column, values in zip(columns, batch.columns, strict=True):
                column.append(values)
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as exc:
        raise BadRequest("The body is not a Parquet file that can be read.", got=str(exc)[:200]) from exc
    cells = [_arrow_cells(parts) for parts in columns]
    names = [n for n in schema.names if not n.startswith("__index_level_")]
    cells = [c for n, c in zip(schema.names, cells, strict=True) if not n.startswith("__index_level_")]
    return align(Table(cells, file.metadata.num_rows, names), signature)


def _inflated_size(part: Any) -> int:
    """Of a dictionary: as if every word were written out, since that is what a DataFrame may do with it."""
    if not hasattr(part, "dictionary"):
        return int(part.nbytes)
    import pyarrow.compute as pc

    lengths = pc.binary_length(part.dictionary).to_numpy(zero_copy_only=False)
    return int(np.nansum(lengths[part.indices.drop_null().to_numpy()], dtype=np.float64)) + len(part) * 8


def _check_size(metadata: Any, max_bytes: int) -> None:
    inflated = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if max(inflated, metadata.num_rows * max(1, metadata.num_columns) * 8) > max(max_bytes, 2**20):
        raise PayloadTooLarge(f"The Parquet file inflates to more than the limit of {max_bytes} bytes.")


def _arrow_cells(parts: list[Any]) -> np.ndarray | list[Any]:
    """Numbers without missing values as an array; everything else as Python values, each word made once."""
    if not parts:
        return []
    if all(_is_plain(part) for part in parts):
        return np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts])
    cells: list[Any] = []
    for part in parts:
        if hasattr(part, "dictionary"):
            words = [*part.dictionary.to_pylist(), None]
            cells += [words[i] for i in part.indices.fill_null(len(words) - 1).to_pylist()]
        else:
            cells += part.to_pylist()
    return cells


def _is_plain(part: Any) -> bool:
    name = str(part.type)
    numeric = name in ("float", "double", "bool") or name.startswith(("int", "uint"))
    return numeric and (part.null_count == 0 or name in ("float", "double"))
