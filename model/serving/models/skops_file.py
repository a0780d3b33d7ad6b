"""model.skops: a model without a pickle. What may be loaded is decided by the user's predictor.py, not by the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import ModelNotUsable


def read(path: Path, trusted: Iterable[str]) -> Any:
    """`trusted`: types beyond those that skops itself trusts, as `module.Class`. Raises ModelNotUsable for others."""
    try:
        from skops import io
    except ImportError:
        raise ModelNotUsable(f"{path.name} needs the package skops. Add skops to requirements.txt.") from None
    trusted = list(trusted)
    others = sorted(set(io.get_untrusted_types(file=path)) - set(trusted))
    if others:
        raise ModelNotUsable(
            f"{path.name} holds types that nobody has said to trust: {', '.join(others[:10])}. When you know them, "
            f"write TRUSTED_TYPES = {others[:10]} into predictor.py."
        )
    return io.load(path, trusted=trusted)
