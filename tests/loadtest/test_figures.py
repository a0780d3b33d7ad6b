"""loadtest/figures.py: percentiles, what holds a goal, and the search for the highest rate. On made-up servers."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest

from loadtest.figures import Carried, Goal, Run, Step, carried, ladder, next_rate, percentile, run_of


def run(ms: float, per_second: float = 1.0) -> Run:
    return Run(per_second, dict.fromkeys((50, 95, 99), ms))


def searched(latency: Callable[[float], float], most: float, goal: Goal) -> list[Step]:
    """The steps of a whole search for a server whose latency at a rate is known."""
    steps = [Step([run(latency(rate))], 1, rate) for rate in ladder(most)]
    for _ in range(20):
        if (rate := next_rate(steps, goal)) is None:
            return steps
        assert rate not in [step.rate for step in steps], "a rate is tried twice"
        steps.append(Step([run(latency(rate))], 1, rate))
    raise AssertionError("the search does not end")


@pytest.mark.parametrize(
    ("values", "of", "failed", "expected"),
    [
        ([1, 2, 3, 4], 50, 0, 2),
        ([1, 2, 3, 4], 99, 0, 4),
        (range(1, 101), 99, 0, 99),
        (range(1, 101), 95, 0, 95),
        ([7], 50, 0, 7),
        (range(1, 100), 99, 1, 99),
        (range(1, 99), 99, 2, math.inf),
        ([], 50, 0, math.inf),
        ([1], 50, 1, 1),
        ([1], 95, 1, math.inf),
    ],
)
def test_percentiles_are_nearest_ranks_and_failures_are_infinitely_late(
    values: list[int], of: int, failed: int, expected: float
) -> None:
    assert percentile(list(values), of, failed) == expected


def test_of_many_latencies_so_many_are_within_the_percentile() -> None:
    """p percent of the values are at most the p-th percentile, and fewer are below it."""
    numbers = random.Random(5)
    for size in (1, 2, 10, 99, 100, 101, 1000):
        micros = [numbers.randrange(1, 10**6) for _ in range(size)]
        seen = run_of(list(micros), Counter(), 2.0, 1.0)
        for of, ms in seen.latencies.items():
            assert sum(m <= ms * 1000 for m in micros) >= of / 100 * size
            assert sum(m < ms * 1000 for m in micros) < of / 100 * size
        assert seen.per_second == size / 2
        assert seen.cpus == 0.5


def test_a_step_is_the_median_of_its_repeats() -> None:
    step = Step([run(5, 100), run(7, 120), run(90, 110)], 4)
    assert (step.ms(99), step.per_second) == (7, 110)
    assert step.spread == pytest.approx(20 / 110)
    assert step.holds(Goal(7))
    assert not step.holds(Goal(6.9))


@pytest.mark.parametrize("knee", [31.0, 140.0, 480.0, 777.0, 900.0, 1130.0, 5000.0])
@pytest.mark.parametrize("most", [100.0, 1000.0, 4321.0])
def test_the_search_comes_near_to_the_knee(knee: float, most: float) -> None:
    """A server that is fast up to a rate and slow above it: the rate that is found is at most 12 % below, never above.
    A knee far from what the closed loop reached takes longer, but is found, too."""
    steps = searched(lambda rate: 5.0 if rate <= knee else 500.0, most, Goal(50))
    assert knee / 1.12 <= carried(steps, Goal(50)).rate <= knee


def test_a_server_that_is_always_too_slow_carries_nothing() -> None:
    steps = searched(lambda rate: 500.0, 1000, Goal(50))
    assert carried(steps, Goal(50)) == Carried(0, 0, 0)


def test_a_hiccup_at_a_low_rate_does_not_hide_that_higher_ones_hold() -> None:
    steps = [Step([run(ms)], 1, rate) for rate, ms in ((100, 900), (500, 5), (1000, 900))]
    assert carried(steps, Goal(50)).rate == 500


def test_what_is_carried_has_a_spread() -> None:
    """From the worst repeat to the best; a single good or bad repeat does not decide."""
    steps = [
        Step([run(5), run(5), run(5)], 1, 100.0),
        Step([run(5), run(99), run(5)], 1, 200.0),
        Step([run(99), run(99), run(5)], 1, 300.0),
    ]
    assert carried(steps, Goal(50)) == Carried(200.0, 100.0, 300.0)


def test_the_ladder_is_made_of_rates_that_people_can_say() -> None:
    assert ladder(4321) == [430, 1100, 2200, 3000, 3700, 4300]
    assert ladder(1)[0] == 0.2  # slower than that is not a load
    assert all(rate > 0 for rate in ladder(0.001))
