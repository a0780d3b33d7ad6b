"""Takes 20 ms, and never returns from C code for a row whose first value is above 50."""

import ctypes
import time


def transformation(model, rows):
    time.sleep(0.02)
    if (rows.iloc[:, 0] > 50).any():
        ctypes.CDLL(None).pause()
    return model.predict(rows)
