"""Pictures and masks through PNG and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.images import composite, decode_mask, decode_png, encode_png, from_float, to_float

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
