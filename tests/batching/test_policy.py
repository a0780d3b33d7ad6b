"""How long calls take and what follows: who must wait, who may not, where a call runs. Histories, nothing slept."""

from __future__ import annotations

from typing import Any

import pytest

from serving.batching.policy import MOST_WAITING, Policy


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
        policy.end(seconds(sizes[-1]))
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


def test_so_many_requests_wait_and_no_more():
    policy = taught((1, 1e-6), max_rows=10**7)
    assert [policy.admit(1, 0.0) for _ in range(MOST_WAITING + 2)] == [None] * MOST_WAITING + [1, 1]
    policy.begin(100, 0.0, 100)
    assert policy.admit(1, 0.0) is None


def test_a_large_neighbour_is_one_call_and_turns_nobody_away():
    policy = taught(*[(1, 0.001)] * 5, (4096, 1.0), limit=1, max_rows=10**7)
    assert policy.admit(300_000, 0.0) is None
    assert policy.admit(1, 0.0) is None
    assert policy.delay(0.0) < 2


def test_a_slow_model_that_costs_the_same_for_more_rows_is_batched_fully_at_once():
    policy = taught((1, 3.0), (3, 3.0), limit=1024, timeout=10.0)
    assert policy.call_rows == 1024
    assert not policy.inline(1024)
    assert taught((1, 1.0), (3, 3.0), limit=1024, timeout=10.0).call_rows <= 2


def test_what_was_never_seen_does_not_run_on_the_loop():
    assert not taught((1, 0.0005), (3, 0.0005), limit=1024).inline(100_000)


def test_a_call_that_only_waited_for_the_lock_comes_back_to_the_loop():
    policy = taught((1, 0.012))
    runs = [policy.inline(1) for _ in range(64)]
    assert sum(runs) == 2
    for _ in range(200):
        here = policy.inline(1)
        policy.learn(1, 0.0005 if here else 0.012, here)
    assert policy.inline(1)
    slow = taught((1, 0.05))
    assert not any(slow.inline(1) for _ in range(64))
