"""Columns of the inpainting paper's tables, and what their rounding leaves certain of a correlation."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from registry.published import Number

Configuration = tuple[str | None, str | None]
Column = dict[Configuration, Number]
"""A column of a table: inpainter and degradation -> number."""

EXACTLY = 1e-9
"""Room for binary fractions in comparisons of decimal ones."""

APPENDIX = {"flickr": "E.1", "refcocog": "E.2", "truce": "E.3", "rocov2": "E.4"}


class Check(NamedTuple):
    """One statement of a paper, and what its own numbers give."""

    kind: str
    where: str
    paper: str
    given: str
    agrees: bool

    @property
    def sentence(self) -> str:
        return f"{self.where}: the paper {self.paper}; its own numbers give {self.given}."


def fidelity(numbers: Sequence[Number], corpus: str) -> dict[str, Column]:
    """The fidelity columns of a corpus: metric -> column."""
    columns: dict[str, Column] = defaultdict(dict)
    for n in numbers:
        if n.corpus == corpus and n.region and n.inpainter:
            columns[n.metric][n.inpainter, n.degradation] = n
    return columns


def captions(numbers: Sequence[Number], corpus: str) -> dict[str | None, dict[str, Column]]:
    """The caption columns of a corpus: captioner -> metric -> column, without the originals."""
    columns: dict[str | None, dict[str, Column]] = defaultdict(lambda: defaultdict(dict))
    for n in numbers:
        if n.corpus == corpus and not n.region and n.inpainter:
            columns[n.captioner][n.metric][n.inpainter, n.degradation] = n
    return columns


def certain_sign(x: Column, y: Column, without: Configuration | None = None) -> int:
    """The sign of the correlation of two printed columns; 0 where rounding could turn it.

    Values off by e and f move the covariance Σ (x − x̄)(y − ȳ) by Σ e (y − ȳ) + Σ f (x − x̄) + Σ (e − ē) f.
    """
    pairs = [(x[configuration], y[configuration]) for configuration in x if configuration != without]
    mean_x, mean_y = (fmean(n.value for n in column) for column in zip(*pairs, strict=True))
    mean_rounding = fmean(a.rounding for a, _ in pairs)
    covariance = sum((a.value - mean_x) * (b.value - mean_y) for a, b in pairs)
    slack = sum(
        a.rounding * abs(b.value - mean_y) + b.rounding * (abs(a.value - mean_x) + a.rounding + mean_rounding)
        for a, b in pairs
    )
    return 0 if abs(covariance) <= slack else int(math.copysign(1, covariance))


def strength(x: Column, y: Column) -> tuple[float, float, float]:
    """Pearson's r of two printed columns, and the least and the largest |r| that their rounding leaves possible.

    The covariance moves as in :func:`certain_sign`, the length of a centred column by no more than that of its errors.
    """
    pairs = [(x[configuration], y[configuration]) for configuration in x]
    mean_x, mean_y = (fmean(n.value for n in column) for column in zip(*pairs, strict=True))
    covariance = sum((a.value - mean_x) * (b.value - mean_y) for a, b in pairs)
    mean_rounding = fmean(a.rounding for a, _ in pairs)
    slack = sum(
        a.rounding * abs(b.value - mean_y) + b.rounding * (abs(a.value - mean_x) + a.rounding + mean_rounding)
        for a, b in pairs
    )
    lengths = [
        (math.hypot(*(n.value - mean for n in column)), math.hypot(*(n.rounding for n in column)))
        for column, mean in zip(zip(*pairs, strict=True), (mean_x, mean_y), strict=True)
    ]
    longest, shortest = (math.prod(length + sign * error for length, error in lengths) for sign in (1, -1))
    certain = all(length > error for length, error in lengths)
    r = covariance / math.prod(length for length, _ in lengths)
    most = min(1.0, (abs(covariance) + slack) / shortest) if certain else 1.0
    return r, max(0.0, (abs(covariance) - slack) / longest), most
