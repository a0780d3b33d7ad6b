"""Which requests share a call, and who is guilty when it fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching.loop import GivenUp
from serving.batching.queue import Unsplittable, outcomes, plan


@dataclass
class Job:
    value: Any
    batch_key: Any = "same"
    count: int = 1


def jobs_of(*counts: int) -> list[Job]:
    return [Job(place, count=count) for place, count in enumerate(counts)]


class Recorder:
    """A call that notes how many jobs each time shared it."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.sizes = answer, []

    def __call__(self, jobs: Any) -> list[Any]:
        self.sizes.append(len(jobs))
        return [self.answer(job, jobs) for job in jobs]


def test_a_call_has_at_most_limit_rows_but_a_larger_request_goes_alone():
    assert plan(jobs_of(2, 2, 9, 1, 3), 4) == [[0, 1], [2], [3, 4]]


def test_a_limit_of_1_switches_batching_off():
    assert plan(jobs_of(1, 1, 5), 1) == [[0], [1], [2]]


def test_rows_of_different_kinds_never_share_a_call():
    jobs = [Job(1, "a"), Job(2, "b"), Job(3, "a"), Job(4, None), Job(5, None)]
    assert plan(jobs, 10) == [[0, 2], [1], [3], [4]]


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ab")), max_size=30), st.integers(1, 20))
def test_every_job_is_planned_once_in_order_and_within_the_limit(shape, limit):
    jobs = [Job(None, key, count) for count, key in shape]
    batches = plan(jobs, limit)
    assert sorted(place for batch in batches for place in batch) == list(range(len(jobs)))
    for batch in batches:
        assert batch == sorted(batch)
        assert len({jobs[place].batch_key for place in batch}) == 1
        assert len(batch) == 1 or sum(jobs[place].count for place in batch) <= limit


def test_jobs_share_one_call_and_get_their_own_answers():
    call = Recorder(lambda job, jobs: job.value * 10)
    assert outcomes(jobs_of(1, 1, 1), call) == [0, 10, 20]
    assert call.sizes == [3]


def test_one_bad_request_fails_alone_and_the_others_are_answered():
    def picky(job, jobs):
        if any(job.value == 2 for job in jobs):
            raise ValueError("two")
        return job.value

    call = Recorder(picky)
    results = outcomes(jobs_of(*[1] * 64), call)
    assert isinstance(results[2], ValueError)
    assert [r for i, r in enumerate(results) if i != 2] == [i for i in range(64) if i != 2]
    assert len(call.sizes) <= 13


def test_all_bad_requests_each_get_their_own_exception():
    def broken(job, jobs):
        raise KeyError(job.value)

    assert [str(r) for r in outcomes(jobs_of(1, 1, 1), Recorder(broken))] == ["0", "1", "2"]


def test_an_unsplittable_answer_is_called_again_per_request_and_batching_is_switched_off():
    def whole(job, jobs):
        if len(jobs) > 1:
            raise Unsplittable("a stream for several requests")
        return "a stream"

    reasons = []
    assert outcomes(jobs_of(1, 1), Recorder(whole), reasons.append) == ["a stream", "a stream"]
    assert reasons == ["a stream for several requests; each request is now called alone"]


def test_a_model_that_fails_for_every_request_does_not_switch_batching_off():
    def wrong(job, jobs):
        raise Unsplittable("too few") if len(jobs) > 1 else ValueError("too few")

    reasons = []
    assert all(isinstance(r, ValueError) for r in outcomes(jobs_of(2, 2), Recorder(wrong), reasons.append))
    assert reasons == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, BaseException])
def test_whatever_is_raised_costs_one_request(error):
    """Also what is not an Exception: a panic of Rust, a cancelled task, exit()."""

    def picky(job, jobs):
        if any(job.value == 1 for job in jobs):
            raise error
        return job.value

    results = outcomes(jobs_of(1, 1, 1, 1), Recorder(picky))
    assert isinstance(results[1], error)
    assert [results[0], *results[2:]] == [0, 2, 3]


def test_a_call_that_is_given_up_is_not_tried_again():
    def slow(job, jobs):
        raise GivenUp

    call = Recorder(slow)
    with pytest.raises(GivenUp):
        outcomes(jobs_of(1, 1, 1), call)
    assert len(call.sizes) == 1
