"""Is the first line of a CSV a header?

A line that holds all of the model's names is one, whatever it looks like: in any order, with others beside them.
A line that holds some of them is one if nothing in it looks like a value. For a model without names a line of texts
over columns of numbers is one. `header=present` and `header=absent` end the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ..errors import BadRequest
from ..rows.cells import INFINITY, LONGEST_NUMBER, NA_WORDS, NUMBER, TRUTH
from ..rows.signature import Signature, listed
from ..wording import quoted


def is_header(row: Sequence[str] | None, signature: Signature) -> bool:
    """Whether the line names columns of the model, all of them or some.

    Names in another case are a header as well, so that the caller is told which are missing. A cell that is one of its
    own column's categories is a value even if some column has that name.
    """
    if not row or not signature.position:
        return False
    value = next(filter(looks_like_a_value, row), None)
    if value is not None and len(row) == len(signature.position) and not signature.knows(value):
        return False  # most rows: one look at their first number suffices
    cells = signature.spelled(row)
    if signature.position.keys() <= set(cells):
        return True
    if signature.position.keys() == set(map(str.strip, row)) or _in_another_case(row, signature):
        return True
    if not any(cell in signature.position for cell in cells) or any(map(looks_like_a_value, cells)):
        return False
    columns = signature.columns or ()
    return not any(c.categories and cell in c.categories for c, cell in zip(columns, cells, strict=False))


def _in_another_case(row: Sequence[str], signature: Signature) -> bool:
    if len(row) < len(signature.position) or any(map(looks_like_a_value, row)):
        return False
    return {name.casefold() for name in signature.position} <= {cell.strip().casefold() for cell in row}


def looks_like_a_value(cell: str) -> bool:
    """A number, a truth value, or a word for a missing value."""
    cell = cell.strip()
    if len(cell) > LONGEST_NUMBER:
        return False
    return cell in NA_WORDS or cell in TRUTH or bool(NUMBER.fullmatch(cell) or INFINITY.fullmatch(cell))


def is_text(cell: str) -> bool:
    return not looks_like_a_value(cell)


def all_texts(row: Sequence[str] | None) -> bool:
    return bool(row) and all(map(is_text, row or ()))


def mostly_texts(row: Sequence[str] | None) -> bool:
    """Whether it could be a header that was not known as one."""
    return bool(row) and 2 * sum(map(is_text, row or ())) >= len(row or ())


def unasked_header(
    first: Sequence[str], columns: Sequence[Sequence[str]], signature: Signature
) -> Sequence[str] | None:
    """The first row of these columns if it is a header that names nothing the model knows; all its cells are texts.

    For a model that says nothing a line of texts over nothing but numbers is a header, as read_csv has it. Where it may
    be one or a row (only some columns are numbers, or the model takes anything and has other names), a 400 asks.
    """
    guessed = [c.kind == "any" for c in signature.columns or ()] or [True] * len(first)
    numbers = [i for i, column_is_guessed in enumerate(guessed) if column_is_guessed and _are_numbers(columns[i])]
    if not numbers:
        return None
    if signature.form == "unknown" and len(numbers) == len(first):
        return first
    names = f" The model's names are: {listed(signature.names)}." if signature.names else ""
    raise BadRequest(
        f"Row 1, column {numbers[0] + 1}: {quoted(first[numbers[0]])} stands over numbers. If the first line is a "
        f"header, send text/csv; header=present; if it is a row, send header=absent.{names}",
        row=1, column=numbers[0] + 1, expected="a number", got=first[numbers[0]][:80],
    )  # fmt: skip


def _are_numbers(column: Sequence[str]) -> bool:
    """Whether all below the first row are numbers or missing, and one is there."""
    return all(map(looks_like_a_value, islice(column, 1, None))) and not all(
        cell in NA_WORDS for cell in islice(column, 1, None)
    )
