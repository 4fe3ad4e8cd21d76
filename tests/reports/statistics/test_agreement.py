"""Agreement of judges with a truth: its value by scipy, its interval by a law, a bootstrap, and how often it errs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.statistics.agreement import agreement, best, closer


def captions(seed, pictures=20, each=6, slope=0.0):
    """What a judge says of captions and what is true of them: both hang on the picture, too."""
    rng = np.random.default_rng(seed)
    picture = np.repeat(np.arange(pictures), each)
    truth = rng.normal(size=pictures)[picture] + rng.normal(size=len(picture))
    judge = slope * truth + rng.normal(size=pictures)[picture] + rng.normal(size=len(picture))
    return judge, truth, picture


def test_the_value_is_spearmans_over_captions_that_have_both():
    judge, truth, picture = captions(1, slope=0.6)
    judge[3], truth[7] = np.nan, np.nan
    found = agreement(judge, truth, picture)
    assert found.value == pytest.approx(stats.spearmanr(judge, truth, nan_policy="omit").statistic)
    assert found.n == len(judge) - 2


def test_a_caption_said_twice_says_no_more():
    """The law of clusters: copies within a picture change neither the value nor the interval."""
    judge, truth, picture = captions(2, slope=0.4)
    once, twice = agreement(judge, truth, picture), agreement(*(np.repeat(some, 2) for some in (judge, truth, picture)))
    assert twice[:3] == pytest.approx(once[:3], rel=1e-6)


def test_the_interval_is_that_of_a_bootstrap_over_pictures():
    judge, truth, picture = captions(3, pictures=80, slope=0.8)
    rng, drawn = np.random.default_rng(0), []
    for _ in range(600):
        some = np.concatenate([np.flatnonzero(picture == one) for one in rng.integers(80, size=80)])
        drawn.append(stats.spearmanr(judge[some], truth[some]).statistic)
    found = agreement(judge, truth, picture)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


def test_where_nothing_goes_with_anything_one_in_twenty_is_called_so():
    """Captions taken for independent are called so in one of five."""
    ours, naive = [], []
    for seed in range(300):
        judge, truth, picture = captions(seed, pictures=16)
        found = agreement(judge, truth, picture)
        ours.append(found.low > 0 or found.high < 0)
        naive.append(stats.spearmanr(judge, truth).pvalue < 0.05)
    assert np.mean(ours) < 0.075 < 0.12 < np.mean(naive)


def test_few_pictures_decide_nothing():
    found = agreement(*captions(4, pictures=3, slope=2.0))
    assert found.value > 0.5 and (found.low, found.high) == (None, None)


def test_equals_are_seldom_called_worse():
    """Ten judges that are equally good: the best of them by chance is not better."""
    wrong = []
    for seed in range(50):
        _, truth, picture = captions(seed)
        rng = np.random.default_rng(1000 + seed)
        each = (truth + rng.normal(size=20)[picture] + rng.normal(size=len(truth)) for _ in range(10))
        wrong.append(bool(best({str(place): judge for place, judge in enumerate(each)}, truth, picture)[1]))
    assert np.mean(wrong) < 0.1


def test_the_best_stands_before_its_equals_and_beats_the_others():
    _, truth, picture = captions(5)
    rng = np.random.default_rng(6)
    near, alike, none = (truth + scale * rng.normal(size=len(truth)) for scale in (0.45, 0.5, 50))
    judges = {"alike": alike, "near": near, "none": none, "constant": np.ones(len(truth))}
    assert stats.spearmanr(near, truth).statistic > stats.spearmanr(alike, truth).statistic
    assert best(judges, truth, picture) == (["near", "alike"], ["none"])
    assert closer(none, near, truth, picture) == "not supported"
    assert best({"none": none}, truth, picture) == ([], [])
