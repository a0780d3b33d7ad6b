"""Models that take their time, for what only a slow model shows: /ping while all workers compute, and overload."""

from __future__ import annotations

import time

import numpy as np

SQUARE = np.ones((256, 256))
LOOPS = 1_000_000


class Slow:
    """Computes for so many CPU seconds a call and a row, and answers whether a row's first number is above nought."""

    def __init__(self, per_call: float = 0.0, per_row: float = 0.0) -> None:
        self.per_call, self.per_row = per_call, per_row

    def predict(self, rows) -> np.ndarray:
        self.compute(self.per_call + self.per_row * len(rows))
        return (np.asarray(rows, dtype=float)[:, 0] > 0).astype(int)

    def compute(self, seconds: float) -> None:
        """In BLAS, which releases the interpreter's lock."""
        over = time.thread_time() + seconds
        while time.thread_time() < over:
            SQUARE @ SQUARE


class Holding(Slow):
    """Holds the interpreter's lock from the first to the last moment of a call: one loop inside C."""

    def __init__(self, per_call: float = 0.0, per_row: float = 0.0) -> None:
        super().__init__(per_call, per_row)
        began = time.thread_time()
        sum(range(LOOPS))
        self.loops_per_second = LOOPS / (time.thread_time() - began)

    def compute(self, seconds: float) -> None:
        sum(range(int(seconds * self.loops_per_second)))
