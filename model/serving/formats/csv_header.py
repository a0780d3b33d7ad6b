"""Is the first line of a CSV a header?

A line that holds all of the model's names is one, whatever it looks like: in any order, with others beside them.
A line that holds some of them is one if nothing in it looks like a value. For a model without names a line of texts
over columns of numbers is one. Where it may as well be a row, a 400 asks: a header is never predicted, nor a row lost.
`header=present` and `header=absent` end the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ..errors import HeaderUnclear
from ..rows.cells import INFINITY, LONGEST_NUMBER, NA_WORDS, NUMBER, TRUTH, WHOLE
from ..rows.signature import Signature, listed, normal
from ..wording import quoted


def is_header(row: Sequence[str] | None, signature: Signature) -> bool:
    """Whether the line names columns of the model, all of them or some.

    Names in another case are a header as well, so that the caller is told which are missing. A cell that is one of its
    own column's categories is a value even if some column has that name.
    """
    if signature.form == "texts":
        return row is not None and _is_title(row, signature)
    if not row or not signature.position:
        return False
    value = next(filter(looks_like_a_value, row[row[0] == "" :]), None)
    if value is not None and len(row) == len(signature.position) and not signature.knows(value):
        return False  # most rows: one look at their first number suffices
    cells = signature.spelled(row)
    if signature.position.keys() <= set(cells):
        return True
    if signature.position.keys() == set(map(str.strip, row)) or _in_another_case(row, signature):
        return True
    below = cells[1:] if row[0] == "" else cells  # pandas writes no name over its index
    if not any(cell in signature.position and is_text(cell) for cell in below):
        return False
    if any(looks_like_a_value(cell) and cell not in signature.position for cell in below):
        return False
    columns = signature.columns or ()
    pairs = zip(columns, cells, strict=False)
    return not any(c.categories and cell in c.categories and is_text(cell) for c, cell in pairs)


def _is_title(row: Sequence[str], signature: Signature) -> bool:
    """Whether it is the name of the texts that a sample was made of."""
    name = signature.columns[0].name if signature.columns else None
    return name is not None and len(row) == 1 and normal(row[0]) == normal(str(name))


def _in_another_case(row: Sequence[str], signature: Signature) -> bool:
    if len(row) < len(signature.position) or all(map(looks_like_a_value, row)):
        return False
    known = {normal(name).casefold() for name in signature.position}
    given = {cell: normal(cell).casefold() for cell in row}
    strange = any(looks_like_a_value(cell) and given[cell] not in known for cell in row[row[0] == "" :])
    return not strange and known <= set(given.values())


def looks_like_a_value(cell: str) -> bool:
    """A number, a truth value, or a word for a missing value."""
    cell = cell.strip()
    if len(cell) > LONGEST_NUMBER:
        return False
    return cell in NA_WORDS or cell in TRUTH or bool(NUMBER.fullmatch(cell) or INFINITY.fullmatch(cell))


def is_text(cell: str) -> bool:
    return not looks_like_a_value(cell)


def mostly_texts(row: Sequence[str] | None) -> bool:
    """Whether it could be a header that was not known as one."""
    return bool(row) and 2 * sum(map(is_text, row or ())) >= len(row or ())


def may_be_unasked(row: Sequence[str] | None, signature: Signature) -> bool:
    """Whether a line that names nothing the model knows could be a header by what stands below it: texts, and no name
    over pandas' index, where types of columns are guessed."""
    if not row or signature.form == "texts":
        return False
    named = row[1:] if row[0] == "" else row
    return bool(named) and all(map(is_text, named)) and any(_guessed(signature, len(row)))


def unasked_header(
    first: Sequence[str], columns: Sequence[Sequence[str]], signature: Signature
) -> Sequence[str] | None:
    """The first row of these columns, which may_be_unasked, if it is a header.

    For a model that says nothing a line of texts over nothing but numbers is a header, as read_csv has it. Where it may
    be one or a row (only some columns are numbers, or the model takes anything and has other names), a 400 asks.
    """
    guessed = _guessed(signature, len(first))
    numbers = [i for i, cell in enumerate(first) if cell and guessed[i] and _are_numbers(columns[i])]
    if not numbers:
        return None
    if signature.form == "unknown" and first[0] == "":
        raise _unclear(
            "The first name is empty, as over pandas' index: write it without, to_csv(index=False)", first, signature
        )
    if signature.form == "unknown" and len(numbers) == len(first):
        return first
    raise _unclear(f"Row 1, column {numbers[0] + 1}: {quoted(first[numbers[0]])} stands over numbers", first, signature)


def _guessed(signature: Signature, width: int) -> list[bool]:
    return [column.kind == "any" for column in signature.columns or ()] or [True] * width


def _are_numbers(column: Sequence[str]) -> bool:
    """Whether all below the first row are numbers or missing, and one is there."""
    return all(map(looks_like_a_value, islice(column, 1, None))) and not all(
        cell in NA_WORDS for cell in islice(column, 1, None)
    )


TITLES = frozenset(
    ["text", "texts", "sentence", "review", "comment", "message", "tweet", "document", "question", "description"]
)
"""What a file of texts usually calls its one column."""


def refuse_unclear(rows: Sequence[Sequence[str]], signature: Signature) -> None:
    """Raises HeaderUnclear if the first of these two rows has none of the model's names, and is unlike the second."""
    if len(rows) < 2:
        return
    first, second = rows
    if signature.count in (None, 1) and len(first) == 1 and first[0].strip().lower() in TITLES and is_text(second[0]):
        raise _unclear(f"Row 1 is {quoted(first[0])}, as a column of texts is often called", first, signature)
    named = len(first) - (first[0] == "")
    if (
        signature.count in (None, named)
        and _counted(first)
        and len(second) == len(first)
        and _unlike_a_count(second[first[0] == "" :], signature)
    ):
        raise _unclear(
            "Row 1 counts its columns, as pandas does where they have no names, and row 2 does not", first, signature
        )


def is_unclear(rows: Sequence[Sequence[str]], signature: Signature) -> bool:
    """Whether the first of these two rows, which is not the model's header, could be a header all the same."""
    try:
        refuse_unclear(rows, signature)
    except HeaderUnclear:
        return True
    return len(rows) > 1 and may_be_unasked(rows[0], signature)


def _unlike_a_count(row: Sequence[str], signature: Signature) -> bool:
    """Whether it holds fractions, and beside them nothing that is a whole number, or a text in a column of numbers."""
    texts = [cell for cell in row if is_text(cell)]
    fractions = sum(bool(NUMBER.fullmatch(cell)) and not WHOLE.fullmatch(cell) for cell in row)
    missing = sum(cell in NA_WORDS for cell in row)
    return fractions > 0 and fractions + missing + len(texts) == len(row) and not (texts and signature.numeric)


def _counted(row: Sequence[str]) -> bool:
    """0,1 or 0,1,2 or 2019,2020,2021, with or without an index."""
    named = row[1:] if row[0] == "" else row
    if len(named) < 2 or not all(map(WHOLE.fullmatch, named)):
        return False
    start = int(named[0])
    return (start == 0 or len(named) > 2) and list(map(int, named)) == list(range(start, start + len(named)))


def refuse_alone(names: Sequence[str], signature: Signature) -> None:
    """Raises HeaderUnclear if the model's names, which are all there is, look like a row of values."""
    if all(map(looks_like_a_value, names)):
        raise _unclear("The only line holds the model's names, which look like values", names, signature)


def _unclear(reason: str, first: Sequence[str], signature: Signature) -> HeaderUnclear:
    names = f" The model's names are: {listed(signature.names)}." if signature.names else ""
    return HeaderUnclear(
        f"{reason}. If the first line is a header, send text/csv; header=present; if it is a row, send header=absent."
        f"{names}",
        row=1, expected="header=present or header=absent", got=",".join(first)[:80],
    )  # fmt: skip
