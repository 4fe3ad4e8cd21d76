"""One correlation from several corpora."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Meta:
    """The mean correlation over corpora with its interval, and where the next corpus' correlation may lie."""

    groups: int
    mean: float
    low: float
    high: float
    p: float
    tau2: float
    """Variance of the corpora's true Fisher z."""
    i2: float
    """Share of the observed variance that is between corpora and not chance, 0 to 1."""
    prediction_low: float | None
    prediction_high: float | None


def random_effects(r: Sequence[float], n: Sequence[int]) -> Meta | None:
    """Random-effects meta-analysis of Fisher's z with variance 1 / (n − 3); None for fewer than two corpora of n > 3.

    τ² by DerSimonian and Laird (1986), the interval by Hartung and Knapp (2001) with t(k − 1), never narrower
    than chance alone makes it (their scale is at least 1), the prediction interval by Higgins et al. (2009) with
    t(k − 2). ``statsmodels.stats.meta_analysis.combine_effects`` agrees where τ² > 0; below, it goes on with a negative
    τ² and weights no corpus should have, and it has no prediction interval. Corpora are taken for independent: where
    they share configurations, the interval is narrower than it should be.

    >>> found = random_effects([0.5, 0.5, 0.5], [28, 28, 28])
    >>> round(found.mean, 3), found.tau2, found.i2
    (0.5, 0.0, 0.0)
    """
    kept = [(value, size) for value, size in zip(r, n, strict=True) if size > 3 and np.isfinite(value)]
    k = len(kept)
    if k < 2:
        return None
    values, sizes = np.array(kept).T
    z, variance = np.arctanh(np.clip(values, -1 + 1e-10, 1 - 1e-10)), 1 / (sizes - 3)
    weights = 1 / variance
    q = float(weights @ (z - weights @ z / weights.sum()) ** 2)
    tau2 = max(0.0, (q - (k - 1)) / (weights.sum() - (weights**2).sum() / weights.sum()))
    weights = 1 / (variance + tau2)
    mean = float(weights @ z / weights.sum())
    scale = max(1.0, float(weights @ (z - mean) ** 2) / (k - 1))
    se = float(np.sqrt(scale / weights.sum()))
    half = stats.t.ppf(0.975, k - 1) * se
    p = float(2 * stats.t.sf(abs(mean) / se, k - 1))
    i2 = max(0.0, 1 - (k - 1) / q) if q else 0.0
    spread = stats.t.ppf(0.975, k - 2) * np.sqrt(tau2 + 1 / weights.sum()) if k > 2 else None
    ends = (None, None) if spread is None else (float(np.tanh(mean - spread)), float(np.tanh(mean + spread)))
    low, high = float(np.tanh(mean - half)), float(np.tanh(mean + half))
    return Meta(k, float(np.tanh(mean)), low, high, p, float(tau2), i2, *ends)
