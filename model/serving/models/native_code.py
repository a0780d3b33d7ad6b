"""Which libraries need a thread of the system's own for every call.

An error in their C++ code walks the stack. A greenlet's stack is a piece of another one: a walk beyond its beginning
ends the process.
"""

from __future__ import annotations

import sys

UNWINDING = ("torch", "tensorflow", "onnxruntime", "catboost", "jax", "paddle", "mxnet")


def needs_a_real_thread() -> bool:
    """Whether one of them has been imported by now, by the model, by predictor.py or by a call of it."""
    return any(name in sys.modules for name in UNWINDING)
