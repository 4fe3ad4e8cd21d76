"""One rule that decides a correlation: a studentised permutation test and the interval that is its inversion.

Under a null with crossed unit and item effects, tests that take rows or items for independent (``pingouin.corr`` over
all rows, ``pingouin.rm_corr``, a bootstrap of items) reject in 25 to 70 % of data sets; permuting units keeps 5 %.
Units of one family are not independent either, so where families are named they are what is left out and permuted.

The statistic is Fisher's z over its jackknife standard error, clusters (units or families) left out one at a time.
Studentising makes the test one of zero correlation and not of independence (DiCiccio and Romano 2017), so x and y may
share a scale that differs from unit to unit. The interval is z ± the test's critical value times the same standard
error: it leaves zero out exactly where p ≤ .05.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from reports.statistics.clusters import Places, effective_n, family_places
from reports.statistics.points import FEWEST, is_constant, standard, tied
from reports.statistics.resampling import AT_ONCE, DRAWS, EXACT, Stratum, induced, permutations, pooled_r

TIE = 1e-10
"""Statistics that differ by less are equal: sums in another order round otherwise."""

LEVEL = 0.05

FEWEST_CLUSTERS = 4
"""Three have six orders, of which none has p ≤ .05, and left out one at a time leave lines of two points."""

LEAST = 0.5
"""The standard error is no smaller than this share of 1 / √(n − 3): few points say no more by lying on a line."""

TYPICAL = 0.5
"""The true |r| of which a decision's power is given (large, in Cohen's words)."""


class Decision(NamedTuple):
    """What a correlation is, and whether it differs from zero; None where the data cannot say.

    ``decided``, ``p`` ≤ .05 and an interval without zero are one thing.
    """

    estimate: float
    low: float | None
    high: float | None
    """95 % interval, for new units of new families."""
    p: float | None
    """Two-sided, by permuting units or families."""
    decided: bool
    clusters: int
    """Units, or families where these are named."""
    effective_n: float
    """As many independent points say as much: n of all groups over 1 + (size − 1) × the two intraclass correlations."""
    critical: float | None
    """About the smallest |r| that this rule calls different from zero in such data."""
    detectable: float | None
    """The true |r| that it finds in four of five studies."""
    power: float | None
    """How often it finds a true |r| of ``TYPICAL``."""
    caveat: str
    """Why there is no p and no interval."""


class Tests(NamedTuple):
    """The decision on each pair, family-wise p, and over how many permutations."""

    decisions: list[Decision]
    family_wise: np.ndarray
    permutations: int
    exact: bool

    @property
    def p(self) -> np.ndarray:
        """Each pair's own p; 1 where it has none."""
        return np.array([1.0 if one.p is None else one.p for one in self.decisions])


def decide(
    x: ArrayLike, y: ArrayLike, families: ArrayLike | None = None, ranks: bool = False, seed: int = 0
) -> Decision:
    """Decide whether x and y of some units go together: Pearson's r, or with ``ranks`` Spearman's.

    ``x`` and ``y`` hold one number a unit (units that lack one are left out), ``families`` names each unit's. Raises
    ``ValueError`` where fewer than three units have both, or one is constant.

    >>> found = decide([1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 4, 3, 6, 5, 8, 7])
    >>> round(found.estimate, 2), found.decided, found.p < 0.05, found.low > 0
    (0.9, True, True, True)
    >>> decide([1, 1, 1, 1, 1, 1, 2], [3, 1, 2, 4, 5, 6, 9]).caveat
    'without one of the units a column is constant'
    """
    pair = np.array([x, y], float)
    both = np.isfinite(pair).all(axis=0)
    a, b = pair[:, both]
    if len(a) < FEWEST or is_constant(a) or is_constant(b):
        raise ValueError(f"{len(a)} units have x and y; a correlation needs {FEWEST} that vary in both.")
    if ranks:
        a, b = stats.rankdata(tied(a)), stats.rankdata(tied(b))
    named = None if families is None else np.unique(np.asarray(families)[both], return_inverse=True)[1]
    return permutation_tests([[Stratum(np.arange(len(a)), a, b)]], len(a), seed, named).decisions[0]


def permutation_tests(
    pairs: Sequence[Sequence[Stratum]], units: int, seed: int = 0, families: np.ndarray | None = None, most: int = EXACT
) -> Tests:
    """Decide each pair by its statistic under shuffled units; a shuffle is the same for all pairs and groups.

    ``families`` holds the family of each unit, as a number: these are shuffled then, and the units of each among
    themselves; of families of several sizes the larger leaves units out and the smaller has some twice. Up to ``most``
    units every order is looked at. Family-wise p are Westfall and Young's step-down max-T (1993, algorithm 4.1) over
    the pairs. Sharing a shuffle keeps how pairs, and groups with the same units, depend on each other.
    """
    rng = np.random.default_rng([seed, 0])
    if families is None:
        clusters = np.arange(units)
        orders, exact = permutations(units, rng, most=most)
        places: Places = lambda subset: induced(orders, subset)  # noqa: E731
    else:
        clusters, exact = np.unique(families, return_inverse=True)[1], False
        places = family_places(clusters, rng)
        orders = np.empty((DRAWS, 0))
    held: dict[bytes, np.ndarray] = {}
    decisions, drawn = [], np.zeros((len(pairs), len(orders)))
    observed = np.zeros(len(pairs))
    for number, strata in enumerate(pairs):
        for s in strata:
            if s.units.tobytes() not in held:
                held[s.units.tobytes()] = places(s.units).astype(np.intp)
        shuffled = [held[s.units.tobytes()] for s in strata]
        decision, observed[number], drawn[number] = decided(strata, clusters, shuffled, exact)
        decisions.append(decision)
    rank, more = np.argsort(-observed, kind="stable"), 0 if exact else 1
    largest = np.maximum.accumulate(drawn[rank[::-1]])[::-1]
    stepped = (largest >= observed[rank, None] - TIE).sum(axis=1)
    family_wise = np.empty(len(pairs))
    family_wise[rank] = np.maximum.accumulate((stepped + more) / (len(orders) + more))
    return Tests(decisions, family_wise, len(orders), exact)


def decided(
    strata: Sequence[Stratum], clusters: np.ndarray, shuffled: Sequence[np.ndarray], exact: bool
) -> tuple[Decision, float, np.ndarray]:
    """The decision on one pair, its statistic |z| / se, and that of every shuffle."""
    points = np.concatenate([clusters[s.units] for s in strata])
    count, draws = len(np.unique(points)), len(shuffled[0])
    r = float(pooled_r(strata, np.ones((1, len(clusters))))[0])
    open_ = Decision(r, None, None, None, False, count, effective_n(strata, clusters), None, None, None, "")
    if count < FEWEST_CLUSTERS:
        few = f"{count} are too few to say anything of new ones; {FEWEST_CLUSTERS} or more are needed"
        return open_._replace(caveat=few), 0.0, np.zeros(draws)
    (z,), (se,) = studentised(strata, clusters, [np.arange(len(s.units))[None] for s in strata])
    if not np.isfinite(se):
        of = "units" if len(points) == len(np.unique(np.concatenate([s.units for s in strata]))) == count else "parts"
        return open_._replace(caveat=f"without one of the {of} a column is constant"), 0.0, np.zeros(draws)
    step = max(500, AT_ONCE // len(points))
    parts = [
        studentised(strata, clusters, [places[start : start + step] for places in shuffled])
        for start in range(0, draws, step)
    ]
    zs, ses = (np.concatenate(some) for some in zip(*parts, strict=True))
    ses = np.where(np.isfinite(ses), ses, np.inf)
    drawn, statistic = np.abs(zs) / ses, abs(z) / se
    values = np.sort(drawn if exact else np.append(drawn, statistic))[::-1]  # the data are one of the random shuffles
    p = float((values >= statistic - TIE).mean())
    # The largest statistic that is not called different from zero: (k + 1) / n > LEVEL.
    critical = float(values[int(LEVEL * len(values) + TIE)])
    half = critical * se if p <= LEVEL else max(critical * se, abs(z))
    some = slice(None, None, -(-draws // DRAWS))

    def power(true: float) -> float:
        return float((np.abs(zs[some] + true) > critical * ses[some]).mean())

    detectable = found_at(power)
    return (
        open_._replace(
            low=min(float(np.tanh(z - half)), r),
            high=max(float(np.tanh(z + half)), r),
            p=p,
            decided=p <= LEVEL,
            critical=float(np.tanh(critical * np.median(ses))),
            detectable=detectable,
            power=power(float(np.arctanh(TYPICAL))),
        ),
        statistic,
        drawn,
    )


def found_at(power: Callable[[float], float], wanted: float = 0.8, most: float = 4.0) -> float | None:
    """The r whose z has a power of ``wanted``; None where none below .999 has."""
    low, high = 0.0, most
    if power(high) < wanted:
        return None
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    return float(np.tanh(high))


def studentised(
    strata: Sequence[Stratum], clusters: np.ndarray, places: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's z of the pooled correlation under each draw, and its jackknife standard error over clusters.

    ``places`` says of each stratum where a draw takes its y from. NaN where a column is constant once a cluster is out;
    a stratum of which fewer than three units would stay is out with it.
    """
    ids = np.unique(np.concatenate([clusters[s.units] for s in strata]))
    draws, points = len(places[0]), sum(len(s.units) for s in strata)
    total, left, size = np.zeros(draws), np.zeros((draws, len(ids))), np.zeros(len(ids))
    for s, place in zip(strata, places, strict=True):
        own, m = np.searchsorted(ids, clusters[s.units]), len(s.units)
        a, b = standard(s.x), standard(s.y)[place]
        if len(np.unique(own)) < m:  # families may give some units twice
            b = b - b.mean(axis=1, keepdims=True)
            b /= np.maximum(np.linalg.norm(b, axis=1, keepdims=True), TIE)
        sums, ab = [a, a * a, b, b * b], a * b
        r = ab.sum(axis=1)
        if len(ids) == m and (own == np.arange(m)).all():
            count = np.ones(m)
            sums = [*sums, ab]
        else:
            member = (own[:, None] == np.arange(len(ids))).astype(float)
            count, sums = member.sum(axis=0), [values @ member for values in (*sums, ab)]
        sa, saa, sb, sbb, sab = sums
        rest = m - count
        stays = rest >= FEWEST
        per = np.maximum(rest, 1)
        va, vb = 1 - saa - sa * sa / per, 1 - sbb - sb * sb / per
        variance = np.where((va > TIE) & (vb > TIE), va * vb, np.nan)
        with np.errstate(invalid="ignore"):
            left += np.where(stays, rest * (r[:, None] - sab - sa * sb / per) / np.sqrt(variance), 0.0)
        size += np.where(stays, rest, 0.0)
        total += m * r
    with np.errstate(divide="ignore", invalid="ignore"):
        without = fisher(left / size)
    spread = without - without.mean(axis=1, keepdims=True)
    se = np.sqrt((len(ids) - 1) / len(ids) * np.einsum("dc,dc->d", spread, spread))
    return fisher(total / points), np.maximum(se, LEAST / np.sqrt(max(points - 3, 1)))


def fisher(r: np.ndarray) -> np.ndarray:
    """Fisher's z, finite also of a line."""
    return np.arctanh(np.clip(r, -1 + TIE, 1 - TIE))
