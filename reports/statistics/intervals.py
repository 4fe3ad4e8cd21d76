"""Intervals of many correlations, and nothing else: what a heat map needs of each pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reports.asking.sources import STUDY
from reports.statistics.analysis import pair_of
from reports.statistics.cells import Roles, groups
from reports.statistics.points import FEWEST
from reports.statistics.resampling import DRAWS, Stratum, bootstrap_weights
from reports.statistics.significance import interval, resampled_means


def intervals(
    frame: pd.DataFrame, xs: Sequence[str], ys: Sequence[str], roles: Roles, seed: int = 0
) -> dict[tuple[str, str], tuple[float, float]]:
    """95 % intervals of Pearson's r of every x with every y, those that :func:`reports.statistics.analysis.correlate`
    gives for one group; pairs that have none are left out.

    >>> frame = pd.DataFrame({"config": list("abcde"), "mse": [1, 2, 3, 4, 5], "bleu": [9, 7, 8, 5, 1]})
    >>> low, high = intervals(frame, ["mse"], ["bleu"], Roles("config"))["mse", "bleu"]
    >>> low < -0.9 < high
    True
    """
    [group] = groups(frame, [*xs, *ys], roles)
    units = sorted(group.units)
    weights = bootstrap_weights(np.random.default_rng([seed, 1]), len(units), DRAWS)
    resampled = resampled_means(group, [*xs, *ys], np.random.default_rng([seed, 1, 0]))
    found = {}
    for pair in (pair_of([group], units, x, y) for x in xs for y in ys):
        if pair.strata:
            [stratum], [(_, rows)] = pair.strata, pair.held
            drawn = Stratum(stratum.units, resampled[pair.x][..., rows], resampled[pair.y][..., rows])
            if ends := interval([stratum], [drawn], weights):
                found[pair.x, pair.y] = ends
    return found


def by_captioner(
    frame: pd.DataFrame, xs: Sequence[str], ys: Sequence[str], captioners: Sequence[str]
) -> dict[tuple[str, str], dict[tuple[str, str], tuple[float, float]]]:
    """By corpus and captioner the intervals of a study's table; columns of captions are such as ``sbert@blip``."""
    found: dict[tuple[str, str], dict[tuple[str, str], tuple[float, float]]] = {}
    for corpus, rows in frame.groupby("corpus"):
        if rows[STUDY.unit].nunique() < FEWEST:
            continue
        some_xs, some_ys = ([column for column in columns if rows[column].notna().any()] for columns in (xs, ys))
        for (x, y), ends in intervals(rows, some_xs, some_ys, Roles(STUDY.unit, STUDY.item)).items():
            metric, _, captioner = y.partition("@")
            found.setdefault((str(corpus), captioner or captioners[0]), {})[x, metric] = ends
    return found
