"""A job is a request whose rows are read; a batch is the jobs that share a call of the model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from ..formats.content_types import Accepted
from ..models.context import Context
from ..rows.decoded import Decoded
from .messages import Reply, Request


class Batch:
    """Jobs that share a call: how many rows, when it was begun, how long the model took (None: it has not returned)."""

    __slots__ = ("began", "here", "jobs", "rows", "seconds")

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs, self.rows = jobs, sum(job.count for job in jobs)
        self.began = 0.0
        self.seconds: float | None = None
        self.here = False
        """Whether it runs in the loop's thread."""


class Job:
    """From the moment its rows are read until its reply is there. One with a context shares its call with no other.

    `batch_key`: jobs with equal keys may share a call (same columns, dtypes); None: never.
    """

    __slots__ = ("accepted", "arrived", "batch", "batch_key", "context", "count", "decoded", "done", "request")

    def __init__(self, request: Request, decoded: Decoded, accepted: Accepted, context: Context | None = None) -> None:
        self.request, self.decoded, self.accepted, self.context = request, decoded, accepted, context
        self.count: int = decoded.count
        self.batch_key: Hashable = decoded.batch_key if context is None else None
        self.arrived = 0.0
        self.batch: Batch | None = None
        self.done: Callable[[Reply], None] | None = None

    def reply(self, reply: Reply) -> None:
        """Tells whoever waits. Only the first reply counts."""
        done, self.done = self.done, None
        if done is not None:
            reply.measured = self.measured()
            done(reply)

    def measured(self) -> str:
        """For the request log: what is known of the call that the job was in."""
        if self.batch is None:
            return f"rows={self.count}"
        known = f"rows={self.count} batch={self.batch.rows} queue={self.batch.began - self.arrived:.6f}"
        return known if self.batch.seconds is None else f"{known} model={self.batch.seconds:.6f}"
