"""Rows to ask a model for, and what all bodies have in common."""

from __future__ import annotations

import datetime
import gzip
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drawn_columns import NAMES
from drawn_models import Fitted
from hypothesis import event
from hypothesis import strategies as st

Record = dict[str, Any]


@dataclass(frozen=True)
class Body:
    """`rows` are what pandas reads: a function, since it may refuse."""

    bytes: bytes
    content_type: str | None
    rows: Callable[[], Any]
    encoding: str | None = None


def records(draw: Any, fit: Fitted, named: bool) -> list[Record]:
    """Some rows. With names the columns come in any order, and others beside them that the model does not know."""
    names = fit.names
    others = [n for n in NAMES if normal(n) not in set(map(normal, names))]
    if named and fit.form == "frame":
        extra = draw(st.lists(st.sampled_from(others), max_size=2, unique=True)) if draw(st.booleans()) else []
        names = draw(st.permutations([*names, *extra])) if draw(st.booleans()) else names
    cells = {n: st.sampled_from(fit.cells.get(n, [0, 1.5, "x", None])) for n in names}
    rows = draw(st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=5))
    return [{name: row[name] for name in names} for row in rows]


def normal(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().replace(" ", "_")


def spelled(draw: Any, names: list[str]) -> list[str]:
    """As somebody else may write the names, if each can still be told."""
    change = draw(st.sampled_from(SPELLINGS))
    changed = [change(name) if name == name.strip() else name for name in names]
    return changed if len(set(map(normal, names))) == len(names) else names


SPELLINGS: list[Callable[[str], str]] = [
    str,
    str,
    lambda name: unicodedata.normalize("NFD", name),
    lambda name: f" {name}",
    lambda name: name.strip().replace(" ", "_"),
]


def encoded(draw: Any, text: str, content_type: str) -> tuple[bytes, str]:
    charset = draw(st.sampled_from(["", "", "", "mark", "utf-16", "utf-16-le", "latin-1", "cp1252"]))
    event(f"charset {charset}")
    if charset == "mark":
        return text.encode("utf-8-sig"), content_type
    try:
        return text.encode(charset or "utf-8"), content_type + (f"; charset={charset}" if charset else "")
    except UnicodeEncodeError:
        return text.encode(), content_type


def zipped(draw: Any, body: bytes, content_type: str, rows: Callable[[], Any]) -> Body:
    if draw(st.integers(0, 7)):
        return Body(body, content_type, rows)
    return Body(gzip.compress(body), content_type, rows, "gzip")


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else value
