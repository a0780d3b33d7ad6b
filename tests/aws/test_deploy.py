"""deploy/: the decisions, without AWS. Histories are replayed; what talks to AWS is tested through the notebook."""

from __future__ import annotations

import pickle

import pytest
from deploy import Stop, endpoint, local, names, prices, scaling
from deploy.scaling import Step

from running import KIT, PAYLOAD, make_program


def test_the_same_thing_has_the_same_name():
    """A name is the deployment's and a digest of what it names, so a second run finds what the first one made."""
    assert names.version("churn", {"a": 1, "b": 2}) == names.version("churn", {"b": 2, "a": 1})
    assert names.version("churn", {"a": 1}) != names.version("churn", {"a": 2})
    assert len(names.version("x" * names.LONGEST, {})) <= 63


def test_a_name_is_made_fit_for_sagemaker():
    """Slashes and underscores of an ECR repository become hyphens; what cannot be a name is refused."""
    assert names.deployment("team/churn_model") == "team-churn-model"
    for wanted in ("", "///", "x" * 41):
        with pytest.raises(Stop, match="expected 1 to 40"):
            names.deployment(wanted)


@pytest.mark.parametrize(
    ("lines", "reason", "cause"),
    [
        (
            ["ERROR serving: the model cannot serve: model.pkl is empty."],
            "",
            "model.pkl is empty",
        ),
        (["serve: wrong setting: MODEL_SERVER_TIMEOUT='x': expected a number"], "", "wrong setting in ENVIRONMENT"),
        (["exec /usr/local/bin/python3: exec format error"], "", "another CPU"),
        (["unknown argument: serve"], "", "not one of this kit"),
        (["Worker (pid:12) was sent SIGKILL! Perhaps out of memory?"], "", "memory"),
        ([], "Unable to provision requested ML compute capacity", "no free instance"),
        ([], "The role does not have BatchGetImage permission for the image", "lacks a permission"),
        ([], "did not pass the ping health check", "wrote nothing"),
        (["something new"], "did not pass the ping health check", "Not one that is known"),
    ],
)
def test_the_likely_cause_of_a_failure(lines, reason, cause):
    """What the container's log says comes before what SageMaker says; the unknown is called unknown."""
    assert cause in endpoint.likely_cause(lines, reason)


def test_the_target_is_half_of_what_an_instance_carried_in_time():
    """Requests a second within the latency, per instance, times 60, times the safety factor."""
    steps = [Step(1, 50, 10, 20), Step(2, 90, 12, 40), Step(4, 120, 30, 900)]
    assert scaling.target(steps, limit_ms=500) == 90 * 60 // 2
    assert scaling.target(steps, limit_ms=500, instances=2) == 45 * 60 // 2
    assert scaling.target(steps, limit_ms=1) == 50 * 60 // 2  # too slow even for one caller: the gentlest step
    assert scaling.target([Step(1, 0.001, 1, 1)], limit_ms=500) == 1


def test_the_load_stops_growing_when_it_does_not_help():
    """Twice the callers and not a tenth more answers: no more callers."""
    rates = iter([(100, 5), (190, 6), (195, 12), (1, 1)])

    def step(call, clients, seconds):
        per_second, p95 = next(rates)
        return Step(clients, per_second, 1, p95)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "_step", step)
        assert [s.clients for s in scaling.measure(lambda: None, 1, limit_ms=500)] == [1, 2, 4]


def test_an_update_moves_one_instance_first_where_there_are_several():
    """A canary may be half of the instances at most, so a single instance is replaced at once; both roll back."""
    routing = {n: endpoint.gradually(n, "a")["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"] for n in (1, 2)}
    assert routing[1] == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300}
    assert routing[2]["Type"] == "CANARY"
    assert routing[2]["CanarySize"] == {"Type": "INSTANCE_COUNT", "Value": 1}
    assert endpoint.gradually(1, "a")["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "a"}]}


def test_a_price_is_shown_or_called_unknown():
    """Per hour and per month; without an answer a link, never a guess."""
    assert prices.line(0.1, 2, "2 x ml.m5.large") == "2 x ml.m5.large: $0.2 an hour, $146.00 a month"
    assert "price unknown" in prices.line(None, 2, "2 x ml.m5.large")
    assert prices.PAGE in prices.line(None, 2, "2 x ml.m5.large")


@pytest.mark.parametrize(
    ("predictor", "first_line"),
    [
        ("def transformation(model, rows):\n    print('noise')\n    return model.predict(rows)\n", "setosa"),
        ("def transformation(model, rows):\n    return [[0.25, 0.75]] * len(rows)\n", "0.25,0.75"),
        ("def transformation(model, rows, context):\n    return [context.accept] * len(rows)\n", "text/csv"),
        ("def transformation(model, rows):\n    return rows.assign(label='very good')\n", "5.1,3.4,1.5,0.2,very good"),
        ("def transformation(model, rows):\n    return ['very good'] * len(rows)\n", "very good"),
    ],
)
def test_the_model_answers_here_as_its_server_does(tmp_path, predictor, first_line):
    """Probabilities, a context, a DataFrame, labels with spaces: one line a row, as the endpoint writes it."""
    program = make_program(tmp_path, files={"predictor.py": predictor})
    lines = local.predictions(PAYLOAD, program, {})
    assert len(lines) == len(PAYLOAD.splitlines())
    assert lines[0] == first_line


def test_the_model_answers_here_as_it_is_now_and_as_environment_says(tmp_path):
    """A second call sees a changed predictor.py, and MODEL_SERVER_PREDICT_METHOD goes before it."""
    program = make_program(tmp_path)
    model = pickle.loads((program / "model.pkl").read_bytes())
    assert local.predictions(PAYLOAD, program, {})[0] == "setosa"
    (program / "predictor.py").write_text("def transformation(model, rows):\n    return list(range(len(rows)))\n")
    assert local.predictions(PAYLOAD, program, {})[:2] == ["0", "1"]
    probabilities = local.predictions(PAYLOAD, program, {"MODEL_SERVER_PREDICT_METHOD": "predict_proba"})
    assert len(probabilities[0].split(",")) == len(model.classes_)


def test_a_model_that_cannot_be_asked_here_says_why(tmp_path):
    """A package that is missing here, and rows that are not the model's."""
    program = make_program(tmp_path, files={"predictor.py": "import missing_lib\n"})
    with pytest.raises(local.CannotPredict, match="missing_lib, which is not installed"):
        local.predictions(PAYLOAD, program, {})
    with pytest.raises(local.CannotPredict, match=r"^Row 1 has 2 "):
        local.predictions(b"1,2\n", KIT / "model", {})


def test_predictions_are_compared_cell_by_cell():
    """Another CPU may round the last digits otherwise; a text and a whole number must be equal."""
    assert local.same(["0.30000000000000004,1e-17", "very good"], ["0.3,0.0", "very good"])
    for answer, expected in (
        (["0.31"], ["0.3"]),
        (["1"], ["1", "2"]),
        (["1,2"], ["1"]),
        (["1000001"], ["1000002"]),
        (["very good"], ["very bad"]),
        (['"a,b"'], ["a,b"]),
    ):
        assert not local.same(answer, expected)
