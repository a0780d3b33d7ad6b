"""Answers twice the first number of a row; some numbers break what they can. With PACE each call takes so long."""

import os
import re
import sys
import time

import numpy as np

HELD = []
PACE = float(os.environ.get("PACE", "0"))


def transformation(model, rows):
    first = np.asarray(rows)[:, 0].astype(float)
    for number in first:
        if number in BREAKS:
            BREAKS[number]()
    if PACE:
        time.sleep(PACE)
    return [f"{2 * number:.0f}" for number in first]


def loop():
    while True:
        pass


def hold_the_interpreter():
    re.match(r"(a+)+$", "a" * 60 + "b")


def take_memory():
    while True:
        HELD.append(np.ones(10_000_000))


def interrupt():
    raise KeyboardInterrupt


BREAKS = {
    -1: lambda: os._exit(3),
    -2: lambda: os._exit(4),
    -3: os.abort,
    -4: loop,
    -5: hold_the_interpreter,
    -6: take_memory,
    -7: sys.exit,
    -8: interrupt,
    -9: lambda: time.sleep(10_000),
    -10: lambda: os._exit(78),
}
