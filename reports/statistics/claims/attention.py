"""Claims about where a vision encoder looks, over the distinct configurations of a corpus."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from reports.statistics.claims.judging import Claim, Finding, mean
from reports.statistics.claims.kinds import EVERY

DEEPER = Claim("Attention drift grows with depth", "section 4, figure 5", EVERY)
INSIDE = Claim("Attention drift sits inside the mask", "section 4, figure 8", EVERY)


def drift_grows_with_depth(layers: pd.DataFrame, corpus: str, encoder: str) -> Finding:
    """Figure 5: attention drifts more in deeper layers."""
    rows = layers[(layers["metric"] == "tvd_sum") & (layers["region"] == "whole") & layers["mean"].notna()]
    configurations = rows.groupby(["degradation", "inpainter"])
    slopes = mean(np.array([stats.spearmanr(one["layer"], one["mean"]).statistic for _, one in configurations], float))
    return DEEPER.finding(corpus, encoder, slopes, "rank correlation of layer and drift, over configurations")


def drift_sits_inside(layers: pd.DataFrame, corpus: str, encoder: str) -> Finding:
    """Figure 8: attention drifts more inside the mask than outside, patch for patch."""
    rows = layers[layers["metric"] == "tvd_even"]
    wide = rows.pivot_table(index=["degradation", "inpainter"], columns="region", values="mean", aggfunc="mean")
    both = {"region", "outside"} <= set(wide)
    apart = mean((wide["region"] - wide["outside"]).to_numpy(float) if both else np.empty(0))
    of = "drift of a patch inside minus outside, in the whole picture’s units, over configurations"
    return INSIDE.finding(corpus, encoder, apart, of)
