"""Fails on every row, so on the warm-up's too."""


def transformation(model, rows):
    raise KeyError("petal")
