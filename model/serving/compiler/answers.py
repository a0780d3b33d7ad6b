"""The operations that turn scores into what the estimator answers: probabilities, means, votes, labels."""

from __future__ import annotations

from dataclasses import dataclass

from .operations import VECTOR, Array, Operation, must, plain

FUNCTIONS = (
    *("expit", "half_logit", "exp", "exp1", "square", "softmax", "two_columns", "normalized", "ravel", "as_column"),
    *("at_most_one", "outlier_score", "shares", "total", "two_sides"),
    *("expit_single", "exp_single", "softmax_single", "exp_double", "softmax_double"),
)


@dataclass(frozen=True, eq=False)
class Function(Operation):
    """One of FUNCTIONS of each value, or of each row."""

    name: str

    def width(self, *inputs: int) -> int:
        (count,) = inputs
        must(self.name in FUNCTIONS, "a function")
        if self.name in ("two_columns", "two_sides"):
            must(count in (VECTOR, 1), "probabilities")
            return 2
        if self.name == "ravel":
            must(count in (VECTOR, 1), "one column")
        if self.name in ("ravel", "total"):
            return VECTOR
        return 1 if self.name == "as_column" and count == VECTOR else count


@dataclass(frozen=True, eq=False)
class Columns(Operation):
    """Columns `first` up to `end`, or that one column as one value a row where `end` is -1."""

    first: int
    end: int

    def width(self, *inputs: int) -> int:
        must(0 <= self.first < inputs[0], "a column that is not there")
        must(self.end == -1 or self.first < self.end <= inputs[0], "a column that is not there")
        return VECTOR if self.end == -1 else self.end - self.first


@dataclass(frozen=True, eq=False)
class Average(Operation):
    """The mean, or the weighted mean, of several equal shapes."""

    weights: Array

    def width(self, *inputs: int) -> int:
        must(len(set(inputs)) == 1 and self.weights.shape in ((0,), (len(inputs),)), "what is averaged")
        return inputs[0]


@dataclass(frozen=True, eq=False)
class Interpolation(Operation):
    """Between points, one value a row; beyond the outermost points their own value."""

    x: Array
    y: Array

    def width(self, *inputs: int) -> int:
        must(inputs == (VECTOR,) and plain(self.x, "f", 1) and plain(self.y, "f", 1), "points")
        must(0 < len(self.x) == len(self.y), "points")
        return VECTOR


@dataclass(frozen=True, eq=False)
class Votes(Operation):
    """For each of `classes` classes how many of the codes name it, or the sum of their weights."""

    classes: int
    weights: Array

    def width(self, *inputs: int) -> int:
        must(set(inputs) == {VECTOR} and self.weights.shape in ((0,), (len(inputs),)), "votes")
        must(0 < self.classes < 2**20, "classes")
        return self.classes


RULES = ("argmax", "positive", "not_negative", "half")


@dataclass(frozen=True, eq=False)
class Labels(Operation):
    """The class of each row by one of RULES. `objects`: the type of the estimator's classes where they are Python
    objects: "str" or "str_", NumPy's; else empty."""

    classes: Array
    rule: str
    objects: str

    def width(self, *inputs: int) -> int:
        (count,) = inputs
        must(self.objects == "" or (self.objects in ("str", "str_") and self.classes.dtype.kind == "U"), "classes")
        must(plain(self.classes, "Uifb", 1) and self.rule in RULES and len(self.classes) > 0, "classes")
        if self.rule == "argmax":
            must(0 < count <= len(self.classes), "a class that is not there")
        else:
            must(count in (VECTOR, 1) and len(self.classes) >= 2, "two classes")
        return VECTOR
