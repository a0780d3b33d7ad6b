"""Loads its artifact itself and uses a module that the user has put beside predictor.py."""

from pathlib import Path

import thresholds


def load_model(model_dir):
    return float(Path(model_dir, "model.txt").read_text())


def transformation(model, rows):
    return thresholds.above(rows, model)
