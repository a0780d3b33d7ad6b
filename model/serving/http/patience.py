"""How long a caller may take: to send a request, to take its reply, and to leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Connection

SLOW_SECONDS, SLOWEST = 60, 1000
"""A request must be there within so many seconds, and one more for so many bytes; so must a reply be taken."""
LINGER_SECONDS = 2
"""How long what a refused caller goes on sending is read and forgotten: else it would see a reset, not the reply."""


def is_over(connection: Connection, now: float, idle_seconds: float) -> bool:
    """Whether the connection's time is over, as it is now. One that is being answered has the model's time."""
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
