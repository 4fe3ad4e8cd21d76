"""Claims of the inpainting paper, asked of the study at hand: supported, not supported, undecidable, or not claimed.

A claim is that a quantity lies on one side of a bound. It is supported where the quantity's 95 % interval lies on that
side, not supported where it lies on the other, and undecidable where it holds the bound or the study cannot say. Where
the paper makes no such claim of a kind of corpus, the number stands there and is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from reports.statistics.analysis import Correlation
from reports.statistics.claims.attention import DEEPER, INSIDE, drift_grows_with_depth, drift_sits_inside
from reports.statistics.claims.judging import UNCLAIMED, Claim, Finding
from reports.statistics.claims.links import (
    SPARSE,
    UNSTABLE,
    WITH,
    fidelity_goes_with_captions,
    poor_captions_break_the_link,
    ssim_is_unstable,
)
from reports.statistics.claims.masking import SMOOTHER, smoother_preserves_captions

XS = ("mse", "lpips", "ssim")
CLAIMS: tuple[Claim, ...] = (*WITH.values(), UNSTABLE, SMOOTHER, DEEPER, INSIDE, SPARSE)
"""Every claim, in the order of the page."""


class Asked(NamedTuple):
    """One claim of the paper and what each corpus says of it."""

    text: str
    of: str
    corpora: dict[str, list[Finding]]


def findings(
    frame: pd.DataFrame,
    correlated: Mapping[str, Sequence[Correlation]],
    ys: Sequence[str],
    layers: pd.DataFrame,
    varied: Mapping[str, float],
    kinds: Mapping[str, str],
) -> list[Finding]:
    """Every claim of the paper, on one study.

    ``frame`` has a row for each corpus, distinct configuration and sample (``configuration``, ``degradation`` with its
    ``kind`` and ``mask``, ``inpainter``; ``mse``, ``lpips``, ``ssim`` and the caption metrics ``ys``, such as
    ``sbert@blip``); ``correlated`` how these go together over the configurations of each corpus; ``layers`` the drift
    of attention of distinct configurations by encoder (``kind``);
    ``varied`` how much the references of each corpus vary (:func:`~reports.statistics.variability.variability`);
    ``kinds`` the kind of each corpus (of :data:`~reports.statistics.claims.kinds.KINDS`).
    """
    links, others = [], []
    for name, rows in frame.groupby("corpus", sort=False):
        corpus = str(name)
        by_pair = {(one.x, one.y): one for one in correlated.get(corpus, [])}
        found = [by_pair[x, y] for x in XS for y in ys if (x, y) in by_pair]
        links += [fidelity_goes_with_captions(one, corpus) for one in found if one.x != "ssim"]
        others += [ssim_is_unstable(one, corpus) for one in found if one.x == "ssim"]
        others += [smoother_preserves_captions(rows, y, corpus) for y in ys]
    for (seen, kind), rows in layers.groupby(["corpus", "kind"], sort=False):
        encoder = str(kind).partition(".")[2]
        others += [drift_grows_with_depth(rows, str(seen), encoder), drift_sits_inside(rows, str(seen), encoder)]
    return unclaimed([*links, *others, poor_captions_break_the_link(links, varied)], kinds)


def unclaimed(found: Sequence[Finding], kinds: Mapping[str, str]) -> list[Finding]:
    """Findings, those about corpora of which the paper does not claim it without a verdict."""
    about = {claim.text: claim.kinds for claim in CLAIMS}
    return [
        one._replace(verdict=UNCLAIMED) if one.corpus and kinds.get(one.corpus) not in about[one.claim] else one
        for one in found
    ]


def asked(found: Sequence[Finding]) -> list[Asked]:
    """Findings by claim and corpus, in the order of the claims."""
    by_claim: dict[str, dict[str, list[Finding]]] = {claim.text: {} for claim in CLAIMS}
    for one in found:
        by_claim[one.claim].setdefault(one.corpus, []).append(one)
    return [
        Asked(text, next(iter(corpora.values()))[0].of.partition(";")[0], corpora)
        for text, corpora in by_claim.items()
        if corpora
    ]
