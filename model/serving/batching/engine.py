"""One per model and worker: gathers the requests that wait, makes the calls, and keeps timeouts honest.

Whatever waits when the predictor is free goes into one call; nothing waits for a timer. A call that is expected to be
short runs on gevent's hub (a hop to a thread costs more), a long one in the engine's one predictor thread, so that
the hub goes on reading and answering. A call that does not return costs the worker (http/worker.py): its requests get a
504, all others are computed in a new thread.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from gevent.threadpool import ThreadPool

from ..compiler import fast_paths
from ..errors import ModelNotUsable, NotReady, Overloaded, PredictionTimeout
from ..formats.budget import Bounds
from ..models.loaded import LoadedModel
from ..monitoring.cloudwatch import EmbeddedMetrics
from ..monitoring.counters import ModelMetrics
from ..settings import Settings
from . import answering, bad_records, policy
from .answering import Job
from .messages import Reply, Request

MEGABYTE = 2**20
QUEUE_ROWS = 4_000_000
"""Rows that may wait: some large requests. What would wait for more than half the timeout is refused before that."""
log = logging.getLogger(__name__)


class Waiting:
    """A job, when it came, and where its caller waits."""

    __slots__ = ("arrived", "batch_key", "call", "count", "job", "result")

    def __init__(self, job: Job, arrived: float) -> None:
        self.job, self.arrived = job, arrived
        self.count, self.batch_key = job.count, job.batch_key
        self.result: AsyncResult = AsyncResult()
        self.call: Call | None = None

    def measured(self) -> str:
        """For the request log: what is known of the call that the job was in."""
        if self.call is None:
            return f"rows={self.count}"
        known = f"rows={self.count} batch={self.call.rows} queue={self.call.began - self.arrived:.6f}"
        return known if self.call.seconds is None else f"{known} model={self.call.seconds:.6f}"


class Call:
    """A call of the model: how many rows, when it began, how long it took (None: it has not returned)."""

    __slots__ = ("began", "rows", "seconds")

    def __init__(self, rows: int, began: float) -> None:
        self.rows, self.began = rows, began
        self.seconds: float | None = None


class Engine:
    """`start` after the fork, then `answer` from as many greenlets as there are requests; `tick` twice a second."""

    def __init__(
        self, model: LoadedModel, config: Settings, name: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`name` tells the model's numbers from those of others, if there are others."""
        self.model, self.config, self.clock = model, config, clock
        self.limit, self.max_bytes = config.batch_rows, Bounds(config.max_body_mb * MEGABYTE, config.row_bytes)
        self.policy = policy.Policy(self.limit, QUEUE_ROWS, config.timeout)
        self.not_ready: str | None = "the worker is starting"
        """Why predictions would fail; None when the warm-up prediction has worked."""
        self.metrics = ModelMetrics(name, model.load_seconds)
        self._embedded = EmbeddedMetrics(config.emf_namespace, name) if config.emf_namespace else None
        self._queue: list[Waiting] = []
        self._computing: list[Waiting] = []
        self._arrived = Event()
        self._pool: ThreadPool | None = None

    # ---- life: warm up, compute, prove -------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Predicts sample rows; `not_ready` says how that went. In any thread, and before `start`.

        It is also the policy's first expectation: the first call of all is slower than those that follow.
        """
        try:
            self.model.warm_up()
            for rows in self._samples():
                began = self.clock()
                self.model.predict(rows)
                self.policy.learn(len(rows), self.clock() - began)
            self.not_ready = None
        except ModelNotUsable as exc:
            self.not_ready = str(exc)

    def start(self, stuck: Callable[[str], None]) -> None:
        """Begins to compute. `stuck` is told the reason when a call has not returned in time."""
        self._stuck = stuck
        self._pool = ThreadPool(1)
        self._loop = gevent.spawn(self._compute_for_ever)

    def prove_fast_paths(self) -> None:
        """In a thread, while requests are answered by the estimator's own methods: a proof takes up to a second."""
        if self.config.fast_paths == "on":
            prover = ThreadPool(1)
            proven = prover.apply(fast_paths.accelerate, (self.model.model, self._samples()))
            prover.kill()
            self.metrics.fast_path = bool(proven.methods)
            log.info(proven.description)

    def stop(self) -> None:
        """Ends. Nothing may be waiting, nor come any more."""
        self._loop.kill()
        self.print_embedded_metrics()
        if self._pool is not None:
            self._pool.kill()

    def print_embedded_metrics(self) -> None:
        """A line, if there was traffic since the last. It is short and written at once: no other process breaks it."""
        if self._embedded and (line := self._embedded.line(self.metrics, time.time())):
            os.write(1, f"{line}\n".encode())

    def _samples(self) -> list[Any]:
        return [rows for n in (1, 3) if (rows := self.model.sample_rows(n)) is not None]

    # ---- a request ---------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """The reply; waits for it in the calling greenlet. Raises nothing."""
        began = self.clock()
        reply = self._answered(request)
        if reply.status == 400 and self.config.bad_records != "refuse":
            try:
                reply = bad_records.marked(request, reply, self._answered, self.model.signature, self.max_bytes)
            except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
                reply = answering.refuse(exc, request)
        self.metrics.answered(reply.status, reply.code, self.clock() - began)
        return reply

    def _answered(self, request: Request) -> Reply:
        waiting = None
        try:
            if self.not_ready is not None:
                raise NotReady(self.not_ready)
            job = answering.prepare(self.model, request, self.max_bytes)
            waiting = self._admitted(job)
            reply = answering.finish(self.model, job, waiting.result.get())
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            reply = answering.refuse(exc, request)
        if waiting is not None:
            reply.measured = waiting.measured()
        return reply

    def _admitted(self, job: Job) -> Waiting:
        """The job in the queue; its result will be what transformation returned, or the exception that came instead."""
        now = self.clock()
        retry_after = self.policy.admit(job.count, now)
        if retry_after is not None:
            raise Overloaded(retry_after)
        waiting = Waiting(job, now)
        self._queue.append(waiting)
        self._arrived.set()
        return waiting

    def tick(self) -> None:
        """A 504 for who has waited for MODEL_SERVER_TIMEOUT, computing or not."""
        self.metrics.waiting = len(self._queue)
        latest = self.clock() - self.config.timeout
        for waiting in [w for w in self._queue if w.arrived <= latest]:
            self._queue.remove(waiting)
            self.policy.leave(waiting.count)
            waiting.result.set(self._late())
        for waiting in [w for w in self._computing if w.arrived <= latest and not w.result.ready()]:
            waiting.result.set(self._late())

    def _late(self) -> PredictionTimeout:
        return PredictionTimeout(
            f"No prediction within {self.config.timeout} s. Send fewer rows, or raise MODEL_SERVER_TIMEOUT; "
            "for long predictions SageMaker has asynchronous inference and batch transform."
        )

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _compute_for_ever(self) -> None:
        while True:
            self._arrived.wait()
            gevent.idle()  # lets the hub read every request that has already arrived: they join the batch
            self._arrived.clear()
            while self._queue:
                self._compute(self._next_batch())
                gevent.idle()

    def _next_batch(self) -> list[Waiting]:
        """The oldest request and those that may share its call."""
        places = policy.plan(self._queue, min(self.limit, self.policy.call_rows))[0]
        batch = [self._queue[place] for place in places]
        chosen = set(places)
        self._queue = [waiting for place, waiting in enumerate(self._queue) if place not in chosen]
        return batch

    def _compute(self, batch: list[Waiting]) -> None:
        rows = sum(waiting.count for waiting in batch)
        self._computing = batch
        inline = self.policy.inline(rows)
        began = self.clock()
        self.policy.begin(rows, began)
        measured = Call(rows, began)
        for waiting in batch:
            waiting.call = measured
            self.metrics.queued.observe(began - waiting.arrived)
        call = functools.partial(self._call, [waiting.job for waiting in batch])
        try:
            results = self._on_hub(call) if inline else self._in_thread(call)
        except Exception as exc:  # noqa: BLE001 - this loop may not end: every later request would wait for it
            results = [exc] * len(batch)
        ended = self.clock()
        self.policy.end(ended if results else None)
        if results and rows:  # without a row the model is not called
            measured.seconds = ended - began
            self.metrics.called(rows, measured.seconds)
        self._computing = []
        for waiting, result in zip(batch, results or [self._late()] * len(batch), strict=True):
            if not waiting.result.ready():
                waiting.result.set(result)

    def _call(self, jobs: Sequence[Job]) -> list[Any]:
        return policy.answers(jobs, lambda some: answering.compute(self.model, some), self._switch_off)

    def _on_hub(self, call: Callable[[], list[Any]]) -> list[Any] | None:
        """None: no result in time, which ends a call that waits for something (gevent makes time.sleep and the like
        give way). One that blocks the hub itself is ended by gunicorn, with the worker."""
        with gevent.Timeout(self.config.timeout, False):
            return call()
        return None

    def _in_thread(self, call: Callable[[], list[Any]]) -> list[Any] | None:
        """None: no result in time. The thread is given up and ends with the worker; the next call has a new one."""
        assert self._pool is not None
        running = self._pool.spawn(call)
        with gevent.Timeout(self.config.timeout, False):
            return running.get()  # type: ignore[no-any-return]
        self._pool = ThreadPool(1)
        self._stuck(f"a prediction has not returned for {self.config.timeout} s")
        return None

    def _switch_off(self, reason: str) -> None:
        self.limit = 1
        log.warning("no more batches: %s", reason)
