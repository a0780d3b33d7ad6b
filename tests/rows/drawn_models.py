"""Models of many kinds, fitted on columns of many kinds under names of every ugly kind.

What a model was fitted on is known here; what it says of itself is asked of the kit, which is what is tried.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from drawn_columns import KINDS, NAMES, NUMBERED, PLAIN, SAMPLED, TEXTUAL, N
from hypothesis import event
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeRegressor

from serving.models.inspection import signature_of
from serving.models.loaded import LoadedModel
from serving.models.sample import save_sample


class Echo:
    """A class of somebody's own: it says nothing, and answers with the cells that it was given, and their types."""

    def predict(self, rows: Any) -> list[Any]:
        if isinstance(rows, list):
            return [["list", repr(row)] for row in rows]
        if not hasattr(rows, "columns"):
            return [["array", str(rows.dtype), *map(cell, row)] for row in rows.tolist()]
        columns = [(str(name), described(rows.iloc[:, i])) for i, name in enumerate(rows.columns)]
        values = rows.astype(object).to_numpy().tolist()
        return [["frame", *([*c, cell(v)] for c, v in zip(columns, row, strict=True))] for row in values]


def described(column: pd.Series) -> str:
    """Its dtype; of a category what belongs to it."""
    if column.dtype != "category":
        return str(column.dtype)
    return f"{column.dtype} {list(column.cat.categories)} {column.cat.ordered}"


def cell(value: Any) -> str:
    """What it is and its exact value; missing is missing."""
    value = value.item() if isinstance(value, np.generic) else value
    return "missing" if value is None or value is pd.NA or value is pd.NaT or value != value else repr(value)


def mixed(encoder: Any, final: Any, imputer: Any = None) -> Any:
    """Texts are encoded, numbers imputed and scaled."""
    numbers = make_column_selector(dtype_include=["number", "bool", "boolean"])
    others = make_column_selector(dtype_exclude=["number", "bool", "boolean"])
    scaled = make_pipeline(imputer or SimpleImputer(), StandardScaler())
    return make_pipeline(make_column_transformer((encoder, others), (scaled, numbers)), final)


def encoded() -> Any:
    return make_pipeline(ignoring(), LogisticRegression())


def ignoring() -> Any:
    return OneHotEncoder(handle_unknown="ignore")


def histograms(**options: Any) -> Any:
    return HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2, **options)


def forest() -> Any:
    return RandomForestClassifier(3, max_depth=3, random_state=0)


@dataclass(frozen=True)
class Family:
    """The kinds of columns that an estimator takes; `by_name`: it must be fitted on a frame with names."""

    kinds: tuple[str, ...]
    make: Callable[[], Any]
    by_name: bool = False
    encodes: bool = False
    """Texts that it was fitted on are never missing values."""
    strange_names: bool = True


FAMILIES: dict[str, Family] = {
    "logistic": Family(PLAIN, lambda: make_pipeline(StandardScaler(), LogisticRegression())),
    "line": Family(PLAIN, lambda: make_pipeline(MinMaxScaler(), LinearRegression())),
    "descent": Family(PLAIN, lambda: make_pipeline(StandardScaler(), SGDClassifier(random_state=0))),
    "forest": Family((*PLAIN, "float32", "uint8"), forest),
    "extra trees": Family((*PLAIN, "holes"), lambda: ExtraTreesRegressor(3, max_depth=4, random_state=0)),
    "tree": Family((*PLAIN, "holes"), lambda: DecisionTreeRegressor(max_depth=4, random_state=0)),
    "gradients": Family(PLAIN, lambda: GradientBoostingClassifier(n_estimators=3, random_state=0)),
    "neighbours": Family(PLAIN, lambda: KNeighborsClassifier(3)),
    "a vote": Family(PLAIN, lambda: VotingClassifier([("l", LogisticRegression()), ("f", forest())], voting="soft")),
    "imputed": Family((*PLAIN, "holes"), lambda: make_pipeline(SimpleImputer(), LogisticRegression())),
    "imputed from -1": Family(("marked", "halves"), lambda: make_pipeline(SimpleImputer(missing_values=-1), forest())),
    "imputed, noted": Family((*PLAIN, "holes"), lambda: make_pipeline(SimpleImputer(add_indicator=True), forest())),
    "neighbours' values": Family((*PLAIN, "holes"), lambda: make_pipeline(KNNImputer(n_neighbors=2), forest())),
    "histograms": Family((*PLAIN, "holes"), histograms),
    "categories": Family(
        (*PLAIN, "holes", "category", "order", "Float64"), lambda: histograms(categorical_features="from_dtype"), True
    ),
    "one-hot": Family((*PLAIN, "holes", *TEXTUAL, "gaps"), lambda: mixed(ignoring(), LogisticRegression()), True, True),
    "nullable": Family(
        ("Int64", "Float64", "boolean", "words", "whole"), lambda: mixed(ignoring(), forest()), True, True
    ),
    "ordinal": Family((*PLAIN, *TEXTUAL), lambda: mixed(OrdinalEncoder(), forest()), True, True),
    "targets": Family((*PLAIN, *TEXTUAL), lambda: mixed(TargetEncoder(random_state=0), forest()), True, True),
    "unknown is -1": Family(
        (*PLAIN, *TEXTUAL, "gaps"),
        lambda: mixed(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), forest()),
        True,
        True,
    ),
    "imputed from None": Family(
        ("nones",),
        lambda: make_pipeline(SimpleImputer(missing_values=None, strategy="most_frequent"), ignoring(), forest()),
    ),
    "imputed words": Family(
        ("gaps",), lambda: make_pipeline(SimpleImputer(strategy="most_frequent"), ignoring(), forest())
    ),
    "words alone": Family(TEXTUAL, lambda: make_pipeline(OneHotEncoder(), LogisticRegression()), encodes=True),
    "a search": Family(
        (*PLAIN, *TEXTUAL),
        lambda: GridSearchCV(mixed(ignoring(), LogisticRegression()), {}, cv=2),
        True,
        True,
    ),
    "a bag": Family(
        TEXTUAL,
        lambda: BaggingClassifier(make_pipeline(ignoring(), LogisticRegression()), 2, random_state=0),
        encodes=True,
    ),
    "calibrated": Family(
        TEXTUAL, lambda: CalibratedClassifierCV(make_pipeline(ignoring(), LogisticRegression()), cv=2), encodes=True
    ),
    "xgboost": Family(
        (*PLAIN, "holes", "float32"), lambda: xgboost.XGBClassifier(n_estimators=2, n_jobs=1), strange_names=False
    ),
    "xgboost, categories": Family(
        ("float", "holes", "category"),
        lambda: xgboost.XGBClassifier(n_estimators=2, n_jobs=1, enable_categorical=True),
        by_name=True,
        strange_names=False,
    ),
    "lightgbm": Family(
        (*PLAIN, "holes"),
        lambda: lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, min_child_samples=2, verbose=-1),
        strange_names=False,
    ),
    "lightgbm, categories": Family(
        ("float", "holes", "category"),
        lambda: lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, min_child_samples=2, verbose=-1),
        by_name=True,
        strange_names=False,
    ),
    "own, silent": Family(tuple(KINDS), Echo),
    "own, with a sample": Family(SAMPLED, Echo),
}


@dataclass(frozen=True)
class Fitted:
    """A model, and as it is served. `form` is what it must be given."""

    frame: pd.DataFrame
    model: Any
    served: LoadedModel
    form: str
    method: str = "predict"
    cells: dict[Any, list[Any]] = field(default_factory=dict)
    """What may come in a column."""
    encodes: bool = False

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.frame.columns]


@cache
def directory() -> Path:
    return Path(tempfile.mkdtemp())


def sample_of(rows: Any) -> Path:
    with contextlib.redirect_stdout(io.StringIO()):
        return save_sample(rows, directory())


@st.composite
def fitted(draw: Any) -> Fitted:
    """A model of columns."""
    name = draw(st.sampled_from([*sorted(FAMILIES), *["own, silent", "own, with a sample"] * 4]))
    event(name)
    family = FAMILIES[name]
    kinds = draw(st.lists(st.sampled_from(family.kinds), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    columns = [KINDS[kind].fitted(rng) for kind in kinds]
    frame = pd.DataFrame(dict(enumerate(columns)))
    frame.columns = draw(naming(family, len(kinds)))
    array = not family.by_name and set(kinds) <= {"float", "halves", "whole", "holes", "marked"} and draw(st.booleans())
    rows = frame.to_numpy(dtype=float) if array else frame
    named = all(isinstance(label, str) for label in frame.columns)
    sampled = "silent" not in name and (family.make is Echo or draw(st.booleans()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = family.make()
        model = model if family.make is Echo else model.fit(rows, np.arange(N) % 2)
        signature = signature_of(model, sample_of(rows) if sampled else None)
    method = draw(st.sampled_from(["predict", "predict_proba"])) if hasattr(model, "predict_proba") else "predict"
    served = served_as(model, signature, method, draw(st.booleans()))
    cells = {str(n): [*map(plain, frame[n]), *KINDS[k].others] for n, k in zip(frame.columns, kinds, strict=True)}
    form = form_of(name, model, array, named or sampled)
    return Fitted(frame, model, served, form, method, cells, family.encodes)


def form_of(name: str, model: Any, array: bool, named: bool) -> str:
    """scikit-learn keeps no names that are not texts."""
    if "silent" in name:
        return "unknown"
    keeps = named or type(model).__module__.startswith(("xgboost", "lightgbm"))
    return "frame" if keeps and not array else "array"


def naming(family: Family, count: int) -> Any:
    """xgboost and LightGBM refuse some names, and to LightGBM a blank is an underscore."""
    strange = [n for n in NAMES if family.strange_names or (n not in ("", "a_b") and not set(n) & set(',"[]{}:<\n\r'))]
    texts = st.lists(st.sampled_from(strange), min_size=count, max_size=count, unique=True)
    return texts if family.by_name else st.one_of(texts, texts, texts, st.sampled_from([n[:count] for n in NUMBERED]))


def plain(value: Any) -> Any:
    """As Python has it."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if value is None or value is pd.NA or value is pd.NaT or value != value else value


def served_as(model: Any, signature: Any, method: str, compiled: bool) -> LoadedModel:
    def transformation(model: Any, rows: Any) -> Any:
        return getattr(model, method)(rows)

    served = LoadedModel(model, transformation, signature, Path("model.pkl"), method=method)
    if compiled:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            event(served.compile().partition(" ")[0])
    return served
