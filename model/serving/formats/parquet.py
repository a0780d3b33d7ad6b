"""application/x-parquet: columns from Arrow, each with its own type."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import BadRequest, UnsupportedMediaType
from ..rows.signature import Signature
from ..rows.table import Table, align
from ..wording import quoted
from . import parquet_pages
from .budget import NUMBER_BYTES, TEXT_BYTES, Bounds
from .pieces import Words
from .streams import Stream, Whole, together


def decode_parquet(body: bytes, parameters: Mapping[str, str], signature: Signature, bounds: Bounds) -> Any:
    """A table by column names; a model without names takes the columns in order."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UnsupportedMediaType("Parquet needs pyarrow: add it to requirements.txt and build again.") from None
    try:
        groups = parquet_pages.groups(io.BytesIO(body))
        bounds.afford(max(parquet_pages.inflated(body, groups), sum(group.size for group in groups)))
        schema = _to_read(pq.read_schema(pa.BufferReader(body)), signature)
        words = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        # texts stay dictionaries, or one long word, repeated, would be as large as its repetitions
        file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=words)
        columns = _read(file, schema, bounds)
    except (pa.ArrowException, OSError, ValueError, OverflowError, IndexError) as exc:
        raise BadRequest("The body is not a Parquet file that can be read.", got=str(exc)[:200]) from exc
    index = _index_of_pandas(schema) - signature.position.keys()
    kept = [i for i, name in enumerate(schema.names) if name not in index and not name.startswith("__index_level_")]
    cells = [columns[i].cells() for i in kept]
    names = [schema.names[i] for i in kept]
    del columns
    if any(len(column) != file.metadata.num_rows for column in cells):
        raise BadRequest(f"The Parquet file does not have the {file.metadata.num_rows} rows that it says.")
    return align(Table(cells, file.metadata.num_rows, names), signature)


def _index_of_pandas(schema: Any) -> set[str]:
    """The columns that pandas has written as the frame's index, and would read as one."""
    said = (schema.pandas_metadata or {}).get("index_columns", ())
    return {name for name in said if isinstance(name, str)}


def parts(stream: Stream, size: int, signature: Signature) -> Iterator[bytes]:
    """Parquet files of some rows each, about `size` bytes as they are read. A file is looked into from its end, so one
    that comes through a pipe is first written to a temporary file. Raises Whole before anything is read."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise Whole("pyarrow is not installed") from None
    try:
        source = stream.seekable()
        groups = parquet_pages.groups(source)
        file = pq.ParquetFile(pa.PythonFile(source, mode="r"))
        schema = _to_read(file.schema_arrow, signature)
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise BadRequest("The body is not a Parquet file that can be read.", got=str(exc)[:200]) from exc
    inflated = max(sum(group.size for group in groups), file.metadata.num_columns * NUMBER_BYTES)
    return _parts(file, schema, together(max(1, size * max(1, file.metadata.num_rows) // inflated)))


def _parts(file: Any, schema: Any, rows: int) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in _batches(file, schema, rows):
            body = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_batches([batch], schema), body, compression="none")
            yield body.getvalue().to_pybytes()
    except (pa.ArrowException, OSError, ValueError, OverflowError, IndexError) as exc:
        raise BadRequest("The body is not a Parquet file that can be read.", got=str(exc)[:200]) from exc


def _to_read(schema: Any, signature: Signature) -> Any:
    """Of a file that has all of the model's columns only these. Lists, structs and maps are refused: no model takes
    them, and a few bytes can stand for millions of their elements."""
    import pyarrow as pa

    if signature.named_by(schema.names) and len(set(schema.names)) == len(schema.names):
        schema = pa.schema([field for field in schema if signature.knows(field.name)], schema.metadata)
    for field in filter(_is_nested, schema):
        raise BadRequest(
            f"The column {quoted(field.name)} has the type {str(field.type)[:80]}; expected a number, a text, a "
            "truth value or a time in each row.",
            column=field.name[:80], expected="a column of plain values", got=str(field.type)[:80],
        )  # fmt: skip
    return schema


def _batches(file: Any, schema: Any, rows: int) -> Iterator[Any]:
    """The file's rows in the columns of the schema."""
    if len(schema) == len(file.schema_arrow):
        yield from file.iter_batches(batch_size=rows)
        return
    for batch in file.iter_batches(batch_size=rows, columns=schema.names):
        yield batch.select(schema.names)  # "a" brings "a.b" along


def _is_nested(field: Any) -> bool:
    import pyarrow as pa

    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType)


BATCH_ROWS = 65_536
"""Each batch brings the whole dictionary of its texts along: few batches, and none is kept."""


def _read(file: Any, schema: Any, bounds: Bounds) -> list[_Column]:
    """The columns, converted batch by batch. What the metadata says is asked first; it may lie, so batches are
    measured too."""
    metadata = file.metadata
    bounds.afford(metadata.num_rows * max(1, metadata.num_columns) * NUMBER_BYTES)
    columns = [_Column() for _ in schema]
    size = 0
    for batch in _batches(file, schema, BATCH_ROWS):
        size += sum(map(_inflated_size, batch.columns))
        bounds.afford(size + batch.nbytes)
        for name, column, values in zip(schema.names, columns, batch.columns, strict=True):
            try:
                column.add(values)
            except UnicodeDecodeError:
                raise BadRequest(
                    f"The column {quoted(name)} holds bytes that are not a text in UTF-8.",
                    column=name[:80], expected="a column of plain values",
                ) from None  # fmt: skip
    return columns


def _inflated_size(part: Any) -> int:
    """Of a dictionary: as if every word were written out, since that is what a DataFrame may do with it."""
    if not hasattr(part, "dictionary"):
        return int(part.nbytes)
    import pyarrow as pa
    import pyarrow.compute as pc

    words, places = _used(part)
    if not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
        return len(part) * TEXT_BYTES
    lengths = pc.binary_length(words).to_numpy(zero_copy_only=False)
    written = int(np.nansum(lengths[places], dtype=np.float64))
    return written + len(part) * NUMBER_BYTES + len(words) * TEXT_BYTES


def _used(part: Any) -> tuple[Any, np.ndarray]:
    """The words of a dictionary that this part uses, and where in them each of its rows that is not null is."""
    used, places = np.unique(part.indices.drop_null().to_numpy(), return_inverse=True)
    return part.dictionary.take(used), places


class _Column:
    """Numbers without missing values as arrays, times as pandas has them; else Python values, equal words once."""

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []
        self._cells: list[Any] = []
        self._times: list[Any] = []
        self._words = Words()

    def add(self, part: Any) -> None:
        if str(part.type).startswith(("timestamp", "duration")):
            self._times.append(part)
            return
        if not self._cells and _is_plain(part):
            self._arrays.append(part.to_numpy(zero_copy_only=False))
            return
        for array in self._arrays:  # numbers, until a batch had a missing one
            self._cells += array.tolist()
        self._arrays = []
        if not hasattr(part, "dictionary"):
            read = _whole if str(part.type).startswith("decimal") and part.type.scale <= 0 else _text
            self._cells += self._words.shared(map(read, part.to_pylist()))
            return
        used, places = _used(part)
        known = self._words.shared(map(_text, used.to_pylist()))
        present = iter(places.tolist())
        self._cells += [known[next(present)] if there else None for there in part.is_valid().to_pylist()]

    def cells(self) -> Any:
        """All cells. The column does not keep them."""
        if self._times:
            import pyarrow as pa

            return pa.chunked_array(self._times).to_pandas().array
        cells, self._cells = self._cells, []
        arrays, self._arrays = self._arrays, []
        return np.concatenate(arrays) if arrays else cells


def _text(value: Any) -> Any:
    """Some writers leave texts as bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _whole(value: Any) -> int | None:
    """A decimal without places, as Snowflake and Oracle write whole numbers."""
    return None if value is None else int(value)


def _is_plain(part: Any) -> bool:
    name = str(part.type)
    floats = ("float", "double", "halffloat")
    numeric = name == "bool" or name in floats or name.startswith(("int", "uint"))
    return numeric and (part.null_count == 0 or name in floats)
