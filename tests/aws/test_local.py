"""deploy/local.py: what the model itself answers on this machine, to hold an endpoint's answer against."""

from __future__ import annotations

import pickle

import pytest
from deploy import local

from running import KIT, PAYLOAD, make_program


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
