"""Surfaces: what was made of captions of each precision and recall, prompt by prompt and seed by seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Contrast(NamedTuple):
    """Two sides that are compared prompt by prompt and seed by seed (prompts × seeds)."""

    title: str
    before: np.ndarray
    after: np.ndarray


class Surface(NamedTuple):
    """Values of one metric."""

    precisions: list[float]
    """Percent of the sentences that are true, rising."""
    recalls: list[int]
    """Sub-captions, rising."""
    values: np.ndarray
    """Precisions × recalls × prompts × seeds, NaN where there is none."""
    untrained: np.ndarray
    """Prompts."""

    @property
    def precision(self) -> Contrast | None:
        """The highest precision beside the lowest, on average over recalls."""
        if len(self.precisions) < 2:
            return None
        low, high = self.precisions[0], self.precisions[-1]
        over = "" if len(self.recalls) < 2 else ", over all recalls"
        return Contrast(
            f"precision {low:g} → {high:g}{over}", self.values[0].mean(axis=0), self.values[-1].mean(axis=0)
        )

    @property
    def recall(self) -> Contrast | None:
        """The highest recall beside the lowest, on average over precisions."""
        if len(self.recalls) < 2:
            return None
        few, many = self.values[:, 0].mean(axis=0), self.values[:, -1].mean(axis=0)
        over = "" if len(self.precisions) < 2 else ", over all precisions"
        return Contrast(f"recall {self.recalls[0]} → {self.recalls[-1]}{over}", few, many)

    @property
    def interaction(self) -> Contrast | None:
        """What recall does at the highest precision beside what it does at the lowest."""
        if self.precision is None or self.recall is None:
            return None
        low, high = (self.values[at, -1] - self.values[at, 0] for at in (0, -1))
        title = f"effect of recall, precision {self.precisions[0]:g} → {self.precisions[-1]:g}"
        return Contrast(title, low, high)

    def contrasts(self) -> Iterator[Contrast]:
        """Both effects, over all and at each level of the other, and their interaction."""
        if self.precision:
            yield self.precision
            if self.recall:
                for at, recall in enumerate(self.recalls):
                    yield Contrast(f"… at recall {recall}", self.values[0, at], self.values[-1, at])
        if self.recall:
            yield self.recall
            if self.precision:
                for at, precision in enumerate(self.precisions):
                    yield Contrast(f"… at precision {precision:g}", self.values[at, 0], self.values[at, -1])
        if self.interaction:
            yield self.interaction
