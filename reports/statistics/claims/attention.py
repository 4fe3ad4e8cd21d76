"""Claims about where a vision encoder looks, over the distinct configurations of a corpus."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from reports.statistics.claims.judging import INDEPENDENT, Basis, Claim, Finding, least, mean, share
from reports.statistics.claims.kinds import EVERY
from reports.statistics.clusters import effective
from reports.statistics.points import FEWEST

DEEPER = Claim("Attention drift grows with depth", "section 4, figure 5", EVERY)
LATE = Claim("Attention drift peaks in later layers", "section 4, figure 5", EVERY, bound=0.5)
INSIDE = Claim("Attention drift sits inside the mask", "section 4, figure 8", EVERY)
PARTING = Claim("Inside and outside part with depth", "section 4, figure 8", EVERY)
DIPS = Claim("Attention entropy dips in the middle layers", "section 4", EVERY)
WIDENS = Claim("Attention entropy widens in deeper layers", "section 4", EVERY)

SURE = 6
"""Fewer families cannot say that most do: of five all would by a toss in one study of 32, and 2.5 % is one of 40."""

ATTENTION = (DEEPER, LATE, INSIDE, PARTING, DIPS, WIDENS)


def attention(layers: pd.DataFrame, corpus: str, encoder: str) -> Iterator[Finding]:
    """Every claim about the attention of one encoder on one corpus.

    ``layers`` has ``degradation``, ``inpainter``, ``metric``, ``region``, ``layer`` and ``mean``; where it has
    ``family``, too, intervals are for new families.
    """
    yield drift_grows_with_depth(layers, corpus, encoder)
    yield drift_peaks_late(layers, corpus, encoder)
    yield drift_sits_inside(layers, corpus, encoder)
    yield inside_parts_from_outside(layers, corpus, encoder)
    yield from entropy_dips_and_widens(layers, corpus, encoder)


def by_layer(layers: pd.DataFrame, metric: str, region: str) -> pd.DataFrame:
    """Means of configurations (rows) by layer (columns, in order)."""
    rows = layers[(layers["metric"] == metric) & (layers["region"] == region)].dropna(subset="mean")
    return rows.pivot(
        index=[*rows.columns.intersection(["family"]), "degradation", "inpainter"], columns="layer", values="mean"
    )


def families(table: pd.DataFrame) -> np.ndarray | None:
    """The family of each configuration; None where none is named."""
    return table.index.get_level_values("family").to_numpy() if "family" in table.index.names else None


def basis(of: np.ndarray | None, *columns: np.ndarray, fewest: int = FEWEST) -> Basis:
    """What the mean of the configurations' values rests on, of several ``columns`` the least."""
    known = [(values[np.isfinite(values)], of[np.isfinite(values)]) for values in columns if of is not None]
    known = [(values, named) for values, named in known if len(values)]
    if not known:
        return INDEPENDENT
    count = min(len(set(named)) for _, named in known)
    few = f"{count} families are too few to say anything of new ones; {fewest} or more are needed"
    return Basis(count, min(effective(named, values) for values, named in known), few if count < fewest else "")


def trends(table: pd.DataFrame) -> np.ndarray:
    """Rank correlation of layer and value of each configuration; NaN where its values are all the same."""
    values = table.to_numpy(float)
    layers = np.arange(values.shape[1])
    varied = [np.isfinite(row).all() and np.ptp(row) > 0 for row in values]
    return np.array([stats.spearmanr(layers, row)[0] if v else np.nan for row, v in zip(values, varied, strict=True)])


def drift_grows_with_depth(layers: pd.DataFrame, corpus: str, encoder: str) -> Finding:
    """Figure 5: attention drift increases with depth."""
    table = by_layer(layers, "tvd_sum", "whole")
    slopes, named = trends(table), families(table)
    of = f"rank correlation of layer and drift, over configurations; it grows in {(slopes > 0).sum()} of {len(slopes)}"
    return DEEPER.finding(corpus, encoder, mean(slopes, families=named), of, basis(named, slopes))


def drift_peaks_late(layers: pd.DataFrame, corpus: str, encoder: str) -> Finding:
    """Figure 5: across all inpainting variants, attention drift peaks in later layers: in the deeper half of them.

    Of families those are counted most of whose configurations peak there.
    """
    table = by_layer(layers, "tvd_sum", "whole").dropna()
    peaks = table.to_numpy(float).argmax(axis=1) if table.size else np.empty(0)
    first = f"; {(peaks == 0).sum()} of {len(peaks)} in the first layer"
    late, named = (peaks >= table.shape[1] / 2).astype(float), families(table)
    what = "configurations that peak"
    if named is not None:
        late, what = pd.Series(late).groupby(named).mean().gt(0.5).to_numpy(float), "families that mostly peak"
    rests = basis(None if named is None else np.unique(named), late, fewest=SURE)
    found = share(int(late.sum()), len(late))
    return LATE.finding(corpus, encoder, found, f"share of {what} in the deeper half{first}", rests)


def drift_sits_inside(layers: pd.DataFrame, corpus: str, encoder: str) -> Finding:
    """Figure 8: across all layers, attention drifts more inside the mask than outside, patch for patch."""
    gaps = gap(layers)
    named, several = families(gaps), [gaps[layer].to_numpy(float) for layer in gaps]
    more = sum((mean(values, families=named).value or 0.0) > 0 for values in several)
    of = "drift of a patch inside minus outside where it is least, in the whole picture’s units, over configurations"
    of += f"; more inside in {more} of {len(several)} layers"
    return INSIDE.finding(corpus, encoder, least(several, named), of, basis(named, *several))


def inside_parts_from_outside(layers: pd.DataFrame, corpus: str, encoder: str) -> Finding:
    """Figure 8: the divergence of inside and outside increases in deeper layers."""
    of = "rank correlation of layer and drift inside minus outside, over configurations"
    gaps = gap(layers)
    slopes, named = trends(gaps), families(gaps)
    return PARTING.finding(corpus, encoder, mean(slopes, families=named), of, basis(named, slopes))


def gap(layers: pd.DataFrame) -> pd.DataFrame:
    """Drift of a patch inside minus outside by configuration and layer, of the layers that have both."""
    inside, outside = (by_layer(layers, "tvd_even", region) for region in ("region", "outside"))
    return (inside - outside).dropna(axis=1, how="all").dropna(how="all")


def entropy_dips_and_widens(layers: pd.DataFrame, corpus: str, encoder: str) -> Iterator[Finding]:
    """Section 4: attention entropy dips in mid-layers, and attention disperses in deeper ones; by thirds."""
    table = by_layer(layers, "entropy", "whole")
    if table.shape[1] < 3:
        return
    first, middle, last = (part.mean(axis=1) for part in np.array_split(table.to_numpy(float), 3, axis=1))
    named = families(table)
    for claim, part, which in ((DIPS, first, "first"), (WIDENS, last, "last")):
        of = f"{which} third of the layers minus middle third of entropy in nats, over configurations"
        apart = part - middle
        yield claim.finding(corpus, encoder, mean(apart, families=named), of, basis(named, apart))
