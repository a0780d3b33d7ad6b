"""Batching: many requests, few calls, each caller its own answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from serving.batching import Policy, Unsplittable, join, plan, run, split
from serving.errors import ModelFailed


@dataclass
class Job:
    rows: Any
    batch_key: Any = "same"
    count: int = field(default=-1)

    def __post_init__(self) -> None:
        self.count = len(self.rows) if self.count < 0 else self.count


def jobs_of(*counts: int, key: Any = "same") -> list[Job]:
    numbers = iter(range(1000))
    return [Job(np.array([[next(numbers)] for _ in range(count)], float), key) for count in counts]


class Recorder:
    """A transformation that notes the size of each call."""

    def __init__(self, answer: Any = lambda rows: rows[:, 0] * 10) -> None:
        self.answer, self.sizes = answer, []

    def __call__(self, rows: Any) -> Any:
        self.sizes.append(len(rows))
        return self.answer(rows)


def test_waiting_requests_share_one_call_and_get_their_own_predictions():
    call = Recorder()
    results = run(jobs_of(1, 3, 2), call, limit=100)
    assert call.sizes == [6]
    assert [r.tolist() for r in results] == [[0], [10, 20, 30], [40, 50]]


def test_a_call_has_at_most_limit_rows_but_a_larger_request_goes_alone():
    assert plan(jobs_of(2, 2, 9, 1, 3), 4) == [[0, 1], [2], [3, 4]]


def test_a_limit_of_1_switches_batching_off():
    call = Recorder()
    run(jobs_of(1, 1, 5), call, limit=1)
    assert call.sizes == [1, 1, 5]


def test_rows_of_different_kinds_never_share_a_call():
    jobs = [Job([1], "a"), Job([2], "b"), Job([3], "a"), Job([4], None), Job([5], None)]
    assert plan(jobs, 10) == [[0, 2], [1], [3], [4]]


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ab")), max_size=30), st.integers(1, 20))
def test_every_job_is_planned_once_in_order_and_within_the_limit(shape, limit):
    jobs = [Job(list(range(count)), key) for count, key in shape]
    batches = plan(jobs, limit)
    assert sorted(place for batch in batches for place in batch) == list(range(len(jobs)))
    for batch in batches:
        assert batch == sorted(batch)
        assert len({jobs[place].batch_key for place in batch}) == 1
        assert len(batch) == 1 or sum(jobs[place].count for place in batch) <= limit


def test_one_bad_request_fails_alone_and_the_others_are_answered():
    def picky(rows):
        if (rows == 2).any():
            raise ValueError("two")
        return rows[:, 0]

    call = Recorder(picky)
    results = run(jobs_of(*[1] * 64), call, limit=100)
    assert isinstance(results[2], ValueError)
    assert [r.tolist() for i, r in enumerate(results) if i != 2] == [[float(i)] for i in range(64) if i != 2]
    assert len(call.sizes) <= 13


def test_all_bad_requests_each_get_their_own_exception():
    def broken(rows):
        raise KeyError(float(rows[0, 0]))

    assert [str(r) for r in run(jobs_of(1, 1, 1), broken, 10)] == ["0.0", "1.0", "2.0"]


def test_a_wrong_number_of_predictions_is_never_split():
    results = run(jobs_of(2, 2), Recorder(lambda rows: rows[:1, 0]), 10)
    assert all(isinstance(r, ModelFailed) for r in results)
    assert "returned 1 predictions for 2 rows" in str(results[0])


def test_rows_that_cannot_be_joined_are_called_one_by_one():
    jobs = [Job(np.zeros((1, 2))), Job(np.zeros((1, 3)))]
    assert [r.shape for r in run(jobs, lambda rows: rows, 10)] == [(1, 2), (1, 3)]


def test_a_generator_of_a_single_request_passes_through():
    stream = iter([b"a"])
    assert run(jobs_of(2), lambda rows: stream, 10) == [stream]


def test_an_unsplittable_answer_is_called_again_per_request_and_batching_is_switched_off():
    reasons = []
    results = run(jobs_of(1, 1), Recorder(lambda rows: f"{len(rows)} rows"), 10, reasons.append)
    assert results == ["1 rows", "1 rows"]
    assert len(reasons) == 1
    assert "str for 2 rows" in reasons[0]


def test_a_model_that_fails_for_every_request_does_not_switch_batching_off():
    reasons = []
    run(jobs_of(2, 2), lambda rows: rows[:1], 10, reasons.append)
    assert reasons == []


FORMS = {
    "vector": np.arange(5),
    "matrix": np.arange(10).reshape(5, 2),
    "text": np.array(list("abcde")),
    "list": list("abcde"),
    "list of dicts": [{"a": i} for i in range(5)],
    "series": pd.Series(range(5)),
    "indexed series": pd.Series(range(5), index=list("abcde")),
    "frame": pd.DataFrame({"a": range(5), "b": list("abcde")}),
    "sparse": scipy.sparse.coo_matrix(np.eye(5)),
    "columns": {"label": np.arange(5), "score": [0.1, 0.2, 0.3, 0.4, 0.5]},
    "outputs": [np.arange(5), np.arange(10).reshape(5, 2)],
    "categorical": pd.Categorical(list("abcab")),
}


@pytest.mark.parametrize("predictions", FORMS.values(), ids=FORMS)
def test_every_form_of_predictions_is_split_into_what_each_request_alone_would_get(predictions):
    first, nothing, second = split(predictions, [2, 0, 3])
    whole = predictions.tocsr() if hasattr(predictions, "tocsr") else predictions
    if isinstance(predictions, dict):
        assert first == {"label": pytest.approx([0, 1]), "score": [0.1, 0.2]}
    elif isinstance(predictions, list) and isinstance(predictions[0], np.ndarray):
        assert [p.tolist() for p in second] == [[2, 3, 4], [[4, 5], [6, 7], [8, 9]]]
    elif hasattr(predictions, "iloc"):
        assert first.to_numpy().tolist() == whole.iloc[:2].to_numpy().tolist()
        assert list(second.index) in ([0, 1, 2], list("cde"))
    else:
        as_list = (lambda x: x.toarray().tolist()) if hasattr(whole, "toarray") else list
        assert np.array_equal(as_list(second), as_list(whole[2:]))
        assert (nothing.shape[0] if hasattr(nothing, "shape") else len(nothing)) == 0


@pytest.mark.parametrize(
    "predictions",
    ["abcde", 5, None, np.float64(1), np.array(5), {"a": 1}, {"a": [1] * 5, "b": [1] * 4}, iter("abcde"), [1] * 4,
     [np.arange(5)] * 5],
    ids=str,
)  # fmt: skip
def test_what_is_not_one_prediction_per_row_is_not_split(predictions):
    with pytest.raises(Unsplittable):
        split(predictions, [2, 3])


def test_rows_of_every_kind_are_joined():
    assert join([["a"], ["b", "c"]]) == ["a", "b", "c"]
    assert join([{"x": [1]}, {"x": [2]}]) == {"x": [1, 2]}
    frames = [pd.DataFrame({"x": [1], "y": ["a"]}), pd.DataFrame({"x": [2], "y": ["b"]})]
    assert join(frames).to_dict("list") == {"x": [1, 2], "y": ["a", "b"]}
    assert list(join(frames).index) == [0, 1]
    one = np.ones((1, 2))
    assert join([one]) is one


# -- who waits, who may not, and where a call runs ----------------------------------------------------------------


def taught(*calls: tuple[int, float], **kwargs: Any) -> Policy:
    policy = Policy(**{"limit": 100, "max_rows": 1000, "max_seconds": 10.0, **kwargs})
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


def test_a_stuck_call_closes_the_door_by_itself():
    policy = taught((1, 0.01))
    assert policy.admit(1, 0.0) is None
    policy.begin(1, 0.0)
    assert policy.admit(1, 5.0) is None
    assert policy.admit(1, 30.0) == 31


def test_callers_who_leave_make_room():
    policy = taught((1, 1.0), max_rows=2)
    policy.admit(2, 0.0)
    assert policy.admit(1, 0.0) is not None
    policy.leave(2)
    assert policy.admit(1, 0.0) is None
