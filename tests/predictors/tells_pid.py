"""Each row's prediction is the worker's pid; a negative first value ends the worker."""

import os


def transformation(model, rows):
    if rows.iloc[0, 0] < 0:
        os._exit(1)
    return [os.getpid()] * len(rows)
