"""With which version of a package was a pickle made, and on which Python can that be had?"""

from __future__ import annotations

import re
from pathlib import Path

from . import pickle_reader, python_code
from .packages import PACKAGES

MADE_BY = (
    ("numpy._core", "The model was made with NumPy 2: put numpy>=2 into model/requirements.txt."),
    ("pandas.core.indexes.numeric", "The model was made with pandas 1: put pandas==1.5.3 into model/requirements.txt."),
    (
        "sklearn.externals",
        "The model was made with scikit-learn 0.22 or older, which needs an old Python: train it again.",
    ),
)
"""A module → which version of its package had it."""


def pin(module: str, path: Path) -> str:
    """Which package to pin, and to what."""
    for known, remedy in MADE_BY:
        if module == known or module.startswith(known + "."):
            return remedy
    top = module.partition(".")[0]
    if top in ("", "sklearn"):
        return told(path)
    return f"Pin {PACKAGES.get(top, top)} to the version that the model was trained with in model/requirements.txt."


def told(path: Path) -> str:
    """Which scikit-learn the pickle says it was made with: each estimator's state carries `_sklearn_version`."""
    made_with = of_scikit_learn(path)
    if not made_with:
        return "Pin the versions that the model was trained with in model/requirements.txt."
    made, newest = made_with[0], newest_python(made_with[0])
    if newest == "":
        return (
            f"The model was pickled with scikit-learn {made}, which Python 3.10 was the last to have: train it again."
        )
    with_python = f", with Python {newest} (--build-arg PYTHON_VERSION={newest})" if newest else ""
    return (
        f"The model was pickled with scikit-learn {made}: put scikit-learn=={made} into "
        f"model/requirements.txt{with_python}."
    )


FIRST = {"3.11": (1, 1, 3), "3.12": (1, 3, 1), "3.13": (1, 5, 2), "3.14": (1, 7, 2)}
"""A Python → the first scikit-learn that has a wheel for it."""


def newest_python(version: str) -> str | None:
    """The newest Python that can have this scikit-learn; "" if that is too old for the server, None if this one can."""
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if numbers >= FIRST.get(python_code.HERE, ()):
        return None
    return max((python for python, first in FIRST.items() if numbers >= first), default="")


def of_scikit_learn(path: Path) -> list[str]:
    return pickle_reader.read(path).scikit_learn if path.is_file() else []
