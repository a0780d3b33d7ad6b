"""Every family that can be read: (module, qualified name) of the exact class -> its reader.

Strings, so that no library is imported that is not used. A subclass may mean anything by its methods: it is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..operations import METHODS, Join, Live, Rows
from ..program import Node, Program, check, in_order
from . import boosters, boosting, columns, composed, ensembles, linear, steps, trees
from .reading import Declined, Methods, kind_of


class _Known:
    """The tables below, as readers of composed estimators use them."""

    def __init__(self, root: Any, report: Report) -> None:
        self._root, self._report = root, report

    def methods(self, model: Any, rows: Node) -> Methods:
        read = PREDICTORS.get(kind_of(model))
        if read is None:
            raise Declined(f"{'.'.join(kind_of(model))} is not a family that can be compiled")
        patched = [name for name in METHODS if name in getattr(model, "__dict__", ())]
        if patched:
            raise Declined(f"{type(model).__qualname__}.{patched[0]} is patched")
        methods = {name: node for name, node in read(model, rows, self).items() if hasattr(model, name)}
        self._report(f"{type(model).__qualname__}: read ({', '.join(methods)})")
        return methods

    def transformed(self, step: Any, rows: Node) -> Node:
        steps.must_be_plain(step)
        read = TRANSFORMERS.get(kind_of(step))
        if read is None:
            raise Declined(f"{'.'.join(kind_of(step))} is not a step that can be compiled")
        node = read(step, rows, self)
        self._report(f"{type(step).__qualname__}: read")
        return node

    def rest(self, model: Any, first: int, rows: Node, reason: Declined) -> Methods:
        """Only where something was read before it, and nobody but scikit-learn is called: a proof calls it often."""
        before, last = [node.operation for node in in_order([rows])], model.steps[first:]
        own = all(step in (None, "passthrough") or kind_of(step)[0].startswith("sklearn.") for _, step in last)
        sparse = any(isinstance(one, Join) and one.order == "sparse" for one in before)
        if model is not self._root or len(before) < 2 or sparse or not own:
            raise reason
        self._report(f"from {type(last[0][1]).__qualname__} on: the estimator itself ({reason})")
        return {name: rows.then(Live(first, name)) for name in METHODS if hasattr(model, name)}


Report = Callable[[str], None]


def program_of(model: Any, report: Report = lambda line: None) -> Program:
    """Reads a fitted estimator; it may be asked for predictions. `report` gets a line for each part that was read.
    Raises Declined with the reason."""
    try:
        if kind_of(model) not in PREDICTORS:
            raise Declined(f"{'.'.join(kind_of(model))} is not a family that can be compiled")
        names = boosters.names_of(model)
        rows = Node(Rows(int(model.n_features_in_)))
        program = Program(None if names is None else tuple(map(str, names)), _Known(model, report).methods(model, rows))
        if not program.methods:
            raise Declined("the model has none of the methods")
        check(program)
    except (ImportError, AttributeError, KeyError, TypeError, ValueError, IndexError) as exc:
        # an unfitted model, or a version of the library whose private parts differ
        name = type(model).__qualname__
        raise Declined(f"{name} of this version reads differently ({type(exc).__name__}: {exc})") from exc
    return program


PREDICTORS: dict[tuple[str, str], Callable[..., Methods]] = {
    **trees.PREDICTORS,
    **boosters.PREDICTORS,
    **boosting.PREDICTORS,
    **composed.PREDICTORS,
    **ensembles.PREDICTORS,
    **linear.PREDICTORS,
    **steps.PREDICTORS,
}
TRANSFORMERS: dict[tuple[str, str], Callable[..., Node]] = {**steps.TRANSFORMERS, **columns.TRANSFORMERS}
