"""The one convention for pictures and masks.

Between adapters a picture is a ``uint8`` array of shape (H, W, 3), RGB: exactly what its PNG holds, so that "unchanged"
can mean *byte for byte*. Numeric code works on ``float32`` in [0, 1], NCHW (:func:`to_float`). A mask is a ``bool``
array of shape (H, W) in which **True means repaint**; adapters whose library means something else convert at their own
edge.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from models.adapters.finite import finite


def encode_png(picture: np.ndarray) -> bytes:
    """PNG bytes of a picture (H, W, 3) uint8 or of a mask (H, W) bool; equal arrays give equal bytes.

    >>> decode_png(encode_png(np.zeros((2, 3, 3), np.uint8))).shape
    (2, 3, 3)
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def decode_png(data: bytes) -> np.ndarray:
    """The picture (H, W, 3) uint8 that :func:`encode_png` stored."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


def decode_mask(data: bytes) -> np.ndarray:
    """The mask (H, W) bool that :func:`encode_png` stored; True = repaint.

    >>> decode_mask(encode_png(np.eye(2, dtype=bool))).tolist()
    [[True, False], [False, True]]
    """
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("L")) > 0  # of mode 1, Pillow makes booleans whose byte is 255


def to_float(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one size, (H, W, 3) uint8, as one float32 batch (N, 3, H, W) in [0, 1].

    >>> to_float([np.full((1, 2, 3), 255, np.uint8)]).shape
    (1, 3, 1, 2)
    """
    return np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def from_float(batch: np.ndarray) -> list[np.ndarray]:
    """A float batch (N, 3, H, W), clipped to [0, 1], as a list of (H, W, 3) uint8 pictures (round half to even).

    Raises ``ValueError`` where a value is NaN or infinite, which would be painted black or white.

    >>> from_float(np.ones((1, 3, 1, 1), np.float32))[0].tolist()
    [[[255, 255, 255]]]
    """
    levels = np.rint(np.clip(finite(batch, "the picture"), 0, 1) * 255).astype(np.uint8)
    return list(levels.transpose(0, 2, 3, 1))


def scaled(picture: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 at another one's size (Lanczos); itself where it has that size.

    >>> scaled(np.zeros((4, 6, 3), np.uint8), np.zeros((8, 2, 3), np.uint8)).shape
    (8, 2, 3)
    """
    if picture.shape == like.shape:
        return picture
    return np.asarray(Image.fromarray(picture).resize(like.shape[1::-1], Image.Resampling.LANCZOS))


def composite(original: np.ndarray, painted: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """``painted`` where the mask is True, ``original`` elsewhere, byte for byte.

    >>> a, b = np.zeros((1, 2, 3), np.uint8), np.full((1, 2, 3), 9, np.uint8)
    >>> composite(a, b, np.array([[True, False]]))[0, :, 0].tolist()
    [9, 0]
    """
    return np.where(mask[..., None], painted, original)


FRAME_VERSION = 1
"""Raised when :func:`draw_box` draws otherwise: keys of items that saw a frame hold it."""

RED = (255, 0, 0)


def draw_box(picture: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """The picture with a red frame around ``box`` [x, y, width, height], in pixels, that hides nothing in it.

    The frame goes round every pixel that the box touches, and moves inwards only where the picture ends. Its line is
    1/160 of the shorter side (3 pixels of 480), and 1 pixel at least.

    >>> draw_box(np.zeros((5, 6, 3), np.uint8), [2, 1, 2.5, 2])[:, :, 0].tolist()[:2]
    [[0, 255, 255, 255, 255, 255], [0, 255, 0, 0, 0, 255]]
    """
    height, width = picture.shape[:2]
    line = max(1, round(min(height, width) / 160))
    x, y, w, h = box
    left, right = max(math.floor(x) - line, 0), min(math.ceil(x + w) + line, width)
    top, bottom = max(math.floor(y) - line, 0), min(math.ceil(y + h) + line, height)
    framed, inside = picture.copy(), np.s_[top + line : bottom - line, left + line : right - line]
    framed[top:bottom, left:right] = RED
    framed[inside] = picture[inside]
    return framed
