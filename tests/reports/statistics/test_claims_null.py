"""How often claims are decided where nothing is so: pictures that are the same count once."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reports.asking.axes import PICTURE, coincident, distinct
from reports.statistics.analysis import Correlation, estimate
from reports.statistics.cells import Roles
from reports.statistics.claims.attention import drift_grows_with_depth, drift_peaks_late, drift_sits_inside
from reports.statistics.claims.judging import OPEN, REFUTED, SUPPORTED, Estimate
from reports.statistics.claims.links import instability, ssim_is_unstable
from reports.statistics.clusters import effective_n
from reports.statistics.resampling import Stratum

DEGRADATIONS, BLIND, LAYERS, STUDIES = ("centre", "blur", "lowdim"), [f"blind-{n}" for n in range(7)], 12, 150
CONFIGURATIONS = [(d, i) for i in (*BLIND, "seeing") for d in DEGRADATIONS]
ITEMS = {names: place if names[1] == "seeing" else -BLIND.index(names[1]) for place, names in enumerate(CONFIGURATIONS)}
"""What each configuration painted: a blind inpainter the same whatever the degradation was."""


def attention(rng):
    """Attention of a study in which drift has no trend over layers and no side of the mask."""
    found = {item: rng.normal(1, 0.1, (3, LAYERS)) + 0.1 * rng.normal(size=(3, 1)) for item in ITEMS.values()}
    columns = ["corpus", *PICTURE, "metric", "region", "layer", "mean"]
    places = (("tvd_sum", "whole"), ("tvd_even", "region"), ("tvd_even", "outside"))
    rows = [
        ("one", *names, *place, layer, found[item][row, layer])
        for names, item in ITEMS.items() for row, place in enumerate(places) for layer in range(LAYERS)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def studies():
    return [attention(np.random.default_rng(seed)) for seed in range(STUDIES)]


@pytest.mark.parametrize("claim", [drift_grows_with_depth, drift_peaks_late, drift_sits_inside])
def test_seven_blind_inpainters_and_one_that_sees_keep_the_level(claim, studies):
    repainted = pd.DataFrame([("one", *names, 1, item) for names, item in ITEMS.items()],
                             columns=["corpus", *PICTURE, "sample", "item"])  # fmt: skip
    order = {"degradation": DEGRADATIONS, "inpainter": [*BLIND, "seeing"]}
    same = {"one": coincident(repainted, "one", order)}
    once = [claim(distinct(rows, same), "one", "vit") for rows in studies]
    assert {one.estimate.n for one in once} == {10}
    decided = np.mean([one.verdict != OPEN for one in once])
    assert decided < 0.05 + 3 * np.sqrt(0.05 * 0.95 / STUDIES)
    thrice = np.mean([claim(rows, "one", "vit").verdict != OPEN for rows in studies])
    assert thrice > 2 * decided and thrice > 0.1, "what it would be, were the same pictures counted three times"


@pytest.mark.parametrize("claim", [drift_grows_with_depth, drift_sits_inside])
def test_variants_of_seven_checkpoints_are_seven_independent_ones(claim):
    """Three variants each that hardly differ: n is 21, and an interval for new checkpoints keeps the level."""
    decided, worth = np.zeros(2), []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rows = [
            ("one", "centre", f"sd{family}/{variant}", f"sd{family}", *place, layer, value)
            for family in range(7) for place in (("tvd_sum", "whole"), ("tvd_even", "region"), ("tvd_even", "outside"))
            for own in [rng.normal(1, 0.1, LAYERS) + 0.1 * rng.normal()] for variant in range(3)
            for layer, value in enumerate(own + 0.02 * rng.normal(size=LAYERS))
        ]  # fmt: skip
        columns = ["corpus", *PICTURE, "family", "metric", "region", "layer", "mean"]
        frame = pd.DataFrame(rows, columns=columns)
        found, apart = claim(frame, "one", "vit"), claim(frame.drop(columns="family"), "one", "vit")
        assert (found.estimate.n, found.basis.families, apart.basis.families) == (21, 7, None)
        assert "n = 21 of 7 families, as much as" in found.title
        worth.append(found.basis.effective_n)
        decided += [found.verdict != OPEN, apart.verdict != OPEN]
    assert decided[0] / 100 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)
    assert 7 < np.median(worth) < 9
    assert decided[1] / 100 > 0.15, "what it would be, were they taken for independent"


def test_a_strong_correlation_of_few_families_is_seldom_called_unstable():
    """A true .6 in seven families of three, nine tenths the family's: in 5 % at most, by units in 12 and more."""
    named, studies, called = np.repeat(np.arange(7), 3), 1_000, np.zeros(2)
    rng = np.random.default_rng(15)
    for _ in range(studies):
        x, noise = np.sqrt(0.9) * rng.normal(size=(2, 7))[:, named] + np.sqrt(0.1) * rng.normal(size=(2, 21))
        y = 0.6 * x + 0.8 * noise
        n = effective_n([Stratum(np.arange(21), x, y)], named)
        pair = Correlation("ssim", "sbert", "", 21, None, 21, 0, pearson=float(np.corrcoef(x, y)[0, 1]))
        told = [replace(pair, families=7, effective_n=n), pair]
        called += [ssim_is_unstable(one, "one").verdict == SUPPORTED for one in told]
    assert called[0] / studies < 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)
    assert called[1] / studies > 0.12


def drawn(rng, rho, studies, n):
    """r of ``n`` units with a true correlation, study by study."""
    x, noise = rng.normal(size=(2, studies, n))
    y = rho * x + np.sqrt(1 - rho**2) * noise
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    return (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))


@pytest.mark.parametrize("n", [9, 30])
def test_the_operating_curve_of_an_unstable_ssim(n):
    """Share of data sets where SSIM is called unstable, by its true correlation: 5 % or fewer where that is strong."""
    rng, studies = np.random.default_rng(n), 2_000
    rates = {
        rho: np.mean([instability(Estimate(r, -1, 1, n)) == SUPPORTED for r in drawn(rng, rho, studies, n)])
        for rho in (0.0, 0.2, 0.4, 0.6, 0.8, -0.6)
    }
    expected = {9: (0.21, 0.19, 0.12, 0.05), 30: (0.95, 0.81, 0.39, 0.05)}[n]
    for rho, rate in zip((0.0, 0.2, 0.4, 0.6), expected, strict=True):
        assert rates[rho] == pytest.approx(rate, abs=0.03), rates
    error = 3 * np.sqrt(0.05 * 0.95 / studies)
    assert max(rates[0.6], rates[-0.6]) < 0.05 + error and rates[0.8] < 0.02


def test_no_correlation_is_seldom_called_steady():
    rng, studies = np.random.default_rng(3), 120
    called = []
    for _ in range(studies):
        x, y = rng.normal(size=(2, 9))
        frame = pd.DataFrame({"unit": list("abcdefghi"), "ssim": x, "sbert": y})
        [found] = estimate(frame, ["ssim"], ["sbert"], Roles("unit"))
        called.append(ssim_is_unstable(found, "one").verdict == REFUTED)
    assert np.mean(called) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)
