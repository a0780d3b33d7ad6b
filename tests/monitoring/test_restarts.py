"""Histories of workers, replayed: who is started again when, and when the server ends."""

from __future__ import annotations

import pytest

from serving.monitoring.restarts import LONGEST_PAUSE, UNUSABLE, Restarts


@pytest.mark.parametrize("code", [1, 3, 4, 255, -9, -11, UNUSABLE])
def test_one_that_could_predict_is_replaced_at_once(code: int) -> None:
    """However it ended: there is no pause, and the server goes on."""
    restarts = Restarts(2, 120)
    assert restarts.hopeless(0, True, []) is None
    assert restarts.ended(10, code, was_ready=True) == 0
    assert restarts.held_back(10) == 0
    assert restarts.hopeless(10, True, []) is None


def test_one_that_never_could_is_tried_again_after_growing_pauses() -> None:
    """Each pause is twice the last, up to half a minute; the others go on, and the first success forgets it all."""
    restarts = Restarts(2, 10_000)
    now, pauses = 0.0, []
    for _ in range(9):
        pauses.append(restarts.ended(now, 3, was_ready=False))
        assert restarts.held_back(now) == 1
        assert restarts.held_back(now + pauses[-1]) == 0
        assert restarts.hopeless(now, False, []) is None
        now += pauses[-1]
    assert pauses[:4] == [0.5, 1, 2, 4]
    assert pauses[-1] == LONGEST_PAUSE
    restarts.hopeless(now, True, [])
    assert restarts.ended(now, 3, was_ready=False) == 0.5


def test_a_model_that_no_worker_can_load_ends_the_server_at_once() -> None:
    """As many as there are workers have said so, and none could ever predict."""
    restarts = Restarts(2, 120)
    restarts.ended(1, UNUSABLE, was_ready=False)
    assert restarts.hopeless(1, False, []) is None, "the other one may do better"
    restarts.ended(1.2, UNUSABLE, was_ready=False)
    assert restarts.hopeless(1.2, False, []) == "the model cannot be loaded"


def test_one_boot_that_fails_does_not_end_a_server_whose_others_are_fine() -> None:
    """For any exit code: the server ends only when nobody can predict for the stated time."""
    restarts = Restarts(2, 120)
    for now in range(500):
        restarts.ended(now, (1, 3, 4, UNUSABLE)[now % 4], was_ready=False)
        assert restarts.hopeless(now, True, []) is None


def test_nobody_who_can_predict_for_the_stated_time_ends_the_server() -> None:
    """Counted from the first failure, not from the start: a large model may take long to load."""
    restarts = Restarts(1, 60)
    assert restarts.hopeless(1000, False, []) is None
    restarts.ended(1000, -9, was_ready=False)
    assert restarts.hopeless(1001, False, []) is None
    assert restarts.hopeless(1060, False, []) is None
    assert "no worker could predict for 60 s" in str(restarts.hopeless(1062, False, []))


def test_a_reason_that_a_worker_tells_is_in_the_end() -> None:
    """A warm-up that fails keeps the server up, so that /ping can tell, for the stated time."""
    restarts = Restarts(1, 60)
    assert restarts.hopeless(5, False, ["the warm-up prediction failed"]) is None
    assert "the warm-up prediction failed" in str(restarts.hopeless(66, False, ["the warm-up prediction failed"]))
