from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from models.measures.pictures.pixel import Pixel


def pair(seed: int, height: int, width: int, noise: float = 40.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    original = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
    result = np.clip(original + random.normal(0, noise, original.shape), 0, 255).astype(np.uint8)
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 4 * 3, width // 4 : width // 4 * 3] = True
    return original, result, mask


def measure(original: np.ndarray, result: np.ndarray, mask: np.ndarray) -> dict[str, dict[str, float | None]]:
    return Pixel().measure([original], [result], [mask])[0]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(11, 40), width=st.integers(11, 40))
def test_whole_agrees_with_scikit_image(seed: int, height: int, width: int) -> None:
    original, result, mask = pair(seed, height, width)
    values = measure(original, result, mask)
    one, other = original / 255, result / 255
    ssim = structural_similarity(
        one,
        other,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=2,
    )
    assert values["mse"]["whole"] == pytest.approx(mean_squared_error(one, other), abs=1e-12)
    assert values["psnr"]["whole"] == pytest.approx(peak_signal_noise_ratio(one, other, data_range=1), abs=1e-9)
    assert values["ssim"]["whole"] == pytest.approx(ssim, abs=1e-12)


def test_regions_agree_with_scikit_image_on_their_pixels() -> None:
    original, result, mask = pair(0, 24, 32)
    values = measure(original, result, mask)
    full = structural_similarity(
        original,
        result,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
        full=True,
    )[1]
    for region, where in (("region", mask), ("outside", ~mask)):
        one, other = original[where] / 255, result[where] / 255
        assert values["mse"][region] == pytest.approx(mean_squared_error(one, other), abs=1e-12)
        assert values["psnr"][region] == pytest.approx(peak_signal_noise_ratio(one, other, data_range=1), abs=1e-9)
        assert values["ssim"][region] == pytest.approx(full[where].mean(), abs=1e-9)


def test_identity() -> None:
    original, _, mask = pair(1, 20, 20)
    values = measure(original, original, mask)
    assert values["mse"] == {"whole": 0, "region": 0, "outside": 0}
    assert values["psnr"] == {"whole": None, "region": None, "outside": None}, "infinite, and kept out of means"
    assert all(value == pytest.approx(1, abs=1e-12) for value in values["ssim"].values())


def test_symmetry() -> None:
    original, result, mask = pair(2, 20, 24)
    forth, back = measure(original, result, mask), measure(result, original, mask)
    for metric, regions in forth.items():
        assert regions == pytest.approx(back[metric], abs=1e-12)


def test_more_noise_is_worse_everywhere() -> None:
    values = [measure(*pair(3, 40, 40, noise)) for noise in (2, 8, 32, 128)]
    for metric in Pixel.METRICS:
        sign = 1 if metric.higher_is_better else -1
        for region in ("whole", "region", "outside"):
            series = [sign * value[metric.name][region] for value in values]
            assert series == sorted(series, reverse=True)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.05, 0.95))
def test_regional_mse_weighted_by_area_is_the_whole(seed: int, share: float) -> None:
    original, result, _ = pair(seed, 12, 12)
    mask = np.random.default_rng(seed).random((12, 12)) < share
    mask[0, :2] = True, False
    mse = measure(original, result, mask)["mse"]
    assert mse["region"] * mask.mean() + mse["outside"] * (~mask).mean() == pytest.approx(mse["whole"], abs=1e-12)


def test_change_inside_is_not_seen_outside() -> None:
    original, result, mask = pair(4, 16, 16)
    values = measure(original, np.where(mask[..., None], result, original), mask)
    assert values["mse"]["outside"] == 0
    assert values["psnr"]["outside"] is None
    assert values["mse"]["region"] > 0


def test_empty_region_has_no_value() -> None:
    original, result, mask = pair(5, 16, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing, everything = (measure(original, result, np.full(mask.shape, fill)) for fill in (False, True))
    for metric in (metric.name for metric in Pixel.METRICS):
        assert nothing[metric]["region"] is None
        assert everything[metric]["outside"] is None
        assert nothing[metric]["outside"] is not None


@pytest.mark.parametrize("shape", [(1, 1), (10, 500), (500, 10)])
def test_ssim_is_undefined_where_its_window_does_not_fit(shape: tuple[int, int]) -> None:
    values = measure(*pair(6, *shape))
    assert values["ssim"] == {"whole": None, "region": None, "outside": None}
    assert values["mse"]["whole"] is not None


def test_a_pair_does_not_see_its_neighbours() -> None:
    pairs = [pair(seed, 12 + seed, 20) for seed in range(4)]
    assert Pixel().measure(*zip(*pairs, strict=True)) == [measure(*one) for one in pairs]


def test_sizes_and_types_are_checked() -> None:
    original, result, mask = pair(7, 16, 20)
    with pytest.raises(ValueError, match="the original is 20 × 16 pixels and the result 19 × 16"):
        measure(original, result[:, :-1], mask)
    with pytest.raises(ValueError, match="the mask is 20 × 15 pixels and the pictures 20 × 16"):
        measure(original, result, mask[:-1])
    with pytest.raises(ValueError, match="the result is float64 of shape"):
        measure(original, result / 255, mask)
    with pytest.raises(ValueError, match="a mask is bool"):
        measure(original, result, mask.astype(np.uint8))
