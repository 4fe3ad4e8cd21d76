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
    """Table 1: SSIM's correlation is near zero, and its sign turns when a configuration is left out."""
    metric, captioner = found.y.partition("@")[::2]
    r = estimate_of(found)
    steady = REFUTED if verdict(r, 1) != OPEN else OPEN
    of = f"Pearson’s r with {metric} over configurations; its sign turns {found.sign_flips or 0} times"
    return UNSTABLE.finding(corpus, captioner, r, of, SUPPORTED if found.sign_flips else steady)


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
    return SPARSE.finding("", "", found, "rank correlation of different words and −r, over corpora")
