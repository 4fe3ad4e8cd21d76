"""Laws of regions and degradations, and scipy as the witness of the blur."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter

from models.degradations import (
    DEGRADATIONS,
    Blur,
    Box,
    Centre,
    LowDim,
    NoRegion,
    Segment,
    Zero,
    degradation,
    degrade,
    region,
    region_mask,
)

TRUCE = Path(__file__).resolve().parents[2] / "../shared/data/truce"

pictures = arrays.arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(3)))
degradations = st.one_of(
    st.builds(Zero),
    st.builds(Blur, kernel=st.one_of(st.floats(0.01, 1), st.integers(1, 50).map(lambda half: 2 * half + 1))),
    st.builds(LowDim, colours=st.integers(1, 256), samples=st.integers(1, 30), quality=st.integers(1, 100)),
)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=150, deadline=None)
@given(pictures, degradations, st.data())
def test_outside_the_mask_nothing_changes_and_twice_is_the_same(picture, choice, data):
    mask = data.draw(arrays.arrays(bool, picture.shape[:2]))
    before, mask_before = picture.copy(), mask.copy()
    degraded = degrade(picture, mask, choice)
    assert degraded.dtype == np.uint8
    assert degraded.shape == picture.shape
    assert np.array_equal(degraded[~mask], picture[~mask])
    assert np.array_equal(degraded, degrade(picture, mask, choice))
    assert np.array_equal(picture, before)
    assert np.array_equal(mask, mask_before)


@pytest.mark.parametrize("choice", [kind() for kind in DEGRADATIONS.values()], ids=DEGRADATIONS)
def test_the_defaults_do_change_the_region_and_an_empty_mask_changes_nothing(choice):
    picture = noise(64, 64)
    mask = region_mask((64, 64), {}, Centre())
    changed = (degrade(picture, mask, choice) != picture).any(-1)
    assert changed[mask].mean() > 0.9
    assert np.array_equal(degrade(picture, np.zeros((64, 64), bool), choice), picture)


def test_zero_is_black():
    mask = region_mask((8, 8), {}, Centre())
    assert (degrade(np.full((8, 8, 3), 7, np.uint8), mask, Zero())[mask] == 0).all()


@pytest.mark.parametrize("kernel", [13, 0.2])
def test_blur_is_the_gaussian_that_scipy_computes(kernel):
    picture = noise(64, 96)
    mask = region_mask((64, 96), {}, Centre())
    # 0.2 of 64 pixels are 12.8: a kernel of 13, 6 to each side, and OpenCV's sigma for it.
    sigma = 0.3 * ((13 - 1) / 2 - 1) + 0.8
    expected = gaussian_filter(picture.astype(float), (sigma, sigma, 0), mode="mirror", radius=(6, 6, 0))
    # OpenCV blurs bytes with a kernel of whole 256ths and rounds; half a level is the rounding.
    assert np.abs(degrade(picture, mask, Blur(kernel=kernel))[mask] - expected[mask]).max() <= 1.5


def test_a_kernel_of_one_pixel_is_the_identity():
    picture = noise(32, 32)
    assert np.array_equal(degrade(picture, np.ones((32, 32), bool), Blur(kernel=0.03)), picture)


def test_a_fixed_kernel_is_the_same_whatever_the_picture_and_a_share_is_not():
    """A lone white pixel spreads over as many pixels as the kernel is wide."""

    def spread(side: int, kernel: float) -> int:
        picture = np.zeros((side, 2 * side, 3), np.uint8)
        picture[side // 2, side] = 255
        return (degrade(picture, np.ones((side, 2 * side), bool), Blur(kernel=kernel))[side // 2, :, 0] > 0).sum()

    assert [spread(side, 5) for side in (64, 256)] == [5, 5]
    assert [spread(side, 5 / 64) for side in (64, 256)] != [5, 5]


def test_the_paper_s_fixed_kernel_is_the_default_and_shares_keep_their_keys():
    assert Blur().identity() == {"kind": "blur", "kernel": 75, "version": 1}
    assert json.dumps(Blur(kernel=0.2).identity()) == '{"kind": "blur", "kernel": 0.2, "version": 1}'
    with pytest.raises(ValueError, match='The setting "kernel" of degradation blur should be an odd number of pixels'):
        degradation({"kind": "blur", "kernel": 12})
    with pytest.raises(ValueError, match="odd number of pixels"):
        degradation({"kind": "blur", "kernel": 1.5})


def test_blur_lets_the_surroundings_flow_in():
    picture = np.zeros((64, 64, 3), np.uint8)
    mask = region_mask((64, 64), {}, Centre())
    picture[~mask] = 255
    blurred = degrade(picture, mask, Blur(kernel=13))
    assert blurred[16, 16, 0] > 100
    assert blurred[32, 32, 0] == 0


def test_lowdim_of_a_flat_region_keeps_its_colour_at_full_quality():
    picture = np.full((32, 32, 3), (200, 90, 30), np.uint8)
    degraded = degrade(picture, np.ones((32, 32), bool), LowDim(quality=100))
    assert np.abs(degraded.astype(int) - picture).max() <= 2


def test_the_colours_of_lowdim_are_the_means_of_their_pixels():
    """Two clouds of pixels: k-means with two colours finds their means. JPEG mixes the chroma next to the edge."""
    rng = np.random.default_rng(1)
    picture = np.empty((32, 64, 3), np.uint8)
    picture[:, :32] = rng.normal((60, 70, 150), 6, (32, 32, 3))
    picture[:, 32:] = rng.normal((190, 160, 40), 6, (32, 32, 3))
    degraded = degrade(picture, np.ones((32, 64), bool), LowDim(colours=2, samples=64, quality=100))
    for half, inner in ((np.s_[:, :32], np.s_[:, :30]), (np.s_[:, 32:], np.s_[:, 34:])):
        mean = picture[half].reshape(-1, 3).mean(0)
        assert np.abs(degraded[inner].reshape(-1, 3) - mean).max() <= 3


def test_fewer_samples_average_fine_texture_away():
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[::2, ::2] = picture[1::2, 1::2] = 255
    everywhere = np.ones((32, 32), bool)
    coarse = degrade(picture, everywhere, LowDim(samples=16, quality=100))
    assert np.abs(coarse.astype(float) - 127.5).max() <= 3
    fine = degrade(picture, everywhere, LowDim(samples=32, quality=100))
    assert np.abs(fine.astype(int) - picture).max() <= 3


@pytest.mark.parametrize(("name", "mild", "harsh"), [("quality", 90, 5), ("samples", 48, 6), ("colours", 64, 2)])
def test_lowdim_strays_further_the_harsher_it_is(name, mild, harsh):
    y, x = np.mgrid[:48, :48]
    picture = np.stack([x * 5, y * 5, 128 + 100 * np.sin(x / 3)], -1).astype(np.uint8)
    best = {"quality": 95, "samples": 48, "colours": 256}

    def error(value: int) -> float:
        degraded = degrade(picture, np.ones((48, 48), bool), LowDim(**best | {name: value}))
        return ((degraded.astype(float) - picture) ** 2).mean()

    assert error(harsh) > 2 * error(mild)


@given(st.integers(3, 80), st.integers(3, 80), st.floats(0.05, 0.8))
def test_the_centre_is_centred_and_of_the_stated_size(height, width, fraction):
    mask = region_mask((height, width), {}, Centre(fraction=fraction))
    rows, columns = mask.any(1), mask.any(0)
    assert abs(rows.sum() - fraction * height) <= 1
    assert abs(columns.sum() - fraction * width) <= 1
    for covered in (rows, columns):
        before, after = int(covered.argmax()), int(covered[::-1].argmax())
        assert after - before in (0, 1)
    assert mask.sum() == rows.sum() * columns.sum()


def test_a_box_covers_every_pixel_it_touches_and_is_clipped():
    objects = [{"label": "dog", "box": [2.5, -3, 3, 5.2]}, {"label": "ant", "box": [9, 9, 1, 1]}]
    mask = region_mask((10, 20), {"objects": objects}, Box())
    expected = np.zeros((10, 20), bool)
    expected[0:3, 2:6] = True
    assert np.array_equal(mask, expected)
    assert region_mask((10, 20), {"objects": objects}, Box(pick=1)).sum() == 1


def test_the_largest_box_is_neither_a_crowd_nor_beyond_the_largest_area():
    boxes = [([0, 0, 20, 10], False), ([0, 0, 10, 10], True), ([4, 4, 6, 4], False), ([0, 0, 2, 2], False)]
    annotations = {"objects": [{"box": box, "crowd": crowd} for box, crowd in boxes]}
    assert region_mask((10, 20), annotations, Box()).sum() == 24
    with pytest.raises(NoRegion, match="No annotated box covers at most 1% of the picture"):
        region_mask((10, 20), annotations, Box(max_area=0.01))
    with pytest.raises(NoRegion, match="There is no annotated box 3: the sample has 3"):
        region_mask((10, 20), annotations, Box(pick=3))


def test_the_box_is_that_of_the_object_that_the_references_single_out():
    """The target counts among all objects, crowds with them, and may be larger than the largest that is chosen."""
    boxes = [([0, 0, 2, 2], True), ([1, 0, 19, 10], False), ([0, 0, 5, 4], False)]
    annotations = {"objects": [{"box": box, "crowd": crowd} for box, crowd in boxes], "target": 1}
    assert region_mask((10, 20), annotations, Box()).sum() == 19 * 10
    assert region_mask((10, 20), annotations | {"target": 0}, Box()).sum() == 4
    assert region_mask((10, 20), annotations, Box(pick="largest")).sum() == 20


@settings(max_examples=50)
@given(st.lists(st.integers(-1, 100), min_size=4, max_size=30), st.sampled_from([0.25, 0.4]))
def test_the_segment_is_where_the_plotted_curve_varies_most(values, fraction):
    """The witness walks the curve in a thousand steps a point and adds up how far it goes up and down in each band."""
    first, last = Segment(candidates=1, fraction=fraction).stretch(values, seed=0)
    count = last - first + 1
    assert count == max(1, round(fraction * len(values)))
    places = np.arange(-0.5, len(values) - 0.5, 0.001)
    moved = np.abs(np.diff(np.interp(places, range(len(values)), values)))
    varied = [moved[1000 * start : 1000 * (start + count)].sum() for start in range(len(values) - count + 1)]
    assert varied[first] == pytest.approx(max(varied), abs=0.1)


def test_the_seed_takes_one_of_the_most_informative_segments():
    values = [5, 5, 9, 1, 8, 2, 5, 5, 5, 5, 5, 5]
    # Within half a step of three points: 1-3 vary by 2 + 4 + 8 + 3.5, 2-4 by 2 + 8 + 7 + 3, 3-5 by 4 + 7 + 6 + 1.5.
    assert [Segment().stretch(values, seed) for seed in range(4)] == [(2, 4), (3, 5), (1, 3), (2, 4)]


@pytest.mark.skipif(not TRUCE.exists(), reason="the TRUCE set is not in ../shared/data")
@pytest.mark.parametrize("half", ["pilot13final", "pilot16b"])
def test_segments_of_real_plots_hold_a_quarter_of_the_points(half):
    from models.worlds.plots import draw_series

    records = json.loads((TRUCE / f"{half}test.json").read_text())
    for seed, record in enumerate(list(records.values())[:40]):
        picture, points = draw_series(record["series"])
        annotations = {"series": {"values": record["series"], "points": points}}
        mask = region_mask(picture.shape[:2], annotations, Segment(), seed)
        under = [i for i, (x, y) in enumerate(points) if mask[int(y), int(x)]]
        first, last = Segment().stretch(record["series"], seed)
        assert under == list(range(first, last + 1))
        assert len(under) == 3
        assert mask.any(0).sum() * 64 == mask.sum()
        # Eleven steps and two margins of 0.4 steps span 92 % of 64 pixels: three steps are 15 of them.
        assert 14 <= mask.any(0).sum() <= 16


@pytest.mark.parametrize(
    ("shape", "annotations", "choice", "message"),
    [
        ((1, 1), {}, Centre(), "The region centre covers the whole picture of 1 x 1 pixels"),
        ((8, 8), {}, Box(), "No annotated box covers"),
        ((8, 8), {"objects": [{"box": [9, 9, 3, 3]}]}, Box(), "The region box covers nothing of the picture"),
        ((8, 8), {}, Segment(), "The region segment needs a plotted series"),
    ],
)
def test_a_sample_without_the_region_says_so(shape, annotations, choice, message):
    with pytest.raises(NoRegion, match=message):
        region_mask(shape, annotations, choice)


def test_a_mask_that_does_not_fit_is_refused():
    picture = noise(4, 6)
    for mask in (np.ones((6, 4), bool), np.ones((4, 6), np.uint8)):
        with pytest.raises(ValueError, match=r"does not fit a picture of \(4, 6, 3\): expected bool, \(4, 6\)"):
            degrade(picture, mask, Zero())


def test_unknown_kinds_and_parameters_are_refused():
    with pytest.raises(ValueError, match='no degradation "blurr"; did you mean "blur"?'):
        degradation({"kind": "blurr"})
    with pytest.raises(ValueError, match='no region "None"'):
        region({"fraction": 0.5})
    with pytest.raises(ValueError, match='no setting of degradation blur "kernal"; did you mean "kernel"?'):
        degradation({"kind": "blur", "kernal": 0.1})
    with pytest.raises(ValueError, match='The setting "fraction" of region centre should be less than 1, but is 1'):
        region({"kind": "centre", "fraction": 1})
