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
    decisions: dict[int, Decision] = {}
    observed = np.zeros(len(pairs))
    for numbers in of_one_y(pairs):
        found = decided([pairs[number] for number in numbers], clusters, ways)
        for number, (decision, statistic, of) in zip(numbers, found, strict=True):
            decisions[number], observed[number] = decision, statistic
            for rows, some in zip(drawn, of, strict=False):
                rows[number] = some
    stepped = [step_down(observed, rows, way.exact) for rows, way in zip(drawn, ways, strict=True)]
    in_order = [decisions[number] for number in range(len(pairs))]
    return Tests(in_order, np.max(stepped, axis=0), ways[0].draws, ways[0].exact)


def of_one_y(pairs: Sequence[Sequence[Stratum]]) -> list[list[int]]:
    """Which pairs have the very same y: what is drawn of it is drawn for all of them."""
    found: dict[tuple[bytes, ...], list[int]] = {}
    for number, strata in enumerate(pairs):
        found.setdefault(tuple(part for s in strata for part in (s.units.tobytes(), s.y.tobytes())), []).append(number)
    return list(found.values())


def step_down(observed: np.ndarray, drawn: np.ndarray, exact: bool) -> np.ndarray:
    """Family-wise p of statistics (pairs) among those that were drawn (pairs × draws)."""
    rank, more = np.argsort(-observed, kind="stable"), 0 if exact else 1
    largest = np.maximum.accumulate(drawn[rank[::-1]])[::-1]
    stepped = (largest >= observed[rank, None] - TIE).sum(axis=1)
    found = np.empty(len(observed))
    found[rank] = np.maximum.accumulate((stepped + more) / (drawn.shape[1] + more))
    return found


def decided(
    pairs: Sequence[Sequence[Stratum]], clusters: np.ndarray, ways: Sequence[Scheme]
) -> list[tuple[Decision, float, list[np.ndarray]]]:
    """Of pairs with one y the decision, the statistic |z| / se, and those drawn in each way; none where undecided."""
    strata = pairs[0]
    points = np.concatenate([clusters[s.units] for s in strata])
    ids = np.unique(points)
    some = [Parts.of(clusters[s.units], ids) for s in strata]
    xs = [[standard(s.x) for s in pair] for pair in pairs]
    seen = [part.drawn(standard(s.y)[None]) for part, s in zip(some, strata, strict=True)]
    observed = [studentised(x, seen, some) for x in xs] if len(ids) >= FEWEST_CLUSTERS else []
    able = [number for number, (_, (se,)) in enumerate(observed) if np.isfinite(se)]
    ways = ways if len(ids) >= FEWEST_TURNED else [way for way in ways if way.signs is None]
    drawn = [all_drawn([xs[number] for number in able], strata, some, way) for way in ways if able]
    found = []
    for number, pair in enumerate(pairs):
        r = float(pooled_r(pair, np.ones((1, len(clusters))))[0])
        size = effective_n(pair, clusters)
        open_ = Decision(r, None, None, None, False, len(ids), size, None, None, None, caveat(strata, points))
        if number in able:
            (z,), (se,) = observed[number]
            of = [one[able.index(number)] for one in drawn]
            decision, statistics = judged(open_, float(z), float(se), of, ways)
            found.append((decision, float(abs(z) / se), statistics))
        else:
            found.append((open_, 0.0, []))
    return found


def caveat(strata: Sequence[Stratum], points: np.ndarray) -> str:
    """Why a pair has no decision, where it has none; ``points`` are the clusters of all its units."""
    count = len(np.unique(points))
    if count < FEWEST_CLUSTERS:
        return f"{count} are too few to say anything of new ones; {FEWEST_CLUSTERS} or more are needed"
    apart = len(points) == len(np.unique(np.concatenate([s.units for s in strata]))) == count
    return f"without one of the {'units' if apart else 'parts'} a column is constant"


def judged(
    open_: Decision, z: float, se: float, drawn: Sequence[tuple[np.ndarray, np.ndarray]], ways: Sequence[Scheme]
) -> tuple[Decision, list[np.ndarray]]:
    """The decision by z and its standard error among those drawn in each way, and the statistics of these."""
    statistic, statistics, p, critical = abs(z) / se, [], 0.0, 0.0
    for way, (zs, ses) in zip(ways, drawn, strict=True):
        statistics.append(np.abs(zs) / ses)
        values = statistics[-1] if way.exact else np.append(statistics[-1], statistic)  # the data are one of them
        p = max(p, float((values >= statistic - TIE).mean()))
        # The largest statistic that is not called different from zero: (k + 1) / n > LEVEL.
        place = len(values) - 1 - int(LEVEL * len(values) + TIE)
        critical = max(critical, float(np.partition(values, place)[place]))
    of_zero = [some[:: -(-ways[0].draws // DRAWS)] for some in drawn[0]]
    half = critical * se if p <= LEVEL else max(critical * se, abs(z))

    def power(true: float) -> float:
        return float((np.abs(of_zero[0] + true) > critical * of_zero[1]).mean())

    decision = open_._replace(
        low=min(float(np.tanh(z - half)), open_.estimate),
        high=max(float(np.tanh(z + half)), open_.estimate),
        p=p,
        decided=p <= LEVEL,
        critical=float(np.tanh(critical * np.median(of_zero[1]))),
        detectable=found_at(power),
        power=power(float(np.arctanh(TYPICAL))),
        caveat="",
    )
    return decision, statistics


def all_drawn(
    xs: Sequence[Sequence[np.ndarray]], strata: Sequence[Stratum], parts: Sequence[Parts], way: Scheme
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each x, z and its standard error under every draw of y, the latter infinite where it has none."""
    step = max(500, AT_ONCE // sum(len(s.units) for s in strata))
    found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in xs]
    for start in range(0, way.draws, step):
        some = slice(start, start + step)
        ys = [part.drawn(way.drawn(s, some)) for s, part in zip(strata, parts, strict=True)]
        for of, x in zip(found, xs, strict=True):
            of.append(studentised(x, ys, parts))
    joined = [tuple(map(np.concatenate, zip(*of, strict=True))) for of in found]
    return [(zs, np.where(np.isfinite(ses), ses, np.inf)) for zs, ses in joined]


def found_at(power: Callable[[float], float], wanted: float = 0.8, most: float = 4.0) -> float | None:
    """The r whose z has a power of ``wanted``; None where none below .999 has."""
    low, high = 0.0, most
    if power(high) < wanted:
        return None
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    return float(np.tanh(high))


class Drawn(NamedTuple):
    """Draws of a stratum's y, and what all x have in common of leaving clusters out."""

    y: np.ndarray
    """Draws × units, centred and of length one."""
    scale: np.ndarray
    """Draws × clusters: one over what is left of the length without each (:meth:`Parts.scale`)."""


class Parts(NamedTuple):
    """How clusters divide the units of a stratum."""

    member: np.ndarray | None
    """Units × clusters, ones and zeros; None where each unit is one, in their order."""
    rest: np.ndarray
    """How many units stay without each cluster; zero where these are fewer than three, so that none are taken."""

    @classmethod
    def of(cls, clusters: np.ndarray, ids: np.ndarray) -> Parts:
        """Parts by the cluster of each unit, among all clusters."""
        member = clusters[:, None] == ids
        rest = len(clusters) - member.sum(axis=0)
        alone = member.shape[0] == member.shape[1] and member.diagonal().all()
        return cls(None if alone else member.astype(float), np.where(rest >= FEWEST, rest, 0))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over each cluster of values (… × units)."""
        return values if self.member is None else values @ self.member

    def scale(self, values: np.ndarray) -> np.ndarray:
        """One over the length of centred values (… × units) without each cluster.

        NaN where they are constant then, zero where no units are taken.
        """
        sums = self.sums(values)
        left = 1 - self.sums(values * values) - sums * sums / np.maximum(self.rest, 1)
        left[left <= TIE] = np.nan
        return np.where(self.rest, 1 / np.sqrt(left), 0.0)

    def drawn(self, y: np.ndarray) -> Drawn:
        return Drawn(y, self.scale(y))


def studentised(xs: Sequence[np.ndarray], ys: Sequence[Drawn], parts: Sequence[Parts]) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's z of the pooled correlation under each draw, and its jackknife standard error over clusters.

    ``xs`` holds each stratum's x, centred and of length one, and ``ys`` the draws of its y. NaN where a column is
    constant once a cluster is out; a stratum of which fewer than three units would stay is out with it.
    """
    total, left = np.zeros(len(ys[0].y)), np.zeros_like(ys[0].scale)
    for a, (b, scale), part in zip(xs, ys, parts, strict=True):
        weight = part.rest * part.scale(a)
        means = part.sums(a) / np.maximum(part.rest, 1)
        given = a + (means if part.member is None else part.member @ means)  # what a unit's y takes away with it
        r = b @ a
        taken = b * (given * weight) if part.member is None else b @ (part.member * np.outer(given, weight))
        left += (r[:, None] * weight - taken) * scale
        total += len(a) * r
    points, size = sum(map(len, xs)), np.sum([part.rest for part in parts], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        without = fisher(left / size)
    count = without.shape[1]
    spread = without - without @ np.full((count, 1), 1 / count)  # mean(axis=1) of few columns takes ten times as long
    se = np.sqrt((count - 1) / count * np.einsum("dc,dc->d", spread, spread))
    return fisher(total / points), np.maximum(se, LEAST / np.sqrt(max(points - 3, 1)))


def fisher(r: np.ndarray) -> np.ndarray:
    """Fisher's z, finite also of a line."""
    return np.arctanh(np.clip(r, -1 + TIE, 1 - TIE))
