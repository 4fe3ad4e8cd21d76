"""Claims of the paper that need more than one number, on data made so that they hold, or do not."""

import numpy as np
import pandas as pd
import pytest

from reports.statistics.analysis import Correlation, estimate
from reports.statistics.cells import Roles
from reports.statistics.claims.attention import attention, drift_peaks_late
from reports.statistics.claims.judging import OPEN, REFUTED, SUPPORTED, Estimate, least, mean
from reports.statistics.claims.kinds import REFERRING, SERIES
from reports.statistics.claims.links import (
    alike_everywhere,
    difference,
    mse_and_lpips_are_strongest,
    referring_is_stronger,
    ssim_is_strong,
    unstable_everywhere,
)
from reports.statistics.claims.masking import encoder_sees, guidance_plateaus

LAYERS = np.arange(12)
GROWS, PEAKS, INSIDE = (
    f"Attention drift {what}" for what in ("grows with depth", "peaks in later layers", "sits inside the mask")
)
DIPS, WIDENS = "Attention entropy dips in the middle layers", "Attention entropy widens in deeper layers"


def looking(drift, inside=None, entropy=None, n=10):
    """Layers of ``n`` configurations; each argument: number of a configuration -> values by layer."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(n):
        level = drift(number) + 0.001 * rng.normal(size=12)
        tables = [("tvd_sum", "whole", level), ("tvd_even", "outside", level)]
        tables += [("tvd_even", "region", level + (inside(number) if inside else 0.1 + 0.01 * LAYERS))]
        tables += [
            ("entropy", "whole", (entropy or (lambda n: abs(LAYERS - 5.5)))(number) + 0.001 * rng.normal(size=12))
        ]
        rows += [("centre", f"i{number}", metric, region, layer, value[layer])
                 for metric, region, value in tables for layer in LAYERS]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["degradation", "inpainter", "metric", "region", "layer", "mean"])
    return {one.claim: one for one in attention(frame, "one", "vit")}


def test_attention_as_the_paper_has_it():
    found = looking(lambda n: 0.1 * LAYERS)
    assert {one.verdict for one in found.values()} == {SUPPORTED}
    assert "more inside in 12 of 12 layers" in found[INSIDE].of and "grows in 10 of 10" in found[GROWS].of


def test_three_of_ten_that_peak_in_the_first_layer_leave_the_peak_open():
    found = looking(lambda n: 0.1 * LAYERS + (n < 3) * 2 * (LAYERS == 0))
    assert found[GROWS].verdict == SUPPORTED, "the trend does not see it"
    assert found[PEAKS].verdict == OPEN and found[PEAKS].estimate.value == pytest.approx(0.7)
    assert "3 of 10 in the first layer" in found[PEAKS].of


def test_one_layer_of_twelve_is_enough_against_all_layers():
    found = looking(lambda n: 0.1 * LAYERS, lambda n: 0.1 - 0.2 * (LAYERS == 4) + 0.001 * n)
    assert found[INSIDE].verdict == REFUTED and "more inside in 11 of 12 layers" in found[INSIDE].of


def test_entropy_without_a_dip_has_none():
    found = looking(lambda n: 0.1 * LAYERS, entropy=lambda n: 0.1 * LAYERS)
    assert found[DIPS].verdict == REFUTED and found[WIDENS].verdict == SUPPORTED


def seen(levels, blind=False):
    """Pictures of one encoder: cosine, drift and distance after each kind of degradation."""
    rng = np.random.default_rng(2)
    kinds = ["zero"] if blind else ["zero", "blur", "lowdim"]
    rows = [
        {"inpainter": "sd", "kind": kind, "mask": "half", "sample": sample, "metric": metric,
         "value": sign * levels[kind] + 0.01 * rng.normal()}
        for kind in kinds for sample in range(12)
        for metric, sign in (("tvd_sum", 1), ("cls_cosine", -1), ("umap", 1))
    ]  # fmt: skip
    return list(encoder_sees(pd.DataFrame(rows), "one", "vit"))


def test_an_encoder_sees_centre_masks_then_blur_then_low_dimensional():
    assert [one.verdict for one in seen({"zero": 0.9, "blur": 0.5, "lowdim": 0.2})] == [SUPPORTED] * 3
    drift, cosine, plane = seen({"zero": 0.9, "blur": 0.2, "lowdim": 0.5})
    assert drift.verdict == SUPPORTED, "the largest, whichever of the others is second"
    assert cosine.verdict == plane.verdict == REFUTED
    assert {one.estimate.value for one in seen({"zero": 0.9}, blind=True)} == {None}, "nothing to compare"


@pytest.mark.parametrize(("slope_up", "slope_on", "verdict"), [(0.05, 0.0, SUPPORTED), (0.05, 0.05, OPEN),
                                                               (-0.05, 0.0, REFUTED)])  # fmt: skip
def test_guidance(slope_up, slope_on, verdict):
    rng, scales = np.random.default_rng(6), (1.0, 4.0, 7.5, 12.0)
    rows = [
        {"inpainter": f"sd/{scale}", "degradation": "centre", "sample": sample,
         "ssim": slope_up * min(scale, 7.5) + slope_on * max(scale - 7.5, 0) + 0.01 * rng.normal()}
        for scale in scales for sample in range(30)
    ]  # fmt: skip
    frame = pd.DataFrame(rows).assign(lpips=lambda rows: -rows["ssim"])
    found = list(guidance_plateaus(frame, {f"sd/{scale}": ("sd", scale) for scale in scales}, "one"))
    assert [(one.judge, one.verdict) for one in found] == [("LPIPS", verdict), ("SSIM", verdict)]
    assert found[0].estimate == pytest.approx(found[1].estimate)
    assert not list(guidance_plateaus(frame, {"sd/1.0": ("sd", 1.0), "sd/4.0": ("sd", 4.0)}, "one")), "no plateau"


def links(strong, weak, seed=1, n=30):
    """Correlations of fidelity with captions: MSE and LPIPS strong, PSNR and SSIM weak."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    signs = (("mse", -1, strong), ("lpips", -1, strong), ("psnr", 1, weak), ("ssim", 1, weak))
    fidelity = {x: sign * (r * y + np.sqrt(1 - r**2) * rng.normal(size=n)) for x, sign, r in signs}
    frame = pd.DataFrame({"unit": [f"u{n}" for n in range(n)], "sbert@blip": y} | fidelity)
    return {one.x: one for one in estimate(frame, list(fidelity), ["sbert@blip"], Roles("unit"))}


def test_mse_and_lpips_are_strongest_only_where_each_beats_each():
    assert mse_and_lpips_are_strongest(links(0.98, 0.1), "one").verdict == SUPPORTED
    assert mse_and_lpips_are_strongest(links(0.1, 0.98), "one").verdict == REFUTED
    mixed = links(0.98, 0.1) | {"lpips": links(0.1, 0.1)["lpips"]}
    assert mse_and_lpips_are_strongest(mixed, "one").verdict != SUPPORTED
    assert mse_and_lpips_are_strongest({"mse": links(0.9, 0.1)["mse"]}, "one") is None


def test_referring_expressions_beside_time_series():
    both = {"boxes": list(links(0.98, 0.5).values()), "plots": list(links(0.3, 0.5, 2).values())}
    found = list(referring_is_stronger(both, ["sbert@blip"], {"boxes": REFERRING, "plots": SERIES}))
    assert [(one.judge, one.verdict) for one in found] == [("blip MSE", SUPPORTED), ("blip LPIPS", SUPPORTED)]
    turned = referring_is_stronger(both, ["sbert@blip"], {"plots": REFERRING, "boxes": SERIES})
    assert {one.verdict for one in turned} == {REFUTED}


def test_a_sign_is_published_alike_only_where_every_interval_has_it():
    """One meaning with the findings: an interval decides, and no count of signs or of their turns."""

    def pair(r, low, high):
        return Correlation("mse", "sbert", "", 9, None, 9, 0, pearson=r, low=low, high=high)

    sure, open_, other = pair(-0.8, -0.9, -0.3), pair(-0.5, -0.9, 0.1), pair(0.9, 0.6, 0.97)
    assert alike_everywhere([sure, sure], -1) == alike_everywhere([other], 1) == SUPPORTED
    assert alike_everywhere([sure, open_], -1) == OPEN, "all negative, and one may be chance"
    assert alike_everywhere([sure, other], -1) == REFUTED
    weak, none = pair(0.05, -0.6, 0.7), pair(0.05, None, None)
    assert unstable_everywhere([weak, weak]) == unstable_everywhere([none]) == SUPPORTED
    assert unstable_everywhere([weak, open_]) == OPEN
    assert unstable_everywhere([weak, other]) == REFUTED


def test_most_families_peak_late_only_where_six_do():
    """Exact: of five families all must, and that is one of 32."""

    def told(count):
        rows = [("centre", f"sd{f}/{v}", f"sd{f}", "tvd_sum", "whole", layer, layer + f)
                for f in range(count) for v in range(2) for layer in LAYERS]  # fmt: skip
        columns = ["degradation", "inpainter", "family", "metric", "region", "layer", "mean"]
        return drift_peaks_late(pd.DataFrame(rows, columns=columns), "one", "vit")

    assert told(6).verdict == SUPPORTED and told(6).estimate.n == 6
    few = told(5)
    assert few.verdict == OPEN and few.estimate.value == 1.0
    assert few.title.endswith("5 families are too few to say anything of new ones; 6 or more are needed")


def test_strong_is_more_than_positive():
    assert ssim_is_strong(links(0.1, 0.97)["ssim"], "one").verdict == SUPPORTED
    assert ssim_is_strong(links(0.1, 0.6)["ssim"], "one").verdict == OPEN


def test_a_difference_of_correlations_covers_what_is_so():
    """Zou's interval, from Fisher's, of correlations of independent samples."""
    rng, n, truth = np.random.default_rng(4), 12, (0.8, 0.3)
    half, held = 1.96 / np.sqrt(n - 3), []
    for _ in range(400):
        found = []
        for rho in truth:
            x, noise = rng.normal(size=(2, n))
            r = np.corrcoef(x, rho * x + np.sqrt(1 - rho**2) * noise)[0, 1]
            found.append(Estimate(r, *np.tanh(np.arctanh(r) + np.array([-half, half])), n))
        _, low, high, _ = difference(*found)
        held.append(low < truth[0] - truth[1] < high)
    assert 0.92 < np.mean(held) < 0.98


def test_the_least_of_several_means_keeps_its_level():
    """All positive where one is zero: 2.5 %; one negative where all are zero: 2.5 %."""
    rng = np.random.default_rng(5)
    edge = [least([rng.normal(shift, 1, 10) for shift in (0, 9, 9)]).low > 0 for _ in range(1_000)]
    zero = [least([rng.normal(0, 1, 10) for _ in range(3)]).high < 0 for _ in range(1_000)]
    error = 3 * np.sqrt(0.025 * 0.975 / 1_000)
    assert abs(np.mean(edge) - 0.025) < error and np.mean(zero) < 0.025 + error
    assert least([np.array([1.0, 2.0, 4.0])]) == mean(np.array([1.0, 2.0, 4.0]))
