"""The Flask app of the classic design: /ping loads the model, /invocations takes `text/csv` and nothing else."""

import io
import os
import pickle

import flask
import pandas as pd

MODEL_PATH = os.environ.get("MODEL_PATH", "/opt/ml/model")


class ScoringService:
    model = None  # loaded by the first request of each worker

    @classmethod
    def get_model(cls):
        if cls.model is None:
            with open(os.path.join(MODEL_PATH, "model.pkl"), "rb") as file:
                cls.model = pickle.load(file)  # noqa: S301 - the model is the user's own
        return cls.model

    @classmethod
    def predict(cls, rows):
        model = cls.get_model()
        if hasattr(model, "feature_names_in_"):
            rows.columns = model.feature_names_in_  # our model knows its columns, which the classic ones did not
        return model.predict(rows)


app = flask.Flask(__name__)


@app.route("/ping", methods=["GET"])
def ping():
    status = 200 if ScoringService.get_model() is not None else 404
    return flask.Response(response="\n", status=status, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def transformation():
    if flask.request.content_type != "text/csv":
        return flask.Response(response="This predictor only supports CSV data", status=415, mimetype="text/plain")
    data = pd.read_csv(io.StringIO(flask.request.data.decode("utf-8")), header=None)
    print(f"Invoked with {data.shape[0]} records")
    predictions = ScoringService.predict(data)
    out = io.StringIO()
    pd.DataFrame({"results": predictions}).to_csv(out, header=False, index=False)
    return flask.Response(response=out.getvalue(), status=200, mimetype="text/csv")
