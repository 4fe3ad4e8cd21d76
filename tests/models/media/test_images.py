"""Pictures and masks through PNG and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.media.images import RED, composite, decode_mask, decode_png, draw_box, encode_png, from_float, to_float

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))
PICTURES = SHAPES.flatmap(lambda shape: arrays(np.uint8, (*shape, 3)))
MASKS = SHAPES.flatmap(lambda shape: arrays(bool, shape))


@given(PICTURES)
def test_png_and_floats_lose_nothing(picture):
    assert np.array_equal(decode_png(encode_png(picture)), picture)
    assert np.array_equal(from_float(to_float([picture]))[0], picture)


@given(MASKS)
def test_a_mask_comes_back_as_clean_booleans(mask):
    """Compiled code reads booleans as bytes, so True must be 1 and not 255."""
    decoded = decode_mask(encode_png(mask))
    assert np.array_equal(decoded, mask)
    assert decoded.view(np.uint8).max() <= 1


@given(PICTURES, st.data())
def test_a_composite_keeps_every_unmasked_byte(picture, data):
    mask = data.draw(arrays(bool, picture.shape[:2]))
    painted = data.draw(arrays(np.uint8, picture.shape))
    result = composite(picture, painted, mask)
    assert np.array_equal(result[~mask], picture[~mask])
    assert np.array_equal(result[mask], painted[mask])


@given(PICTURES, st.data())
def test_a_box_hides_nothing_in_it_unless_the_picture_ends(picture, data):
    """One pixel of frame in a picture this small: what is within the box, and what is two pixels off, is unchanged."""
    height, width = picture.shape[:2]
    left, top = data.draw(st.floats(0, width - 0.5)), data.draw(st.floats(0, height - 0.5))
    w, h = data.draw(st.floats(0.1, width - left)), data.draw(st.floats(0.1, height - top))
    framed = draw_box(picture, [left, top, w, h])
    y, x = np.mgrid[:height, :width]
    inside = (x + 1 > left) & (x < left + w) & (y + 1 > top) & (y < top + h)
    rim = (x == 0) | (x == width - 1) | (y == 0) | (y == height - 1)
    assert np.array_equal(framed[inside & ~rim], picture[inside & ~rim])
    far = (x + 2 < left) | (x > left + w + 1) | (y + 2 < top) | (y > top + h + 1)
    assert np.array_equal(framed[far], picture[far])
    changed = (framed != picture).any(-1)
    assert (framed[changed] == RED).all()


def test_a_box_is_drawn_around_in_proportion():
    """A photograph of 640 x 480 gets three pixels of red, just outside the box."""
    picture = np.zeros((480, 640, 3), np.uint8)
    framed = draw_box(picture, [100, 50, 200, 120])
    red = (framed == RED).all(-1)
    assert red.sum() == 206 * 126 - 200 * 120
    assert not red[50:170, 100:300].any() and red[47:173, 97:303].sum() == red.sum()
    assert not picture.any(), "the picture itself stays as it was"
    at_the_edge = (draw_box(picture, [0, 0, 640, 480]) == RED).all(-1)
    assert at_the_edge.sum() == 640 * 480 - 634 * 474
