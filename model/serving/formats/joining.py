"""Answers to blocks, in their order → one answer: the bytes that the whole would have been answered with.

`add` gives what can be written by now, `end` the rest. Raises NotOurs for what cannot be joined.
"""

from __future__ import annotations

import io

import numpy as np

from ..errors import ModelFailed
from .json_text import CLOSING, OPENING
from .npy import array_of


class NotOurs(ModelFailed):
    """transformation returned an answer of its own making."""

    def __init__(self) -> None:
        super().__init__(
            "transformation returns an answer of its own making, which cannot be joined with those to other rows. "
            "Let it return one prediction a row."
        )


class Lines:
    """A prediction a line: one after another."""

    def add(self, body: bytes) -> bytes:
        return body

    def end(self) -> bytes:
        return b""


class Json:
    """{"predictions":[…]}: one document."""

    def __init__(self) -> None:
        self._before = OPENING

    def add(self, body: bytes) -> bytes:
        if not body.startswith(OPENING) or not body.endswith(CLOSING):
            raise NotOurs
        inside = body[len(OPENING) : -len(CLOSING)]
        if not inside:
            return b""
        before, self._before = self._before, b","
        return before + inside

    def end(self) -> bytes:
        return CLOSING if self._before == b"," else OPENING + CLOSING


class Npy:
    """One array. Its header says how many rows there are, so all of it is kept until the end."""

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []

    def add(self, body: bytes) -> bytes:
        self._arrays.append(array_of(body, "The answer"))
        return b""

    def end(self) -> bytes:
        arrays = [array for array in self._arrays if len(array)] or self._arrays
        if len({array.dtype.kind in "US" for array in arrays}) > 1:  # NumPy would make texts of the numbers
            raise ModelFailed("The predictions of some rows are texts, those of others are numbers. Ask for text/csv.")
        try:
            joined = np.concatenate(arrays)
        except (ValueError, TypeError) as exc:
            raise ModelFailed(f"The predictions of different rows are not one array: {exc}.") from exc
        body = io.BytesIO()
        np.lib.format.write_array(body, joined, allow_pickle=False)
        return body.getvalue()


JOINED = {
    "text/csv": Lines,
    "application/jsonlines": Lines,
    "application/x-ndjson": Lines,
    "application/jsonl": Lines,
    "application/json": Json,
    "application/x-npy": Npy,
}
"""For each type of answers."""
