"""The words that every fast path uses: which rows it takes, and how it answers them.

A builder reads a fitted estimator into plain arrays and returns a Recipe; building predicts nothing, so it is safe
before a fork. An evaluator sees only rows that Rows.admit let through and may still hand them back (NotImplemented).
Whatever is not admitted goes to the estimator's own method, so its errors and warnings stay its own.
Nothing here imports scikit-learn or pandas on its own account.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Evaluator = Callable[[Any], Any]

PROVEN_DTYPES = frozenset(map(np.dtype, ("float64", "float32", "int64")))


class Declined(Exception):
    """There is no shortcut for this model: the message says why."""


class Admission(Protocol):
    """What a recipe asks of the rows that come in."""

    def admit(self, rows: Any) -> Any:
        """The rows as the evaluators want them; None if the estimator itself must answer."""

    def learn(self, own: Evaluator) -> None:
        """Finds out, by asking the estimator, which odd values it takes."""

    def examples(self, rng: np.random.Generator) -> Iterator[Any]:
        """Batches for the proof: plausible values, extremes, several sizes."""


@dataclass
class Recipe:
    """How one fitted estimator can be answered for."""

    model: Any
    rows: Admission
    methods: dict[str, Evaluator]
    """By the name of the estimator's method: admitted rows -> answer, or NotImplemented."""
    watched: Sequence[tuple[Any, str]] = ()
    """(object, attribute) pairs: when one is replaced (a refit), the shortcut stands aside."""
    parts: Sequence[Recipe] = ()
    """Recipes that this one calls."""


SIZES = (1, 2, 7, 64)
"""Rows of the proof's batches."""


@dataclass
class NumericRows:
    """A matrix of numbers, or a DataFrame of numeric columns if the model was fitted on one."""

    features: int
    names: list[str] | None = None
    dtype: type[np.floating[Any]] | None = None
    """What the estimator converts its input to; None: it takes the matrix as it is."""
    hints: Sequence[Array] = ()
    """Values worth trying per feature: thresholds, means."""
    order: Literal["C"] | None = None
    nan: bool = False
    inf: bool = False
    sizes: Sequence[int] = SIZES
    accepted: frozenset[np.dtype[Any]] = PROVEN_DTYPES
    spelling: Callable[[Any], list[Any]] = list
    """Column names of a frame -> as the model spells them."""
    _columns: Any = field(default=None, repr=False)

    def admit(self, rows: Any) -> Array | None:
        matrix: Array = rows if self.names is None else self._undressed(rows)
        # exact types: a subclass (np.matrix, a masked array) computes differently
        if type(matrix) is not np.ndarray or matrix.ndim != 2 or matrix.dtype not in self.accepted:
            return None
        if matrix.shape[1] != self.features or not len(matrix):
            return None
        if self.dtype is not None and matrix.dtype != self.dtype:
            with np.errstate(over="ignore"):
                matrix = matrix.astype(self.dtype)
        if self.order is not None:
            matrix = np.ascontiguousarray(matrix)
        if not (self.nan and self.inf) and not np.isfinite(matrix).all():
            odd = (not self.nan and np.isnan(matrix).any()) or (not self.inf and np.isinf(matrix).any())
            return None if odd else matrix
        return matrix

    def _undressed(self, rows: Any) -> Any:
        pandas = sys.modules.get("pandas")
        if pandas is None or type(rows) is not pandas.DataFrame:
            return None
        columns = rows.columns
        if columns is not self._columns:  # the server reuses one Index; comparing names costs as much as a small model
            if self.spelling(columns) != self.names:
                return None
            self._columns = columns
        return np.asarray(rows)  # as scikit-learn does it, layout included: BLAS rounds by layout

    def dressed(self, matrix: Array) -> Any:
        """The matrix in the form the model was fitted on."""
        if self.names is None:
            return matrix
        import pandas

        return pandas.DataFrame(matrix, columns=self.names)

    def learn(self, own: Evaluator) -> None:
        for attribute, value in (("nan", np.nan), ("inf", np.inf)):
            row = np.zeros((1, self.features))
            row[0, 0] = value
            try:
                own(self.dressed(row))
            except (ValueError, TypeError):
                continue
            setattr(self, attribute, True)

    def examples(self, rng: np.random.Generator) -> Iterator[Any]:
        for size in self.sizes:
            matrix = self._drawn(rng, size)
            if self.nan:
                matrix[rng.random(matrix.shape) < 0.05] = np.nan
            yield self.dressed(matrix)
        matrix = self._drawn(rng, 7)
        yield self.dressed(np.rint(np.clip(matrix, -1e9, 1e9)).astype(np.int64))
        yield self.dressed(matrix.astype(np.float32))
        if self.names is None:
            yield np.asfortranarray(matrix)
            yield self._drawn(rng, 14)[::2]
        extremes = [0.0, -0.0, 1e-300, 1e30, -1e30] + [np.inf, -np.inf] * self.inf + [np.nan] * self.nan
        yield self.dressed(rng.choice(extremes, size=(7, self.features)))

    def _drawn(self, rng: np.random.Generator, size: int) -> Array:
        """Around the hints, on both sides of each to one unit in the last place, as float32 and as float64."""
        matrix = rng.standard_normal((size, self.features)) * 10.0 ** rng.integers(-2, 4, (size, 1))
        for column, hints in enumerate(self.hints):
            if len(hints):
                near = rng.choice(hints, size)
                spread = np.std(hints) or float(abs(hints[0])) or 1.0
                single = near.astype(np.float32)
                moved = np.select(
                    [rng.random(size) < p for p in (0.4, 0.25, 0.33, 0.5)],
                    [
                        near + spread * rng.standard_normal(size),
                        near,
                        np.nextafter(single, np.float32(np.inf)).astype(np.float64),
                        np.nextafter(near, -np.inf),
                    ],
                    np.nextafter(single, np.float32(-np.inf)).astype(np.float64),
                )
                matrix[:, column] = moved
        return matrix


def names_of(model: Any) -> list[str] | None:
    """The column names that the model was fitted on."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else list(names)
