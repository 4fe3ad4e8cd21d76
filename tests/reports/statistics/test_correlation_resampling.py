"""Permutations, bootstrap and p against enumeration, scipy, statsmodels, and laws."""

from __future__ import annotations

from itertools import permutations as every

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reports.statistics.cells import TableGroup
from reports.statistics.resampling import (
    EXACT,
    Stratum,
    bootstrap_weights,
    induced,
    permutations,
    pooled_r,
    weighted_r,
)
from reports.statistics.significance import interval, permutation_tests, resampled_means
from tests.bench import bench_resampling


def drawn(n: int, columns: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(columns, n))


def whole(x: np.ndarray, y: np.ndarray) -> list[Stratum]:
    return [Stratum(np.arange(len(x)), x, y)]


def test_a_weighted_correlation_is_that_of_repeated_points() -> None:
    x, y = drawn(7)
    weights = bootstrap_weights(np.random.default_rng(1), 7, 50)
    assert (weights.sum(axis=1) == 7).all()
    expected = [np.corrcoef(np.repeat(x, w), np.repeat(y, w))[0, 1] for w in weights.astype(int)]
    assert weighted_r(x, y, weights) == pytest.approx(expected)
    many = [np.tile(v, (50, 1)) for v in (x, y)]
    assert weighted_r(*many, weights) == pytest.approx(expected), "the same when every draw has values of its own"


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_precision_does_not_depend_on_where_zero_is(offset: float) -> None:
    x, y = drawn(9)
    assert weighted_r(x + offset, y - offset, np.ones((1, 9)))[0] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)


def test_no_correlation_of_two_points_or_of_a_constant() -> None:
    x, y = drawn(4)
    assert np.isnan(weighted_r(x, y, np.array([[1.0, 1, 0, 0], [2, 2, 0, 0]]))).all()
    assert np.isnan(weighted_r(np.full(4, 0.1), y, np.ones((1, 4))))[0]


def test_pooling_is_correlating_what_was_standardised_by_group() -> None:
    first, second = drawn(6), drawn(6, seed=1) * 40 + 9
    strata = [Stratum(np.arange(6), *first), Stratum(np.arange(6), *second)]
    both = [np.concatenate([stats.zscore(a), stats.zscore(b)]) for a, b in zip(first, second, strict=True)]
    assert pooled_r(strata, np.ones((1, 6)))[0] == pytest.approx(np.corrcoef(*both)[0, 1])


def test_small_sets_are_permuted_in_every_way() -> None:
    found, exact = permutations(5, np.random.default_rng(0))
    assert exact
    assert sorted(map(tuple, found.tolist())) == sorted(every(range(5)))


def test_large_sets_are_permuted_at_random_and_evenly() -> None:
    found, exact = permutations(EXACT + 3, np.random.default_rng(0))
    assert not exact
    assert (np.sort(found, axis=1) == np.arange(EXACT + 3)).all()
    counts = np.array([np.bincount(column, minlength=EXACT + 3) for column in found.T])
    assert stats.chisquare(counts, axis=1).pvalue.min() > 1e-4


def test_what_a_shuffle_of_all_does_to_some_is_a_shuffle_too() -> None:
    found = induced(permutations(5, np.random.default_rng(0))[0], np.array([0, 2, 4]))
    counts = dict.fromkeys(every(range(3)), 0)
    for order in map(tuple, found.tolist()):
        counts[order] += 1
    assert set(counts.values()) == {20}


@pytest.mark.parametrize("n", [4, 7])
def test_exact_p_is_scipys(n: int) -> None:
    x, y = drawn(n, seed=n)
    scipys = stats.permutation_test(
        (x,),
        lambda x: np.corrcoef(x, y)[0, 1],
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="two-sided",
    )
    one_sided = stats.permutation_test(
        (x,),
        lambda x: abs(np.corrcoef(x, y)[0, 1]),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    )
    found = permutation_tests([whole(x, y)], n)
    assert found.exact
    assert found.p[0] == pytest.approx(one_sided.pvalue), "|r| at least as large"
    assert found.p[0] == pytest.approx(scipys.pvalue, rel=0.5), "scipy doubles the smaller tail"


def test_random_p_is_near_the_t_test_of_normal_data() -> None:
    x, noise = drawn(40, seed=5)
    y = 0.3 * x + noise
    assert permutation_tests([whole(x, y)], 40).p[0] == pytest.approx(stats.pearsonr(x, y).pvalue, abs=0.01)


def test_equal_pairs_are_one_test() -> None:
    x, y = drawn(6)
    found = permutation_tests([whole(x, y), whole(x, y), whole(-2 * x + 5, 3 * y)], 6)
    assert found.p == pytest.approx(found.p[0])
    assert found.family_wise == pytest.approx(found.p)


def test_family_wise_p_are_step_down_max_t_by_enumeration() -> None:
    x, *ys = drawn(5, 4)
    found = permutation_tests([whole(x, y) for y in ys], 5)
    table = np.abs([[np.corrcoef(x, y[list(order)])[0, 1] for y in ys] for order in every(range(5))])
    observed = np.abs([np.corrcoef(x, y)[0, 1] for y in ys])
    order, so_far = np.argsort(-observed), 0.0
    for place, pair in enumerate(order):
        p = (table[:, order[place:]].max(axis=1) >= observed[pair] - 1e-10).mean()
        so_far = max(so_far, p)
        assert found.family_wise[pair] == pytest.approx(so_far)
    holm = multipletests(found.p, method="holm")[1]
    assert (found.p <= found.family_wise).all()
    assert (found.family_wise <= holm + 1e-12).all(), "knowing how pairs depend can only help"


def test_groups_with_the_same_units_are_shuffled_together() -> None:
    """A group given twice says nothing new; groups of other units do."""
    x, y = drawn(5)
    once = permutation_tests([whole(x, y)], 5)
    twice = permutation_tests([[*whole(x, y), *whole(x, y)]], 5)
    other = permutation_tests([[Stratum(np.arange(5), x, y), Stratum(np.arange(5, 10), x, y)]], 10)
    assert twice.p == pytest.approx(once.p)
    assert other.p[0] < once.p[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-100, 100), st.permutations(range(6)))
def test_p_and_r_ignore_scale_sign_and_order(seed: int, scale: float, shift: float, order: list[int]) -> None:
    x, y = drawn(6, seed=seed)
    plain, changed = (
        permutation_tests([pair], 6) for pair in (whole(x, y), whole((-scale * x + shift)[order], y[order]))
    )
    assert changed.p == pytest.approx(plain.p, abs=2 / 720)
    r, turned = (pooled_r(pair, np.ones((1, 6)))[0] for pair in (whole(x, y), whole(-scale * x + shift, y)))
    assert turned == pytest.approx(-r, abs=1e-9)


def test_intervals_turn_with_sign_and_hold_fishers() -> None:
    x, noise = drawn(20)
    weights = bootstrap_weights(np.random.default_rng(0), 20, 999)
    plain, turned = (interval(pair, pair, weights) for pair in (whole(x, x + noise), whole(-x, x + noise)))
    assert turned == pytest.approx((-plain[1], -plain[0]))
    fisher = stats.pearsonr(x, x + noise).confidence_interval()
    assert plain[0] <= fisher.low + 1e-12
    assert plain[1] >= fisher.high - 1e-12
    assert interval(whole(x[:3], noise[:3]), whole(x[:3], noise[:3]), weights[:, :3]) is None


def test_resampled_items_are_the_same_for_all_columns_and_leave_out_missing_cells() -> None:
    cells = drawn(12).reshape(2, 3, 4)
    cells[0, 1, 2] = np.nan
    group = TableGroup("", ("a", "b", "c"), 4, {"x": cells[0], "twice": 2 * cells[0], "y": cells[1]})
    found = resampled_means(group, ["x", "twice", "y"], np.random.default_rng(0))
    assert found["twice"] == pytest.approx(2 * found["x"], nan_ok=True)
    assert found["y"].mean(axis=0) == pytest.approx(cells[1].mean(axis=1), abs=0.05)
    assert np.nanmax(found["x"][:, 1]) <= np.nanmax(cells[0, 1]) + 1e-12


def test_the_bench_prints_a_ratio_for_each_way_to_resample(capsys: pytest.CaptureFixture[str]) -> None:
    """That it runs, at a size of its own; what it prints at 500 rows is in LOG.md."""
    assert all(ratio > 0 for ratio in bench_resampling.main(40, 1).values())
    assert len(capsys.readouterr().out.splitlines()) == 2
