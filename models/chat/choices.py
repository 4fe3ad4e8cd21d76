"""Answers to choose from: that they exclude each other, and their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def apart(texts: Sequence[str], tokens: Sequence[Sequence[Any]]) -> None:
    """Raise ValueError unless there are choices of which none is the beginning of another one.

    Those that differ in capital letters alone may be the same tokens, to a model that reads no capital letters.

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
            spelt = other == one and texts[i] != texts[j] and texts[i].casefold() == texts[j].casefold()
            if i != j and other[: len(one)] == one and not spelt:
                raise ValueError(
                    f"The choice {texts[i]!r} is the beginning of {texts[j]!r}, so that both would count the same "
                    "replies: name choices that begin differently"
                )


def normalised(logs: Sequence[float], tokens: Sequence[Any] = ()) -> np.ndarray:
    """Probabilities of sum 1 from their logarithms up to a constant; what is the same ``tokens`` as one before it has
    none of its own, so that it counts once.

    >>> normalised([-1000.0, -1000.0]).tolist(), normalised([-1.0, -1.0, -1.0], [(5,), (7,), (5,)]).tolist()
    ([0.5, 0.5], [0.5, 0.5, 0.0])
    """
    shares = np.exp(np.asarray(logs, np.float64) - max(logs))
    shares[[n for n, one in enumerate(tokens) if one in tokens[:n]]] = 0
    return shares / shares.sum()
