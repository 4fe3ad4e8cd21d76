"""Drift of a vision encoder's vectors and attention by repainting (paper *inpainting*, appendix C).

Attention is what the CLS token gives to the patches in one layer, as a distribution over patches: it is divided by its
sum, since what CLS gives to itself is no part of the picture.
"""

from __future__ import annotations

import math

import numpy as np

from models.measures import Metric
from models.measures.regions import REGIONS

VERSION = 2
"""Raised when the same attention gives other numbers."""

METRICS = (
    Metric(
        "cls_cosine",
        "CLS cosine",
        121,
        "pictures",
        "cosine of a vision encoder's CLS embeddings",
        low=-1,
        high=1,
        checkpoint=True,
    ),
    Metric(
        "tvd_sum",
        "TVD",
        401,
        "attention",
        "Σ |p − q| over patches, of attention from CLS before and after repainting (paper inpainting, appendix C)",
        higher_is_better=None,
        high=2,
        regional=True,
        checkpoint=True,
    ),
    Metric(
        "tvd_half",
        "TVD, halved",
        402,
        "attention",
        "total variation distance of attention from CLS: half of Σ |p − q|",
        higher_is_better=None,
        high=1,
        regional=True,
        checkpoint=True,
    ),
    Metric(
        "tvd_even",
        "TVD, per patch",
        403,
        "attention",
        "Σ |p − q|, if all patches moved as the region's do on average",
        higher_is_better=None,
        regional=True,
        checkpoint=True,
    ),
    Metric(
        "entropy",
        "Entropy",
        404,
        "attention",
        "entropy of attention from CLS to the repainted picture's patches, of the mean over heads",
        higher_is_better=None,
        unit="nats",
        regional=True,
        checkpoint=True,
    ),
    Metric(
        "entropy_change",
        "Change of entropy",
        405,
        "attention",
        "how much more entropy attention from CLS has after repainting than before",
        higher_is_better=None,
        low=-math.inf,
        unit="nats",
        regional=True,
        checkpoint=True,
    ),
    Metric(
        "entropy_heads",
        "Entropy, per head",
        406,
        "attention",
        "entropy of each head's attention from CLS to the repainted picture's patches, the mean over heads",
        higher_is_better=None,
        unit="nats",
        regional=True,
        checkpoint=True,
    ),
    Metric(
        "entropy_heads_change",
        "Change of entropy, per head",
        407,
        "attention",
        "as the change of entropy, of each head, the mean over heads",
        higher_is_better=None,
        low=-math.inf,
        unit="nats",
        regional=True,
        checkpoint=True,
    ),
)
"""What is measured of a picture as a whole, and of attention layer by layer."""

LAYERED = tuple(metric.name for metric in METRICS if metric.about == "attention")
"""The metrics that have a value a layer."""

INSIDE = 0.5
"""From which share of a patch on that a mask covers it belongs to the repainted region."""


def distributions(attention: np.ndarray) -> np.ndarray:
    """Attention (..., patches) >= 0 with rows that add up to 1.

    >>> distributions(np.array([[0.1, 0.3]]))
    array([[0.25, 0.75]])
    """
    attention = attention.astype(np.float64)
    return attention / attention.sum(-1, keepdims=True)


def regions(coverage: np.ndarray) -> dict[str, np.ndarray]:
    """Which patches (patches,) bool belong to each region, from the share of each that the mask covers.

    >>> {name: one.tolist() for name, one in regions(np.array([1.0, 0.2])).items()}
    {'whole': [True, True], 'region': [True, False], 'outside': [False, True]}
    """
    inside = coverage >= INSIDE
    return dict(zip(REGIONS, (np.ones_like(inside), inside, ~inside), strict=True))


def absolute_difference(p: np.ndarray, q: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Sum (...,) in [0, 2] of what distributions (..., patches) differ by, over some of the patches.

    The regions' sums add up to the whole's; a region of no patch has 0.

    >>> p, q = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.0, 0.5])
    >>> float(absolute_difference(p, q, np.array([True, True, True])))
    1.0
    """
    return np.abs(p - q)[..., patches].sum(-1)


def entropy(p: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Entropy (...,) in nats of distributions (..., patches) within some of the patches; NaN where these have nothing.

    >>> entropy(np.full((1, 4), 0.25), np.array([True, True, False, False])).round(4)
    array([0.6931])
    """
    part = p[..., patches]
    total = part.sum(-1, keepdims=True)
    share = np.divide(part, total, out=np.full_like(part, np.nan), where=total > 0)
    found = -np.where(share > 0, share * np.log(np.where(share > 0, share, 1)), 0 * share).sum(-1)
    return found if part.shape[-1] else np.full(p.shape[:-1], np.nan)


def drift(before: np.ndarray, after: np.ndarray, coverage: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Drift of attention (layers, heads, patches): metric -> region -> values.

    ``tvd_sum`` (layers,) is the total variation distance as the paper writes it, the sum of absolute differences, of
    the distributions averaged over the heads; ``tvd_half`` is half of that, which is what the name means elsewhere;
    ``tvd_even`` is what ``tvd_sum`` of the whole picture would be if every patch moved as those of the region do on
    average, so that regions of different sizes can be compared. ``tvd_heads`` (layers, heads) is ``tvd_sum`` of each
    head's own. ``entropy`` (layers,) is the repainted picture's, ``entropy_change`` (layers,) how much that is more
    than the original's: both of the mean over the heads, of which the paper says nothing. ``entropy_heads``
    and ``entropy_heads_change`` (layers,) are the same of each head, averaged: less, by as much as heads differ.

    >>> looks = np.random.default_rng(0).random((2, 3, 4))
    >>> moved = drift(looks, looks, np.array([1.0, 0.0, 0.0, 0.0]))
    >>> moved["tvd_sum"]["whole"].tolist(), moved["tvd_heads"]["region"].shape
    ([0.0, 0.0], (2, 3))
    """
    p, q = distributions(before), distributions(after)
    mean_p, mean_q = p.mean(1), q.mean(1)
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in (*LAYERED, "tvd_heads")}
    for region, patches in regions(coverage).items():
        found["tvd_sum"][region] = absolute_difference(mean_p, mean_q, patches)
        found["tvd_half"][region] = found["tvd_sum"][region] / 2
        share = patches.mean()
        found["tvd_even"][region] = found["tvd_sum"][region] / (share or np.nan)
        found["tvd_heads"][region] = absolute_difference(p, q, patches)
        found["entropy"][region] = entropy(mean_q, patches)
        found["entropy_change"][region] = found["entropy"][region] - entropy(mean_p, patches)
        found["entropy_heads"][region] = entropy(q, patches).mean(1)
        found["entropy_heads_change"][region] = found["entropy_heads"][region] - entropy(p, patches).mean(1)
    return found
