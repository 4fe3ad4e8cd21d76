"""Correlations of columns with all that belongs to them: intervals, tests, stability, levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from reports.statistics.cells import Roles, TableGroup, families, groups
from reports.statistics.comparison import Comparison, compare
from reports.statistics.crossed import Mixed, crossed_model
from reports.statistics.effects import adjusted
from reports.statistics.levels import Levels, levels
from reports.statistics.meta import Meta, random_effects, shared_chance
from reports.statistics.pairs import Pair, pair_of, units_of, why_none
from reports.statistics.points import tied
from reports.statistics.resampling import EXACT, Stratum
from reports.statistics.significance import FEWEST_CLUSTERS, Decision, permutation_tests
from reports.statistics.stability import Stability, leave_one_out

QUICK = 7
"""Up to so many units every permutation is looked at where there are many pairs (7! = 5,040)."""


@dataclass(frozen=True)
class Correlation:
    """Correlation of x and y over unit means; None where the data cannot say.

    With several groups every coefficient is the mean over groups, each weighing as many units as it has.
    """

    x: str
    y: str
    group: str
    n: int
    """Units that have both."""
    items: int | None
    """Items of which a unit has both."""
    cells: int
    missing: int
    """Units × items, and how many of these lack x or y."""
    note: str = ""
    """Why there is no correlation."""
    pearson: float | None = None
    spearman: float | None = None
    kendall: float | None = None
    low: float | None = None
    high: float | None = None
    """95 % interval of Pearson's r, for new units (of new families); it leaves zero out where ``p`` ≤ .05."""
    p: float | None = None
    p_family_wise: float | None = None
    q: float | None = None
    """Two-sided p of Pearson's r by permuting units or families; step-down max-T and Benjamini-Hochberg over pairs."""
    decided: bool = False
    """Whether r differs from zero: :mod:`reports.statistics.significance` has the rule."""
    spearman_low: float | None = None
    spearman_high: float | None = None
    spearman_p: float | None = None
    """The same rule over ranks."""
    families: int | None = None
    """How many families interval and p are for; None where units are taken for independent."""
    effective_n: float | None = None
    """As many independent points say as much: units of all groups, less what they share in a family."""
    caveat: str = ""
    """Why there is no p and no interval."""
    permutations: int = 0
    exact: bool = False
    pairs_tested: int = 0
    critical_r: float | None = None
    """About the smallest |r| that the rule calls different from zero in such data."""
    detectable_r: float | None = None
    """The true |r| that the rule finds in four of five studies."""
    power: float | None = None
    """How often the rule finds a true |r| of .5."""
    sign_flips: int | None = None
    leave_one_out: Stability | None = None
    leave_family_out: Stability | None = None
    levels: Levels | None = None
    mixed: Mixed | None = None
    comparisons: tuple[Comparison, ...] = ()
    meta: Meta | None = None
    groups: tuple[Correlation, ...] = ()


def correlate(
    frame: pd.DataFrame, xs: Sequence[str], ys: Sequence[str], roles: Roles, seed: int = 0
) -> list[Correlation]:
    """Correlate every x with every y over unit means; one result a pair, in the order given.

    Raises ``ValueError`` with one sentence for what the table lacks. The order of rows changes nothing.

    >>> frame = pd.DataFrame({"config": list("abcdefg"), "mse": range(7), "bleu": [9, 8, 8.5, 5, 5.5, 3, 1]})
    >>> [found] = correlate(frame, ["mse"], ["bleu"], Roles("config"))
    >>> found.n, round(found.pearson, 3), found.p < 0.05, found.high < 0, found.sign_flips
    (7, -0.952, True, True, 0)
    """
    xs, ys = list(dict.fromkeys(xs)), list(dict.fromkeys(ys))
    for column in xs:
        if column in ys:
            raise ValueError(f"Column {column!r} is given as both x and y; a column goes with itself perfectly.")
    named = families(frame, roles)
    found = groups(frame, [*xs, *ys], roles)
    results = analyse(found, xs, ys, named, seed)
    if len(found) == 1:
        return [replace(result, group="") for result in results]
    apart = [analyse([group], xs, ys, named, seed) for group in found]
    units = units_of(found)
    clusters = np.unique([named[unit] for unit in units] if named else units, return_inverse=True)[1]
    return [
        across(result, parts, pair_of(found, units, result.x, result.y).strata, clusters)
        for result, *parts in zip(results, *apart, strict=True)
    ]


def across(
    result: Correlation, parts: Sequence[Correlation], strata: Sequence[Stratum], clusters: np.ndarray
) -> Correlation:
    """A result of all groups together, with those of each and their meta-analysis."""
    usable = [part for part in parts if part.pearson is not None and part.effective_n is not None]
    chance = shared_chance(strata, clusters) if usable else None
    meta = random_effects([p.pearson or 0.0 for p in usable], [p.effective_n or 0.0 for p in usable], chance)
    return replace(result, groups=tuple(parts), meta=meta)


def analyse(
    found: Sequence[TableGroup], xs: Sequence[str], ys: Sequence[str], named: Mapping[str, str] | None, seed: int
) -> list[Correlation]:
    """The results of every pair over some groups, taken together."""
    units = units_of(found)
    pairs = [pair_of(found, units, x, y) for x in xs for y in ys]
    results = estimates(found, pairs, units, named, seed, EXACT)
    tested = [pair for pair in pairs if results[pair.x, pair.y].p is not None]
    rivals = compared(found[0], xs, ys, seed) if len(found) == 1 else {}
    for pair in (pair for pair in pairs if pair.strata):
        result = results[pair.x, pair.y]
        results[pair.x, pair.y] = replace(
            result,
            comparisons=tuple(rivals.get((pair.x, pair.y), ())),
            **(inside(found[0], pair, result) if len(found) == 1 else {}),
        )
    if tested:
        qs = stats.false_discovery_control([results[pair.x, pair.y].p for pair in tested])
        for pair, q in zip(tested, qs, strict=True):
            results[pair.x, pair.y] = replace(results[pair.x, pair.y], q=float(q), pairs_tested=len(tested))
    return list(results.values())


def estimate(
    frame: pd.DataFrame, xs: Sequence[str], ys: Sequence[str], roles: Roles, seed: int = 0
) -> list[Correlation]:
    """Correlate as :func:`correlate` does, without mixed models, levels and comparisons.

    Many pairs cost little that way. Nine units are permuted at random, too, so p is that of ``correlate`` to ± .004.

    >>> frame = pd.DataFrame({"config": list("abcdefg"), "mse": range(7), "bleu": [9, 8, 8.5, 5, 5.5, 3, 1]})
    >>> [found] = estimate(frame, ["mse"], ["bleu"], Roles("config"))
    >>> round(found.pearson, 3), found.low < -0.96 < found.high < 0, found.p < 0.05, found.decided
    (-0.952, True, True, True)
    """
    named = families(frame, roles)
    found = groups(frame, [*xs, *ys], roles)
    units = units_of(found)
    pairs = [pair_of(found, units, x, y) for x in xs for y in ys]
    return list(estimates(found, pairs, units, named, seed, QUICK).values())


def estimates(
    found: Sequence[TableGroup],
    pairs: Sequence[Pair],
    units: Sequence[str],
    named: Mapping[str, str] | None,
    seed: int,
    most: int,
) -> dict[tuple[str, str], Correlation]:
    """Coefficients of every pair, what decides them, and what they owe to single units and families."""
    results = {(pair.x, pair.y): coefficients(found, pair) for pair in pairs}
    usable = [pair for pair in pairs if pair.strata]
    if not usable:
        return results
    parts = {unit: np.array([other == unit for other in units]) for unit in units}
    related: dict[str, np.ndarray] | None = None
    numbered = None
    if named:
        of = [named[unit] for unit in units]
        related = {family: np.array([one == family for one in of]) for family in dict.fromkeys(of)}
        numbered = np.unique(of, return_inverse=True)[1]
    tests, ranked = (
        permutation_tests([[over(s) for s in pair.strata] for pair in usable], len(units), seed, numbered, most)
        for over in (lambda s: s, ranks)
    )
    for number, pair in enumerate(usable):
        one, of_ranks = tests.decisions[number], ranked.decisions[number]
        alone = leave_one_out(pair.strata, parts)
        results[pair.x, pair.y] = replace(
            results[pair.x, pair.y],
            low=one.low,
            high=one.high,
            p=one.p,
            p_family_wise=None if one.p is None else float(tests.family_wise[number]),
            decided=one.decided,
            spearman_low=of_ranks.low,
            spearman_high=of_ranks.high,
            spearman_p=of_ranks.p,
            families=one.clusters if named else None,
            effective_n=one.effective_n,
            caveat=caveat(one, alone, pair, bool(named)),
            permutations=tests.permutations,
            exact=tests.exact,
            critical_r=one.critical,
            detectable_r=one.detectable,
            power=one.power,
            sign_flips=alone.sign_flips if alone else None,
            leave_one_out=alone,
            leave_family_out=leave_one_out(pair.strata, related) if related else None,
        )
    return results


def caveat(one: Decision, alone: Stability | None, pair: Pair, related: bool) -> str:
    """Why a pair has no p and no interval, with the family or the unit that it hangs on."""
    if one.p is None and one.clusters < FEWEST_CLUSTERS:
        return one.caveat.replace(str(one.clusters), f"{one.clusters} {'families' if related else 'units'}", 1)
    if one.p is None and alone and alone.without is None:
        return f"undefined: without {alone.driver} {pair.x} or {pair.y} is constant"
    return one.caveat


def ranks(stratum: Stratum) -> Stratum:
    """A stratum with ranks for values."""
    return Stratum(stratum.units, stats.rankdata(tied(stratum.x)), stats.rankdata(tied(stratum.y)))


def coefficients(found: Sequence[TableGroup], pair: Pair) -> Correlation:
    """Count units and items, and compute the three coefficients."""
    cells = sum(group.cells[pair.x].size for group in found)
    held = sum(int((np.isfinite(g.cells[pair.x]) & np.isfinite(g.cells[pair.y])).sum()) for g in found)
    both = [np.isfinite(g.cells[pair.x]) & np.isfinite(g.cells[pair.y]) for g in found if g.items is not None]
    items = sum(int(of.any(axis=0).sum()) for of in both) if both else None
    n = len({int(unit) for stratum in pair.strata for unit in stratum.units})
    name = found[0].name if len(found) == 1 else ""
    result = Correlation(pair.x, pair.y, name, n, items, cells, cells - held)
    if not pair.strata:
        return replace(result, note=why_none(found, pair))
    sizes = [len(s.units) for s in pair.strata]

    def mean(function: Any, seen: Any = lambda values: values) -> float:
        return float(np.average([function(seen(s.x), seen(s.y)).statistic for s in pair.strata], weights=sizes))

    spearman, kendall = mean(stats.spearmanr, tied), mean(stats.kendalltau, tied)
    return replace(result, pearson=mean(stats.pearsonr), spearman=spearman, kendall=kendall)


def compared(
    group: TableGroup, xs: Sequence[str], ys: Sequence[str], seed: int
) -> dict[tuple[str, str], list[Comparison]]:
    """For every pair of columns how its x compares with each other x; each two are compared once."""
    found: dict[tuple[str, str], list[Comparison]] = {}
    made = [(x, y, one) for y in ys for x, other in combinations(xs, 2) if (one := compare(group, x, other, y, seed))]
    for (x, y, one), p in zip(made, adjusted([one.p for *_, one in made]), strict=True):
        found.setdefault((x, y), []).append(replace(one, p_holm=p))
        found.setdefault((one.other, y), []).append(replace(one, other=x, difference=-one.difference, p_holm=p))
    return found


def inside(group: TableGroup, pair: Pair, result: Correlation) -> dict[str, Any]:
    """Levels and mixed model, which need the cells of one group."""
    if group.items is None or result.pearson is None:
        return {}
    x, y = group.cells[pair.x], group.cells[pair.y]
    return {"levels": levels(result.pearson, x, y, result.decided), "mixed": crossed_model(x, y)}


def as_json(results: Sequence[Correlation]) -> list[dict[str, Any]]:
    """Results as JSON values; what is no number becomes null."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(inner) for inner in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return [plain(asdict(result)) for result in results]
