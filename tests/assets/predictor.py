def transformation(model, rows):
    return model.predict(rows)
