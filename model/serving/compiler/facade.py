"""What transformation gets as `model` where there is a program: its methods run the program, all else is the estimator.

The estimator is loaded when it is needed: for another attribute or method, for keywords, for rows of a kind that was
not proven, for isinstance or pickling. That happens once, under a lock, and is said in the log. When the estimator is
changed (fitted again, an attribute replaced) the program stands aside.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .admission import Admission
from .artifact import Compiled
from .evaluate import Unknown, Unproven
from .trees import Trees

FEW_ROWS = 500
CHANGES = ("fit", "partial_fit", "set_params", "__setstate__")
"""Methods after which an estimator may answer differently."""
log = logging.getLogger(__name__)


class Estimator:
    """The real one, loaded when it is first asked for."""

    def __init__(self, load: Callable[[], Any], name: str, model: Any = None) -> None:
        self._load, self._name, self._model = load, name, model
        self._lock = threading.RLock()

    @property
    def is_loaded(self) -> bool:
        return self._model is not None

    def __call__(self) -> Any:
        if self._model is None:
            with self._lock:
                if self._model is None:
                    log.info("the estimator itself is loaded: %s is asked for what its program does not do", self._name)
                    self._model = self._load()
        return self._model


class Behind:
    """What a facade keeps: the programs of its methods, and how to get at the estimator."""

    def __init__(self, compiled: Compiled, estimator: Estimator) -> None:
        self.compiled, self.estimator, self.valid = compiled, estimator, True
        self.admission = Admission(compiled.program, compiled.proven.dtypes)
        self.evaluators = compiled.evaluators_with(estimator)
        walks = any(isinstance(node.operation, Trees) for node in compiled.program.nodes())
        self._most = FEW_ROWS if walks and not compiled.natively else None

    def answer(self, name: str, admitted: Any) -> Any:
        """NotImplemented where only the estimator may judge. Raises Unknown for a category that an encoder refuses."""
        if admitted is None or not self.valid or self._is_slower(admitted):
            return NotImplemented
        try:
            return self.evaluators[name](admitted)
        except Unknown:
            raise
        except Unproven:
            return NotImplemented

    def _is_slower(self, admitted: Any) -> bool:
        """Without native.c an estimator that is there anyway walks many rows down its trees sooner than NumPy does."""
        if self._most is None or not self.estimator.is_loaded:
            return False
        return len(admitted[0] if isinstance(admitted, list) else admitted) > self._most


class Method:
    """One method of the estimator, answered by its program."""

    def __init__(self, behind: Behind, name: str) -> None:
        self._behind, self.__name__ = behind, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs:
            with suppress(Unknown):  # the estimator says it in its own words
                answer = self._behind.answer(self.__name__, self._behind.admission.rows(args[0]))
                if answer is not NotImplemented:
                    return answer
        return getattr(self._behind.estimator(), self.__name__)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._behind.estimator(), self.__name__), name)


class Facade:
    """Looks like the estimator. Nothing but its program's methods is its own."""

    def __init__(self, compiled: Compiled, estimator: Estimator) -> None:
        behind = Behind(compiled, estimator)
        vars(self)["\0behind"] = behind
        for name in compiled.program.methods:
            vars(self)[name] = Method(behind, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(behind(self).estimator())

    def __getattr__(self, name: str) -> Any:
        value = getattr(behind(self).estimator(), name)
        return _changing(behind(self), value) if name in CHANGES else value

    def __setattr__(self, name: str, value: Any) -> None:
        estimator = behind(self).estimator()
        if name in vars(estimator):  # a user's own note on the model changes nothing
            _stand_aside(behind(self))
        setattr(estimator, name, value)

    def __delattr__(self, name: str) -> None:
        _stand_aside(behind(self))
        delattr(behind(self).estimator(), name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return behind(self).estimator().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return repr(behind(self).estimator())

    def __dir__(self) -> list[str]:
        return dir(behind(self).estimator())

    def __len__(self) -> int:
        return len(behind(self).estimator())

    def __bool__(self) -> bool:
        return bool(behind(self).estimator())

    def __getitem__(self, key: Any) -> Any:
        return behind(self).estimator()[key]

    def __iter__(self) -> Any:
        return iter(behind(self).estimator())

    def __eq__(self, other: object) -> bool:
        return self is other or bool(behind(self).estimator() == other)

    def __hash__(self) -> int:
        return id(self)


def behind(facade: Facade) -> Behind:
    found: Behind = vars(facade)["\0behind"]
    return found


def is_facade(model: Any) -> bool:
    return type(model) is Facade


def answer(facade: Facade, name: str, rows: Any) -> Any:
    """The method's answer to rows that were not made a DataFrame; NotImplemented where they must be.

    A category that the encoder refuses is refused here: no reason to load the estimator for its wording.
    """
    inside = behind(facade)
    try:
        return inside.answer(name, inside.admission.undressed(rows))
    except Unknown as exc:
        raise ValueError(str(exc)) from None


def _stand_aside(inside: Behind) -> None:
    if inside.valid:
        log.info("the estimator was changed: %s answers by itself from now on", inside.compiled.name)
    inside.valid = False


def _changing(inside: Behind, method: Callable[..., Any]) -> Callable[..., Any]:
    def changing(*args: Any, **kwargs: Any) -> Any:
        _stand_aside(inside)
        return method(*args, **kwargs)

    return changing
