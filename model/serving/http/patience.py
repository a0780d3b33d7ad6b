"""How long a caller may take: to send a request, to take its reply, and to leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Connection

SLOW_SECONDS, SLOWEST = 60, 1000
"""Seconds in which a request must arrive, and bytes that buy one more second. The same holds for taking a reply."""
LINGER_SECONDS = 2
"""For so long the rest of a refused request is read and dropped: else its caller would see a reset, not the reply."""


def is_over(connection: Connection, now: float, idle_seconds: float) -> bool:
    """Whether the connection's present state has lasted for too long. A request that is being answered has the model's
    time."""
    waited = now - connection.since
    if connection.unsent:
        since, moved = connection.unsent_since, connection.moved
        return waited > SLOW_SECONDS or now - since > SLOW_SECONDS + moved / SLOWEST
    if connection.busy:
        return False
    if connection.closing:
        return waited > LINGER_SECONDS
    if connection.parser.unfinished:
        return waited > SLOW_SECONDS + connection.received / SLOWEST
    return waited > idle_seconds
