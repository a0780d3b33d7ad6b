"""Asks other programs, for as many milliseconds as the first number of a row says; answers what they have said."""

import os
import subprocess

import numpy as np


def transformation(model, rows):
    answers = []
    for number in np.asarray(rows)[:, 0].astype(int):
        script = f"sleep {number / 1000}; cat; exit {number % 7}"
        done = subprocess.run(["sh", "-c", script], input=b"told", capture_output=True)
        asked = os.popen("echo popen").read().strip()
        answers.append(f"{done.stdout.decode()} {done.returncode} {asked}")
    return answers
