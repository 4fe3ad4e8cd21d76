"""Changes, critical values and intervals of single numbers, and points that count once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy import stats

T = TypeVar("T")

ROUNDING = 1e-12
"""A column that varies less than this, relative to its size, is constant."""

FEWEST = 3
"""Two points always lie on a line: a correlation of fewer than three says nothing."""


def relative_change(value: float, reference: float | None) -> float | None:
    """Change from the reference in percent of it; None where that is undefined.

    >>> relative_change(0.3, 0.4)
    -25.0
    >>> relative_change(0.3, 0.0) is None
    True
    """
    if not reference or not np.isfinite(reference) or not np.isfinite(value):
        return None
    return round(100 * (value - reference) / abs(reference), 9)


def critical_r(n: int, level: float = 0.05) -> float | None:
    """The smallest |r| of ``n`` independent points that a two-sided test calls different from zero at ``level``.

    From t = r √((n − 2) / (1 − r²)) with n − 2 degrees of freedom. None for n < 3, where there is no test.

    >>> round(critical_r(9), 3)
    0.666
    """
    if n < FEWEST:
        return None
    t = stats.t.ppf(1 - level / 2, n - 2)
    return float(t / np.sqrt(n - 2 + t**2))


def spearman_interval(rho: float, n: int) -> tuple[float, float] | None:
    """95 % interval of a rank correlation of ``n`` independent points (Fieller, Hartley and Pearson 1957).

    Fisher's z with variance 1.06 / (n − 3). None for n < 4.

    >>> [round(end, 2) for end in spearman_interval(0.8, 12)]
    [0.4, 0.94]
    """
    if n < 4:
        return None
    centre, half = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9)), stats.norm.ppf(0.975) * np.sqrt(1.06 / (n - 3))
    return float(np.tanh(centre - half)), float(np.tanh(centre + half))


def representatives(contents: Mapping[T, Hashable]) -> dict[T, T]:
    """For each name the first name with the same content: names that share one count once.

    >>> representatives({"blur": (1, 2), "centre": (1, 2), "lowdim": (1, 3)})
    {'blur': 'blur', 'centre': 'blur', 'lowdim': 'lowdim'}
    """
    first: dict[Hashable, T] = {}
    return {name: first.setdefault(content, name) for name, content in contents.items()}


def is_constant(values: np.ndarray) -> bool:
    """Tell whether finite values differ by no more than rounding."""
    values = values[np.isfinite(values)]
    return not len(values) or bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def constant(points: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns that hold values and do not vary: they have no correlation.

    >>> points = pd.DataFrame({"mse": [1.0, 2.0], "ssim": [1.0, 1.0], "meteor": [np.nan, np.nan]})
    >>> constant(points, ["mse", "ssim", "meteor"])
    ['ssim']
    """
    measured = [column for column in columns if column in points and points[column].notna().any()]
    return [column for column in measured if is_constant(points[column].to_numpy(float))]


def tied(values: np.ndarray) -> np.ndarray:
    """Values for ranks, to 12 digits of the largest: means of equal items, summed in another order, are equal then.

    >>> tied(np.array([0.1 + 0.2, 0.3, -0.7])).tolist()
    [3.0, 3.0, -7.0]
    """
    largest = max(np.abs(values).max(), np.finfo(float).tiny)
    return np.round(values / 10.0 ** math.floor(math.log10(largest)), 11)


def standard(values: np.ndarray) -> np.ndarray:
    """Centred and of length one, so that a product of two is their correlation."""
    centred = values - values.mean()
    return centred / np.linalg.norm(centred)
