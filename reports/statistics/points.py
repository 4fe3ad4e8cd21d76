"""Changes of single numbers, and points that count once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

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
