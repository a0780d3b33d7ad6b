"""Which rows a program answers: a matrix of numbers, a DataFrame, or what stands for one before pandas makes it.

Exact types only: a subclass (np.matrix, a masked array) computes differently. Whatever is not admitted goes to the
estimator's own method, so its errors and warnings stay its own.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..rows.decoded import Columns
from .program import Program

FLOATS = frozenset(map(np.dtype, ("float64", "int64")))


class Admission:
    """`dtypes`: those of a matrix that the program was proven on."""

    def __init__(self, program: Program, dtypes: tuple[str, ...]) -> None:
        self.names = None if program.names is None else list(program.names)
        self.count, self.texts, self.used = program.count, program.texts(), program.used()
        self.dtypes = frozenset(map(np.dtype, dtypes))
        self._seen: tuple[Any, Any] | None = None

    def rows(self, rows: Any) -> Any:
        """The rows as evaluate wants them; None if the estimator itself must answer."""
        if type(rows) is np.ndarray:
            return self._matrix(rows) if self.names is None and not self.texts else None
        pandas = sys.modules.get("pandas")
        if self.names is None or pandas is None or type(rows) is not pandas.DataFrame or not len(rows):
            return None
        if not self._fits(rows):
            return None
        if not self.texts and self.used is None:
            return self._matrix(np.asarray(rows))  # as scikit-learn does it, layout included: BLAS rounds by layout
        cells = rows.to_numpy(dtype=object)
        return [self._column(cells[:, place], place) for place in range(self.count)]

    def undressed(self, rows: Any) -> Any:
        """The same for rows that would have become a DataFrame of the model's columns, or an array."""
        if isinstance(rows, Columns):
            if len(rows.arrays) != self.count or not len(rows):
                return None
            kinds = [getattr(array, "dtype", None) for array in rows.arrays]
            if not all(map(self._takes, range(self.count), kinds)):
                return None
            if self.used is None:
                return self._matrix(np.stack(rows.arrays).T)  # as a frame of such columns becomes an array
            return [array if type(array) is np.ndarray else np.asarray(array, dtype=object) for array in rows.arrays]
        return self._matrix(rows) if type(rows) is np.ndarray and not self.texts else None

    def _matrix(self, matrix: Any) -> Any:
        if matrix.ndim != 2 or matrix.dtype not in self.dtypes or matrix.shape[1] != self.count or not len(matrix):
            return None
        return matrix

    def _fits(self, frame: Any) -> bool:
        """Comparing names costs as much as a small model: the server reuses one Index."""
        dtypes = frame.dtypes.tolist()
        seen = self._seen  # once: another thread may set it
        if seen is None or frame.columns is not seen[0] or dtypes != seen[1]:
            if list(frame.columns) != self.names or not all(map(self._takes, range(self.count), dtypes)):
                return False
            self._seen = frame.columns, dtypes
        return True

    def _takes(self, place: int, dtype: Any) -> bool:
        if place in self.texts:
            return str(dtype) in ("object", "str", "category")
        if self.used is not None and place not in self.used:  # nobody looks
            return True
        return dtype in (FLOATS if self.used is not None else self.dtypes)

    def _column(self, cells: Any, place: int) -> Any:
        if place in self.texts or (self.used is not None and place not in self.used):
            return cells
        return cells.astype(np.float64)
