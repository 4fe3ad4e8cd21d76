"""Claims about how fidelity goes with captions, over the configurations of a corpus and over corpora."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from reports.statistics.analysis import Correlation
from reports.statistics.claims.judging import (
    INDEPENDENT,
    OPEN,
    REFUTED,
    SUPPORTED,
    UNCLAIMED,
    Basis,
    Claim,
    Estimate,
    Finding,
    smallest,
    verdict,
)
from reports.statistics.claims.kinds import EVERY, GROUNDED, MEDICAL, NATURAL, REFERRING, SERIES
from reports.statistics.significance import FEWEST_CLUSTERS, decide

STRONG = 0.6
"""The least |r| that is called strong (Evans 1996, Straightforward Statistics for the Behavioral Sciences)."""

STRENGTH = (
    f"A correlation is called strong from |r| = {STRONG}: our choice, because the paper gives no number (Evans 1996 "
    "has strong from .6 to .79), and larger than Cohen’s .5, because means over pictures go together more closely than "
    "single values."
)

WITH = {
    "mse": Claim("Lower MSE goes with better captions", "section 4", GROUNDED, -1),
    "lpips": Claim("Lower LPIPS goes with better captions", "section 4", GROUNDED, -1),
    "psnr": Claim("Higher PSNR goes with better captions", "section 4", GROUNDED, 1),
}
STRONGEST = Claim("MSE and LPIPS go with captions most strongly", "section 4", GROUNDED)
UNSTABLE = Claim("SSIM is unstable", "appendices E.1 and E.2, table 1", (NATURAL, REFERRING))
STEADY = Claim("SSIM goes strongly with better captions", "appendix E.4", (MEDICAL,), 1, STRONG)
REFERENT = Claim("The link is stronger in referring expressions than in time series", "section 4", (REFERRING, SERIES))
SPARSE = Claim("Poor captions break the link", "section 4, appendix F", EVERY)


def estimate_of(found: Correlation) -> Estimate:
    """Pearson's r of a pair."""
    return Estimate(found.pearson, found.low, found.high, found.n)


def basis_of(*found: Correlation) -> Basis:
    """What correlations of the same configurations rest on."""
    counts = [one.families for one in found if one.families is not None]
    sizes = [one.effective_n for one in found if one.effective_n is not None]
    why = next((one.caveat for one in found if one.caveat), "")
    return Basis(min(counts, default=None), min(sizes) if counts and sizes else None, why)


def fidelity_goes_with_captions(found: Correlation, corpus: str) -> Finding:
    """Section 4: lower MSE, lower LPIPS and higher PSNR go with better captions."""
    metric, captioner = found.y.partition("@")[::2]
    of = f"Pearson’s r with {metric} over configurations"
    return WITH[found.x].finding(corpus, captioner, estimate_of(found), of, basis_of(found))


def over_corpora(found: Correlation, kinds: Sequence[str]) -> Finding | None:
    """The same on average over corpora of some ``kinds``, judged where the paper claims it of all of them."""
    claim = WITH.get(found.x)
    if claim is None:
        return None
    metric, captioner = found.y.partition("@")[::2]
    of = f"mean over corpora of Pearson’s r with {metric} over configurations"
    said = None if set(kinds) <= set(claim.kinds) else UNCLAIMED
    return claim.finding("", captioner, estimate_of(found), of, basis_of(found), said)


def ssim_is_unstable(found: Correlation, corpus: str) -> Finding:
    """Table 1: SSIM's correlation is near zero, and its sign turns when a configuration is left out.

    How often it turns is printed and decides nothing: of nine configurations with ρ = .6 it does in 13 % of data sets.
    """
    metric, captioner = found.y.partition("@")[::2]
    r, basis = estimate_of(found), basis_of(found)
    n = independent(found)
    least = weak_r(n)
    of = f"Pearson’s r with {metric} over configurations; its sign turns {found.sign_flips or 0} times"
    of += f"; weak below {least:.2f}" if least is not None else ""
    return UNSTABLE.finding(corpus, captioner, r, of, basis, instability(r, n))


def independent(found: Correlation) -> float:
    """As many independent units as a correlation may count on: no more than families, however little these share."""
    if found.families is None or found.effective_n is None:
        return found.n
    return min(found.effective_n, found.families)


def instability(r: Estimate, n: float | None = None) -> str:
    """Whether a correlation is unstable: supported where it is weaker than :func:`weak_r`, not supported where its 95 %
    interval has one sign.

    So a strong correlation (true |ρ| ≥ ``STRONG``) is called unstable in at most 5 % of data sets, and none at all
    (ρ = 0) steady in at most 5 %. The first is the most powerful such test; with nine units it finds ρ = 0 in 21 %.
    ``n`` is as many independent units as there are, where that is not all of them.

    >>> [instability(Estimate(r, r - 0.5, r + 0.5, 9)) for r in (0.05, 0.3, 0.6)]
    ['supported', 'undecidable', 'not supported']
    """
    least = weak_r(r.n if n is None else n)
    if r.value is not None and least is not None and abs(r.value) <= least:
        return SUPPORTED
    return REFUTED if verdict(r, 1) != OPEN else OPEN


def weak_r(n: float, strong: float = STRONG, error: float = 0.05) -> float | None:
    """The |r| that ``n`` independent units stay below in ``error`` of data sets where |ρ| = ``strong``.

    Fisher's z, with variance 1 / (n − 3). None for n < 4.

    >>> [round(weak_r(n), 2) for n in (4, 9, 30)]
    [0.08, 0.11, 0.36]
    """
    if n < 4:
        return None
    spread = 1 / np.sqrt(n - 3)
    return float(np.tanh(spread * np.sqrt(stats.ncx2.ppf(error, 1, (np.arctanh(strong) / spread) ** 2))))


def alike_everywhere(found: Sequence[Correlation], sign: int) -> str:
    """Whether correlations all have a sign: supported where each interval has it, not supported where one has not.

    The error is 2.5 % of each: intersection and union, and Bonferroni's (:func:`smallest`).
    """
    known = [estimate_of(one) for one in found if one.pearson is not None]
    wide = [Estimate(one.value, *ends(one, len(known)), one.n) for one in known]
    return verdict(smallest(*([turned(one, sign) for one in some] for some in (known, wide))), 1)


def unstable_everywhere(found: Sequence[Correlation]) -> str:
    """Whether correlations are all unstable: supported where each is, not supported where one surely has a sign.

    See :func:`instability`; of several correlations the sure ones are by Bonferroni.
    """
    known = [(estimate_of(one), independent(one)) for one in found if one.pearson is not None]
    if all(instability(r, n) == SUPPORTED for r, n in known):
        return SUPPORTED
    wide = [Estimate(r.value, *ends(r, len(known)), r.n) for r, _ in known]
    return REFUTED if any(verdict(one, 1) != OPEN for one in wide) else OPEN


def ends(r: Estimate, times: int) -> tuple[float | None, float | None]:
    """Ends of an interval as wide as that of one of several must be; none where it has none."""
    return (None, None) if r.low is None else widened(r, times)


def ssim_is_strong(found: Correlation, corpus: str) -> Finding:
    """Appendix E.4: SSIM's correlation is a strong positive one."""
    metric, captioner = found.y.partition("@")[::2]
    of = f"Pearson’s r with {metric} over configurations; strong from {STRONG}"
    return STEADY.finding(corpus, captioner, estimate_of(found), of, basis_of(found))


def strength(found: Correlation) -> Estimate:
    """r in the direction in which fidelity helps: that of an error is turned."""
    return turned(estimate_of(found), -1 if found.x in ("mse", "lpips") else 1)


def turned(r: Estimate, sign: int) -> Estimate:
    """An estimate times 1 or -1."""
    value, low, high = r[:3] if sign > 0 else (None if end is None else -end for end in (r.value, r.high, r.low))
    return Estimate(value, low, high, r.n)


def difference(one: Estimate, other: Estimate, times: int = 1) -> Estimate:
    """Difference of two correlations, with an interval from theirs (Zou 2007, Psychological Methods 12:399).

    It takes them for independent, and so is too wide where they rise and fall together, as those of the same
    configurations do. With ``times`` it is as wide as one of so many must be (Bonferroni).

    >>> found = difference(Estimate(0.8, 0.5, 0.9, 9), Estimate(0.1, -0.4, 0.6, 9))
    >>> [round(end, 2) for end in found[:3]]
    [0.7, 0.12, 1.21]
    """
    n = min(one.n, other.n)
    if one.value is None or other.value is None:
        return Estimate(None, None, None, n)
    apart = one.value - other.value
    if None in (*one, *other):
        return Estimate(apart, None, None, n)
    (low, high), (least, most) = widened(one, times), widened(other, times)
    below, above = np.hypot(one.value - low, most - other.value), np.hypot(high - one.value, other.value - least)
    return Estimate(apart, float(apart - below), float(apart + above), n)


def widened(r: Estimate, times: int) -> tuple[float, float]:
    """Ends of the interval of r, as wide as that of one of several must be, on the scale of Fisher's z."""
    centre, *ends = np.arctanh(np.clip(np.array(r[:3], float), -1 + 1e-12, 1 - 1e-12))
    by = stats.norm.ppf(1 - 0.025 / times) / stats.norm.ppf(0.975)
    low, high = (float(np.tanh(centre + by * (end - centre))) for end in ends)
    return low, high


def mse_and_lpips_are_strongest(found: Mapping[str, Correlation], corpus: str) -> Finding | None:
    """Section 4: MSE and LPIPS each go with captions more strongly than PSNR and SSIM do (``found`` by fidelity)."""
    pairs = [(one, other) for one in ("mse", "lpips") for other in ("psnr", "ssim") if {one, other} <= set(found)]
    if len(pairs) < 2 or not {"mse", "lpips"} <= set(found):
        return None
    metric, captioner = found["mse"].y.partition("@")[::2]
    narrow = [difference(strength(found[one]), strength(found[other])) for one, other in pairs]
    wide = [difference(strength(found[one]), strength(found[other]), len(pairs)) for one, other in pairs]
    of = f"r with {metric} of MSE or LPIPS minus that of PSNR or SSIM, signs turned, over configurations; the smallest"
    return STRONGEST.finding(corpus, captioner, smallest(narrow, wide), of, basis_of(*found.values()))


def referring_is_stronger(
    correlated: Mapping[str, Sequence[Correlation]], ys: Sequence[str], kinds: Mapping[str, str]
) -> Iterator[Finding]:
    """Section 4: the link is particularly strong in RefCOCOg, and slightly weaker in TRUCE."""
    by_corpus = {corpus: {(one.x, one.y): one for one in found} for corpus, found in correlated.items()}
    ours, theirs = ([corpus for corpus in by_corpus if kinds.get(corpus) == kind] for kind in (REFERRING, SERIES))
    for one, other in ((one, other) for one in ours for other in theirs):
        for pair in ((x, y) for y in ys for x in ("mse", "lpips")):
            if pair in by_corpus[one] and pair in by_corpus[other]:
                apart = difference(strength(by_corpus[one][pair]), strength(by_corpus[other][pair]))
                metric, captioner = pair[1].partition("@")[::2]
                judge = " ".join(filter(None, (captioner, pair[0].upper())))
                of = f"−r with {metric} in {one} minus that in {other}, over configurations"
                yield REFERENT.finding("", judge, apart, of, basis_of(by_corpus[one][pair], by_corpus[other][pair]))


def poor_captions_break_the_link(links: Sequence[Finding], varied: Mapping[str, float]) -> Finding:
    """Section 4: where references are coarse or repetitive, fidelity and captions come apart.

    Asked over corpora: is the link stronger where references of different pictures vary more? Few corpora make the
    interval wide.
    """
    by_corpus: dict[str, list[float]] = {}
    for one in links:
        if one.estimate.value is not None and one.corpus in varied:
            by_corpus.setdefault(one.corpus, []).append(-one.estimate.value)
    n = len(by_corpus)
    found, basis = Estimate(None, None, None, n), INDEPENDENT
    if n >= FEWEST_CLUSTERS:
        rho = decide(
            [varied[corpus] for corpus in by_corpus], [np.mean(some) for some in by_corpus.values()], ranks=True
        )
        found, basis = Estimate(rho.estimate, rho.low, rho.high, n), Basis(caveat=rho.caveat)
    return SPARSE.finding("", "", found, "rank correlation of variability of references and −r, over corpora", basis)
