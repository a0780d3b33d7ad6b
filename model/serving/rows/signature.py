"""What the model expects: columns, their order, names and types. Asked from the model, or from a sample file.

Rows reach `transformation` in the form that the model was fitted on: a DataFrame, an array, a list of texts or dicts.
A model that says nothing about itself gets what the request holds: an array if all is numbers, else a DataFrame.
model.sample.json, written by `save_sample` in the notebook, decides over the model: use it when requests carry other
columns than the model's own (transformation computes those), or for types that a model does not keep.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

KINDS = (
    *("number", "integer", "boolean", "text", "category", "datetime"),
    *("duration", "period", "date", "time", "decimal", "numbers", "any"),
)
"""What a column may hold; see columns.READERS."""

FORMS = ("frame", "array", "texts", "objects", "values", "unknown")


@dataclass(frozen=True)
class Column:
    """One column that the model expects. `kind` is one of KINDS; `dtype` a pandas dtype to end with, if known."""

    name: Any = None
    kind: str = "any"
    categories: tuple[Any, ...] | None = None
    dtype: str | None = None
    ordered: bool = False
    used: bool = True
    missing: bool = True
    """False: an empty cell makes the model fail."""
    closed: bool = False
    """True: a value that is not one of the categories makes the model fail."""
    none: bool = False
    """True: the model looks for None where a value is missing, not for NaN."""
    categories_dtype: str | None = None
    """Of the categories' index, if known."""
    usual: tuple[Any, ...] = ()
    """Numbers that the model surely takes: the middle, the smallest and the largest that it was fitted on."""


@dataclass(frozen=True)
class Signature:
    """`form` is one of FORMS: "texts" is a list of str, "objects" a list of dicts, "values" one of JSON values.
    `columns` is None if not even their count is known."""

    form: str = "unknown"
    columns: tuple[Column, ...] | None = None
    sample: tuple[tuple[Any, ...], ...] = ()
    """Rows of the sample file, as JSON values."""
    lacking: str = ""
    """What is missing for the model to say more of itself: a sentence with the remedy."""

    @cached_property
    def names(self) -> tuple[str, ...] | None:
        """The names as a caller writes them; None if the model has none."""
        if self.form != "frame" or self.columns is None:
            return None
        return tuple(str(column.name) for column in self.columns)

    @cached_property
    def position(self) -> dict[str, int]:
        """Name → index."""
        return {name: index for index, name in enumerate(self.names or ())}

    @cached_property
    def _loosely(self) -> dict[str, str | None]:
        """Normal form → the one name that has it; None where two have it."""
        found: dict[str, str | None] = {}
        for name in self.position:
            found[normal(name)] = None if normal(name) in found else name
        return found

    def spelled(self, given: Sequence[str]) -> list[str]:
        """The given names as the model writes them: exactly, or else by their normal form. Others stay as they are."""
        if self.position.keys() >= set(given):
            return list(given)
        exact = self.position.keys() & set(given)
        names = []
        for name in given:
            known = name if name in exact else self._known(name)
            names.append(known if known is not None and (known == name or known not in exact) else name)
        return names

    def knows(self, name: str) -> bool:
        """Whether `spelled` could make one of the model's names of it."""
        return name in self.position or any(form in self._loosely for form in forms(name))

    def _known(self, name: str) -> str | None:
        """The one of the model's names that this one is another spelling of."""
        return next((self._loosely[form] for form in forms(name) if form in self._loosely), None)

    def named_by(self, given: Collection[str]) -> bool:
        """Whether all of the model's names are among these."""
        if not self.position or len(given) < len(self.position):
            return False
        return self.position.keys() <= set(given) or self.position.keys() <= set(self.spelled(list(given)))

    @cached_property
    def count(self) -> int | None:
        return 1 if self.form == "texts" else None if self.columns is None else len(self.columns)

    @property
    def as_sent(self) -> bool:
        """Whether rows are JSON values that the model takes as they are."""
        return self.form in ("objects", "values")

    @cached_property
    def numeric(self) -> bool:
        """Whether all values may travel in one float64 block. True as well when nothing is known."""
        return self.form not in ("texts", "objects", "values") and all(
            c.kind == "number" and c.dtype in (None, "float64") and not c.none for c in self.columns or ()
        )

    @cached_property
    def guesses_csv(self) -> bool:
        """Whether the model uses a column whose type in CSV follows from all of its cells."""
        return any(column.kind == "any" and column.used for column in self.columns or ())

    @cached_property
    def given_names(self) -> tuple[Any, ...]:
        """The names as the model has them."""
        return tuple(column.name for column in self.columns or ())

    @property
    def index(self) -> Any:
        """The pandas Index of a frame."""
        return index_of(self.given_names)

    @cached_property
    def key(self) -> str:
        """What rows of this form have in common; see Decoded.batch_key."""
        return f"{self.form}:{self.count}"

    def frame(self, block: np.ndarray) -> Any:
        """A float block → the DataFrame that the model was fitted on. About 20 µs.

        It lies by columns in memory, as read_csv leaves it: BLAS rounds differently if an array lies by rows.
        """
        import pandas as pd

        return pd.DataFrame(np.asfortranarray(block), columns=self.index, copy=False)

    def describe(self) -> str:
        """For the log and for error messages: `4 columns: a, b, c, d`."""
        if self.form == "texts":
            return "1 text"
        if self.form == "objects":
            return "objects of names and values"
        if self.form == "values":
            return "JSON values as they are"
        if self.columns is None:
            return "anything"
        names = f": {listed(self.names)}" if self.names else ""
        return f"{len(self.columns)} column{'s' * (len(self.columns) != 1)}{names}"


@lru_cache(maxsize=64)
def index_of(names: tuple[Any, ...]) -> Any:
    """The pandas Index of a frame, made once: building it anew would cost as much as the frame."""
    import pandas as pd

    return pd.Index(list(names))


def listed(names: Sequence[object] | None, most: int = 12) -> str:
    """`a, b, c … (40 in all)`, for messages."""
    names = names or ()
    shown = ", ".join(str(name)[:80] for name in names[:most])
    return shown if len(names) <= most else f"{shown} … ({len(names)} in all)"


def normal(name: str) -> str:
    """How names are compared if they are not equal: NFC, without outer blanks and a byte order mark, an underscore for
    a blank (LightGBM)."""
    return forms(name)[1]


def forms(name: str) -> tuple[str, str]:
    """The normal forms of a name in a request: the model's name may have underscores for outer blanks as well."""
    composed = unicodedata.normalize("NFC", name)
    return composed.replace(" ", "_"), composed.strip().strip("\ufeff").strip().replace(" ", "_")
