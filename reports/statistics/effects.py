"""Effects of factors: paired differences between levels on the same items, and interactions of levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import pandas as pd
from scipy import stats

from reports.statistics.cells import known, labels, numbers
from reports.statistics.points import ROUNDING

FEWEST = 2
"""Items without which there is no interval."""


@dataclass(frozen=True)
class Effect:
    """Mean difference of ``level`` and ``other`` over items that have both; the interval is 95 %, for new items."""

    level: str
    other: str
    n: int
    """Items; each counts once, with the mean of its differences."""
    settings: int
    """Combinations of the other axes in which the two were compared."""
    agree: float
    """The share of these settings in which the difference has the sign of the effect."""
    effect: float
    low: float
    high: float
    d: float | None
    """Cohen's d_z, the effect in standard deviations of items' differences; None where these are all equal."""
    p: float
    p_holm: float
    """Paired t test, alone and over all pairs of levels (Holm 1979)."""


@dataclass(frozen=True)
class Interaction:
    """One combination of levels: its mean, the sum of main effects, and what is left of it with a 95 % interval."""

    levels: tuple[str, ...]
    n: int
    """Items that have all combinations; others are left out."""
    mean: float
    additive: float
    interaction: float
    low: float
    high: float
    p: float
    p_holm: float


def paired_effects(
    frame: pd.DataFrame, factor: str, value: str, item: str, axes: Sequence[str] = (), against: str | None = None
) -> list[Effect]:
    """Each two levels of a factor, compared on rows that agree in ``item`` and in every other axis.

    Differences of one item are averaged over the other axes first: they are not independent (Miller 2024), and rows
    taken as such would shrink the interval. The effect is that at these settings, for new items. Where ``against``
    names a level, the others are compared with it alone. Raises ``ValueError`` for columns the table lacks, and where
    no two levels share items.

    >>> rows = [("blur", 1, 0.5), ("zero", 1, 0.3), ("blur", 2, 0.6), ("zero", 2, 0.3), ("blur", 3, 0.7)]
    >>> [found] = paired_effects(pd.DataFrame(rows, columns=["kind", "image", "bleu"]), "kind", "bleu", "image")
    >>> found.level, found.other, found.n, round(found.effect, 3)
    ('blur', 'zero', 2, 0.25)
    """
    keys = [item, *(axis for axis in axes if axis != factor)]
    wide = table(frame, [*keys, factor], value).unstack(factor)
    pairs = combinations(wide.columns, 2) if against is None else product(wide.columns.drop(against), [against])
    compared = []
    for level, other in pairs:
        difference = (wide[level] - wide[other]).dropna()
        mean = difference.groupby(item).mean()
        if len(mean) >= FEWEST:
            by_setting = difference.groupby(keys[1:]).mean() if keys[1:] else difference.groupby(lambda _: 0).mean()
            compared.append((level, other, mean.to_numpy(), by_setting.to_numpy()))
    if not compared:
        raise ValueError(
            f"No two levels of {factor!r} share {FEWEST} of {item!r}; an ablation compares the same items."
        )
    tests = [against_zero(mean) for _, _, mean, _ in compared]
    holm = adjusted([p for *_, p in tests])
    return [
        Effect(
            level, other, len(mean), len(by), float((by * effect > 0).mean()), effect, low, high, d(mean), p, adjusted_p
        )
        for (level, other, mean, by), (effect, low, high, p), adjusted_p in zip(compared, tests, holm, strict=True)
    ]


def interactions(frame: pd.DataFrame, factors: Sequence[str], value: str, item: str) -> list[Interaction]:
    """Every combination of levels against the sum of main effects, over items that have all combinations.

    Rows of one item and combination are averaged. Per item, a cell's interaction is what is left of it after the means
    of its levels: on complete data this is the sum-coded interaction of a linear model (all orders together). Raises
    ``ValueError`` for columns the table lacks, fewer than two factors, and where fewer than two items are complete.
    """
    if len(factors) < 2:
        raise ValueError(f"An interaction needs two factors or more; given: {', '.join(factors) or 'none'}.")
    wide = table(frame, [item, *factors], value).unstack(list(factors))
    levels = [sorted(set(wide.columns.get_level_values(factor))) for factor in factors]
    order = list(product(*levels))
    wide = wide.reindex(columns=pd.MultiIndex.from_tuples(order, names=list(factors))).dropna()
    if len(wide) < FEWEST:
        raise ValueError(
            f"{len(wide)} of {item!r} have a value in all {len(order)} combinations of {', '.join(factors)}; "
            f"an interaction needs {FEWEST}. Leave out what is incomplete."
        )
    cells = wide.to_numpy().reshape(len(wide), *map(len, levels))
    axes = range(1, cells.ndim)
    grand = cells.mean(axis=tuple(axes), keepdims=True)
    main = [cells.mean(axis=tuple(a for a in axes if a != axis), keepdims=True) - grand for axis in axes]
    additive = (sum(main) + grand + np.zeros_like(cells)).reshape(len(wide), -1)
    means, expected, rest = wide.to_numpy().mean(axis=0), additive.mean(axis=0), wide.to_numpy() - additive
    tests = [against_zero(column) for column in rest.T]
    holm = adjusted([p for *_, p in tests])
    return [
        Interaction(names, len(wide), float(mean), float(alone), *test, adjusted_p)
        for names, mean, alone, test, adjusted_p in zip(order, means, expected, tests, holm, strict=True)
    ]


def table(frame: pd.DataFrame, keys: Sequence[str], value: str) -> pd.Series:
    """The mean value by some columns, these as text."""
    columns = {known(frame, key): labels(frame, key) for key in keys}
    return pd.DataFrame(columns | {"": numbers(frame, value)}).dropna().groupby(list(keys))[""].mean()


def against_zero(values: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, 95 % interval and two-sided p by Student's t."""
    mean, n = float(values.mean()), len(values)
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        return mean, mean, mean, float(abs(mean) <= ROUNDING)
    found = stats.ttest_1samp(values, 0)
    half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half, float(found.pvalue)


def d(values: np.ndarray) -> float | None:
    """Cohen's d_z; None where all values are equal."""
    spread = values.std(ddof=1)
    return float(values.mean() / spread) if spread > ROUNDING * np.abs(values).max() else None


def together(
    effects: Sequence[Sequence[Effect]], interactions: Sequence[Sequence[Interaction]]
) -> tuple[list[list[Effect]], list[list[Interaction]]]:
    """The same tables, with Holm's p over all tests of all of them: for what is shown side by side."""
    holm = iter(adjusted([one.p for tables in (effects, interactions) for some in tables for one in some]))
    return (
        [[replace(one, p_holm=next(holm)) for one in some] for some in effects],
        [[replace(one, p_holm=next(holm)) for one in some] for some in interactions],
    )


def adjusted(p: Sequence[float]) -> list[float]:
    """Holm's p (1979). statsmodels has it too, and collects all garbage at each call.

    >>> [round(value, 3) for value in adjusted([0.02, 0.01, 0.5])]
    [0.04, 0.03, 0.5]
    """
    order = np.argsort(p)
    steps = np.maximum.accumulate(np.asarray(p, float)[order] * np.arange(len(p), 0, -1))
    holm = np.empty(len(p))
    holm[order] = np.minimum(steps, 1)
    return holm.tolist()
