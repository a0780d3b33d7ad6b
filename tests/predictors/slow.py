"""Takes two seconds for each call, as a model that waits for something does."""

import time


def transformation(model, rows):
    time.sleep(2)
    return model.predict(rows)
