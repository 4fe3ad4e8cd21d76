"""Claims about what a degradation leaves, taken picture by picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.statistics.claims.judging import Claim, Finding, mean
from reports.statistics.claims.kinds import GROUNDED

SMOOTH, BLACK = ("blur", "lowdim"), ("zero",)
"""Kinds of degradation, by how much they leave."""

SMOOTHER = Claim("Smoother degradation preserves captions", "section 4", GROUNDED)


def smoother_preserves_captions(rows: pd.DataFrame, y: str, corpus: str) -> Finding:
    """Section 4: blurring or reducing what will be repainted preserves captions better than blacking it out."""
    metric, captioner = y.partition("@")[::2]
    gain = mean(apart(rows, y, SMOOTH, BLACK))
    return SMOOTHER.finding(corpus, captioner, gain, f"difference in {metric} over pictures")


def apart(rows: pd.DataFrame, value: str, these: Sequence[str], those: Sequence[str]) -> np.ndarray:
    """How much more of a value each picture has after these kinds of degradation than after those, on average.

    Compared are pictures of one inpainter and one mask, so that neither who repaints nor how much is the difference. An
    inpainter that cannot see what a degradation left has one configuration a mask (``rows`` hold distinct ones), and so
    nothing to compare. ``rows`` have ``inpainter``, ``kind``, ``mask`` and ``sample``.

    >>> rows = pd.DataFrame({"inpainter": ["sd", "sd", "telea"], "mask": ["half", "half", "half"], "sample": ["a"] * 3,
    ...                      "kind": ["blur", "zero", "zero"], "sbert": [0.9, 0.5, 0.1]})
    >>> apart(rows, "sbert", ["blur", "lowdim"], ["zero"]).tolist()
    [0.4]
    """
    means = rows.groupby(["inpainter", "mask", "sample", "kind"])[value].mean().unstack()
    more, less = (means.reindex(columns=list(kinds)).mean(axis=1) for kinds in (these, those))
    return (more - less).dropna().groupby("sample").mean().to_numpy(float)
