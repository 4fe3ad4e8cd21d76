"""Claims about what a degradation leaves, taken picture by picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from reports.statistics.claims.judging import Claim, Finding, mean
from reports.statistics.claims.kinds import GROUNDED

SMOOTH, BLACK = ("blur", "lowdim"), ("zero",)
"""Kinds of degradation, by how much they leave."""

SMOOTHER = Claim("Smoother degradation preserves captions", "section 4", GROUNDED)


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
    return SMOOTHER.finding(corpus, captioner, mean(apart), f"difference in {metric} over pictures")
