"""Which requests share a call, who is guilty when it fails, and who must wait: histories replayed, nothing slept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.batching.policy import Policy, Unsplittable, answers, plan


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
    assert answers(jobs_of(1, 1, 1), call) == [0, 10, 20]
    assert call.sizes == [3]


def test_one_bad_request_fails_alone_and_the_others_are_answered():
    def picky(job, jobs):
        if any(job.value == 2 for job in jobs):
            raise ValueError("two")
        return job.value

    call = Recorder(picky)
    results = answers(jobs_of(*[1] * 64), call)
    assert isinstance(results[2], ValueError)
    assert [r for i, r in enumerate(results) if i != 2] == [i for i in range(64) if i != 2]
    assert len(call.sizes) <= 13


def test_all_bad_requests_each_get_their_own_exception():
    def broken(job, jobs):
        raise KeyError(job.value)

    assert [str(r) for r in answers(jobs_of(1, 1, 1), Recorder(broken))] == ["0", "1", "2"]


def test_an_unsplittable_answer_is_called_again_per_request_and_batching_is_switched_off():
    def whole(job, jobs):
        if len(jobs) > 1:
            raise Unsplittable("a stream for several requests")
        return "a stream"

    reasons = []
    assert answers(jobs_of(1, 1), Recorder(whole), reasons.append) == ["a stream", "a stream"]
    assert reasons == ["a stream for several requests; each request is now called alone"]


def test_a_model_that_fails_for_every_request_does_not_switch_batching_off():
    def wrong(job, jobs):
        raise Unsplittable("too few") if len(jobs) > 1 else ValueError("too few")

    reasons = []
    assert all(isinstance(r, ValueError) for r in answers(jobs_of(2, 2), Recorder(wrong), reasons.append))
    assert reasons == []


# -- who waits, who may not, and where a call runs ----------------------------------------------------------------


def taught(*calls: tuple[int, float], **kwargs: Any) -> Policy:
    policy = Policy(**{"limit": 100, "max_rows": 1000, "timeout": 20.0, **kwargs})
    for rows, seconds in calls:
        policy.learn(rows, seconds)
    return policy


def test_nothing_is_expected_of_an_unknown_model_and_it_never_runs_inline():
    assert taught().expect(5) == 0
    assert not taught().inline(1)


def test_expectation_follows_the_last_calls_of_that_size():
    policy = taught(*[(1, 0.5)] * 3, *[(1, 0.001)] * 40)
    assert policy.expect(1) == pytest.approx(0.001, rel=0.1)
    assert policy.inline(1)
    policy.learn(64, 0.2)
    assert not policy.inline(64)
    assert policy.inline(1)


def test_an_unknown_size_is_expected_between_its_neighbours():
    policy = taught((1, 0.001), (1024, 0.01))
    assert policy.expect(2) == pytest.approx(0.002)
    assert policy.expect(512) == pytest.approx(0.01)
    assert policy.expect(4096) == pytest.approx(0.04)
    assert taught((64, 0.03)).expect(1) == pytest.approx(0.03)


def test_a_single_slow_call_does_not_move_short_calls_off_the_hub():
    policy = taught(*[(1, 0.0005)] * 10, (1, 0.02))
    assert policy.inline(1)


def test_overload_is_refused_at_once_with_the_seconds_to_wait():
    policy = taught((100, 1.0), (64, 0.7), max_rows=2500)
    now, refused = 0.0, []
    for _ in range(30):
        refused.append(policy.admit(100, now))
    assert refused[:11] == [None] * 11
    assert refused[11:] == [11] * 19
    assert policy.waiting == 1100


def test_the_bound_in_rows_holds_before_anything_is_learnt():
    policy = taught(max_rows=10)
    assert [policy.admit(4, 0.0) for _ in range(4)] == [None, None, 1, 1]


def test_an_empty_room_admits_even_the_largest_request():
    assert taught((1, 1.0), max_rows=10).admit(500, 0.0) is None


def test_the_queue_drains_and_admits_again():
    policy = taught((100, 4.0))
    assert [policy.admit(100, 0.0) for _ in range(4)] == [None, None, None, 12]
    policy.begin(100, 0.0)
    assert policy.delay(3.0) == pytest.approx(1 + 8)
    policy.end(4.0)
    assert policy.delay(4.0) == pytest.approx(8)
    assert policy.admit(100, 4.0) is None


def test_a_stuck_call_is_waited_for_until_it_is_given_up():
    policy = taught((1, 0.01))
    assert policy.admit(1, 0.0) is None
    policy.begin(1, 0.0)
    assert [policy.admit(1, now) for now in (5.0, 10.0, 19.0)] == [None] * 3
    assert policy.delay(19.0) == pytest.approx(1, abs=0.1)
    policy.end(None)
    assert policy.expect(1) == 0.01


def test_a_size_never_seen_turns_nobody_away():
    policy = taught((1, 0.0005), (3, 0.0005), limit=1024, max_rows=10**7)
    assert [policy.admit(300_000, 0.0) for _ in range(4)] == [None] * 4
    assert not policy.inline(300_000)


def replayed(policy: Policy, seconds: Any, arrivals: int, calls: int) -> list[int]:
    """The sizes of the calls when so many single rows come during each, and `seconds(rows)` is what a call takes."""
    now, sizes = 0.0, []
    for _ in range(calls):
        for _ in range(arrivals):
            policy.admit(1, now)
        sizes.append(min(policy.waiting, policy.call_rows))
        policy.begin(sizes[-1], now)
        now += seconds(sizes[-1])
        policy.end(now)
    return sizes


def test_a_flood_on_a_model_that_takes_its_time_for_each_row_is_not_one_call():
    policy = taught((1, 0.02), (3, 0.06), limit=1024, max_rows=10**7, timeout=10.0)
    sizes = replayed(policy, lambda rows: 0.02 * rows, arrivals=130, calls=60)
    assert max(sizes) * 0.02 <= 1.3
    assert policy.waiting * 0.02 <= 5.5


def test_a_model_whose_call_costs_the_same_for_any_rows_gets_ever_more_of_them():
    policy = taught((1, 3.0), limit=1024, max_rows=10**7, timeout=10.0)
    sizes = replayed(policy, lambda rows: 3.0, arrivals=64, calls=12)
    assert sizes[0] < 4
    assert sizes[-1] >= 64


def test_a_slow_large_call_is_forgotten_when_smaller_ones_are_fast():
    policy = taught((1, 0.002), (2, 30.0), limit=1024)
    assert policy.call_rows == 1
    policy.learn(1, 0.002)
    assert policy.call_rows >= 256


def test_callers_who_leave_make_room():
    policy = taught((1, 1.0), max_rows=2)
    policy.admit(2, 0.0)
    assert policy.admit(1, 0.0) is not None
    policy.leave(2)
    assert policy.admit(1, 0.0) is None
