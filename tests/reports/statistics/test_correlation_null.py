"""Under the null, p < .05 comes up as often as it says: configurations and pictures crossed, nothing going together.

Every data set has an effect of each configuration (sd 0.5), of each picture (sd 1) and noise (sd 1), drawn for x and y
apart. With 800 data sets the share of p < .05 has a standard deviation of 0.8 %, so 3 to 7 % is ± 2.6 of these.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.statistics.cells import TableGroup
from reports.statistics.resampling import DRAWS, Stratum, bootstrap_weights
from reports.statistics.significance import interval, permutation_tests, resampled_means

ITEMS = 25
SETS = 800


def metrics(rng: np.random.Generator, units: int, count: int, items: int = ITEMS) -> np.ndarray:
    """count × units × items of metrics that have nothing to do with each other."""
    unit, item = rng.normal(size=(count, units, 1)), rng.normal(size=(count, 1, items))
    return 0.5 * unit + item + rng.normal(size=(count, units, items))


@pytest.mark.parametrize("units", [9, 36])
def test_reported_p_below_05_comes_up_in_3_to_7_percent(units: int) -> None:
    rng = np.random.default_rng(2024)
    x, y = metrics(rng, units, SETS), metrics(rng, units, SETS)
    pairs = [[Stratum(np.arange(units), a, b)] for a, b in zip(x.mean(axis=2), y.mean(axis=2), strict=True)]
    # Ten data sets share a call: which pairs are tested together does not change a pair's own p.
    p = [permutation_tests(pairs[start : start + 10], units, start).p for start in range(0, SETS, 10)]
    assert 0.03 <= (np.concatenate(p) < 0.05).mean() <= 0.07


def test_rows_are_not_independent_and_taking_them_so_is_wrong() -> None:
    """The simulation has teeth: over all rows, Pearson's own p is below .05 in a third of the data sets and more."""
    rng = np.random.default_rng(2024)
    x, y = (metrics(rng, 9, 300).reshape(300, -1) for _ in range(2))
    assert (stats.pearsonr(x, y, axis=1).pvalue < 0.05).mean() > 0.2


def test_family_wise_p_below_05_comes_up_in_5_percent_of_families() -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        x, y = metrics(rng, 12, 3).mean(axis=2), metrics(rng, 12, 2).mean(axis=2)
        found = permutation_tests([[Stratum(np.arange(12), a, b)] for a in x for b in y], 12)
        wrong += found.family_wise.min() < 0.05
    assert wrong / 200 <= 0.09, "5 % and 2.6 standard deviations"


def test_intervals_hold_zero_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(200):
        x, y = metrics(rng, 9, 2)
        group = TableGroup("", tuple("abcdefghi"), ITEMS, {"x": x, "y": y})
        means = resampled_means(group, ["x", "y"], rng)
        strata = [Stratum(np.arange(9), group.means("x"), group.means("y"))]
        low, high = interval(strata, [Stratum(np.arange(9), means["x"], means["y"])], bootstrap_weights(rng, 9, DRAWS))
        missed += not low <= 0 <= high
    assert missed / 200 <= 0.09
