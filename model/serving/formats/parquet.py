"""application/x-parquet: columns from Arrow, each with its own type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import BadRequest, UnsupportedMediaType
from ..rows.signature import Signature
from ..rows.table import Table, align
from .budget import NUMBER_BYTES, TEXT_BYTES, Bounds


def decode_parquet(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    """A table by column names; a model without names takes the columns in order."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UnsupportedMediaType("Parquet needs pyarrow: add it to requirements.txt and build again.") from None
    try:
        schema = pq.read_schema(pa.BufferReader(body))
        _refuse_nested(schema)
        words = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        # texts stay dictionaries, or one long word, repeated, would be as large as its repetitions
        file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=words)
        columns = _read(file, schema, bounds)
    except (pa.ArrowException, OSError, ValueError, OverflowError, IndexError) as exc:
        raise BadRequest("The body is not a Parquet file that can be read.", got=str(exc)[:200]) from exc
    cells = []
    for name in schema.names:
        column = columns.pop(0)  # let go of as soon as it is converted
        if not name.startswith("__index_level_"):
            cells.append(_arrow_cells(column))
    names = [n for n in schema.names if not n.startswith("__index_level_")]
    return align(Table(cells, file.metadata.num_rows, names), signature)


def _refuse_nested(schema: Any) -> None:
    """Lists, structs and maps: no model takes them, and a few bytes can stand for millions of their elements."""
    import pyarrow as pa

    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
            raise BadRequest(
                f"The column {field.name[:80]!r} has the type {str(field.type)[:80]}; expected a number, a text, a "
                "truth value or a time in each row.",
                column=field.name[:80], expected="a column of plain values", got=str(field.type)[:80],
            )  # fmt: skip


def _read(file: Any, schema: Any, bounds: Bounds) -> list[list[Any]]:
    """The batches of each column. What the metadata says is asked first; it may lie, so batches are measured too."""
    metadata = file.metadata
    inflated = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    bounds.afford(max(inflated, metadata.num_rows * max(1, metadata.num_columns) * NUMBER_BYTES))
    columns: list[list[Any]] = [[] for _ in schema]
    size = 0
    for batch in file.iter_batches(batch_size=16_384):
        size += sum(map(_inflated_size, batch.columns))
        bounds.afford(size)
        for column, values in zip(columns, batch.columns, strict=True):
            column.append(values)
    return columns


def _inflated_size(part: Any) -> int:
    """Of a dictionary: as if every word were written out, since that is what a DataFrame may do with it."""
    if not hasattr(part, "dictionary"):
        return int(part.nbytes)
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = part.dictionary.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return len(part) * TEXT_BYTES
    lengths = pc.binary_length(part.dictionary).to_numpy(zero_copy_only=False)
    return int(np.nansum(lengths[part.indices.drop_null().to_numpy()], dtype=np.float64)) + len(part) * NUMBER_BYTES


def _arrow_cells(parts: list[Any]) -> Any:
    """Numbers without missing values and times as an array; else Python values, each word made once."""
    if not parts:
        return []
    if all(_is_plain(part) for part in parts):
        return np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts])
    if str(parts[0].type).startswith(("timestamp", "duration")):
        import pyarrow as pa

        return pa.chunked_array(parts).to_pandas().array
    cells: list[Any] = []
    for part in parts:
        if hasattr(part, "dictionary"):
            words = [*map(_text, part.dictionary.to_pylist()), None]
            cells += [words[i] for i in part.indices.fill_null(len(words) - 1).to_pylist()]
        else:
            cells += map(_text, part.to_pylist())
    return cells


def _text(value: Any) -> Any:
    """Some writers leave texts as bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _is_plain(part: Any) -> bool:
    name = str(part.type)
    floats = ("float", "double", "halffloat")
    numeric = name == "bool" or name in floats or name.startswith(("int", "uint"))
    return numeric and (part.null_count == 0 or name in floats)
