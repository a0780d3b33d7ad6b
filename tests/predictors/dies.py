"""Takes the whole worker down for a row whose first value is negative, as a crash in C code does."""

import os
import signal


def transformation(model, rows):
    if (rows.iloc[:, 0] < 0).any():
        os.kill(os.getpid(), signal.SIGKILL)
    return model.predict(rows)
