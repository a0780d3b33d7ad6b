"""A ColumnTransformer on a DataFrame: the frame is read once into a matrix of cells, encoders become look-up tables.

It costs milliseconds a call otherwise, nearly all of it in pandas. Every encoder is asked at load what it makes of
each category it knows, of one it does not know and of NaN; what it refused is not in the table, and rows that need
it go to the pipeline itself, which complains in its own words.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .fast_recipes import SIZES, Array, Declined, Evaluator, names_of
from .fast_steps import IMPUTER, Step, kind_of, known, likely_values, must_be_plain, replaces_nan, steps_of

MANY_COLUMNS = 2000
"""Wider one-hot matrices are left to scikit-learn's sparse ones."""


@dataclass(frozen=True)
class Lookup:
    """What an encoder makes of one column: plain arrays and a dict from value to row of the table."""

    column: int
    codes: dict[Any, int]
    table: Array
    unknown: int | None
    missing: int | None

    def __call__(self, cells: Array) -> Array | None:
        """Cells of the column -> (n, width); None if one of them must be refused."""
        find = self.codes.get
        codes = [find(value, -1) for value in cells]
        if -1 in codes:
            for place, value in enumerate(cells):
                if codes[place] == -1:
                    code = self._odd(value)
                    if code is None:
                        return None
                    codes[place] = code
        return self.table.take(codes, axis=0)

    def _odd(self, value: Any) -> int | None:
        if isinstance(value, float) and value != value:
            return self.missing
        return self.unknown if type(value) is type(next(iter(self.codes))) else None


@dataclass(frozen=True)
class Numbers:
    """Columns that stay numbers, and the steps they go through."""

    columns: list[int]
    steps: list[Step]

    def __call__(self, cells: Array) -> Array | None:
        rows = cells[:, self.columns].astype(np.float64)
        if np.isinf(rows).any():
            return None
        for step in self.steps:
            rows = step(rows)
        return rows


@dataclass
class Frames:
    """DataFrames with the columns, and the kinds of columns, that the ColumnTransformer was proven on."""

    names: list[str]
    lookups: list[Lookup]
    centres: dict[int, tuple[float, float]]
    """Numeric column -> centre and spread of what is likely in it."""
    refused: frozenset[int] = frozenset()
    _seen: Any = field(default=None, repr=False)

    def admit(self, rows: Any) -> Array | None:
        import pandas

        if type(rows) is not pandas.DataFrame or not len(rows):
            return None
        dtypes = rows.dtypes.tolist()
        seen = self._seen  # once: another thread may set it
        if seen is None or rows.columns is not seen[0] or dtypes != seen[1]:
            if list(rows.columns) != self.names or not all(map(self._allowed, range(len(dtypes)), dtypes)):
                return None
            self._seen = rows.columns, dtypes
        cells: Array = rows.to_numpy(dtype=object)
        return cells

    def _allowed(self, column: int, dtype: Any) -> bool:
        lookup = next((lookup for lookup in self.lookups if lookup.column == column), None)
        if lookup is not None and isinstance(next(iter(lookup.codes)), str):
            return str(dtype) in ("object", "str")
        if lookup is None and column not in self.centres:  # a dropped column: nobody looks
            return True
        return str(dtype) in ("float64", "int64")

    def learn(self, own: Evaluator) -> None:
        """The tables have learnt already."""

    def examples(self, rng: np.random.Generator) -> Iterator[Any]:
        for size in SIZES:
            yield self._drawn(rng, size, odd=0.2 if size in (7, 64) else 0.0)
        frame = self._drawn(rng, 7, odd=0.0)
        numbers = [self.names[column] for column in self.centres]
        yield frame.astype(dict.fromkeys(numbers, "int64"))
        yield frame.astype({self.names[lookup.column]: object for lookup in self.lookups})
        yield frame.iloc[::2]

    def _drawn(self, rng: np.random.Generator, size: int, odd: float) -> Any:
        import pandas

        columns: dict[str, Any] = dict.fromkeys(self.names, np.zeros(size))
        for column, (centre, spread) in self.centres.items():
            values = centre + spread * rng.standard_normal(size)
            values[rng.random(size) < odd / 2] = np.nan if rng.random() < 0.5 else 1e6
            columns[self.names[column]] = values
        for lookup in self.lookups:
            pool = list(lookup.codes)
            cells = [pool[place] for place in rng.integers(0, len(pool), size)]
            for place in np.flatnonzero(rng.random(size) < odd) if isinstance(pool[0], str) else ():
                allowed = ["unseen"] * (lookup.unknown is not None) + [np.nan] * (lookup.missing is not None)
                cells[place] = allowed[rng.integers(len(allowed))] if allowed else cells[place]
            columns[self.names[lookup.column]] = cells
        return pandas.DataFrame(columns, columns=self.names)


UNSEEN = "\x00unseen"


def _lookups(chain: Any, columns: Sequence[int]) -> list[Lookup]:
    """Asks an encoder (an imputer may stand before it) for its answer to every category of every column."""
    steps = steps_of(chain)
    encoder = steps[-1]
    if len(steps) > 2 or (len(steps) == 2 and (kind_of(steps[0]) != IMPUTER or not replaces_nan(steps[0]))):
        raise Declined("an encoder behind other steps than an imputer")
    if np.dtype(encoder.dtype) != np.float64:
        raise Declined("an encoder that does not give float64")
    pools = [[value for value in pool.tolist() if value == value and value is not None] for pool in encoder.categories_]
    if not all(pools) or any(len({type(v) for v in pool}) > 1 or isinstance(pool[0], bool) for pool in pools):
        raise Declined("categories of mixed types")
    one_hot = kind_of(encoder)[1] == "OneHotEncoder"
    ends = np.cumsum([0, *(encoder._n_features_outs if one_hot else [1] * len(pools))])
    lookups = []
    for place, (column, pool) in enumerate(zip(columns, pools, strict=True)):
        answers = [_asked(chain, pools, place, pool), None, None]
        if answers[0] is None:
            raise Declined("an encoder that refuses its own categories")
        answers[1] = _asked(chain, pools, place, [UNSEEN if isinstance(pool[0], str) else max(pool) + 1])
        answers[2] = _asked(chain, pools, place, [np.nan])
        known = [a[:, ends[place] : ends[place + 1]] for a in answers if a is not None]
        unknown = len(pool) if answers[1] is not None else None
        missing = len(pool) + (unknown is not None) if answers[2] is not None else None
        codes = {value: code for code, value in enumerate(pool)}
        lookups.append(Lookup(column, codes, np.concatenate(known), unknown, missing))
    return lookups


def _asked(chain: Any, pools: list[list[Any]], place: int, values: list[Any]) -> Array | None:
    """The chain's answer to `values` in one column, with known categories in the others; None if it objects."""
    import pandas

    columns = {}
    for number, (name, pool) in enumerate(zip(chain.feature_names_in_, pools, strict=True)):
        cells = values if number == place else [pool[0]] * len(values)
        columns[name] = pandas.Series(cells, dtype=object if isinstance(pool[0], str) else None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answer = chain.transform(pandas.DataFrame(columns))
    except (ValueError, TypeError, Warning):
        return None
    return np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer, dtype=np.float64)


def column_transformer(step: Any) -> tuple[Frames, Step, Any]:
    """The rows it takes, the shortcut for transform, and the class of its sparse output (None: dense)."""
    names = names_of(step)
    if names is None:
        raise Declined("a ColumnTransformer that was not fitted on a DataFrame")
    groups: list[Numbers | Lookup] = []
    centres: dict[int, tuple[float, float]] = {}
    for name, chain, _ in step.transformers_:
        columns = np.arange(len(names))[step._transformer_to_input_indices[name]].tolist()
        if not columns or (isinstance(chain, str) and chain == "drop"):
            continue
        steps = [] if isinstance(chain, str) else steps_of(chain)
        for inner in steps:
            must_be_plain(inner)
        if any(kind_of(inner) in ENCODERS for inner in steps):
            groups += _lookups(chain, columns)
        else:
            groups.append(Numbers(columns, [known(inner) for inner in steps]))
            centres.update(zip(columns, likely_values(steps, len(columns)), strict=True))
    frames = Frames(names, [group for group in groups if isinstance(group, Lookup)], centres)
    like = step.transform(frames._drawn(np.random.default_rng(0), 7, odd=0.0))
    order: Any = "F" if getattr(like, "flags", None) is not None and like.flags.f_contiguous else "C"
    width = like.shape[1]
    if width > MANY_COLUMNS:
        raise Declined(f"{width} columns after encoding")

    def transform(cells: Array) -> Any:
        out, at = np.empty((len(cells), width), order=order), 0
        for group in groups:
            part = group(cells if isinstance(group, Numbers) else cells[:, group.column])
            if part is None:
                return NotImplemented
            out[:, at : at + part.shape[1]] = part
            at += part.shape[1]
        return out

    return frames, transform, type(like) if hasattr(like, "tocsr") else None


COLUMN_TRANSFORMER = ("sklearn.compose._column_transformer", "ColumnTransformer")
ENCODERS = {
    ("sklearn.preprocessing._encoders", "OneHotEncoder"),
    ("sklearn.preprocessing._encoders", "OrdinalEncoder"),
}
