"""The core: requests in, replies out. decode → align → transformation → encode, for plain objects.

Imports neither flask nor gunicorn nor gevent. `answer` does it all for a list of requests; engine.py takes the same
steps one by one: `prepare` each request, then `replies` for those that share a call. Every request gets a reply; an
error is a reply too, and what the caller must not see (a traceback) is logged under the same request id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from ..errors import ModelFailed, Overloaded, PredictionTimeout, ServingError
from ..formats import content_types
from ..formats.budget import Bounds
from ..models import diagnosis
from ..models.context import Context
from ..models.loaded import LoadedModel
from ..rows import blame
from ..rows.predictions import Ambiguous, is_whole, per_row
from ..wording import verbatim
from . import queue
from .jobs import Job
from .loop import GivenUp
from .messages import Reply, Request

log = logging.getLogger(__name__)


def answer(model: LoadedModel, requests: Sequence[Request], max_bytes: Bounds | int, limit: int = 1024) -> list[Reply]:
    """One reply per request, in their order; at most `limit` rows a call. Raises nothing."""
    found: list[Reply | None] = [None] * len(requests)
    jobs: list[tuple[int, Job]] = []
    for place, request in enumerate(requests):
        try:
            jobs.append((place, prepare(model, request, max_bytes)))
        except Exception as exc:  # noqa: BLE001 - a caller always gets an answer
            found[place] = refuse(exc, request)
    for batch in queue.plan([job for _, job in jobs], limit):
        chosen = [jobs[i] for i in batch]
        for (place, _), reply in zip(chosen, replies(model, [job for _, job in chosen]), strict=True):
            found[place] = reply
    return [reply for reply in found if reply is not None]


def prepare(model: LoadedModel, request: Request, max_bytes: Bounds | int) -> Job:
    """Reads the rows. Raises a ServingError (400, 406, 413, 415) before anything is computed."""
    decoded = content_types.decode(
        request.body, request.content_type, request.content_encoding, model.signature, max_bytes
    )
    accepted = content_types.negotiate(request.accept, decoded.media_type)
    return Job(request, decoded, accepted, _context(request) if model.takes_context else None)


def _context(request: Request) -> Context:
    return Context(
        request.request_id, request.inference_id, request.custom_attributes, request.content_type, request.accept
    )


def replies(
    model: LoadedModel, jobs: Sequence[Job], switch_off: Callable[[str], None] = lambda reason: None
) -> list[Reply]:
    """One reply per job, from one call if that works (queue.outcomes). Raises nothing but GivenUp."""

    def call(some: Sequence[Job]) -> list[Any]:  # what is returned is written at once: the next call may change it
        results = compute(model, some)
        return [finish(model, job, result) for job, result in zip(some, results, strict=True)]

    found = queue.outcomes(jobs, call, switch_off)
    return [r if isinstance(r, Reply) else finish(model, job, r) for job, r in zip(jobs, found, strict=True)]


def compute(model: LoadedModel, jobs: Sequence[Job]) -> list[Any]:
    """One transformation call for the rows of all jobs: what it returned for each. Raises what the user's code does."""
    if not any(job.count for job in jobs):
        return [[] for _ in jobs]
    counts = [job.count for job in jobs]
    predictions = model.predict(jobs[0].decoded.joined([job.decoded for job in jobs[1:]]), jobs[0].context)
    if len(jobs) == 1:
        return [predictions if is_whole(predictions) else per_row(predictions, counts[0])]
    if is_whole(predictions):
        raise queue.Unsplittable(f"transformation returned one {type(predictions).__name__} for several requests")
    try:
        rows = per_row(predictions, sum(counts))
    except Ambiguous:  # each request alone, or fewer of them, have another number of rows
        raise
    except ModelFailed as exc:
        raise queue.Unsplittable(exc.message) from exc
    return [rows[start:end] for start, end in pairwise([0, *accumulate(counts)])]


def finish(model: LoadedModel, job: Job, result: Any) -> Reply:
    """The reply for what was predicted, or for the exception that came instead. Raises nothing but GivenUp."""
    try:
        if isinstance(result, BaseException):
            raise _explained(model, job, result)
        encoded = content_types.encode(result, job.count, job.accepted)
        headers = tuple(job.context.reply_headers.items()) if job.context else ()  # a stream has made its first item
        return Reply(200, encoded.body, encoded.content_type, headers, rows=job.count)
    except GivenUp:
        raise
    except BaseException as exc:  # noqa: BLE001 - a caller always gets an answer
        return refuse(exc, job.request)


def _explained(model: LoadedModel, job: Job, error: BaseException) -> BaseException:
    """A 400 when the rows are to blame, else a 500 that names the exception and keeps the traceback for the log."""
    if isinstance(error, ServingError):
        return error
    blamed = blame.explain(job.decoded.raw, model.signature, error)
    if blamed is not None:
        return blamed
    failed = ModelFailed(f"transformation failed: {type(error).__name__}: {verbatim(diagnosis.words(error), 400)}")
    failed.__cause__ = error
    return failed


def for_the_log(exc: BaseException) -> BaseException:
    """The exception; without its text, which may quote the request, where values may not be shown."""
    if ServingError.echoes_values:
        return exc
    return RuntimeError(f"{type(exc).__name__}, its text left out").with_traceback(exc.__traceback__)


def late(seconds: int) -> PredictionTimeout:
    """The error of a request that has waited for `seconds`."""
    return PredictionTimeout(
        f"No prediction within {seconds} s. Send fewer rows, or raise MODEL_SERVER_TIMEOUT; "
        "for long predictions SageMaker has asynchronous inference and batch transform."
    )


def refuse(exc: BaseException, request: Request) -> Reply:
    """The reply that tells of an error. What is the server's fault is logged with its traceback."""
    if not isinstance(exc, ServingError):
        log.error("%s failed", request.name, exc_info=for_the_log(exc))
        exc = ServingError("An error inside the server; its log has the traceback under this request id.")
    elif exc.status == 500:
        message = exc.message if exc.echoes_values else exc.quiet
        log.error("%s: %s", request.name, message, exc_info=exc.__cause__ and for_the_log(exc.__cause__))
    headers = (("Retry-After", str(exc.retry_after)),) if isinstance(exc, Overloaded) else ()
    body = exc.body(request.request_id, request.inference_id)
    return Reply(exc.status, body, headers=headers, code=exc.code, reason=exc.quiet)
