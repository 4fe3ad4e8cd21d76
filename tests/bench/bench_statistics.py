"""The rule that decides a correlation against Pearson's t, Fisher's z and a plain permutation, on data made for it.

    python -m tests.bench.bench_statistics [sets] [shuffles]

For each kind of data and true r: how often zero is rejected at 5 % (a false finding where r is 0, power elsewhere),
and how often the 95 % interval holds the true r; ± is one Monte-Carlo standard error of a rate of 5 % and of 50 %. A
plain permutation of |r| has no interval. Families are named to our rule only: the others have no place for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from scipy import stats

from reports.statistics import clusters, resampling, significance
from reports.statistics.cells import unit_means
from reports.statistics.meta import random_effects, shared_chance
from reports.statistics.resampling import Stratum
from reports.statistics.significance import decide

TRUE = (0.0, 0.5, 0.8)
ITEMS = 25


class Units(NamedTuple):
    """Unit means, what a plain mean would have made of them, and their families."""

    x: np.ndarray
    y: np.ndarray
    families: np.ndarray | None = None
    plain: tuple[np.ndarray, np.ndarray] | None = None


Made = Callable[[np.random.Generator, float], Units]


def turned(pair: np.ndarray, r: float) -> np.ndarray:
    """Two variables whose correlation is r, from two of equal variance that have none."""
    return np.stack([pair[0], r * pair[0] + np.sqrt(1 - r * r) * pair[1]])


def normal(n: int) -> Made:
    return lambda rng, r: Units(*turned(rng.normal(size=(2, n)), r))


def skewed(n: int) -> Made:
    return lambda rng, r: Units(*turned(rng.lognormal(size=(2, n)), r))


def heavy(n: int) -> Made:
    return lambda rng, r: Units(*turned(rng.standard_t(3, size=(2, n)), r))


def scaled(n: int) -> Made:
    """x and y share a scale that differs from unit to unit (log-normal, sd .7)."""
    return lambda rng, r: Units(*(rng.lognormal(0, 0.7, n) * turned(rng.normal(size=(2, n)), r)))


def families(*sizes: int) -> Made:
    """Nine tenths of the variance are a family's."""
    named = np.repeat(np.arange(len(sizes)), sizes)

    def made(rng: np.random.Generator, r: float) -> Units:
        shared, own = rng.normal(size=(2, len(sizes))), rng.normal(size=(2, len(named)))
        x, y = turned(np.sqrt(0.9) * shared[:, named] + np.sqrt(0.1) * own, r)
        return Units(x, y, named)

    return made


def crossed(n: int, missing: float = 0.0) -> Made:
    """Units × items whose items (sd 3) x and y share, some cells missing: the others get plain means."""

    def made(rng: np.random.Generator, r: float) -> Units:
        unit = turned(rng.normal(size=(2, n)), r)
        cells = unit[:, :, None] + 3 * rng.normal(size=ITEMS) + 0.3 * rng.normal(size=(2, n, ITEMS))
        cells[:, rng.random((n, ITEMS)) < missing] = np.nan
        plain = np.nanmean(cells, axis=2)
        return Units(unit_means(cells[0]), unit_means(cells[1]), None, (plain[0], plain[1]))

    return made


DATA: dict[str, Made] = {
    "normal, 9": normal(9),
    "normal, 24": normal(24),
    "heavy tails (t3), 9": heavy(9),
    "heavy tails (t3), 24": heavy(24),
    "skewed (log-normal), 24": skewed(24),
    "shared scale, 9": scaled(9),
    "shared scale, 24": scaled(24),
    "families, 4 of 3": families(3, 3, 3, 3),
    "families, 7 of 3": families(*[3] * 7),
    "families of 1 to 5, 20": families(5, 2, 1, 4, 3, 5),
    "families 1, 1, 1, 2, 5": families(1, 1, 1, 2, 5),
    "60 % of cells missing, 20": crossed(20, 0.6),
}

NAMES = ("ours", "ours, ranks", "Pearson's t", "Fisher's z", "plain permutation")


def rejections(one: Units, r: float, seed: int) -> tuple[list[bool], list[bool | None]]:
    """Of each test whether it rejects zero, and whether its interval holds r."""
    x, y = one.plain or (one.x, one.y)
    found, ranks = decide(one.x, one.y, one.families, seed=seed), decide(one.x, one.y, one.families, True, seed)
    pearson = stats.pearsonr(x, y)
    fisher = pearson.confidence_interval()
    drawn = np.random.default_rng(seed).permuted(np.tile(y, (resampling.DRAWS, 1)), axis=1) @ (x - x.mean())
    plain = (1 + (np.abs(drawn) >= abs(y @ (x - x.mean())) - 1e-10).sum()) / (1 + len(drawn))
    rejected = [found.decided, ranks.decided, pearson.pvalue <= 0.05, not fisher.low <= 0 <= fisher.high, plain <= 0.05]
    rank = 6 / np.pi * np.arcsin(r / 2)  # of normal data
    held = [(d.low or -1) <= true <= (d.high or 1) for d, true in ((found, r), (ranks, rank))]
    return rejected, [*held, None, bool(fisher.low <= r <= fisher.high), None]


def corpora(alike: float, r: float, sets: int) -> tuple[list[float], list[float]]:
    """Meta-analyses of five corpora of ten units whose effects correlate by ``alike``: with shared chance, without."""
    rng = np.random.default_rng(1)
    rejected, held = np.zeros(2), np.zeros(2)
    for _ in range(sets):
        luck, own = rng.normal(size=(2, 1, 10)), rng.normal(size=(2, 5, 10))
        x, y = turned(np.sqrt(alike) * luck + np.sqrt(1 - alike) * own, r)
        strata = [Stratum(np.arange(10), *of) for of in zip(x, y, strict=True)]
        values = [float(np.corrcoef(s.x, s.y)[0, 1]) for s in strata]
        for place, chance in enumerate((shared_chance(strata, np.arange(10)), None)):
            found = random_effects(values, [10] * 5, chance)
            assert found is not None
            rejected[place] += found.p <= 0.05
            held[place] += found.low <= r <= found.high
    return list(rejected / sets), list(held / sets)


def main(sets: int = 1000, shuffles: int = 999) -> dict[str, list[float]]:
    """Print the rates, and return those of rejection by data and r."""
    found = {}
    error = [100 * np.sqrt(p * (1 - p) / sets) for p in (0.05, 0.5)]
    print(
        f"{sets} data sets each, {shuffles} shuffles: % rejected (interval holds r) ± {error[0]:.1f} to {error[1]:.1f}"
    )
    print(f"{'data, n':28}{'r':>4}" + "".join(f"{name:>20}" for name in NAMES))
    with (
        patch.object(resampling, "DRAWS", shuffles),
        patch.object(significance, "DRAWS", shuffles),
        patch.object(clusters, "DRAWS", shuffles),
        patch.object(clusters, "permutations", lambda n, rng, most: (resampling.shuffles(n, rng, shuffles), False)),
    ):
        for name, made in DATA.items():
            for r in TRUE:
                rng = np.random.default_rng(0)
                some = [rejections(made(rng, r), r, seed) for seed in range(sets)]
                rejected = np.mean([one for one, _ in some], axis=0)
                columns = zip(*(of for _, of in some), strict=True)
                held = [None if column[0] is None else float(np.mean(column)) for column in columns]
                found[f"{name}, r = {r}"] = list(map(float, rejected))
                print(line(name, r, list(rejected), held), flush=True)
    print(f"\n{'corpora alike by':28}{'r':>4}{'ours':>20}{'as if independent':>20}")
    for alike in (0.0, 0.56, 0.8, 0.95):
        for r in TRUE[:2]:
            both = corpora(alike, r, sets)
            found[f"corpora, {alike}, r = {r}"] = list(map(float, both[0]))
            print(line(str(alike), r, *both))
    return found


def line(name: str, r: float, rejected: Sequence[float], held: Sequence[float | None]) -> str:
    """One row of the table."""
    cells = [f"{100 * a:.1f}" + ("" if b is None else f" ({100 * b:.1f})") for a, b in zip(rejected, held, strict=True)]
    return f"{name:28}{r:4.1f}" + "".join(f"{cell:>20}" for cell in cells)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
