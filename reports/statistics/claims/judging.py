"""How a claim is judged: supported, not supported, undecidable, or not claimed of this kind of corpus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from reports.statistics.points import FEWEST

SUPPORTED, REFUTED, OPEN, UNCLAIMED = "supported", "not supported", "undecidable", "not claimed"

MARKS = {SUPPORTED: "supported", REFUTED: "refuted", OPEN: "open", UNCLAIMED: "unclaimed"}
"""How pages mark a verdict: ✓, ✗, ?, and nothing."""

WORDS = {SUPPORTED: "yes", REFUTED: "no", OPEN: "open", UNCLAIMED: ""}
"""What a verdict answers to a claim: it reads right where the claim says that something fails."""


class Estimate(NamedTuple):
    """A quantity with its 95 % interval; None where the data cannot say."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class Basis(NamedTuple):
    """What an estimate rests on, where its units come in families, such as the variants of one checkpoint."""

    families: int | None = None
    """How many families the interval is for; None where units are independent."""
    effective_n: float | None = None
    """As many independent units say as much."""
    caveat: str = ""
    """Why there is no interval."""

    def __str__(self) -> str:
        if self.families is None:
            return ""
        n = "" if self.effective_n is None else f", as much as {self.effective_n:.1f} independent ones"
        return f" of {self.families} families{n}"


INDEPENDENT = Basis()


class Claim(NamedTuple):
    """One claim of the paper."""

    text: str
    source: str
    """Where the paper makes it."""
    kinds: tuple[str, ...]
    """The kinds of corpora of which it makes it."""
    sign: int = 1
    """On which side of ``bound`` the quantity is said to lie: 1 above, -1 below."""
    bound: float = 0.0

    def finding(
        self, corpus: str, judge: str, estimate: Estimate, of: str, basis: Basis = INDEPENDENT, said: str | None = None
    ) -> Finding:
        """What a corpus says of it; ``said`` is the verdict where another rule than the interval gives it."""
        return Finding(self.text, corpus, judge, said or verdict(estimate, self.sign, self.bound), estimate, of, basis)


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
    basis: Basis = INDEPENDENT

    @property
    def mark(self) -> str:
        """How pages mark its verdict."""
        return MARKS[self.verdict]

    @property
    def word(self) -> str:
        """What its verdict answers."""
        return WORDS[self.verdict]

    @property
    def interval(self) -> str:
        """The 95 % interval, "" where there is none."""
        _, low, high, _ = self.estimate
        return "" if low is None or high is None else f"[{low:+.2f}, {high:+.2f}]".replace("-", "−")

    @property
    def title(self) -> str:
        """The estimate in words."""
        value, low, high, n = self.estimate
        if value is None:
            return f"{self.verdict}: no {self.of}"
        interval = f" [{low:+.2f}, {high:+.2f}]" if low is not None else ""
        why = f"; {self.basis.caveat}" if self.basis.caveat else ""
        return f"{self.verdict}: {value:+.2f}{interval}, n = {n}{self.basis}, {self.of}{why}".replace("-", "−")


def verdict(estimate: Estimate, sign: int, bound: float = 0.0) -> str:
    """Judge the claim that the true value lies on this side of a bound by an estimate of it.

    >>> [verdict(Estimate(-0.6, -0.9, high, 9), -1) for high in (-0.2, 0.2, None)]
    ['supported', 'undecidable', 'undecidable']
    >>> verdict(Estimate(-0.6, -0.9, -0.2, 9), 1), verdict(Estimate(0.7, 0.6, 0.8, 9), 1, 0.5)
    ('not supported', 'supported')
    """
    _, low, high, _ = estimate
    if low is None or high is None or low <= bound <= high:
        return OPEN
    return SUPPORTED if (low > bound) == (sign > 0) else REFUTED


def mean(values: np.ndarray, level: float = 0.05, families: np.ndarray | None = None) -> Estimate:
    """Mean and t interval (95 % unless another ``level`` is given) of independent values; none of fewer than three.

    Of values in ``families`` it is that of the families' means, each weighing the same: for a new family.

    >>> [round(float(end), 2) for end in mean(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.48, 4.48, 3.0]
    >>> [round(float(end), 2) for end in mean(np.array([1.0, 1.0, 2.0, 3.0]), families=np.array([0, 0, 1, 2]))]
    [2.0, -0.48, 4.48, 4.0]
    """
    known = np.isfinite(values)
    values, n = values[known], int(known.sum())
    if families is not None and n:
        own = np.unique(families[known], return_inverse=True)[1]
        values = np.bincount(own, values) / np.bincount(own)
    count = len(values)
    if count < FEWEST:
        return Estimate(float(values.mean()) if n else None, None, None, n)
    half = stats.t.ppf(1 - level / 2, count - 1) * values.std(ddof=1) / np.sqrt(count)
    return Estimate(float(values.mean()), float(values.mean() - half), float(values.mean() + half), n)


def least(several: Sequence[np.ndarray], families: np.ndarray | None = None) -> Estimate:
    """The smallest of several means, for a claim that all of them are positive.

    All are positive with an error of 2.5 % where each one's 95 % interval is (intersection and union, Berger 1982), so
    the lower end is the lowest; that one of them is negative shows among several, so upper ends are Bonferroni's.

    >>> found = least([np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0, 7.0])])
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (2.0, -0.48, 5.58)
    """
    narrow, wide = (
        [mean(values, level, families) for values in several] for level in (0.05, 0.05 / max(len(several), 1))
    )
    return smallest(narrow, wide)


def smallest(narrow: Sequence[Estimate], wide: Sequence[Estimate]) -> Estimate:
    """The smallest of several estimates, as :func:`least` has it: its low end of the narrow, its high of the wide.

    None where one of them is missing.
    """
    values = [one.value for one in narrow if one.value is not None]
    if not values or len(values) < len(narrow):
        return Estimate(None, None, None, 0)
    n = min(one.n for one in narrow)
    lows, highs = [one.low for one in narrow if one.low is not None], [one.high for one in wide if one.high is not None]
    held = len(lows) == len(highs) == len(narrow)
    return Estimate(min(values), min(lows) if held else None, min(highs) if held else None, n)


def share(k: int, n: int) -> Estimate:
    """Share of ``n`` independent things, with its exact 95 % interval (Clopper and Pearson 1934); none of none.

    >>> [round(float(end), 2) for end in share(7, 10)]
    [0.7, 0.35, 0.93, 10.0]
    """
    if not n:
        return Estimate(None, None, None, 0)
    interval = stats.binomtest(k, n).proportion_ci(0.95)
    return Estimate(k / n, float(interval.low), float(interval.high), n)
