"""A model in memory, with the user's function and what the model expects."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import GeneratorType
from typing import Any

import numpy as np

from ..compiler import facade
from ..compiler.artifact import Compiled
from ..errors import BadRequest, ModelNotUsable
from ..rows import made_up, predictions
from ..rows.decoded import dressed
from ..rows.signature import Signature
from . import inspection, warm_up
from .context import Context
from .own_modules import OwnModules

log = logging.getLogger(__name__)

WARM_UP_ROWS = (3, 1)
"""Of two rows, (mean, std) would be one each; of three, a list of three results for all rows."""


@dataclass
class LoadedModel:
    """A model, the user's function, and what the model expects."""

    model: Any
    transformation: Callable[..., Any]
    signature: Signature
    source: Path
    takes_context: bool = False
    """Whether transformation has a third parameter (context.py)."""
    load_seconds: float = 0.0
    own_modules: OwnModules | None = None
    method: str = ""
    """The one method of the model that transformation calls with the rows, doing nothing else."""

    def close(self) -> None:
        """Frees what the process keeps beside the model: the modules that are its own."""
        if self.own_modules is not None:
            self.own_modules.forget()

    def sample_rows(self, n: int) -> Any:
        """`n` rows that the model should take, as a request's are; None if none can be made up."""
        return made_up.raw_rows(self.signature, n)

    def compile(self) -> str:
        """Proves a program for the model, unless it came with one; from then on `model` answers by it. Returns a
        line for the log. It asks the model for predictions, so it must not run before a fork."""
        from ..compiler.compiling import NotCompiled, compiled

        if self.compiled is None:
            try:
                samples = [dressed(rows, self.signature) for n in (1, 3) if (rows := self.sample_rows(n)) is not None]
                program = compiled(self.model, samples)
            except NotCompiled as exc:
                return f"not compiled ({exc})"
            self.model = facade.Facade(program, facade.Estimator(lambda: None, program.name, self.model))
        assert self.compiled is not None
        return f"compiled: {self.compiled.describe()}"

    @property
    def compiled(self) -> Compiled | None:
        return facade.behind(self.model).compiled if facade.is_facade(self.model) else None

    def predict(self, rows: Any, context: Context | None = None) -> Any:
        """The user's transformation on `rows`, as a request's are: one prediction per row."""
        if self.method and (answer := self._directly(rows)) is not NotImplemented:
            return answer
        rows = dressed(rows, self.signature)
        try:
            if self.takes_context:
                return self.transformation(self.model, rows, context or Context())
            return self.transformation(self.model, rows)
        except SystemExit as exc:  # it would end the worker, and with it everybody's requests
            raise RuntimeError("transformation called sys.exit()") from exc

    def _directly(self, rows: Any) -> Any:
        """The program's answer, without a frame in between; NotImplemented where there is none."""
        program = self.compiled
        if program is None or self.method not in program.program.methods:
            return NotImplemented
        names = program.program.names
        fits = self.signature.form == "array" if names is None else self.signature.given_names == names
        return facade.answer(self.model, self.method, rows) if fits else NotImplemented

    def warm_up(self) -> None:
        """Predicts sample rows. Raises ModelNotUsable when that fails, or when no plausible row is known and the model
        is plainly not fitted."""
        try:
            samples = [self.sample_rows(count) for count in WARM_UP_ROWS]
        except BadRequest as exc:
            raise ModelNotUsable(warm_up.of_warm_up(exc, self.model, self.signature, self.source)) from exc
        if samples[0] is None:
            if self.method and self.signature.lacking:
                raise ModelNotUsable(self.signature.lacking)
            if not facade.is_facade(self.model):
                self._try_any_rows()
            remedy = self.signature.lacking or "save_sample would tell: see README"
            log.info("no warm-up prediction: the model does not tell which rows it expects (%s)", remedy)
            return
        try:
            for rows, count in zip(samples, WARM_UP_ROWS, strict=True):
                result = self.predict(rows)
                if isinstance(result, GeneratorType):
                    next(result, None)  # nothing has been computed before
                elif not predictions.is_whole(result):
                    predictions.per_row(result, count)
        except BaseException as exc:  # a panic of Rust, too
            if self._is_told_by_parts() and warm_up.asks_for_other_columns(exc, self.signature):
                log.warning(
                    "no warm-up prediction: transformation asks for others than %s, which a part of the model knows "
                    "(save_sample would tell which: see README)",
                    self.signature.describe(),
                )
                self.signature = Signature()
                return
            raise ModelNotUsable(warm_up.of_warm_up(exc, self.model, self.signature, self.source)) from exc

    def _is_told_by_parts(self) -> bool:
        """Whether only parts of the model tell the signature: each knows the columns that it was fitted on itself."""
        return not self.signature.sample and inspection.inspect(self.model) is None

    def _try_any_rows(self) -> None:
        """Predicts rows that are as good as any. Where they do not fit, that says nothing; but a model that is not
        fitted, and a part that is not there, fail with whatever rows come."""
        if warm_up.says_unfitted(self.model):
            raise ModelNotUsable(warm_up.of_unfitted(self.model))
        try:
            with warnings.catch_warnings(action="ignore"):
                self.predict(np.zeros((WARM_UP_ROWS[0], len(self.signature.columns or ()) or 1)))
        except BaseException as exc:
            if reason := warm_up.of_any_rows(exc, self.model, self.source):
                raise ModelNotUsable(reason) from exc
