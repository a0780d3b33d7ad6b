"""The file you edit: how your model turns rows into predictions.

`transformation(model, rows)` is called with your model and the rows of one or more requests, and returns one
prediction per row. `rows` is what your model was fitted on: a pandas DataFrame if it was fitted on one (same column
names, same order), else a NumPy array of shape (rows, features).

    return model.predict(rows)                    # labels or values (the default)
    return model.predict_proba(rows)              # one column per class
    return model.predict(np.log1p(rows))          # any step before or after

With a third parameter, `transformation(model, rows, context)`, each request has a call of its own: context tells of it
(inference_id, custom_attributes, accept, …) and context.set_custom_attributes("…") goes into the reply.

Modules that you put beside this file can be imported. Try it with ./local-test/serve-local.sh and
./local-test/predict.sh.
"""


def transformation(model, rows):
    return model.predict(rows)


# Only if your model is not one pickle or joblib file: load it yourself from the directory that holds it.
#
# def load_model(model_dir):
#     return xgboost.Booster(model_file=f"{model_dir}/model.json")
