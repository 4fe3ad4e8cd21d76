"""The cosine of two embeddings."""

from __future__ import annotations

import math

import numpy as np

from models.adapters.finite import finite


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine similarity of two vectors (D,), in [-1, 1]; of equal ones it is exactly 1, and 0 where one is all zeros.

    Raises ``ValueError`` where one holds NaN or infinity.

    >>> cosine(np.array([3.0, 4.0]), np.array([3.0, 4.0])), cosine(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    (1.0, 0.0)
    """
    a, b = (finite(vector, "the embedding").astype(np.float64) for vector in (one, other))
    length = math.sqrt(float(a @ a) * float(b @ b))
    return max(-1.0, min(1.0, float(a @ b) / length)) if length else 0.0
