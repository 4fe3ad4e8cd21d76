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
from reports.statistics.claims import links, masking
from reports.statistics.claims.attention import ATTENTION, attention
from reports.statistics.claims.judging import UNCLAIMED, Claim, Finding

CLAIMS: tuple[Claim, ...] = (
    *links.WITH.values(),
    links.STRONGEST,
    links.REFERENT,
    links.UNSTABLE,
    links.STEADY,
    masking.SMOOTHER,
    masking.DRIFTING,
    *ATTENTION,
    masking.ALIKE,
    masking.NEARER,
    masking.PLATEAU,
    links.SPARSE,
)
"""Every claim, in the order of the page."""


class Observed(NamedTuple):
    """What a study has to say; configurations with the very same pictures count once, and controls do not."""

    frame: pd.DataFrame
    """A row for each corpus, configuration and sample: ``configuration``, ``degradation`` with its ``kind`` and
    ``mask``, ``inpainter``, metrics of pictures, and the caption metrics ``ys``, such as ``sbert@blip``."""
    ys: Sequence[str]
    correlated: Mapping[str, Sequence[Correlation]]
    """How these go together over the configurations of each corpus."""
    layers: pd.DataFrame
    """Means of configurations by encoder (``kind``), ``metric``, ``region`` and ``layer``."""
    seen: pd.DataFrame
    """What an ``encoder`` makes of each picture: corpus, configuration as in ``frame``, sample, ``metric``, value."""
    kinds: Mapping[str, str]
    """The kind of each corpus (of :data:`~reports.statistics.claims.kinds.KINDS`)."""
    varied: Mapping[str, float]
    """How much the references of each corpus vary (:func:`~reports.statistics.variability.variability`)."""
    guidance: Mapping[str, tuple[str, float]]
    """The guidance of each inpainter that has one, after what it shares with those that differ in nothing else."""
    pooled: Sequence[Correlation] = ()
    """What ``correlated`` holds, on average over corpora; none where there is one."""


class Asked(NamedTuple):
    """One claim of the paper and what each corpus says of it."""

    text: str
    source: str
    of: str
    corpora: dict[str, list[Finding]]


def findings(study: Observed) -> list[Finding]:
    """Every claim of the paper, on one study, in the order of :data:`CLAIMS`."""
    found: list[Finding] = []
    for name, rows in study.frame.groupby("corpus", sort=False):
        found += of_corpus(study, rows, str(name))
    for (corpus, kind), rows in study.layers.groupby(["corpus", "kind"], sort=False):
        found += attention(rows, str(corpus), str(kind).partition(".")[2])
    for (corpus, encoder), rows in study.seen.groupby(["corpus", "encoder"], sort=False):
        found += masking.encoder_sees(rows, str(corpus), str(encoder))
    kinds = [study.kinds.get(str(corpus), "") for corpus in study.frame["corpus"].unique()]
    errors = [one for one in found if one.claim in (links.WITH["mse"].text, links.WITH["lpips"].text)]
    found += [one for pooled in study.pooled if (one := links.over_corpora(pooled, kinds))]
    found += links.referring_is_stronger(study.correlated, study.ys, study.kinds)
    found.append(links.poor_captions_break_the_link(errors, study.varied))
    place = {claim.text: number for number, claim in enumerate(CLAIMS)}
    return sorted(unclaimed(found, study.kinds), key=lambda one: place[one.claim])


def of_corpus(study: Observed, rows: pd.DataFrame, corpus: str) -> list[Finding]:
    """The claims about fidelity and captions, on one corpus."""
    pairs = {(one.x, one.y): one for one in study.correlated.get(corpus, [])}
    found: list[Finding] = []
    for y in study.ys:
        by_x = {x: one for (x, other), one in pairs.items() if other == y}
        found += [links.fidelity_goes_with_captions(by_x[x], corpus) for x in links.WITH if x in by_x]
        if "ssim" in by_x:
            found += [links.ssim_is_unstable(by_x["ssim"], corpus), links.ssim_is_strong(by_x["ssim"], corpus)]
        if (strongest := links.mse_and_lpips_are_strongest(by_x, corpus)) is not None:
            found.append(strongest)
        found.append(masking.smoother_preserves_captions(rows, y, corpus))
    return [*found, *masking.guidance_plateaus(rows, study.guidance, corpus)]


def unclaimed(found: Sequence[Finding], kinds: Mapping[str, str], claims: Sequence[Claim] = CLAIMS) -> list[Finding]:
    """Findings, those about corpora of which the paper does not claim it without a verdict."""
    about = {claim.text: claim.kinds for claim in claims}
    return [
        one._replace(verdict=UNCLAIMED) if one.corpus and kinds.get(one.corpus) not in about[one.claim] else one
        for one in found
    ]


def asked(found: Sequence[Finding], claims: Sequence[Claim] = CLAIMS) -> list[Asked]:
    """Findings by claim and corpus, in the order of the claims."""
    sources = {claim.text: claim.source for claim in claims}
    by_claim: dict[str, dict[str, list[Finding]]] = {}
    for one in found:
        by_claim.setdefault(one.claim, {}).setdefault(one.corpus, []).append(one)
    listed = []
    for text, corpora in by_claim.items():
        first = next(iter(corpora.values()))[0]
        listed.append(Asked(text, sources[text], first.of.partition(";")[0], corpora))
    return listed


def not_asked(found: Sequence[Finding], claims: Sequence[Claim] = CLAIMS) -> list[str]:
    """Claims for which a study has nothing to ask."""
    had = {one.claim for one in found}
    return [claim.text for claim in claims if claim.text not in had]
