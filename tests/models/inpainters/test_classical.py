from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.restoration import inpaint_biharmonic

from models.inpainters.classical import Biharmonic, Identity, NavierStokes, Telea

FILLERS = (Telea, NavierStokes, Biharmonic)


def loaded(kind, **options):
    inpainter = kind(kind.Settings(**options))
    inpainter.load()
    return inpainter


def fill(kind, picture: np.ndarray, mask: np.ndarray, **options) -> np.ndarray:
    return loaded(kind, **options).inpaint([picture], [mask], [""], [0])[0]


@st.composite
def holed(draw) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture and a mask, scattered or one rectangle, at times at the edge, never everywhere."""
    height, width = draw(st.integers(1, 14)), draw(st.integers(2, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()):
        mask = rng.random((height, width)) < draw(st.sampled_from([0, 0.1, 0.5, 0.9]))
    else:
        mask = np.zeros((height, width), bool)
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : top + draw(st.integers(1, 9)), left : left + draw(st.integers(1, 9))] = True
    mask[-1, -1] &= not mask.all()
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), mask


@pytest.mark.parametrize("kind", FILLERS)
@given(case=holed(), seed=st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_what_is_in_the_hole_cannot_matter(kind, case, seed):
    picture, mask = case
    other = picture.copy()
    other[mask] = np.random.default_rng(seed).integers(0, 256, (mask.sum(), 3))
    result = fill(kind, picture, mask)
    assert not kind.sees_hole
    assert np.array_equal(result, fill(kind, other, mask))
    assert np.array_equal(result[~mask], picture[~mask])
    assert result.shape == picture.shape and result.dtype == np.uint8


@pytest.mark.parametrize("kind", FILLERS)
@pytest.mark.parametrize("hole", [np.s_[5:11, 6:12], np.s_[:6, 4:10], np.s_[8:, 8:], np.s_[:, 5:8]])
def test_a_hole_in_an_even_picture_is_filled_evenly(kind, hole):
    picture, mask = np.full((16, 16, 3), (200, 120, 40), np.uint8), np.zeros((16, 16), bool)
    mask[hole] = True
    degraded = np.where(mask[..., None], 0, picture).astype(np.uint8)
    assert np.abs(fill(kind, degraded, mask).astype(int) - picture).max() <= 4


def test_biharmonic_continues_a_plane():
    """Law: a linear ramp solves the biharmonic equation."""
    ramp = np.add.outer(np.arange(24) * 4, np.arange(24) * 6)[..., None].repeat(3, 2).astype(np.uint8)
    mask = np.zeros((24, 24), bool)
    mask[8:16, 8:16] = True
    degraded = np.where(mask[..., None], 0, ramp).astype(np.uint8)
    assert np.abs(fill(Biharmonic, degraded, mask).astype(int) - ramp).max() <= 1


@pytest.mark.parametrize(("kind", "flag"), [(Telea, cv2.INPAINT_TELEA), (NavierStokes, cv2.INPAINT_NS)])
def test_away_from_the_edge_it_is_opencv(kind, flag):
    rng = np.random.default_rng(0)
    picture, mask = rng.integers(0, 256, (30, 20, 3), dtype=np.uint8), np.zeros((30, 20), bool)
    mask[4:12, 3:15] = True
    expected = cv2.inpaint(picture[..., ::-1].copy(), mask.astype(np.uint8) * 255, 5, flag)[..., ::-1]
    assert np.array_equal(fill(kind, picture, mask, radius=5), expected)
    assert not np.array_equal(fill(kind, picture, mask, radius=1), expected)


def test_biharmonic_is_scikit_image():
    rng = np.random.default_rng(0)
    picture, mask = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8), np.zeros((20, 20), bool)
    mask[:6, 3:9] = True
    expected = inpaint_biharmonic(picture / 255, mask, channel_axis=-1)
    assert np.abs(fill(Biharmonic, picture, mask) / 255 - expected).max() <= 0.5 / 255 + 1e-9


@pytest.mark.parametrize("kind", FILLERS)
def test_a_picture_that_is_masked_everywhere_is_named(kind):
    pictures = [np.zeros((4, 6, 3), np.uint8)] * 2
    with pytest.raises(ValueError, match="picture 1 \\(6 × 4 pixels\\) is masked everywhere"):
        loaded(kind).inpaint(pictures, [np.zeros((4, 6), bool), np.ones((4, 6), bool)], ["", ""], [0, 0])


def test_the_control_repaints_nothing():
    picture, mask = np.arange(48, dtype=np.uint8).reshape(4, 4, 3), np.ones((4, 4), bool)
    assert Identity.sees_hole, "its items differ between degradations"
    assert np.array_equal(fill(Identity, picture, mask), picture)


def test_the_radius_is_part_of_the_key():
    assert Telea(Telea.Settings(radius=3)).identity() != Telea(Telea.Settings(radius=5)).identity()
    with pytest.raises(ValueError, match="greater than 0"):
        Telea.Settings(radius=0)
