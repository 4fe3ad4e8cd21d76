"""One correlation from several corpora."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.statistics.points import ROUNDING
from reports.statistics.resampling import Stratum, pooled_r
from reports.statistics.significance import fisher


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


def random_effects(r: Sequence[float], n: Sequence[float], shared: np.ndarray | None = None) -> Meta | None:
    """Random-effects meta-analysis of Fisher's z with variance 1 / (n − 3); None for fewer than two corpora of n > 3.

    ``shared`` holds how chance correlates between corpora (:func:`shared_chance`): those that hold the same
    configurations err together, and taken for independent they rejected a true null in 14 and 18 % of data sets.

    τ² by DerSimonian and Laird (1986), the interval by Hartung and Knapp (2001) with t(k − 1), never narrower
    than chance alone makes it (their scale is at least 1), the prediction interval by Higgins et al. (2009) with
    t(k − 2). ``statsmodels.stats.meta_analysis.combine_effects`` agrees where τ² > 0; below, it goes on with a negative
    τ² and weights no corpus should have, and it has no prediction interval. With shared chance, Q and the scale are
    compared with what they are expected to be under that covariance, and the variance of the mean is that of a weighted
    mean under it.

    >>> found = random_effects([0.5, 0.5, 0.5], [28, 28, 28])
    >>> round(found.mean, 3), found.tau2, found.i2
    (0.5, 0.0, 0.0)
    """
    sizes, values = np.asarray(n, float), np.asarray(r, float)
    kept = (sizes > 3) & np.isfinite(values)
    k = int(kept.sum())
    if k < 2:
        return None
    z, variance = fisher(values[kept]), 1 / (sizes[kept] - 3)
    chance = np.eye(k) if shared is None else shared[np.ix_(kept, kept)]
    covariance = chance * np.sqrt(np.outer(variance, variance))
    weights = 1 / variance
    q, expected, per = spread(z, weights, covariance)
    tau2 = max(0.0, (q - expected) / per)
    i2 = max(0.0, 1 - expected / q) if q else 0.0
    covariance = covariance + tau2 * np.eye(k)
    weights = 1 / (variance + tau2)
    mean = float(weights @ z / weights.sum())
    around, expected, _ = spread(z, weights, covariance)
    scale = max(1.0, around / expected) if expected > ROUNDING else 1.0
    of_mean = float(weights @ covariance @ weights / weights.sum() ** 2)
    se = float(np.sqrt(scale * of_mean))
    half = stats.t.ppf(0.975, k - 1) * se
    p = float(2 * stats.t.sf(abs(mean) / se, k - 1))
    reach = stats.t.ppf(0.975, k - 2) * np.sqrt(tau2 + of_mean) if k > 2 else None
    ends = (None, None) if reach is None else (float(np.tanh(mean - reach)), float(np.tanh(mean + reach)))
    low, high = float(np.tanh(mean - half)), float(np.tanh(mean + half))
    return Meta(k, float(np.tanh(mean)), low, high, p, float(tau2), i2, *ends)


def spread(z: np.ndarray, weights: np.ndarray, covariance: np.ndarray) -> tuple[float, float, float]:
    """Weighted squares of z around its mean, what they are by chance alone, and what a unit of τ² adds to them."""
    around = np.diag(weights) - np.outer(weights, weights) / weights.sum()
    squares = weights @ (z - weights @ z / weights.sum()) ** 2
    return float(squares), float(np.trace(around @ covariance)), float(np.trace(around))


def shared_chance(strata: Sequence[Stratum], clusters: np.ndarray) -> np.ndarray:
    """How the sampling errors of the strata's z correlate: a jackknife that leaves a cluster out of all at once.

    The identity where no two strata share a unit (or a family); a matrix of ones where they are the same.
    """
    masks = 1.0 - (clusters == np.unique(clusters)[:, None])
    moved = np.zeros((len(strata), len(masks)))
    for row, s in zip(moved, strata, strict=True):
        without, own = fisher(pooled_r([s], masks)), np.unique(clusters[s.units])
        row[own] = np.nan_to_num(without[own] - np.nanmean(without[own]))
    length = np.linalg.norm(moved, axis=1)
    units = np.divide(moved, length[:, None], out=np.zeros_like(moved), where=length[:, None] > 0)
    chance = units @ units.T
    np.fill_diagonal(chance, 1.0)
    return chance
