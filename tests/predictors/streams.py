"""Yields each prediction as soon as it is there; the second waits until a file appears."""

import os
import pathlib
import time


def transformation(model, rows):
    gate = pathlib.Path(os.environ["GATE"])
    for place, prediction in enumerate(model.predict(rows)):
        while place and not gate.exists():
            time.sleep(0.01)
        yield prediction
