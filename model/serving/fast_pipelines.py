"""Pipelines: scalers and imputers as two array operations, encoders as look-up tables, then the model's own fast path.

A ColumnTransformer on a DataFrame costs milliseconds a call, nearly all of it in pandas. Here the frame is read once
into a matrix of cells. Every encoder is asked at load what it makes of each category it knows, of one it does not
know and of NaN; what it refused is not in the table, and such rows go to the pipeline itself, which complains.
A step without a shortcut is called as it is; the model at the end too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .fast_recipes import SIZES, Admission, Array, Declined, Evaluator, NumericRows, Recipe, names_of

Step = Callable[[Any], Any]

MANY_COLUMNS = 2000
"""Wider one-hot matrices are left to scikit-learn's sparse ones."""


def standard_scaler(step: Any) -> Step:
    def transform(rows: Array) -> Array:
        if step.with_mean:
            rows = rows - step.mean_
        return rows / step.scale_ if step.with_std else rows

    return transform


def min_max_scaler(step: Any) -> Step:
    if step.clip:
        raise Declined("MinMaxScaler clips")
    return lambda rows: rows * step.scale_ + step.min_


def max_abs_scaler(step: Any) -> Step:
    if getattr(step, "clip", False):
        raise Declined("MaxAbsScaler clips")
    return lambda rows: rows / step.scale_


def robust_scaler(step: Any) -> Step:
    def transform(rows: Array) -> Array:
        if step.with_centering:
            rows = rows - step.center_
        return rows / step.scale_ if step.with_scaling else rows

    return transform


def simple_imputer(step: Any) -> Step:
    values = np.asarray(step.statistics_)
    if not _replaces_nan(step) or values.dtype != np.float64 or np.isnan(values).any():
        raise Declined("SimpleImputer with other than plain NaN")

    def transform(rows: Array) -> Array:
        missing = np.isnan(rows)
        if missing.any():
            rows = rows.copy(order="K")
            rows[missing] = values.take(np.nonzero(missing)[1])
        return rows

    return transform


def nothing(step: Any) -> Step:
    if getattr(step, "func", None) is not None:
        raise Declined("a function between the steps")
    return lambda rows: rows


def _replaces_nan(imputer: Any) -> bool:
    missing = imputer.missing_values
    return isinstance(missing, float) and missing != missing and not imputer.add_indicator


def _kind(step: Any) -> tuple[str, str]:
    return type(step).__module__, type(step).__qualname__


def _steps(chain: Any) -> list[Any]:
    steps = [step for _, step in chain.steps] if _kind(chain) == PIPELINE else [chain]
    return [step for step in steps if step is not None and not isinstance(step, str)]


def _plain(step: Any) -> None:
    """Raises Declined if the step gives DataFrames, or was patched."""
    if getattr(step, "_sklearn_output_config", {}).get("transform", "default") != "default":
        raise Declined(f"{type(step).__qualname__} is set to output DataFrames")
    if "transform" in vars(step):
        raise Declined(f"{type(step).__qualname__}.transform is patched")


# -- a ColumnTransformer -------------------------------------------------------------------------------------------


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
        known = self._seen is not None and rows.columns is self._seen[0] and dtypes == self._seen[1]
        if not known:
            if list(rows.columns) != self.names or not all(map(self._allowed, range(len(dtypes)), dtypes)):
                return None
            self._seen = rows.columns, dtypes
        return rows.to_numpy(dtype=object)

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
    steps = _steps(chain)
    encoder = steps[-1]
    if len(steps) > 2 or (len(steps) == 2 and (_kind(steps[0]) != IMPUTER or not _replaces_nan(steps[0]))):
        raise Declined("an encoder behind other steps than an imputer")
    if np.dtype(encoder.dtype) != np.float64:
        raise Declined("an encoder that does not give float64")
    pools = [[value for value in pool.tolist() if value == value and value is not None] for pool in encoder.categories_]
    if not all(pools) or any(len({type(v) for v in pool}) > 1 or isinstance(pool[0], bool) for pool in pools):
        raise Declined("categories of mixed types")
    one_hot = _kind(encoder)[1] == "OneHotEncoder"
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
        steps = [] if isinstance(chain, str) else _steps(chain)
        for inner in steps:
            _plain(inner)
        if any(_kind(inner) in ENCODERS for inner in steps):
            groups += _lookups(chain, columns)
        else:
            groups.append(Numbers(columns, [_known(inner) for inner in steps]))
            centres.update(zip(columns, _centres(steps, len(columns)), strict=True))
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


def _centres(steps: list[Any], count: int) -> list[tuple[float, float]]:
    """Likely values of numeric columns, from what the scalers or imputers have seen."""
    centre, spread = np.zeros(count), np.ones(count)
    for step in reversed(steps):
        for attribute in ("mean_", "center_", "statistics_"):
            if getattr(step, attribute, None) is not None:
                centre = np.asarray(getattr(step, attribute), float)
        if getattr(step, "scale_", None) is not None and _kind(step)[1] != "MinMaxScaler":
            spread = np.asarray(step.scale_, float)
    return list(zip(centre.tolist(), spread.tolist(), strict=True))


# -- the pipeline --------------------------------------------------------------------------------------------------


def _known(step: Any) -> Step:
    _plain(step)
    build = STEPS.get(_kind(step))
    if build is None:
        raise Declined(f"no shortcut for {type(step).__qualname__}")
    return build(step)


def _known_or_own(step: Any) -> Step:
    try:
        return _known(step)
    except Declined:
        _plain(step)
        return step.transform  # type: ignore[no-any-return]


def pipeline(model: Any, recipe_for: Callable[[Any], Recipe]) -> Recipe:
    *steps, final = _steps(model)
    if model.steps[-1][1] is not final or not steps:
        raise Declined("a pipeline without steps before its model")
    rows: Admission
    if _kind(steps[0]) == COLUMN_TRANSFORMER:
        _plain(steps[0])
        rows, first, sparse = column_transformer(steps[0])
    else:
        first, sparse = _known(steps[0]), None
        hints, accepted = _numeric_hints(steps[0]), frozenset(map(np.dtype, ("float64", "int64")))
        rows = NumericRows(int(steps[0].n_features_in_), names_of(steps[0]), hints=hints, accepted=accepted)
    chain = [first, *map(_known_or_own, steps[1:])]
    try:
        last = recipe_for(final)
    except Declined:
        last = None
    if sparse is not None and len(steps) > 1:
        raise Declined("a sparse matrix between the steps")
    finish = _finish(final, last, sparse)
    methods = {name: _composed(chain, finish, name) for name in METHODS if hasattr(model, name)}
    watched = [(model, "steps"), *((final, key) for _, key in (last.watched if last else ()))]
    return Recipe(model, rows, methods, watched, [last] if last else [])


METHODS = ("predict", "predict_proba", "decision_function")


def _numeric_hints(step: Any) -> list[Array]:
    rng = np.random.default_rng(0)
    return [centre + spread * rng.standard_normal(50) for centre, spread in _centres([step], int(step.n_features_in_))]


def _composed(chain: list[Step], finish: Callable[[str, Any], Any], name: str) -> Evaluator:
    def evaluate(rows: Any) -> Any:
        for transform in chain:
            rows = transform(rows)
            if rows is NotImplemented:
                return NotImplemented
        return finish(name, rows)

    return evaluate


def _finish(final: Any, last: Recipe | None, sparse: Any) -> Callable[[str, Any], Any]:
    """(method, transformed rows) -> the model's answer."""
    trees = last is not None and isinstance(last.rows, NumericRows) and last.rows.dtype is not None

    def finish(name: str, rows: Any) -> Any:
        matrix = rows if sparse is None or trees else sparse(rows)
        if last is None or name not in last.methods or matrix is not rows:
            return getattr(final, name)(matrix)
        admitted = last.rows.admit(matrix)
        return NotImplemented if admitted is None else last.methods[name](admitted)

    return finish


PIPELINE = ("sklearn.pipeline", "Pipeline")
IMPUTER = ("sklearn.impute._base", "SimpleImputer")
COLUMN_TRANSFORMER = ("sklearn.compose._column_transformer", "ColumnTransformer")
ENCODERS = {
    ("sklearn.preprocessing._encoders", "OneHotEncoder"),
    ("sklearn.preprocessing._encoders", "OrdinalEncoder"),
}
STEPS: dict[tuple[str, str], Callable[[Any], Step]] = {
    ("sklearn.preprocessing._data", "StandardScaler"): standard_scaler,
    ("sklearn.preprocessing._data", "MinMaxScaler"): min_max_scaler,
    ("sklearn.preprocessing._data", "MaxAbsScaler"): max_abs_scaler,
    ("sklearn.preprocessing._data", "RobustScaler"): robust_scaler,
    ("sklearn.preprocessing._function_transformer", "FunctionTransformer"): nothing,
    IMPUTER: simple_imputer,
}
