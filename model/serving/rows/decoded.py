"""Rows as they come from a request, not yet built: what requests have in common, and how they are joined."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from .signature import Signature, index_of

WORDS = "words"
"""Stands for the dtype that pandas gives texts, as long as no frame is needed."""


class Columns:
    """A DataFrame that is not built yet: joining the columns of many requests costs far less than joining frames.

    `dtypes` are the frame's, or WORDS; `names` is None where it has none.
    """

    __slots__ = ("arrays", "dtypes", "names")

    def __init__(self, arrays: list[Any], names: tuple[Any, ...] | None, dtypes: Sequence[Any] | None = None) -> None:
        self.arrays, self.names = arrays, names
        self.dtypes = tuple(map(dtype_of, arrays)) if dtypes is None else dtypes

    def __len__(self) -> int:
        return len(self.arrays[0])

    def joined(self, others: Sequence[Columns]) -> Columns:
        """These rows and those of others with the same dtypes."""
        columns = zip(self.arrays, *(other.arrays for other in others), strict=True)
        return Columns([_concatenated(parts) for parts in columns], self.names, self.dtypes)

    def frame(self) -> Any:
        import pandas as pd

        columns: dict[int, Any] = {}
        for position, dtype in enumerate(self.dtypes):
            if dtype is WORDS and self.arrays[position].dtype == object:  # the cells are freed column by column
                self.arrays[position] = _as_words(self.arrays[position])
            columns[position] = self.arrays[position]
            if columns[position].dtype == object:  # or pandas would make texts of them
                columns[position] = pd.Series(columns[position], dtype=dtype)
        frame = pd.DataFrame(columns, copy=False)
        if self.names is not None:
            frame.columns = index_of(self.names)
        return frame


PART = 2**17
"""Rows of a column that are converted at a time: pandas' conversion takes several copies."""


def _as_words(array: np.ndarray) -> Any:
    """The texts as pandas has them. Those of a long array leave it as they are converted: they take several times the
    room. If one cannot be converted, all are there again."""
    import pandas as pd

    if len(array) <= PART or isinstance(_words(), np.dtype):
        return pd.Series(array, dtype=_words()).array
    done: list[Any] = []
    try:
        for start in range(0, len(array), PART):
            part = array[start : start + PART]
            done.append(pd.Series(part, dtype=_words()).array)
            part[:] = None
    except BaseException:  # whoever tries again must find them
        for number, words in enumerate(done):
            array[number * PART : (number + 1) * PART] = np.asarray(words, dtype=object)
        raise
    return _concatenated(done)


def _concatenated(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import pandas as pd

    return pd.concat([pd.Series(part) for part in parts], ignore_index=True).array


@cache
def _words() -> Any:
    """What pandas makes of texts: str since pandas 3, object before."""
    import pandas as pd

    return pd.Series(["a"]).dtype


def dtype_of(array: Any) -> Any:
    """The dtype of the frame's column: the one that pandas chooses, but object where None is a category of its own."""
    if array.dtype != object:
        return array.dtype
    parts = [array[start : start + PART] for start in range(0, len(array), PART)]
    if any(None in part.tolist() for part in parts):  # as str it would become NaN
        return array.dtype
    if all(isinstance(value, str) or value != value for part in parts for value in part.tolist()):
        return WORDS
    import pandas as pd

    return pd.Series(array).dtype


def dressed(rows: Any, signature: Signature) -> Any:
    """Rows as `transformation` gets them: a frame where the model was fitted on one."""
    if isinstance(rows, Columns):
        return rows.frame()
    if signature.form == "frame" and isinstance(rows, np.ndarray):
        return signature.frame(rows)
    if signature.form == "texts" and signature.columns and signature.columns[0].dtype and isinstance(rows, list):
        import pandas as pd

        return pd.Series(rows, dtype=signature.columns[0].dtype)
    return rows


class Decoded:
    """The rows of one request.

    `count` is how many. Requests with equal `batch_key` can be computed in one call. `block` is set if the rows are one
    float64 array, `columns` if they are a frame of other things: both are cheaper to join than frames.
    """

    __slots__ = ("_rows", "_signature", "batch_key", "block", "columns", "count", "media_type")

    def __init__(self, rows: Any, media_type: str, signature: Signature) -> None:
        self.count: int = len(rows)
        self.media_type, self._signature = media_type, signature
        self.block: np.ndarray | None = None
        self.columns: Columns | None = None
        self._rows: Any = None
        if isinstance(rows, Columns):
            self.columns = rows
            self.batch_key: object = ("columns", rows.names, rows.dtypes)
        elif isinstance(rows, np.ndarray) and rows.dtype == np.float64:
            # frames lie by columns (see Signature.frame), arrays by rows as np.array makes them
            self.block = np.asarray(rows, order="F" if signature.form == "frame" else "C")
            self.batch_key = (signature.key, rows.shape[1])
        else:
            self._rows = rows
            self.batch_key = _batch_key(rows)

    @property
    def rows(self) -> Any:
        """The rows as transformation gets them."""
        return dressed(self.raw, self._signature)

    @property
    def raw(self) -> Any:
        """The rows as they were read: a block and columns are not yet a frame. `dressed` makes one of them."""
        if self.block is not None:
            return self.block
        return self.columns if self.columns is not None else self._rows

    def joined(self, others: Sequence[Decoded]) -> Any:
        """The raw rows of this request and of others with the same batch_key, for one call."""
        if not others:
            return self.raw
        if self.columns is not None:
            return self.columns.joined([other.columns for other in others if other.columns is not None])
        rows = [self.raw, *(other.raw for other in others)]
        if isinstance(self.raw, list):
            return [text for texts in rows for text in texts]
        if isinstance(self.raw, np.ndarray):
            return np.concatenate(rows)
        import pandas as pd

        return pd.concat(rows, ignore_index=True)


def _batch_key(rows: Any) -> object:
    if isinstance(rows, list):
        return "texts"
    if isinstance(rows, np.ndarray):
        return (rows.shape[1:], rows.dtype)
    return (tuple(rows.columns), tuple(rows.dtypes))
