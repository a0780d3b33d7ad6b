"""Returns one prediction too few when there are several rows."""


def transformation(model, rows):
    predictions = model.predict(rows)
    return predictions[:-1] if len(predictions) > 1 else predictions
