"""The file you edit: how your model turns rows into predictions.

`transformation(model, rows)` gets your model and the rows of one or more requests. It returns one prediction per row.
`rows` has the form that your model was fitted on: a pandas DataFrame with the same column names in the same order, or a
NumPy array of shape (rows, features).

    return model.predict(rows)                    # labels or values (the default)
    return model.predict_proba(rows)              # one column per class
    return model.predict(np.log1p(rows))          # any step before or after

With a third parameter, `transformation(model, rows, context)`, it is called once per request. `context` has the
request's attributes (inference_id, custom_attributes, accept, …), and `context.set_custom_attributes("…")` sends some
back.

You can import modules that lie beside this file. To try a change, run ./local-test/serve-local.sh and
./local-test/predict.sh.
"""


def transformation(model, rows):
    return model.predict(rows)


# Only if your model is not one pickle or joblib file: load it yourself from the directory that it is in.
#
# def load_model(model_dir):
#     return xgboost.Booster(model_file=f"{model_dir}/model.json")
