"""Never returns for a row whose first value is above 50."""

import threading


def transformation(model, rows):
    if (rows.iloc[:, 0] > 50).any():
        threading.Event().wait()
    return model.predict(rows)
