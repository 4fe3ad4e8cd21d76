"""Metrics and measures: a number's name, range and direction, declared beside the code that computes it.

Picture measures, and measures of captions that know where things are, give one value per *region*: ``region`` is the
repainted part (mask True), ``outside`` the rest, and ``whole`` the picture. None means that the measure is undefined
there: PSNR of equal pixels (it is infinite, and an infinity or a cap would make a mean over pictures say nothing), SSIM
of a picture smaller than its window, a share of nothing, and any measure of an empty region. Means are taken over the
values that are there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from models.adapters import roles

About = Literal["pictures", "captions", "grounding", "attention", "other", "answers"]
"""The table that shows a metric: how far pictures moved, how good captions are, what they get right and wrong of the
picture, where an encoder looks by layer, what models answer about pictures; ``other`` is in no table."""


@dataclass(frozen=True, slots=True)
class Metric:
    """The meaning of a number: its values lie in [low, high], an unbounded side is ``math.inf``.

    >>> Metric("psnr", "PSNR", 102, "pictures", "10 · log₁₀(1 / MSE)", unit="dB").record()["high"] is None
    True
    """

    name: str
    label: str
    """What tables call it."""
    position: int
    """Its place in tables, among all; in hundreds by :data:`About`, with gaps."""
    about: About
    definition: str
    """What it is in one line, with its source."""
    higher_is_better: bool | None = True
    """None where neither way is better."""
    low: float = 0.0
    high: float = math.inf
    unit: str = ""
    decimals: int = 3
    """How many a table shows."""
    regional: bool = False
    """Whether it has a value for each region; else it has one for the item."""
    checkpoint: bool = False
    """Whether its values hang on a model's weights, so that its name alone does not say what was measured."""

    def record(self) -> dict[str, Any]:
        """The row of the registry's table ``metric``; a side without an end is None there."""
        row = {name: None if value in (-math.inf, math.inf) else value for name, value in asdict(self).items()}
        del row["regional"]  # its measurements say
        return row


class Measure(roles.Adapter, Protocol):
    """Base of :class:`PictureMeasure` and :class:`~models.measures.captions.candidates.CaptionMeasure`."""

    METRICS: ClassVar[tuple[Metric, ...]]
    """All that the class can give, in the order of its columns."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that this one gives, as it is set."""
        return self.METRICS


class PictureMeasure(Measure, Protocol):
    """Compares repainted pictures with their originals."""

    def measure(
        self, originals: Sequence[np.ndarray], results: Sequence[np.ndarray], masks: Sequence[np.ndarray]
    ) -> list[dict[str, dict[str, float | None]]]:
        """Metric -> region -> value of each pair of pictures (H, W, 3) uint8; masks are (H, W) bool, True = repainted.

        A pair's values do not depend on its neighbours. Raises ``ValueError`` about the first pair that cannot be
        compared.
        """
