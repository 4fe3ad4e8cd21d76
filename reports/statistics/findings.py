"""Claims of the inpainting paper, asked of the study at hand: supported, not supported, or undecidable.

A claim is that a quantity has a sign. It is supported where the quantity's 95 % interval lies on that side of zero, not
supported where it lies on the other, and undecidable where it holds zero or the study cannot say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from reports.statistics.analysis import Correlation
from reports.statistics.points import spearman_interval

SUPPORTED, REFUTED, OPEN = "supported", "not supported", "undecidable"
XS = ("mse", "lpips", "ssim")
SMOOTH, BLACK = ("blur", "lowdim"), ("zero",)
"""Kinds of degradation, by how much they leave."""


class Estimate(NamedTuple):
    """A quantity with its 95 % interval; None where the data cannot say."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class Claim(NamedTuple):
    """One claim of the paper and what each corpus says of it."""

    text: str
    of: str
    corpora: dict[str, list[Finding]]


class Finding(NamedTuple):
    """One claim about one corpus."""

    claim: str
    corpus: str
    judge: str
    """The captioner or the encoder that says so; "" where a claim is about none."""
    verdict: str
    estimate: Estimate
    of: str
    """What the estimate is, and what it has n of."""

    @property
    def title(self) -> str:
        """The estimate in words."""
        value, low, high, n = self.estimate
        if value is None:
            return f"{self.verdict}: no {self.of}"
        interval = f" [{low:+.2f}, {high:+.2f}]" if low is not None else ""
        return f"{self.verdict}: {value:+.2f}{interval}, n = {n}, {self.of}".replace("-", "−")


def verdict(estimate: Estimate, sign: int) -> str:
    """Judge the claim that the true value has this sign by an estimate of it.

    >>> [verdict(Estimate(-0.6, -0.9, high, 9), -1) for high in (-0.2, 0.2, None)]
    ['supported', 'undecidable', 'undecidable']
    >>> verdict(Estimate(-0.6, -0.9, -0.2, 9), 1)
    'not supported'
    """
    _, low, high, _ = estimate
    if low is None or high is None or low <= 0 <= high:
        return OPEN
    return SUPPORTED if (low > 0) == (sign > 0) else REFUTED


def mean(values: np.ndarray) -> Estimate:
    """Mean and t interval of independent values; no interval of fewer than three.

    >>> [round(float(end), 2) for end in mean(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.48, 4.48, 3.0]
    """
    values = values[np.isfinite(values)]
    n = len(values)
    if n < 3:
        return Estimate(float(values.mean()) if n else None, None, None, n)
    half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return Estimate(float(values.mean()), float(values.mean() - half), float(values.mean() + half), n)


def findings(
    frame: pd.DataFrame,
    correlated: Mapping[str, Sequence[Correlation]],
    ys: Sequence[str],
    layers: pd.DataFrame,
    kinds: Mapping[str, str],
    words: Mapping[str, float],
) -> list[Finding]:
    """Every claim of the paper, on one study.

    ``frame`` has a row for each corpus, configuration and sample (``configuration``, ``degradation``, ``inpainter``;
    ``mse``, ``lpips``, ``ssim`` and the caption metrics ``ys``, such as ``sbert@blip``); ``correlated`` how these go
    together over the configurations of each corpus; ``layers`` the drift of attention by encoder (``kind``);
    ``kinds`` the kind of each degradation; ``words`` how many different words each corpus' references have.
    """
    links, others = [], []
    for name, rows in frame.groupby("corpus", sort=False):
        corpus = str(name)
        by_pair = {(one.x, one.y): one for one in correlated.get(corpus, [])}
        found = [by_pair[x, y] for x in XS for y in ys if (x, y) in by_pair]
        links += [fidelity_goes_with_captions(one, corpus) for one in found if one.x != "ssim"]
        others += [ssim_is_unstable(one, corpus) for one in found if one.x == "ssim"]
        others += [smoother_preserves_captions(rows, y, kinds, corpus) for y in ys]
    for (seen, kind), rows in layers.groupby(["corpus", "kind"], sort=False):
        encoder = str(kind).partition(".")[2]
        others += [drift_grows_with_depth(rows, str(seen), encoder), drift_sits_inside(rows, str(seen), encoder)]
    return [*links, *others, poor_captions_break_the_link(links, words)]


def claims(found: Sequence[Finding]) -> list[Claim]:
    """Findings by claim and corpus, in their order."""
    by_claim: dict[str, list[Finding]] = {}
    for one in found:
        by_claim.setdefault(one.claim, []).append(one)
    found_claims = []
    for text, some in by_claim.items():
        corpora: dict[str, list[Finding]] = {}
        for one in some:
            corpora.setdefault(one.corpus, []).append(one)
        found_claims.append(Claim(text, some[0].of.partition(";")[0], corpora))
    return found_claims


def fidelity_goes_with_captions(found: Correlation, corpus: str) -> Finding:
    """Section 4: lower MSE and lower LPIPS go with better captions."""
    metric, captioner = found.y.partition("@")[::2]
    r = Estimate(found.pearson, found.low, found.high, found.n)
    claim = f"Lower {found.x.upper()} goes with better captions"
    return Finding(claim, corpus, captioner, verdict(r, -1), r, f"Pearson’s r with {metric} over configurations")


def ssim_is_unstable(found: Correlation, corpus: str) -> Finding:
    """Table 1: the sign of SSIM's correlation turns when a configuration is left out.

    Supported where it does; not supported where it does not and the interval has one sign, too.
    """
    metric, captioner = found.y.partition("@")[::2]
    r = Estimate(found.pearson, found.low, found.high, found.n)
    steady = REFUTED if verdict(r, 1) != OPEN else OPEN
    of = f"Pearson’s r with {metric} over configurations; its sign turns {found.sign_flips or 0} times"
    return Finding("SSIM is unstable", corpus, captioner, SUPPORTED if found.sign_flips else steady, r, of)


def smoother_preserves_captions(rows: pd.DataFrame, y: str, kinds: Mapping[str, str], corpus: str) -> Finding:
    """Section 4: blurring or reducing what will be repainted preserves captions better than blacking it out.

    The difference is taken picture by picture, over the inpainters that see what a degradation left: those of which the
    study has a configuration for each.
    """
    seeing = rows.groupby("inpainter")["degradation"].transform("nunique") > 1
    means = rows[seeing].groupby(["sample", rows["degradation"].map(kinds)])[y].mean().unstack()
    smooth, black = ([kind for kind in some if kind in means] for some in (SMOOTH, BLACK))
    apart = (
        (means[smooth].mean(axis=1) - means[black].mean(axis=1)).to_numpy(float) if smooth and black else np.empty(0)
    )
    metric, captioner = y.partition("@")[::2]
    gain = mean(apart)
    claim, of = "Smoother degradation preserves captions", f"difference in {metric} over pictures"
    return Finding(claim, corpus, captioner, verdict(gain, 1), gain, of)


def drift_grows_with_depth(layers: pd.DataFrame, corpus: str, encoder: str) -> Finding:
    """Figure 5: attention drifts more in deeper layers."""
    rows = layers[(layers["metric"] == "tvd_sum") & (layers["region"] == "whole") & layers["mean"].notna()]
    configurations = rows.groupby(["degradation", "inpainter"])
    slopes = mean(np.array([stats.spearmanr(one["layer"], one["mean"]).statistic for _, one in configurations], float))
    of = "rank correlation of layer and drift, over configurations"
    return Finding("Attention drift grows with depth", corpus, encoder, verdict(slopes, 1), slopes, of)


def drift_sits_inside(layers: pd.DataFrame, corpus: str, encoder: str) -> Finding:
    """Figure 8: attention drifts more inside the mask than outside, patch for patch."""
    rows = layers[layers["metric"] == "tvd_even"]
    wide = rows.pivot_table(index=["degradation", "inpainter"], columns="region", values="mean", aggfunc="mean")
    both = {"region", "outside"} <= set(wide)
    apart = mean((wide["region"] - wide["outside"]).to_numpy(float) if both else np.empty(0))
    of = "drift of a patch inside minus outside, in the whole picture’s units, over configurations"
    return Finding("Attention drift sits inside the mask", corpus, encoder, verdict(apart, 1), apart, of)


def poor_captions_break_the_link(links: Sequence[Finding], words: Mapping[str, float]) -> Finding:
    """Section 4: where references are coarse or repetitive, fidelity and captions come apart.

    Asked over corpora: is the link stronger where references have more different words? Few corpora make the interval
    wide.
    """
    strength: dict[str, list[float]] = {}
    for one in links:
        if one.estimate.value is not None and one.corpus in words:
            strength.setdefault(one.corpus, []).append(-one.estimate.value)
    n = len(strength)
    found = Estimate(None, None, None, n)
    if n > 3:
        rho = stats.spearmanr([words[corpus] for corpus in strength], [np.mean(v) for v in strength.values()]).statistic
        low, high = spearman_interval(float(rho), n) or (None, None)
        found = Estimate(float(rho), low, high, n)
    of = "rank correlation of different words and −r, over corpora"
    return Finding("Poor captions break the link", "", "", verdict(found, 1), found, of)
