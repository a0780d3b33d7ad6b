"""Takes 0.1 s a row, as a model does that cannot be batched."""

import time


def transformation(model, rows):
    time.sleep(0.1 * len(rows))
    return model.predict(rows)
