"""Trees of every kind of node, sound and spoiled, and how a single row walks them, told in Python."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from serving.compiler.trees import Trees, packed

MISSING_RIGHT, ZERO_MISSING, CATEGORICAL, OTHER_RIGHT, TOWARDS_ZERO = (1 << bit for bit in range(24, 29))
FEATURE = (1 << 24) - 1
OUTPUTS = 3
ODD = (0, 1, -1, 2, 3, 7, 40, 2**31 - 1, -(2**31), 2**31, 2**62, -(2**62), np.nan, np.inf, -np.inf, 1e300, -0.5, 1e-36)


def made(chance: random.Random, features: int, precision: str = "float64", sums: str = "float64") -> Trees:
    """Sound trees."""
    threshold: list[float] = []
    feature: list[int] = []
    left: list[int] = []
    roots = []
    for _ in range(chance.randint(1, 20)):
        roots.append(len(left))
        open_nodes = [_leaf(threshold, feature, left)]
        while open_nodes and chance.random() < 0.9:
            node = open_nodes.pop(chance.randrange(len(open_nodes)))
            flags = chance.randrange(32) << 24
            feature[node] = chance.randrange(features) | flags
            threshold[node] = (
                chance.randrange(3) if flags & CATEGORICAL else chance.choice((0.0, 1.0, chance.gauss(0, 1)))
            )
            left[node] = len(left)
            open_nodes += [_leaf(threshold, feature, left), _leaf(threshold, feature, left)]
    width = chance.choice((1, OUTPUTS))
    return Trees(
        roots=np.array(roots, np.int64),
        columns=np.array([chance.randint(0, OUTPUTS - width) for _ in roots], np.int32),
        nodes=packed(np.array(threshold), np.array(feature, np.uint32), np.array(left, np.int32)),
        values=np.array([[chance.gauss(0, 1) for _ in range(width)] for _ in left]),
        sets=np.array([chance.getrandbits(32) for _ in range(3)], np.uint32),
        boundaries=np.array([0, 2, 3, 3], np.int64),  # the last one is empty
        start=np.full(OUTPUTS, 0.1, sums),
        precision=precision,
        order=chance.choice("CF"),
    )


def _leaf(threshold: list[float], feature: list[int], left: list[int]) -> int:
    threshold.append(np.inf)
    feature.append(0)
    left.append(len(left))
    return left[-1]


def spoiled(chance: random.Random, trees: Trees) -> Trees:
    """Some entries replaced by wrong ones, or by others that are right."""
    for _ in range(chance.randint(1, 3)):
        array = getattr(trees, chance.choice(["roots", "columns", "threshold", "feature", "left", "boundaries"]))
        value = chance.choice([odd for odd in ODD if array.dtype.kind == "f" or abs(odd) < 2**63])
        if array.dtype.kind != "f":
            limits = np.iinfo(array.dtype)
            value = min(max(int(value), int(limits.min)), int(limits.max))
        array[chance.randrange(len(array))] = value
    return trees


def rows_for(chance: random.Random, features: int, precision: str) -> Any:
    """Up to three blocks of lanes and a rest."""
    count = chance.choice((0, 1, 2, 5, 6, 15, 16, 17, 39, 64, 65, 130))
    values = [chance.choice(ODD) if chance.random() < 0.5 else chance.gauss(0, 2) for _ in range(count * features)]
    with np.errstate(over="ignore"):
        return np.array(values).reshape(count, features).astype(precision)


def leaf_of(trees: Trees, node: int, row: Any) -> int:
    """The leaf in which one row ends."""
    while (left := int(trees.left[node])) != node:
        flags, threshold = int(trees.feature[node]), float(trees.threshold[node])
        x = float(row[flags & FEATURE])
        if x != x or (flags & ZERO_MISSING and abs(x) <= float(np.float32(1e-35))):
            right = flags & MISSING_RIGHT > 0
        elif flags & CATEGORICAL:
            first, end = trees.boundaries[int(threshold)], trees.boundaries[int(threshold) + 1]
            x = 0.0 if flags & TOWARDS_ZERO and -1 < x < 0 else x
            if 0 <= x < 32 * (end - first):
                right = not int(trees.sets[first + int(x) // 32]) >> int(x) % 32 & 1
            else:
                right = flags & OTHER_RIGHT > 0
        else:
            right = x > threshold
        node = left + right
    return node


def compare(trees: Trees, function: Callable[[Any], Any], rows: Any) -> None:
    """The values of the leaves that leaf_of finds are added tree by tree, from `start` on and in its precision."""
    expected = np.tile(trees.start, (len(rows), 1))
    width = trees.values.shape[1]
    for row, sums in zip(rows, expected, strict=True):
        for root, column in zip(trees.roots, trees.columns, strict=True):
            sums[column : column + width] += trees.values[leaf_of(trees, int(root), row)].astype(sums.dtype)
    found = function(rows)
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()
