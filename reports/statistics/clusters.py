"""Units that belong together: how families are shuffled, and how much their units say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reports.statistics.points import standard
from reports.statistics.resampling import DRAWS, Stratum, induced, shuffles

Places = Callable[[np.ndarray], np.ndarray]
"""For units (positions), where each draw takes their y from: draws × units."""


def family_places(families: np.ndarray, rng: np.random.Generator) -> Places:
    """Random orders of families, and of the units of each: where units take their y from."""
    orders, keys = shuffles(int(families.max()) + 1, rng, DRAWS), rng.random((DRAWS, len(families)))

    def places(subset: np.ndarray) -> np.ndarray:
        present, own = np.unique(families[subset], return_inverse=True)
        members = [np.flatnonzero(own == number) for number in range(len(present))]
        mixed = [some[np.argsort(keys[:, subset[some]], axis=1)] for some in members]
        found = np.empty((DRAWS, len(subset)), np.intp)
        for slots, order in zip(members, induced(orders, present).T, strict=True):
            for giver, given in enumerate(mixed):
                rows = np.flatnonzero(order == giver)
                found[np.ix_(rows, slots)] = given[rows][:, np.arange(len(slots)) % given.shape[1]]
        return found

    return places


def effective_n(strata: Sequence[Stratum], clusters: np.ndarray) -> float:
    """n over Kish's design effect of a correlation, 1 + (mean size of a cluster − 1) × ICC of x × ICC of y.

    >>> both = np.repeat([1.0, 2.0, 5.0], 4)
    >>> effective_n([Stratum(np.arange(12), both, both)], np.repeat(np.arange(3), 4))
    3.0
    """
    own = np.concatenate([clusters[s.units] for s in strata])
    return effective(
        own, *(np.concatenate([standard(s[axis]) * np.sqrt(len(s.units)) for s in strata]) for axis in (1, 2))
    )


def effective(clusters: np.ndarray, *columns: np.ndarray) -> float:
    """n over Kish's design effect, 1 + (mean size of a cluster − 1) × the product of the columns' ICC.

    Of one column that is the effect on its mean, of two that on their correlation.

    >>> round(effective(np.repeat([0, 1, 2], 4), np.repeat([1.0, 2.0, 5.0], 4)), 1)
    3.0
    """
    own = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(own)
    n, count = len(own), len(sizes)
    if n == count or count < 2:
        return float(count)
    shares = 1.0
    for values in columns:
        means = np.bincount(own, values) / sizes
        between = float(sizes @ (means - values.mean()) ** 2) / (count - 1)
        inside = float(((values - means[own]) ** 2).sum()) / (n - count)
        size = (n - (sizes**2).sum() / n) / (count - 1)
        total = between + (size - 1) * inside
        shares *= min(1.0, max(0.0, (between - inside) / total)) if total else 1.0
    return float(n / (1 + ((sizes**2).sum() / n - 1) * shares))
