"""Answers to choose from: that they exclude each other, and their probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np


def apart(texts: Sequence[str], tokens: Sequence[Sequence[Any]]) -> None:
    """Raise ValueError unless there are choices of which none is the beginning of another one.

    Choices that a model spells alike, as one that knows no capital letters does "yes" and "Yes", stand for one reply.

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
            alike = one == other and texts[i] != texts[j]
            if i != j and other[: len(one)] == one and not alike:
                raise ValueError(
                    f"The choice {texts[i]!r} is the beginning of {texts[j]!r}, so that both would count the same "
                    "replies: name choices that begin differently"
                )


def divided(logs: Sequence[float], tokens: Sequence[Hashable]) -> list[float]:
    """Logarithms of probabilities, each divided among the choices that are spelt alike.

    >>> divided([-1.0, -1.0, -2.0], ["yes", "yes", "no"])[1:] == [-1.0 - np.log(2), -2.0]
    True
    """
    alike = Counter(tokens)
    return [log - float(np.log(alike[one])) for log, one in zip(logs, tokens, strict=True)]


def normalised(logs: Sequence[float]) -> np.ndarray:
    """Probabilities of sum 1 from their logarithms up to a constant.

    >>> normalised([-1000.0, -1000.0]).tolist()
    [0.5, 0.5]
    """
    shares = np.exp(np.asarray(logs, np.float64) - max(logs))
    return shares / shares.sum()
