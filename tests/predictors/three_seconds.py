"""Computes for three seconds for a row whose first value is above 50: sleeping, or holding the interpreter's lock."""

import time


def transformation(model, rows):
    values = rows.iloc[:, 0]
    if (values > 90).any():
        end = time.monotonic() + 3
        while time.monotonic() < end:
            sum(range(10_000_000))  # one bytecode of C: no other thread runs meanwhile
    elif (values > 50).any():
        time.sleep(3)
    return model.predict(rows)
