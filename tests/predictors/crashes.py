"""Raises for a row whose first value is negative."""


def transformation(model, rows):
    if (rows.iloc[:, 0] < 0).any():
        raise ValueError("a flower has no negative length")
    return model.predict(rows)
