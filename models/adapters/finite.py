"""One question to what a model gives: whether it is numbers at all."""

from __future__ import annotations

import numpy as np

OVERFLOW = (
    "a model that overflows in float16 gives such: set its `dtype` to bfloat16 or float32, and look whether its "
    "checkpoint is whole"
)
"""Why a model's output is no number, and the way out."""


def finite(values: np.ndarray, what: str) -> np.ndarray:
    """The values as they are, all of them numbers; ``what`` they are called in the message.

    Raises
    ------
    ValueError
        One is NaN or infinite.

    >>> finite(np.array([1.0, np.nan]), "the embedding")
    Traceback (most recent call last):
        ...
    ValueError: the embedding holds NaN or infinity; a model that overflows in float16 gives such: set its `dtype` to \
bfloat16 or float32, and look whether its checkpoint is whole
    """
    if not np.isfinite(values).all():
        raise ValueError(f"{what} holds NaN or infinity; {OVERFLOW}")
    return values
