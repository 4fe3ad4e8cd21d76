"""Splits, models, comparisons and meta-analysis against pingouin, statsmodels and printed examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pingouin
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from reports.statistics.cells import TableGroup
from reports.statistics.comparison import compare, williams
from reports.statistics.crossed import crossed_mean, crossed_model
from reports.statistics.levels import levels, within
from reports.statistics.meta import random_effects, shared_chance
from reports.statistics.resampling import Stratum

# r12, r13, r23, n → t as printed. The first by psych's r.test, the others by cocor's williams1959: the vignette of the
# rmcorr package on comparing correlations, and two published analyses.
PRINTED = [
    (0.5, 0.1, 0.7, 30, 3.38, 5e-3),
    (0.8066, 0.2383, 0.2255, 177, 9.3823, 1e-3),
    (-0.1741, 0.2015, 0.3734, 646, -9.0340, 2e-3),
    (0.5447, 0.8, 0.0729, 70, -2.8114, 1e-3),
]


@pytest.mark.parametrize(("r12", "r13", "r23", "n", "t", "rounding"), PRINTED)
def test_williams_t_is_the_printed_one(r12: float, r13: float, r23: float, n: int, t: float, rounding: float) -> None:
    assert williams(r12, r13, r23, n)[0] == pytest.approx(t, abs=rounding)


def test_williams_p_is_the_printed_one() -> None:
    assert williams(0.5447, 0.8, 0.0729, 70)[1] == pytest.approx(0.0065, abs=5e-5)


def crossed(units: int = 8, items: int = 15, slope: float = 0.4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    unit, item = rng.normal(size=(units, 1)), rng.normal(size=items)
    x = unit + item + rng.normal(size=(units, items))
    noise = 0.7 * rng.normal(size=(units, 1)) + rng.normal(size=items) + rng.normal(size=(units, items))
    return x, slope * x - unit + noise


def long(x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    units, items = np.indices(x.shape)
    return pd.DataFrame({"unit": units.ravel(), "item": items.ravel(), "x": x.ravel(), "y": y.ravel()})


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # pingouin 0.7 on pandas 3.1
@pytest.mark.parametrize("subject", ["unit", "item"])
def test_correlations_within_are_pingouins_rm_corr(subject: str) -> None:
    x, y = crossed()
    x[2, 3] = y[4, 5] = np.nan
    theirs = pingouin.rm_corr(long(x, y).dropna(), x="x", y="y", subject=subject)
    assert within(x, y, axis=1 if subject == "unit" else 0) == pytest.approx(float(theirs["r"].iloc[0]), abs=1e-9)


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
def test_a_change_of_sign_between_levels_is_flagged_at_any_scale(scale: float) -> None:
    x, y = crossed(slope=3.0)
    turned = y - 9 * x.mean(axis=1, keepdims=True)
    r = np.corrcoef(x.mean(axis=1), turned.mean(axis=1))[0, 1]
    assert levels(r, scale * x, turned).sign_change
    assert not levels(1.0, scale * x, scale * x).sign_change
    assert within(scale * np.ones((3, 4)), y[:3, :4], axis=1) is None


@pytest.mark.filterwarnings("ignore")  # statsmodels warns of a boundary here and there
@pytest.mark.parametrize("seed", [0, 1])
def test_the_crossed_model_is_statsmodels_mixedlm(seed: int) -> None:
    x, y = crossed(seed=seed)
    found = crossed_model(x, y)
    frame = long(*((v - v.mean()) / v.std() for v in (x, y)))
    frame["between"] = frame.groupby("unit")["x"].transform("mean")
    frame["within"] = frame["x"] - frame["between"]
    parts = {"unit": "0 + C(unit)", "item": "0 + C(item)"}
    model = sm.MixedLM.from_formula("y ~ between + within", frame, "0", parts, groups=np.ones(len(frame)))
    theirs = model.fit(reml=True)
    assert found.converged
    assert found.between == pytest.approx(theirs.params["between"], abs=1e-4)
    assert found.within == pytest.approx(theirs.params["within"], abs=1e-4)
    variance = dict(zip(theirs.model.exog_vc.names, theirs.vcomp, strict=True))
    total = theirs.vcomp.sum() + theirs.scale
    assert found.unit_share == pytest.approx(variance["unit"] / total, abs=2e-3)
    assert found.item_share == pytest.approx(variance["item"] / total, abs=2e-3)
    # Standard errors: generalised least squares with these variances. MixedLM's own also hold what β shares with them.
    same = {name: np.equal.outer(frame[name].to_numpy(), frame[name].to_numpy()) for name in variance}
    covariance = sum(variance[name] * same[name] for name in variance) + theirs.scale * np.eye(len(frame))
    design = np.column_stack([np.ones(len(frame)), frame["between"], frame["within"]])
    se = np.sqrt(np.diag(np.linalg.inv(design.T @ np.linalg.solve(covariance, design))))[1:]
    assert (found.between_se, found.within_se) == pytest.approx(tuple(se), rel=2e-3)


def test_the_slope_between_units_is_that_of_unit_means() -> None:
    x, y = crossed()
    means = stats.linregress(x.mean(axis=1), y.mean(axis=1))
    found = crossed_model(x, y)
    assert found.between_p == pytest.approx(means.pvalue, rel=1e-3)
    assert found.between == pytest.approx(means.slope * x.std() / y.std())


def test_the_crossed_model_leaves_out_items_with_missing_cells() -> None:
    x, y = crossed()
    holed = x.copy()
    holed[3, 4] = np.nan
    assert crossed_model(holed, y) == crossed_model(np.delete(x, 4, axis=1), np.delete(y, 4, axis=1))
    assert crossed_model(x[:, :2], y[:, :2]) is None
    assert crossed_model(np.ones_like(x), y) is None


def group(**columns: np.ndarray) -> TableGroup:
    some = next(iter(columns.values()))
    return TableGroup("", tuple(map(str, range(len(some)))), some.shape[1] if some.shape[1] > 1 else None, columns)


def test_the_better_metric_is_found_and_the_comparison_is_antisymmetric() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(rng.normal(size=(12, 1)), 20, axis=1)
    good, poor = y + 0.5 * rng.normal(size=y.shape), rng.normal(size=(12, 1)) + 0.5 * rng.normal(size=y.shape)
    cells = group(good=-good, poor=poor, y=y)
    one, other = compare(cells, "good", "poor", "y"), compare(cells, "poor", "good", "y")
    assert one.difference == pytest.approx(-other.difference)
    assert one.difference > 0.3
    assert (one.p, one.p_williams) == pytest.approx((other.p, other.p_williams))
    assert max(one.p, one.p_cells, one.p_williams) < 0.05


def test_a_metric_is_no_better_than_itself() -> None:
    x, y = crossed()
    found = compare(group(x=x, same=-3 * x + 7, y=y), "x", "same", "y")
    assert found.difference == pytest.approx(0, abs=1e-12)
    assert (found.p, found.p_cells) == (1.0, 1.0)
    assert found.p_williams is None, "the three are one plane"


def test_swapping_units_keeps_its_level_and_swapping_cells_does_not() -> None:
    """Equal correlations, each metric with unit effects of its own: PERM-BOTH speaks of these very units only."""
    rng = np.random.default_rng(0)
    wrong = np.zeros(3)
    for seed in range(100):
        unit = 0.5 * rng.normal(size=(9, 1))
        first, second = (
            unit + 0.3 * rng.normal(size=(9, 1)) + rng.normal(size=100) + rng.normal(size=(9, 100)) for _ in range(2)
        )
        y = np.repeat(unit + 0.5 * rng.normal(size=(9, 1)), 100, axis=1)
        found = compare(group(first=first, second=second, y=y), "first", "second", "y", seed)
        wrong += [found.p < 0.05, found.p_williams < 0.05, found.p_cells < 0.05]
    assert wrong[0] <= 13, "5 % and three standard deviations and a half"
    assert wrong[1] <= 13
    assert wrong[2] >= 15


R, N = [-0.9, -0.2, 0.3, -0.6], [12, 30, 9, 20]


def test_the_meta_analysis_is_that_of_statsmodels() -> None:
    z, variance = np.arctanh(R), 1 / (np.array(N) - 3)
    theirs = combine_effects(z, variance, method_re="dl", use_t=True)
    found = random_effects(R, N)
    assert found.tau2 == pytest.approx(theirs.tau2)
    assert found.i2 == pytest.approx(theirs.i2)
    assert found.mean == pytest.approx(np.tanh(theirs.mean_effect_re))
    low, high = theirs.conf_int()[3]
    assert (found.low, found.high) == pytest.approx((np.tanh(low), np.tanh(high)))


def test_the_prediction_interval_is_wider_and_follows_its_formula() -> None:
    found = random_effects(R, N)
    assert found.prediction_low < found.low < found.high < found.prediction_high
    weights = 1 / (1 / (np.array(N) - 3) + found.tau2)
    half = stats.t.ppf(0.975, 2) * np.sqrt(found.tau2 + 1 / weights.sum())
    assert np.arctanh(found.prediction_high) == pytest.approx(np.arctanh(found.mean) + half)


def test_equal_corpora_have_no_variance_between_them() -> None:
    found = random_effects([0.6] * 4, [23] * 4)
    assert (found.tau2, found.i2) == (0.0, 0.0)
    half = stats.t.ppf(0.975, 3) / np.sqrt(80)
    assert (found.low, found.high) == pytest.approx(np.tanh(np.arctanh(0.6) + np.array([-half, half])))
    assert random_effects([0.5, 0.1], [20, 3]) is None


def test_corpora_without_a_common_configuration_are_independent_and_the_same_corpus_twice_is_one() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 8))
    first, other = Stratum(np.arange(8), x, y), Stratum(np.arange(8, 16), y, x - y)
    assert shared_chance([first, other], np.arange(16)) == pytest.approx(np.eye(2))
    assert shared_chance([first, first], np.arange(16)) == pytest.approx(np.ones((2, 2)))
    once, twice = random_effects([0.5, 0.5], [20, 20]), random_effects([0.5, 0.5], [20, 20], np.ones((2, 2)))
    assert random_effects([0.5, 0.5], [20, 20], np.eye(2)) == once
    wide, narrow = (np.arctanh(found.high) - np.arctanh(0.5) for found in (twice, once))
    assert wide == pytest.approx(np.sqrt(2) * narrow)


def test_a_crossed_mean_is_a_t_test_where_one_side_does_not_vary() -> None:
    values = np.random.default_rng(0).normal(0.4, 1, 7)
    by_hand = stats.ttest_1samp(values, 0)
    for table in (np.repeat(values[:, None], 3, axis=1), np.repeat(values[None], 5, axis=0)):
        assert crossed_mean(table) == pytest.approx((values.mean(), *by_hand.confidence_interval(), by_hand.pvalue))


def test_a_crossed_mean_speaks_of_new_items_and_of_new_units() -> None:
    """Three units that differ as a whole: the interval keeps its 95 %, and one over the means of items does not."""
    rng, held, alone = np.random.default_rng(1), 0, 0
    for _ in range(400):
        table = rng.normal(0, 0.5, (60, 1)) + rng.normal(0, 0.3, (1, 3)) + rng.normal(0, 1, (60, 3))
        _, low, high, _ = crossed_mean(table)
        held += low <= 0 <= high
        interval = stats.ttest_1samp(table.mean(axis=1), 0).confidence_interval()
        alone += interval.low <= 0 <= interval.high
    assert 368 <= held <= 396 and alone < 320, (held, alone)


def test_a_crossed_mean_leaves_out_what_lacks_a_value() -> None:
    table = np.array([[1.0, 2.0, np.nan], [2.0, 4.0, np.nan], [3.0, 3.0, np.nan], [np.nan, 9.0, np.nan]])
    assert crossed_mean(table) == crossed_mean(table[:3, :2])
    assert crossed_mean(table[:2, :2]) == (2.25, None, None, None), "two items have no interval"
    assert crossed_mean(np.array([[0.1 + 0.2 - 0.3]] * 4)) == (0, 0, 0, 1), "what cancels is no effect"
