"""The last line of a start: what is served, what it expects, how it is answered, and how to ask."""

from __future__ import annotations

from collections.abc import Sequence

from ..models.loaded import LoadedModel
from ..rows.signature import Signature

MOST_COLUMNS = 12
SEVERAL = "ready: several models, none of them loaded yet: POST {address}/models loads one"


def of_one(model: LoadedModel, speed: str, address: str) -> str:
    """`speed`: how predictions are computed, in words; `address`: where callers ask."""
    return f"ready: {model.source.name}, {what(model)}; {speed}; ask by POST {address}/invocations"


def what(model: LoadedModel) -> str:
    """`a Pipeline that takes 4 columns: …`."""
    kind = model.compiled.name if model.compiled else type(model.model).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind} that takes {expected(model.signature)}"


def expected(signature: Signature) -> str:
    """`4 columns: length (number), kind (text), …`; without the kinds where none is known."""
    columns: Sequence[object] = signature.columns or ()
    kinds = {column.kind for column in signature.columns or ()}
    if not columns or kinds <= {"any"}:
        return signature.describe()
    if not signature.names:
        return f"{signature.describe()}, each a {' or '.join(sorted(kinds))}"
    shown = [f"{str(c.name)[:80]} ({c.kind})" for c in (signature.columns or ())[:MOST_COLUMNS]]
    more = f" … ({len(columns)} in all)" if len(columns) > MOST_COLUMNS else ""
    return f"{len(columns)} column{'s' * (len(columns) != 1)}: {', '.join(shown)}{more}"
