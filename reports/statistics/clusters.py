"""Ways to draw what would be if y went with nothing, families of units together; and how much such units say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from reports.statistics.points import standard
from reports.statistics.resampling import DRAWS, Stratum, induced, permutations, shuffles

Places = Callable[[np.ndarray], np.ndarray]
"""For units (positions), where each draw takes their y from: draws × units."""

FEWEST_TURNED = 8
"""Of fewer clusters' signs there are too few turns to find anything by: of five sixteen, none of them rare at 5 %."""

ALL_TURNS = 13
"""Up to so many clusters every turn of signs is looked at (2¹² = 4,096)."""


class Scheme(NamedTuple):
    """One way to draw y: from other units (``places``), or with the signs of clusters turned (draws × units)."""

    draws: int
    exact: bool
    """Whether these are all that there are, the data among them."""
    places: Places | None = None
    signs: np.ndarray | None = None
    uneven: bool = False
    """Whether some y may stand twice and others not at all."""

    def drawn(self, s: Stratum, part: slice) -> np.ndarray:
        """Some draws of a stratum's y: draws × units, centred and of length one."""
        y = standard(s.y)
        if self.places is not None:
            found = y[self.places(s.units)[part]]
        else:
            assert self.signs is not None
            found = y * self.signs[part][:, s.units]
        if self.signs is None and not self.uneven:
            return found
        centred = found - found.mean(axis=1, keepdims=True)
        centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-10)
        return centred


def schemes(units: int, families: np.ndarray | None, rng: np.random.Generator, most: int) -> list[Scheme]:
    """Shuffles of families and of units, and turns of their signs; up to ``most`` units every order of them."""
    found = []
    if families is not None:
        found.append(Scheme(DRAWS, False, remembered(family_places(families, rng)), uneven=True))
    orders, exact = permutations(units, rng, most)
    found.append(Scheme(len(orders), exact, remembered(lambda subset: induced(orders, subset))))
    clusters = np.arange(units) if families is None else families
    count = int(clusters.max()) + 1
    if count >= FEWEST_TURNED:
        every = count <= ALL_TURNS
        bits = np.arange(2 ** (count - 1))[:, None] >> np.arange(count) if every else rng.integers(0, 2, (DRAWS, count))
        found.append(Scheme(len(bits), every, signs=(1.0 - 2 * (bits & 1))[:, clusters]))
    return found


def remembered(places: Places) -> Places:
    """Places that are computed once for the same units."""
    held: dict[bytes, np.ndarray] = {}

    def found(subset: np.ndarray) -> np.ndarray:
        key = subset.tobytes()
        if key not in held:
            held[key] = places(subset).astype(np.intp)
        return held[key]

    return found


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
