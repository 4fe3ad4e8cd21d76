"""Answers to choose from: that they exclude each other, and their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def apart(texts: Sequence[str], tokens: Sequence[Sequence[Any]]) -> None:
    """Raise ValueError unless there are choices of which none is the beginning of another one.

    >>> apart(["yes", "yes, it is"], ["yes", "yes, it is"])
    Traceback (most recent call last):
        ...
    ValueError: The choice 'yes' is the beginning of 'yes, it is', so that both would count the same replies: name \
choices that begin differently
    """
    if not texts:
        raise ValueError("There is nothing to choose from: name at least one choice")
    for i, one in enumerate(tokens):
        for j, other in enumerate(tokens):
            if i != j and other[: len(one)] == one:
                raise ValueError(
                    f"The choice {texts[i]!r} is the beginning of {texts[j]!r}, so that both would count the same "
                    "replies: name choices that begin differently"
                )


def normalised(logs: Sequence[float]) -> np.ndarray:
    """Probabilities of sum 1 from their logarithms up to a constant.

    >>> normalised([-1000.0, -1000.0]).tolist()
    [0.5, 0.5]
    """
    shares = np.exp(np.asarray(logs, np.float64) - max(logs))
    return shares / shares.sum()
