"""One per model and worker: takes requests, gathers those that wait into calls, and keeps timeouts honest.

Whatever waits when the model is free goes into one call; nothing waits for a timer. A call that is expected to be short
runs in the loop's own thread (a hop to another costs more), a long one in the engine's one predictor thread, so that
the loop goes on reading and answering. A call that does not return costs the worker: its requests get a 504, all others
are computed in a new thread. Nothing here knows HTTP or gevent.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ModelNotUsable, NotReady, Overloaded
from ..models import native_code
from ..models.loaded import LoadedModel
from ..monitoring.cloudwatch import EmbeddedMetrics
from ..monitoring.counters import ModelMetrics
from ..settings import Settings
from . import answering
from .jobs import Batch, Job
from .loop import GivenUp, Loop, Thread
from .messages import GONE, Reply, Request
from .parts import Parts
from .policy import Policy
from .queue import Queue
from .reading import Reading

QUEUE_ROWS = 4_000_000
"""Rows that may wait: some large requests. What would wait for more than half the timeout is refused before that."""
Done = Callable[[Reply], None]
log = logging.getLogger(__name__)


class Engine:
    """`start` after the fork, then `submit` in the loop's thread; `tick` twice a second."""

    def __init__(self, model: LoadedModel, config: Settings, name: str = "") -> None:
        """`name` tells the model's numbers from those of others, if there are others."""
        self.model, self.config = model, config
        self.limit = config.batch_rows
        self.policy = Policy(self.limit, QUEUE_ROWS, config.timeout)
        self.not_ready: str | None = "the worker is starting"
        """Why predictions would fail; None when the warm-up prediction has worked."""
        self.metrics = ModelMetrics(name, model.load_seconds)
        self._embedded = EmbeddedMetrics(config.emf_namespace, name) if config.emf_namespace else None
        self._queue = Queue()
        self._computing: Batch | None = None
        self._turning = self._in_thread_only = False

    # ---- life: warm up, compute, prove -------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Predicts sample rows; `not_ready` says how that went. In any thread, and before `start`.

        It is also the policy's first expectation: the first call of all is slower than those that follow.
        """
        try:
            self.model.warm_up()
            for rows in self._samples():
                began = time.monotonic()
                self.model.predict(rows)
                self.policy.learn(len(rows), time.monotonic() - began)
            self.not_ready = None
        except ModelNotUsable as exc:
            self.not_ready = str(exc)

    def start(self, loop: Loop, reader: Thread, stuck: Callable[[str], None]) -> None:
        """Begins to take requests. `reader` reads large bodies, for all engines of the worker; `stuck` is told the
        reason when something has not returned in time."""
        self._loop, self._reader, self._stuck = loop, reader, stuck
        self._predictor = loop.thread()
        self._reading = Reading(self.model, self.config, loop, reader, stuck)
        self._parts = Parts(self.model, self.config, loop, reader, self._take)

    def prove_fast_paths(self) -> str:
        """In a thread, while requests are answered by the estimator's own methods: a proof takes up to a second.
        A model that came with its program is proven already. Returns what came of it, in words."""
        if self.config.fast_paths != "on":
            return "programs are off (MODEL_SERVER_FAST_PATHS)"
        prover = self._loop.thread()
        said: str = prover.run(self.model.compile, float("inf"))
        prover.end()
        self.metrics.fast_path = self.model.compiled is not None
        return said

    def stop(self) -> None:
        """Ends the engine. No request may be waiting, or come later."""
        self.print_embedded_metrics()
        self._predictor.end()

    def print_embedded_metrics(self) -> None:
        """A line, if there was traffic since the last. It is short and written at once: no other process breaks it."""
        if self._embedded and (line := self._embedded.line(self.metrics, time.time())):
            os.write(1, f"{line}\n".encode())

    def _samples(self) -> list[Any]:
        return [rows for n in (1, 3) if (rows := self.model.sample_rows(n)) is not None]

    # ---- a request ---------------------------------------------------------------------------------------------------

    def submit(self, request: Request, done: Done) -> None:
        """`done` is told the reply, once, now or later, where it may not wait. Raises nothing."""
        began = self._loop.now()

        def counted(reply: Reply) -> None:
            if reply.code != GONE:
                self.metrics.answered(reply.status, reply.code, self._loop.now() - began)
            done(reply)

        if self.not_ready is not None:
            counted(answering.refuse(NotReady(self.not_ready), request))
        else:
            self._parts.submit(request, counted, alone=self.limit == 1)

    def _take(self, request: Request, done: Done) -> None:
        self._reading.read(request, functools.partial(self._admit, request, done))

    def _admit(self, request: Request, done: Done, read: Job | BaseException) -> None:
        """The request becomes a job in the queue."""
        now = self._loop.now()
        if isinstance(read, Job) and (retry_after := self.policy.admit(read.count, now)) is not None:
            read = Overloaded(retry_after)
        if isinstance(read, BaseException):
            done(answering.refuse(read, request))
            return
        read.arrived, read.done = now, done
        self._queue.jobs.append(read)
        if not self._turning:
            self._turning = True
            self._loop.soon(self._turn)

    def tick(self) -> None:
        """Answers 504 to requests that have waited for MODEL_SERVER_TIMEOUT, in the queue or in a call. What another
        process has is forgotten."""
        self.metrics.waiting = len(self._queue)
        latest = self._loop.now() - self.config.timeout
        for job in self._queue.leave(lambda job: job.arrived <= latest):
            self.policy.leave(job.count)
            job.reply(answering.refuse(answering.late(self.config.timeout), job.request))
        for job in self._queue.leave(lambda job: self._loop.has_gone(job.request)):
            self.policy.leave(job.count)
            job.reply(Reply(503, b"", code=GONE))
        for job in self._computing.jobs if self._computing else ():
            if job.arrived <= latest:
                job.reply(answering.refuse(answering.late(self.config.timeout), job.request))

    def is_overdue(self) -> bool:
        """Whether the running call takes much longer than others did."""
        return self._computing is not None and self.policy.is_overdue(self._loop.now())

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """One call, and another turn of the loop if more waits: what has arrived by then joins it."""
        try:
            if self._queue:
                self._compute(self._queue.next(min(self.limit, self.policy.call_rows)))
        finally:  # whatever happens: who comes later would wait for ever
            if self._queue:
                self._loop.next_turn(self._turn)
            else:
                self._turning = False

    def _compute(self, batch: Batch) -> None:
        """Answers every job of the batch, whatever happens."""
        self._computing = batch
        batch.began = self._loop.now()
        self.policy.begin(batch.rows, batch.began, len(batch.jobs))
        self._loop.keep(job.request for job in batch.jobs)
        for job in batch.jobs:
            self.metrics.queued.observe(batch.began - job.arrived)
        try:
            replies = self._replies(batch)
        except GivenUp:
            self.policy.end(None)
            replies = [answering.refuse(answering.late(self.config.timeout), job.request) for job in batch.jobs]
        except BaseException as exc:  # noqa: BLE001 - every later request would wait for this turn
            self.policy.end(None)
            replies = [answering.refuse(exc, job.request) for job in batch.jobs]
        else:
            self.policy.end(batch.seconds, here=batch.here)
        self._computing = None
        if batch.rows and batch.seconds is not None:  # without a row the model is not called
            self.metrics.called(batch.rows, batch.seconds)
        for job, reply in zip(batch.jobs, replies, strict=True):
            try:
                job.reply(reply)
            except Exception as exc:  # the others of the batch are told theirs
                log.error("%s could not be told its reply", job.request.name, exc_info=answering.for_the_log(exc))

    def _replies(self, batch: Batch) -> list[Reply]:
        call = functools.partial(self._call, batch)
        threaded = self._in_thread_only or native_code.needs_a_real_thread()
        self._in_thread_only = threaded
        if not threaded and self.policy.inline(batch.rows):
            batch.here = True
            return self._loop.here(call, self.config.timeout)
        try:
            replies = self._predictor.run(call, self.config.timeout)
        except GivenUp:
            self._stuck(f"a prediction has not returned for {self.config.timeout} s")
            raise
        if threaded:
            for reply in replies:
                if not isinstance(reply.body, bytes):
                    reply.body = self._items(reply.body)
        return replies

    def _call(self, batch: Batch) -> list[Reply]:
        began = time.monotonic()
        try:
            return answering.replies(self.model, batch.jobs, self._switch_off)
        finally:
            batch.seconds = time.monotonic() - began

    def _items(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        """The items of a stream, each made in the predictor thread."""
        while (item := self._predictor.run(lambda: next(stream, None), self.config.timeout)) is not None:
            yield item

    def _switch_off(self, reason: str) -> None:
        self.limit = 1
        log.warning("no more batches: %s", reason)
