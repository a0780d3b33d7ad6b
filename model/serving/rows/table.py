"""Cells of any source → rows in the form that the model was fitted on. The one place that compares a request with
the signature: names are matched by name, the rest by position. Whoever sent the rows is told row and column, from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import BadRequest
from ..wording import quoted, verbatim
from .cells import Unfit
from .columns import read
from .decoded import Columns, dtype_of
from .guessing import as_numbers
from .signature import Column, Signature, listed
from .widths import wrong_width

MOST_GUESSED = 20_000
"""Columns whose type has to be guessed one by one, since the model says nothing."""

ANY = Column()
ANYTHING, TEXTS = Signature(), Signature("texts")


@dataclass
class Table:
    """Columns of equal length; each a list of cells or an array. `names` is None where the source has none."""

    columns: Sequence[Any]
    count: int
    names: Sequence[str] | None = None
    typed: bool = True
    """The source says what a value is (JSON, Parquet, NumPy): "02139", "NA" and "" are texts. False for CSV."""
    block: np.ndarray | None = None
    """Instead of columns: all of them as one array of numbers. Only where takes_block() says so."""
    may_have_header: bool = False
    """The first row could be a header that was not known as one."""

    @classmethod
    def of_rows(cls, rows: Sequence[Any], width: int | None = None, names: Sequence[str] | None = None) -> Table:
        """From rows of equal length, `width` if that is known. Raises BadRequest naming the first that is not."""
        width = len(rows[0]) if width is None and rows else width or 0
        for number, row in enumerate(rows, 1):
            if len(row) != width:
                raise wrong_width(number, len(row), ANYTHING, width, row)
        return cls(list(zip(*rows, strict=True)) if rows else [()] * width, len(rows), names)


def takes_block(signature: Signature, names: Sequence[str] | None) -> bool:
    """Whether these rows can only be numbers. Where the model says nothing, each named column keeps its own type."""
    return signature.numeric and (names is None or signature.columns is not None)


def align(table: Table, signature: Signature) -> Any:
    """Rows for transformation: a float64 block of a numeric model, Columns of a frame, an array or texts."""
    if table.count == 0:
        return [] if signature.form == "texts" or signature.as_sent else np.empty((0, signature.count or 0))
    if signature.form == "texts":
        return _texts(table)
    if signature.as_sent:
        return _objects(table, signature)
    chosen = _chosen(table, signature)
    if table.block is not None:
        block = table.block
        if chosen is not None:
            block = np.column_stack([block[:, i] if i is not None else _absent(table) for i in chosen])
        dtype = block.dtype.newbyteorder("=") if signature.columns is None else np.dtype(np.float64)
        return _own(block, dtype, "F" if signature.form == "frame" else "C")
    if table.names is None or signature.names is None:
        expect_width(len(table.columns), signature)
    order = chosen if chosen is not None else range(len(table.columns))
    expected = signature.columns or (ANY,) * len(table.columns)
    pairs = zip(order, expected, strict=True)
    arrays = [_column(_taken(table, source), table, column, i, signature) for i, (source, column) in enumerate(pairs)]
    if signature.form == "unknown" and table.names is None and (numbers := as_numbers(arrays)) is not None:
        return numbers
    if signature.form in ("frame", "unknown"):
        if signature.numeric and signature.columns:
            return np.column_stack(arrays)
        names = signature.given_names if signature.form == "frame" else table.names
        dtypes = [dtype_of(a) if c.dtype is None else a.dtype for a, c in zip(arrays, expected, strict=True)]
        return Columns(arrays, None if names is None else tuple(names), tuple(dtypes))
    return _array(arrays, table, expected)


def _taken(table: Table, source: int | None) -> Any:
    """A column, which the table lets go of: its cells take several times the memory of the array that they become."""
    if source is None:
        return _absent(table)
    values = table.columns[source]
    if isinstance(table.columns, list):
        table.columns[source] = ()
    return values


def _own(block: np.ndarray, dtype: np.dtype[Any], order: Literal["C", "F"]) -> np.ndarray:
    """In the order that the rows will have, and writable, with one copy at most."""
    rows = np.asarray(block, dtype=dtype, order=order)
    return rows if rows.flags.writeable else rows.copy(order)


def expect_width(width: int, signature: Signature) -> None:
    """Raises BadRequest for rows of another width than the model's; where it says nothing, of more than is sensible.

    To be asked before cells become columns: an object for each of a million columns would be most of the work.
    """
    if signature.count is not None and width != signature.count:
        raise wrong_width(1, width, signature)
    if signature.columns is None and width > MOST_GUESSED:
        raise BadRequest(f"Row 1 has {width} values; at most {MOST_GUESSED} if not all of them are numbers.", row=1)


def _texts(table: Table) -> list[str]:
    if len(table.columns) != 1:
        raise wrong_width(1, len(table.columns), TEXTS)
    for row, cell in enumerate(table.columns[0], 1):
        if not isinstance(cell, str):
            raise BadRequest(f"Row {row}: expected a text, got {quoted(cell)}.", row=row, column=1, expected="a text")
    return [str(cell) for cell in table.columns[0]]


def _objects(table: Table, signature: Signature) -> list[dict[str, Any]]:
    if signature.form == "values":
        raise BadRequest("The model takes values of JSON as they are, not columns.", expected='{"instances": […]}')
    if table.names is None:
        raise BadRequest(
            "The model takes objects of names and values; these rows have no names.",
            expected='[{"name": value, …}, …], or text/csv; header=present',
        )
    columns = [read(values, ANY, table.typed).tolist() for values in table.columns]
    return [dict(zip(table.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _chosen(table: Table, signature: Signature) -> list[int | None] | None:
    """For each column of the model its place in the table; None if both have the same columns in the same order."""
    if table.names is not None and signature.names is not None:
        return by_name(table.names, signature)
    if table.names is not None and (twice := repeated(table.names)) is not None:
        raise BadRequest(f"The column {quoted(twice)} appears twice.", column=twice[:80])
    width = len(table.columns) if table.block is None else table.block.shape[1]
    if signature.count is not None and width != signature.count:
        raise wrong_width(1, width, signature)
    if width == 0:
        raise BadRequest("The rows have no values.", row=1, got=0)
    return None


def by_name(given: Sequence[str], signature: Signature) -> list[int | None]:
    """Positions of the model's columns among the given names; None for one that the model does not use."""
    given = signature.spelled(given)
    names, columns = signature.names or (), signature.columns or ()
    if (same := repeated(names)) is not None:
        if tuple(given) == names:
            return list(range(len(names)))
        raise BadRequest(
            f"The model has two columns called {same[:80]!r}, so columns cannot be told by their names. "
            "Send rows without names, in the model's order.",
            column=same[:80], expected=listed(names), got=listed(given),
        )  # fmt: skip
    if (twice := repeated([name for name in given if name in signature.position])) is not None:
        raise BadRequest(f"The column {quoted(twice)} appears twice.", column=twice[:80])
    places = {name: i for i, name in enumerate(given)}
    missing = [name for name, column in zip(names, columns, strict=True) if column.used and name not in places]
    if missing:
        raise BadRequest(
            f"Missing column{'s' * (len(missing) > 1)}: {listed(missing)}. "
            f"The request has: {verbatim(listed(given))}.{_capitals(missing, given)}",
            column=missing[0], expected=listed(names), got=listed(given),
        )  # fmt: skip
    return [places.get(name) for name in names]


def _capitals(missing: Sequence[str], given: Sequence[str]) -> str:
    """A sentence where no more than that is wrong."""
    same = set(map(str.casefold, missing)) <= set(map(str.casefold, given))
    return " Capital letters must be the same." if same else ""


def repeated(names: Sequence[str]) -> str | None:
    """The first name that appears twice; None if no name does."""
    if len(set(names)) == len(names):
        return None
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]


def _column(values: Any, table: Table, column: Column, position: int, signature: Signature) -> Any:
    if table.names and table.typed and column.kind != "any" and len(values) and type(values[0]) is list:
        values = [cell[0] if isinstance(cell, list) and len(cell) == 1 else cell for cell in values]  # of TF Serving
    try:
        return read(values, column, table.typed)
    except Unfit as exc:
        name = column.name if column.name is not None else table.names[position] if table.names else position + 1
        shown = quoted(name) if column.name is None and table.names else repr(name)
        hint = ""
        if exc.index == 0 and table.may_have_header:
            hint = " If the first line is a header, its names must be the model's"
            hint += f": {listed(signature.names)}." if signature.names else "; send text/csv; header=present."
        raise BadRequest(
            f"Row {exc.index + 1}, column {shown}: {exc}.{hint}",
            row=exc.index + 1, column=name, expected=exc.expected, got=str(exc.got)[:80],
        ) from None  # fmt: skip


def _absent(table: Table) -> np.ndarray:
    """A column that the model does not use and the request does not have."""
    return np.full(table.count, np.nan)


def _array(arrays: list[Any], table: Table, expected: Sequence[Column]) -> np.ndarray:
    """One array: float64, or int64 if the model's columns are integers, or of the sample's dtype, or objects if there
    are texts among them."""
    kinds = {column.kind for column in expected}
    dtypes = {column.dtype for column in expected}
    plain = [np.asarray(array) for array in arrays]
    if len(dtypes) == 1 and dtypes.isdisjoint({None, "object"}) and all(a.dtype.kind != "O" for a in plain):
        return np.column_stack(plain)
    if kinds <= {"number", "any", "integer", "boolean"} and all(a.dtype.kind in "fiub" for a in plain):
        as_sent = kinds == {"any"} and all(a.dtype.kind != "b" for a in plain)
        whole = kinds <= {"integer", "any"} and all(a.dtype.kind in "iu" for a in plain)
        return np.column_stack(plain) if whole or as_sent else np.column_stack(plain).astype(np.float64)
    mixed = np.empty((table.count, len(arrays)), dtype=object)
    for position, array in enumerate(arrays):
        mixed[:, position] = array
    return mixed
