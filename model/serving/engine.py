"""One per model and worker: gathers the requests that wait, makes the calls, and keeps timeouts honest.

Whatever waits when the predictor is free goes into one call; nothing waits for a timer. A call that is expected to be
short runs on gevent's hub (a hop to a thread costs more), a long one in the engine's one predictor thread, so that
the hub goes on reading and answering. A call that does not return costs the worker (worker.py): its requests get a
504, all others are computed in a new thread.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from gevent.threadpool import ThreadPool

from . import answering, bad_records, batching, fast_paths
from .answering import Job, Reply, Request
from .errors import ModelNotUsable, NotReady, Overloaded, PredictionTimeout
from .loaded_models import LoadedModel
from .settings import Settings

MEGABYTE = 2**20
QUEUE_ROWS = 4_000_000
"""Rows that may wait: some large requests. What would wait for more than half the timeout is refused before that."""
log = logging.getLogger(__name__)


class Waiting:
    """A job, when it came, and where its caller waits."""

    __slots__ = ("arrived", "batch_key", "count", "job", "result")

    def __init__(self, job: Job, arrived: float) -> None:
        self.job, self.arrived = job, arrived
        self.count, self.batch_key = job.count, job.batch_key
        self.result: AsyncResult = AsyncResult()


class Engine:
    """`start` after the fork, then `answer` from as many greenlets as there are requests; `tick` twice a second."""

    def __init__(self, model: LoadedModel, config: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.model, self.config, self.clock = model, config, clock
        self.limit, self.max_bytes = config.batch_rows, config.max_body_mb * MEGABYTE
        self.policy = batching.Policy(self.limit, QUEUE_ROWS, config.timeout)
        self.not_ready: str | None = "the worker is starting"
        """Why predictions would fail; None when the warm-up prediction has worked."""
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
            log.info(prover.apply(fast_paths.accelerate, (self.model.model, self._samples())).description)
            prover.kill()

    def stop(self) -> None:
        """Ends. Nothing may be waiting, nor come any more."""
        self._loop.kill()
        if self._pool is not None:
            self._pool.kill()

    def _samples(self) -> list[Any]:
        return [rows for n in (1, 3) if (rows := self.model.sample_rows(n)) is not None]

    # ---- a request ---------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """The reply; waits for it in the calling greenlet. Raises nothing."""
        reply = self._answered(request)
        if reply.status != 400 or self.config.bad_records == "refuse":
            return reply
        try:
            return bad_records.marked(request, reply, self._answered, self.model.signature, self.max_bytes)
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            return answering.refuse(exc, request.request_id)

    def _answered(self, request: Request) -> Reply:
        try:
            if self.not_ready is not None:
                raise NotReady(self.not_ready)
            job = answering.prepare(self.model, request, self.max_bytes)
            return answering.finish(self.model, job, self._predicted(job))
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            return answering.refuse(exc, request.request_id)

    def _predicted(self, job: Job) -> Any:
        """What transformation returned for the job, or the exception that came instead."""
        now = self.clock()
        retry_after = self.policy.admit(job.count, now)
        if retry_after is not None:
            raise Overloaded(retry_after)
        waiting = Waiting(job, now)
        self._queue.append(waiting)
        self._arrived.set()
        return waiting.result.get()

    def tick(self) -> None:
        """A 504 for who has waited for MODEL_SERVER_TIMEOUT, computing or not."""
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
        places = batching.plan(self._queue, min(self.limit, self.policy.call_rows))[0]
        batch = [self._queue[place] for place in places]
        chosen = set(places)
        self._queue = [waiting for place, waiting in enumerate(self._queue) if place not in chosen]
        return batch

    def _compute(self, batch: list[Waiting]) -> None:
        rows = sum(waiting.count for waiting in batch)
        self._computing = batch
        inline = self.policy.inline(rows)
        self.policy.begin(rows, self.clock())
        call = functools.partial(self._call, [waiting.job for waiting in batch])
        try:
            results = self._on_hub(call) if inline else self._in_thread(call)
        except Exception as exc:  # noqa: BLE001 - this loop may not end: every later request would wait for it
            results = [exc] * len(batch)
        self.policy.end(self.clock() if results else None)
        self._computing = []
        for waiting, result in zip(batch, results or [self._late()] * len(batch), strict=True):
            if not waiting.result.ready():
                waiting.result.set(result)

    def _call(self, jobs: Sequence[Job]) -> list[Any]:
        return batching.answers(jobs, lambda some: answering.compute(self.model, some), self._switch_off)

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
