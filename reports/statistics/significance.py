"""One rule that decides a correlation: a studentised permutation test and the interval that is its inversion.

Under a null with crossed unit and item effects, tests that take rows or items for independent (``pingouin.corr`` over
all rows, ``pingouin.rm_corr``, a bootstrap of items) reject in 25 to 70 % of data sets; permuting units keeps 5 %.
Units of one family are not independent either, so where families are named they are what is left out and permuted.

The statistic is Fisher's z over its jackknife standard error, clusters (units or families) left out one at a time.
Studentising makes the test one of zero correlation and not of independence (DiCiccio and Romano 2017), but only where
units are many: two that are far out in x and in y do not miss each other when one is left out. So r is called different
from zero where it is rare in each of several ways of drawing: with units shuffled, exact where x and y are independent;
with families shuffled, where these are named; and with the signs of y − mean turned, which keeps a scale that x and y
share (of eight clusters or more; of fewer a shared scale still makes 9 %). p and critical value are the largest. The
interval is z ± that value times the same standard error: it leaves zero out exactly where p ≤ .05.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from reports.statistics.clusters import FEWEST_TURNED, Scheme, effective_n, schemes
from reports.statistics.points import FEWEST, is_constant, standard, tied
from reports.statistics.resampling import AT_ONCE, DRAWS, EXACT, Stratum, pooled_r

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
    """Two-sided: the largest of those by permuting units, by permuting families, and by turning signs."""
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
    """Decide each pair by its statistic, under every scheme of :func:`~reports.statistics.clusters.schemes`.

    ``families`` holds the family of each unit, as a number: these are shuffled then, and the units of each among
    themselves; of families of several sizes the larger leaves units out and the smaller has some twice. Up to ``most``
    units every order is looked at. Family-wise p are Westfall and Young's step-down max-T (1993, algorithm 4.1) over
    the pairs. Sharing a draw keeps how pairs, and groups with the same units, depend on each other.
    """
    clusters = np.arange(units) if families is None else np.unique(families, return_inverse=True)[1]
    ways = schemes(units, None if families is None else clusters, np.random.default_rng([seed, 0]), most)
    drawn = [np.zeros((len(pairs), way.draws)) for way in ways]
    decisions, observed = [], np.zeros(len(pairs))
    for number, strata in enumerate(pairs):
        decision, observed[number], of = decided(strata, clusters, ways)
        decisions.append(decision)
        for rows, some in zip(drawn, of, strict=False):
            rows[number] = some
    stepped = [step_down(observed, rows, way.exact) for rows, way in zip(drawn, ways, strict=True)]
    return Tests(decisions, np.max(stepped, axis=0), ways[0].draws, ways[0].exact)


def step_down(observed: np.ndarray, drawn: np.ndarray, exact: bool) -> np.ndarray:
    """Family-wise p of statistics (pairs) among those that were drawn (pairs × draws)."""
    rank, more = np.argsort(-observed, kind="stable"), 0 if exact else 1
    largest = np.maximum.accumulate(drawn[rank[::-1]])[::-1]
    stepped = (largest >= observed[rank, None] - TIE).sum(axis=1)
    found = np.empty(len(observed))
    found[rank] = np.maximum.accumulate((stepped + more) / (drawn.shape[1] + more))
    return found


def decided(
    strata: Sequence[Stratum], clusters: np.ndarray, ways: Sequence[Scheme]
) -> tuple[Decision, float, list[np.ndarray]]:
    """The decision on one pair, its statistic |z| / se, and those drawn in each way; none where it has no decision."""
    points = np.concatenate([clusters[s.units] for s in strata])
    count = len(np.unique(points))
    r = float(pooled_r(strata, np.ones((1, len(clusters))))[0])
    open_ = Decision(r, None, None, None, False, count, effective_n(strata, clusters), None, None, None, "")
    if count < FEWEST_CLUSTERS:
        few = f"{count} are too few to say anything of new ones; {FEWEST_CLUSTERS} or more are needed"
        return open_._replace(caveat=few), 0.0, []
    (z,), (se,) = studentised(strata, clusters, [standard(s.y)[None] for s in strata])
    if not np.isfinite(se):
        of = "units" if len(points) == len(np.unique(np.concatenate([s.units for s in strata]))) == count else "parts"
        return open_._replace(caveat=f"without one of the {of} a column is constant"), 0.0, []
    statistic, drawn, p, critical = abs(z) / se, [], 0.0, 0.0
    for way in ways if count >= FEWEST_TURNED else ways[: len(ways) - (ways[-1].signs is not None)]:
        zs, ses = all_drawn(strata, clusters, way)
        drawn.append(np.abs(zs) / ses)
        values = np.sort(drawn[-1] if way.exact else np.append(drawn[-1], statistic))[::-1]  # the data are one of them
        p = max(p, float((values >= statistic - TIE).mean()))
        # The largest statistic that is not called different from zero: (k + 1) / n > LEVEL.
        critical = max(critical, float(values[int(LEVEL * len(values) + TIE)]))
        if way is ways[0]:
            some = slice(None, None, -(-way.draws // DRAWS))
            of_zero = zs[some], ses[some]
    half = critical * se if p <= LEVEL else max(critical * se, abs(z))

    def power(true: float) -> float:
        return float((np.abs(of_zero[0] + true) > critical * of_zero[1]).mean())

    return (
        open_._replace(
            low=min(float(np.tanh(z - half)), r),
            high=max(float(np.tanh(z + half)), r),
            p=p,
            decided=p <= LEVEL,
            critical=float(np.tanh(critical * np.median(of_zero[1]))),
            detectable=found_at(power),
            power=power(float(np.arctanh(TYPICAL))),
        ),
        statistic,
        drawn,
    )


def all_drawn(strata: Sequence[Stratum], clusters: np.ndarray, way: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """z and its standard error under every draw, the latter infinite where it has none."""
    step = max(500, AT_ONCE // sum(len(s.units) for s in strata))
    parts = [slice(start, start + step) for start in range(0, way.draws, step)]
    found = [studentised(strata, clusters, [way.drawn(s, part) for s in strata]) for part in parts]
    zs, ses = (np.concatenate(some) for some in zip(*found, strict=True))
    return zs, np.where(np.isfinite(ses), ses, np.inf)


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
    strata: Sequence[Stratum], clusters: np.ndarray, ys: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's z of the pooled correlation under each draw, and its jackknife standard error over clusters.

    ``ys`` holds each stratum's y by draw, centred and of length one. NaN where a column is constant once a cluster is
    out; a stratum of which fewer than three units would stay is out with it.
    """
    ids = np.unique(np.concatenate([clusters[s.units] for s in strata]))
    draws, points = len(ys[0]), sum(len(s.units) for s in strata)
    total, left, size = np.zeros(draws), np.zeros((draws, len(ids))), np.zeros(len(ids))
    for s, b in zip(strata, ys, strict=True):
        own, m = np.searchsorted(ids, clusters[s.units]), len(s.units)
        a = standard(s.x)
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
