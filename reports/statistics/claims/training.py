"""Claims of paper *Precision or Recall?*, over the prompts and seeds of a study that trains painters on captions.

The paper means by an effect the whole range of its grid, on average over the other side (section 3, table 2).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reports.statistics.claims.judging import Claim, Estimate, Finding, smallest
from reports.statistics.crossed import complete, crossed_mean
from reports.statistics.surfaces import Contrast, Surface

PRECISION = Claim("More precise captions train better painters", "Precision or Recall?, 3, table 2", ())
RECALL = Claim("Captions that say more train better painters", "Precision or Recall?, 3, table 2", ())
MORE = Claim("Precision matters more than recall", "Precision or Recall?, 1, 3, table 2", ())
LESS = Claim("Recall helps less the more precise captions are", "Precision or Recall?, 3, table 2", (), sign=-1)
FALSE = Claim("Long false captions are worse than short true ones", "Precision or Recall?, 3, table 2", ())
BEST = Claim("High precision and high recall together are best", "Precision or Recall?, 1, figure 1", ())
CLAIMS: tuple[Claim, ...] = (PRECISION, RECALL, MORE, LESS, FALSE, BEST)
"""Every claim, in the order of the page."""


def findings(surface: Surface, corpus: str, judge: str) -> Iterator[Finding]:
    """Every claim on one surface; what it does not vary is not asked."""
    precision, recall, interaction = surface.precision, surface.recall, surface.interaction
    values, of = surface.values, "prompt by prompt and seed by seed"
    if precision:
        yield PRECISION.finding(corpus, judge, estimate(apart(precision)), f"{precision.title}, {of}")
    if recall:
        yield RECALL.finding(corpus, judge, estimate(apart(recall)), f"{recall.title}, {of}")
    if precision and recall and interaction:
        more = estimate(apart(precision) - apart(recall))
        yield MORE.finding(corpus, judge, more, f"effect of precision − effect of recall, {of}")
        yield LESS.finding(corpus, judge, estimate(apart(interaction)), f"{interaction.title}, {of}")
        short_true = estimate(values[-1, 0] - values[0, -1])
        yield FALSE.finding(corpus, judge, short_true, f"most precise and shortest − least precise and longest, {of}")
        others = [values[-1, -1] - one for row in values for one in row][:-1]
        narrow = [estimate(one) for one in others]
        wide = [estimate(one, 0.05 / len(others)) for one in others]
        yield BEST.finding(corpus, judge, smallest(narrow, wide), f"lead over what comes nearest, {of}")


def apart(contrast: Contrast) -> np.ndarray:
    return contrast.after - contrast.before


def estimate(values: np.ndarray, level: float = 0.05) -> Estimate:
    """Mean of prompts × seeds with its interval; ``n`` are the prompts."""
    mean, low, high, _ = crossed_mean(values, level)
    n = len(complete(values))
    return Estimate(mean if n else None, low, high, n)
