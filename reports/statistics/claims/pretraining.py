"""Claims of paper *ScaleCap* about pretraining, over the pictures and seeds of a study that pretrains chat models.

What is compared is as much of each caption set as both have: the paper gives all 450,000 captions (table 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from reports.statistics.claims.judging import Claim, Finding, smallest
from reports.statistics.claims.training import estimate

BEST = Claim("Pretraining on ScaleCap’s captions is best", "ScaleCap, 3.1.1, table 1", ())
HELPS = Claim("Further pretraining on captions helps at all", "ScaleCap, table 1", ())
SAME = Claim("Of as many captions, ScaleCap’s are worth more than a rival’s", "ScaleCap, 3.1.1, figure 5", ())
GROWS = Claim("The more captions, the larger is ScaleCap’s advantage", "ScaleCap, 3.1.1, figure 5", ())
STEEP = Claim("More of ScaleCap’s captions would be better still", "ScaleCap, 3.1.1, figure 5", ())
CLAIMS: tuple[Claim, ...] = (BEST, HELPS, SAME, GROWS, STEEP)
"""Every claim, in the order of the page."""

Sized = Mapping[int, np.ndarray]
"""Pictures × seeds by how many pictures were learnt from."""


def findings(
    ours: Sized, rivals: Mapping[str, Sized], others: Mapping[str, Sized], vanilla: np.ndarray | None,
    corpus: str, judge: str,
) -> Iterator[Finding]:  # fmt: skip
    """Every claim on one metric; what the study does not vary is not asked.

    ``rivals`` rewrite captions too, ``others`` do not, and ``vanilla`` learnt none.
    """
    of, last = "picture by picture and seed by seed", ours[max(ours)]
    leads = [apart for other in (*rivals.values(), *others.values()) if (apart := lead(ours, other)) is not None]
    leads += [last - vanilla] if vanilla is not None else []
    if leads:
        narrow, wide = [estimate(one) for one in leads], [estimate(one, 0.05 / len(leads)) for one in leads]
        yield BEST.finding(corpus, judge, smallest(narrow, wide), f"lead over what comes nearest, {of}")
    if vanilla is not None:
        yield HELPS.finding(corpus, judge, estimate(last - vanilla), f"ScaleCap’s − none, {of}")
    for name, rival in rivals.items():
        common = sorted(ours.keys() & rival.keys())
        if common:
            apart = np.stack([ours[size] - rival[size] for size in common])
            said = f"{judge}, {name}" if len(rivals) > 1 else judge
            yield SAME.finding(corpus, said, estimate(apart.mean(axis=0)), f"ScaleCap’s − {name}’s, all sizes, {of}")
            if len(common) > 1:
                grown = estimate(apart[-1] - apart[0])
                yield GROWS.finding(corpus, said, grown, f"lead at {common[-1]} − lead at {common[0]}, {of}")
    if len(ours) > 1:
        more = estimate(last - ours[min(ours)])
        yield STEEP.finding(corpus, judge, more, f"{max(ours)} − {min(ours)} pictures, {of}")


def lead(ours: Sized, other: Sized) -> np.ndarray | None:
    """What ours has more, of as many captions as both have at most; None where they have no number in common."""
    common = ours.keys() & other.keys()
    return ours[max(common)] - other[max(common)] if common else None
