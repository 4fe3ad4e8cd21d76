"""Claims about what a degradation leaves, taken picture by picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from reports.statistics.claims.judging import Claim, Finding, least, mean
from reports.statistics.claims.kinds import EVERY, GROUNDED, NATURAL

SMOOTH, BLACK = ("blur", "lowdim"), ("zero",)
"""Kinds of degradation, by how much they leave."""

BLURRED, REDUCED = SMOOTH

SMOOTHER = Claim("Smoother degradation preserves captions", "section 4", GROUNDED)
DRIFTING = Claim("Centre masks make attention drift most", "section 4, figure 5", EVERY)
ALIKE = Claim("Likeness grows from centre mask to blur to low-dimensional", "section 4, figure 7", EVERY)
NEARER = Claim("UMAP draws nearer from centre mask to blur to low-dimensional", "section 4, figure 6", (NATURAL,))
PLATEAU = Claim("Guidance stops helping at 7 to 7.5", "appendix E.1, figure 10", (NATURAL,))

PLATEAU_AT = (7.0, 7.5)


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


def encoder_sees(seen: pd.DataFrame, corpus: str, encoder: str) -> Iterator[Finding]:
    """Section 4: what each degradation does to an encoder, picture by picture (``seen``: ``metric`` and ``value``).

    The metrics are ``tvd_sum`` (mean over layers), ``cls_cosine``, and ``umap``, how far a repainted picture lies from
    its original in the plane.
    """
    for claim, metric, steps, of in (
        (
            DRIFTING,
            "tvd_sum",
            ((BLACK, [BLURRED]), (BLACK, [REDUCED])),
            "drift after a centre mask minus after others",
        ),
        (ALIKE, "cls_cosine", (([BLURRED], BLACK), ([REDUCED], [BLURRED])), "cosine, difference of two steps"),
        (
            NEARER,
            "umap",
            ((BLACK, [BLURRED]), ([BLURRED], [REDUCED])),
            "distance from originals, difference of two steps",
        ),
    ):
        rows = seen[seen["metric"] == metric]
        if len(rows):
            several = [apart(rows, "value", these, those) for these, those in steps]
            yield claim.finding(corpus, encoder, least(several), f"{of} (the smaller), over pictures")


def guidance_plateaus(rows: pd.DataFrame, guidance: Mapping[str, tuple[str, float]], corpus: str) -> Iterator[Finding]:
    """Figure 10: LPIPS falls and SSIM grows with guidance up to 7 to 7.5, and no more beyond.

    ``guidance`` has that of each inpainter, and what it shares with those that differ in nothing else. Asked where a
    study has a lower, such a one, and a higher one. What is gained up to there, and by how much this is more than what
    is gained beyond, both per ten of guidance, are to be positive.
    """
    rows = rows[rows["inpainter"].isin(guidance)]
    named = [guidance[name] for name in rows["inpainter"]]
    rows = rows.assign(line=[line for line, _ in named], guidance=[scale for _, scale in named])
    for metric, sign in (("lpips", -1), ("ssim", 1)):
        if metric not in rows:
            continue
        gains = []
        for _, line in rows.groupby(["line", "degradation"]):
            table = sign * line.pivot(index="sample", columns="guidance", values=metric)
            scales = table.columns.to_numpy(float)
            there = (scales >= PLATEAU_AT[0]) & (scales <= PLATEAU_AT[1])
            if not there.any() or scales[0] >= PLATEAU_AT[0] or scales[-1] <= PLATEAU_AT[1]:
                continue
            scale, level = scales[there].mean(), table.loc[:, there].mean(axis=1)
            up = (level - table.iloc[:, 0]) / (scale - scales[0])
            beyond = (table.iloc[:, -1] - level) / (scales[-1] - scale)
            gains.append(pd.DataFrame({"up": 10 * up, "less": 10 * (up - beyond)}))
        if gains:
            gained = pd.concat(gains).groupby(level="sample").mean()
            several = [gained[column].to_numpy(float) for column in gained]
            of = "gain per ten of guidance up to there, and what is gone of it beyond (the smaller), over pictures"
            yield PLATEAU.finding(corpus, metric.upper(), least(several), of)
