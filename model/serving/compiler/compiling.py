"""An estimator -> its program, proven; or the reason why there is none. The only door to the readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .artifact import Compiled
from .proof import Differs, prove
from .readers.known import program_of
from .readers.reading import Declined


class NotCompiled(Exception):
    """The estimator answers by itself, as ever: the message says why."""


def compiled(model: Any, samples: Iterable[Any] = (), report: Callable[[str], None] = lambda line: None) -> Compiled:
    """Asks the estimator for predictions: not before a fork. `report` gets a line for each part. Raises NotCompiled."""
    try:
        program = program_of(model, report)
        return Compiled(program, prove(model, program, samples), type(model).__qualname__)
    except (Declined, Differs) as exc:
        raise NotCompiled(str(exc)) from exc
    except Exception as exc:
        raise NotCompiled(f"{type(exc).__name__} while proving it: {exc}") from exc
