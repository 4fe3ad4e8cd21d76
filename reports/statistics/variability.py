"""Variability of captions across the pictures of a corpus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from scipy.sparse import csr_array


def variability(references: Mapping[str, Iterable[str]]) -> float | None:
    """Mean distance of the references of two different pictures, 0 (all say the same) to 1 (no two share a word).

    The distance of two texts is 1 − cosine of their word counts. A picture with more references is known better, and
    not farther from others: its counts, each text's of length 1, are averaged. None for fewer than two pictures with a
    reference.

    >>> variability({"a": ["no acute disease"], "b": ["no acute disease"]})
    0.0
    >>> variability({"a": ["a red circle"], "b": ["two dogs run"]})
    1.0
    """
    pictures = [some for texts in references.values() if (some := [found for text in texts if (found := words(text))])]
    n = len(pictures)
    if n < 2:
        return None
    known: dict[str, int] = {}
    place, column, weight = [], [], []
    for row, texts in enumerate(pictures):
        for counts in texts:
            length = np.sqrt(sum(count**2 for count in counts.values())) * len(texts)
            for word, count in counts.items():
                place.append(row)
                column.append(known.setdefault(word, len(known)))
                weight.append(count / length)
    vectors = csr_array((weight, (place, column)), shape=(n, len(known)))
    every, own = np.square(vectors.sum(axis=0)).sum(), vectors.power(2).sum()
    return round(float(1 - (every - own) / (n * (n - 1))), 12) + 0.0


def words(text: str) -> Counter[str]:
    """Words of a text without regard to case, and how often it has each.

    >>> words("A dog, a cat")["a"]
    2
    """
    return Counter(re.findall(r"\w+", text.lower()))
