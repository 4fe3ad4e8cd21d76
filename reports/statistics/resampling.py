"""Many correlations at once: weights, permutations and the coefficient under each, without a Python loop over draws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from reports.statistics.points import FEWEST, ROUNDING

EXACT = 9
"""Up to so many units every permutation is looked at (9! = 362,880)."""

DRAWS = 9_999
"""Random permutations: the smallest p is 1 / (DRAWS + 1)."""


AT_ONCE = 100_000
"""Numbers to work on at a time, so that they stay in the processor's cache."""


class Stratum(NamedTuple):
    """One group's unit means: x and y are as long as ``units``."""

    units: np.ndarray
    """Positions among the units of all groups."""
    x: np.ndarray
    y: np.ndarray


def weighted_r(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's r under each row of ``weights`` (draws × n); ``x`` and ``y`` hold n values.

    NaN where fewer than three points weigh, or x or y is constant.

    >>> weighted_r(np.array([1.0, 2.0, 3.0, 9.0]), np.array([1.0, 2.0, 3.0, 0.0]), np.array([[1, 1, 1, 0]])).tolist()
    [1.0]
    """
    x, y = x - x.mean(), y - y.mean()  # so that moments about zero lose no digits
    sums = (weights @ np.stack([x, y, x * x, y * y, x * y], axis=1)).T
    with np.errstate(divide="ignore", invalid="ignore"):
        mx, my, xx, yy, xy = sums / weights.sum(axis=1)
        vx, vy = xx - mx * mx, yy - my * my
        r = (xy - mx * my) / np.sqrt(vx * vy)
    usable = (vx > ROUNDING * xx) & (vy > ROUNDING * yy) & (np.count_nonzero(weights, axis=1) >= FEWEST)
    return np.clip(np.where(usable, r, np.nan), -1.0, 1.0)


def pooled_r(strata: Sequence[Stratum], weights: np.ndarray) -> np.ndarray:
    """The mean of the strata's correlations, each weighing as many units as it has; ``weights`` is draws × all units.

    Equal to one correlation after every stratum's x and y were standardised, so no difference between strata enters.
    """
    total, size = np.zeros(len(weights)), np.zeros(len(weights))
    for units, x, y in strata:
        own = weights if len(units) == weights.shape[1] else weights[:, units]
        r = weighted_r(x, y, own)
        share = np.where(np.isnan(r), 0.0, own.sum(axis=1))
        total, size = total + share * np.nan_to_num(r), size + share
    return np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0)


def permutations(n: int, rng: np.random.Generator, most: int = EXACT) -> tuple[np.ndarray, bool]:
    """Orders of n, one a row, and whether these are all that there are: so up to ``most``, else random draws.

    >>> permutations(3, np.random.default_rng(0))[0].tolist()
    [[2, 1, 0], [2, 0, 1], [1, 2, 0], [0, 2, 1], [1, 0, 2], [0, 1, 2]]
    """
    return (every_order(n), True) if n <= most else (shuffles(n, rng, DRAWS), False)


@cache
def every_order(n: int) -> np.ndarray:
    """All n! orders of n."""
    found = np.zeros((1, 0), np.int8)
    for new in range(n):
        found = np.concatenate([np.insert(found, place, new, axis=1) for place in range(new + 1)])
    return found


def shuffles(n: int, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Random orders of n < 65,536: sorting random keys that carry their position beats shuffling row by row."""
    found = np.empty((draws, n), np.uint16)
    step = max(1, AT_ONCE // n)
    for start in range(0, draws, step):
        part = found[start : start + step]
        keys = rng.integers(2**47, size=part.shape) << 16 | np.arange(n)
        keys.sort(axis=1)
        part[:] = keys & 0xFFFF
    return found


def induced(orders: np.ndarray, subset: np.ndarray) -> np.ndarray:
    """Each order restricted to a subset, as positions in it: what a shuffle of all does to some.

    >>> induced(np.array([[2, 0, 1], [0, 1, 2]]), np.array([0, 2])).tolist()
    [[1, 0], [0, 1]]
    """
    if len(subset) == orders.shape[1]:
        return orders
    position = np.full(orders.shape[1], -1, np.int32)
    position[subset] = np.arange(len(subset))
    kept = position[orders]
    return kept[kept >= 0].reshape(len(orders), len(subset))
