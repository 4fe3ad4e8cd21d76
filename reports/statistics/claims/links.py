"""Claims about how fidelity goes with captions, over the configurations of a corpus and over corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from reports.statistics.analysis import Correlation
from reports.statistics.claims.judging import OPEN, REFUTED, SUPPORTED, Claim, Estimate, Finding, verdict
from reports.statistics.claims.kinds import EVERY, GROUNDED, NATURAL, REFERRING
from reports.statistics.points import spearman_interval

STRONG = 0.6
"""The least |r| that is called strong (Evans 1996, Straightforward Statistics for the Behavioral Sciences)."""

WITH = {
    "mse": Claim("Lower MSE goes with better captions", "section 4", GROUNDED, -1),
    "lpips": Claim("Lower LPIPS goes with better captions", "section 4", GROUNDED, -1),
}
UNSTABLE = Claim("SSIM is unstable", "appendices E.1 and E.2, table 1", (NATURAL, REFERRING))
SPARSE = Claim("Poor captions break the link", "section 4, appendix F", EVERY)


def estimate_of(found: Correlation) -> Estimate:
    """Pearson's r of a pair."""
    return Estimate(found.pearson, found.low, found.high, found.n)


def fidelity_goes_with_captions(found: Correlation, corpus: str) -> Finding:
    """Section 4: lower MSE and lower LPIPS go with better captions."""
    metric, captioner = found.y.partition("@")[::2]
    return WITH[found.x].finding(
        corpus, captioner, estimate_of(found), f"Pearson’s r with {metric} over configurations"
    )


def ssim_is_unstable(found: Correlation, corpus: str) -> Finding:
    """Table 1: SSIM's correlation is near zero, and its sign turns when a configuration is left out.

    How often it turns is printed and decides nothing: of nine configurations with ρ = .6 it does in 13 % of data sets.
    """
    metric, captioner = found.y.partition("@")[::2]
    r, least = estimate_of(found), weak_r(found.n)
    of = f"Pearson’s r with {metric} over configurations; its sign turns {found.sign_flips or 0} times"
    of += f"; weak below {least:.2f}" if least is not None else ""
    return UNSTABLE.finding(corpus, captioner, r, of, instability(r))


def instability(r: Estimate) -> str:
    """Whether a correlation is unstable: supported where it is weaker than :func:`weak_r`, not supported where its 95 %
    interval has one sign.

    So a strong correlation (true |ρ| ≥ ``STRONG``) is called unstable in at most 5 % of data sets, and none at all
    (ρ = 0) steady in at most 5 %. The first is the most powerful such test; with nine units it finds ρ = 0 in 21 %.

    >>> [instability(Estimate(r, r - 0.5, r + 0.5, 9)) for r in (0.05, 0.3, 0.6)]
    ['supported', 'undecidable', 'not supported']
    """
    least = weak_r(r.n)
    if r.value is not None and least is not None and abs(r.value) <= least:
        return SUPPORTED
    return REFUTED if verdict(r, 1) != OPEN else OPEN


def weak_r(n: int, strong: float = STRONG, error: float = 0.05) -> float | None:
    """The |r| that ``n`` independent units stay below in ``error`` of data sets where |ρ| = ``strong``.

    Fisher's z, with variance 1 / (n − 3). None for n < 4.

    >>> [round(weak_r(n), 2) for n in (4, 9, 30)]
    [0.08, 0.11, 0.36]
    """
    if n < 4:
        return None
    spread = 1 / np.sqrt(n - 3)
    return float(np.tanh(spread * np.sqrt(stats.ncx2.ppf(error, 1, (np.arctanh(strong) / spread) ** 2))))


def poor_captions_break_the_link(links: Sequence[Finding], varied: Mapping[str, float]) -> Finding:
    """Section 4: where references are coarse or repetitive, fidelity and captions come apart.

    Asked over corpora: is the link stronger where references of different pictures vary more? Few corpora make the
    interval wide.
    """
    strength: dict[str, list[float]] = {}
    for one in links:
        if one.estimate.value is not None and one.corpus in varied:
            strength.setdefault(one.corpus, []).append(-one.estimate.value)
    n = len(strength)
    found = Estimate(None, None, None, n)
    if n > 3:
        rho = stats.spearmanr(
            [varied[corpus] for corpus in strength], [np.mean(v) for v in strength.values()]
        ).statistic
        low, high = spearman_interval(float(rho), n) or (None, None)
        found = Estimate(float(rho), low, high, n)
    return SPARSE.finding("", "", found, "rank correlation of variability of references and −r, over corpora")
