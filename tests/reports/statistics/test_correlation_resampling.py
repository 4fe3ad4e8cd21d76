"""Permutations, bootstrap and p against enumeration, scipy, statsmodels, and laws."""

from __future__ import annotations

from itertools import permutations as every

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reports.statistics.resampling import (
    EXACT,
    Stratum,
    induced,
    permutations,
    pooled_r,
    weighted_r,
)
from reports.statistics.significance import decide, permutation_tests
from tests.bench import bench_resampling


def drawn(n: int, columns: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(columns, n))


def statistic(x: np.ndarray, y: np.ndarray) -> float:
    """Fisher's z over its jackknife standard error, as a textbook has it."""
    n = len(x)
    z, *left = (np.arctanh(np.corrcoef(np.delete(x, out), np.delete(y, out))[0, 1]) for out in ([], *range(n)))
    se = np.sqrt((n - 1) / n * np.sum((np.array(left) - np.mean(left)) ** 2))
    return float(z / max(se, 0.5 / np.sqrt(n - 3)))


def whole(x: np.ndarray, y: np.ndarray) -> list[Stratum]:
    return [Stratum(np.arange(len(x)), x, y)]


def test_a_weighted_correlation_is_that_of_repeated_points() -> None:
    x, y = drawn(7)
    weights = np.random.default_rng(1).multinomial(7, np.full(7, 1 / 7), 50).astype(float)
    expected = [np.corrcoef(np.repeat(x, w), np.repeat(y, w))[0, 1] for w in weights.astype(int)]
    assert weighted_r(x, y, weights) == pytest.approx(expected)


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


@pytest.mark.parametrize("n", [5, 6])
def test_exact_p_is_scipys(n: int) -> None:
    x, y = drawn(n, seed=n)
    scipys = stats.permutation_test(
        (x,),
        lambda x: abs(statistic(x, y)),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    )
    found = permutation_tests([whole(x, y)], n)
    assert found.exact
    assert found.p[0] == pytest.approx(scipys.pvalue)


def test_random_p_is_near_the_t_test_of_normal_data() -> None:
    x, noise = drawn(1000, seed=5)
    y = 0.03 * x + noise
    assert permutation_tests([whole(x, y)], 1000).p[0] == pytest.approx(stats.pearsonr(x, y).pvalue, abs=0.02)


def test_equal_pairs_are_one_test() -> None:
    x, y = drawn(6)
    found = permutation_tests([whole(x, y), whole(x, y), whole(-2 * x + 5, 3 * y)], 6)
    assert found.p == pytest.approx(found.p[0])
    assert found.family_wise == pytest.approx(found.p)


def test_family_wise_p_are_step_down_max_t_by_enumeration() -> None:
    x, *ys = drawn(5, 4)
    found = permutation_tests([whole(x, y) for y in ys], 5)
    table = np.abs([[statistic(x, y[list(order)]) for y in ys] for order in every(range(5))])
    observed = np.abs([statistic(x, y) for y in ys])
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


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([4, 6, 7, 12]), st.floats(0, 3), st.booleans())
def test_p_and_interval_decide_alike(seed: int, n: int, slope: float, ranks: bool) -> None:
    x, noise = drawn(n, seed=seed)
    found = decide(x, slope * x + noise, ranks=ranks)
    assert found.low <= found.estimate <= found.high
    assert found.decided == (found.p <= 0.05) == (found.low > 0 or found.high < 0)
    turned = decide(-x, slope * x + noise, ranks=ranks)
    assert (turned.low, turned.high, turned.p) == pytest.approx((-found.high, -found.low, found.p))


def test_families_of_one_are_units_and_the_names_of_families_say_nothing() -> None:
    x, y = drawn(10)
    alone, plain = decide(x, y, families=list("abcdefghij")), decide(x, y)
    assert (alone.low, alone.high, alone.p) == pytest.approx((plain.low, plain.high, plain.p), abs=0.03)
    names = np.array(list("aabbccddee"))
    one, other = (decide(x, y, families=some) for some in (names, np.char.add(names, "x")))
    assert one == other


def test_two_groups_of_equally_named_units_say_more_than_one() -> None:
    x, y = drawn(10)
    other = drawn(10, seed=1)
    found = permutation_tests([whole(x, y), [*whole(x, y), *whole(*other)]], 10).decisions
    assert found[1].effective_n > 15 > found[0].effective_n == 10
    assert found[1].detectable < found[0].detectable


def test_the_bench_prints_a_ratio_for_each_way_to_resample(capsys: pytest.CaptureFixture[str]) -> None:
    """That it runs, at a size of its own; what it prints at 500 rows is in LOG.md."""
    assert all(ratio > 0 for ratio in bench_resampling.main(40, 1).values())
    assert len(capsys.readouterr().out.splitlines()) == 1
