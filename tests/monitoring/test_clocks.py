"""Time in which the whole container was frozen counts for nobody."""

from __future__ import annotations

from serving.monitoring.clocks import LONGEST_STEP, AwakeClock, Silence


class Wall:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_freeze_counts_as_one_step() -> None:
    """The clock runs while it is looked at; an hour without a look is two seconds."""
    wall = Wall()
    clock = AwakeClock(wall)
    for _ in range(10):
        wall.now += 0.5
        clock.time()
    assert clock.time() == 5.0
    wall.now += 3600
    assert clock.time() == 5.0 + LONGEST_STEP


def test_a_clock_that_is_set_back_does_no_harm() -> None:
    """The clock never goes back."""
    wall = Wall()
    clock = AwakeClock(wall)
    wall.now -= 500
    assert clock.time() == 0.0


def test_silence_is_the_time_without_a_change() -> None:
    """A mark from the past or from the future is alive as long as it changes."""
    silence = Silence()
    assert silence.of(7, "a", 10.0) == 0.0
    assert silence.of(7, "a", 14.0) == 4.0
    assert silence.of(7, "b", 15.0) == 0.0
    silence.keep([])
    assert silence.of(7, "b", 99.0) == 0.0
