"""Similarity of repainted pictures to their originals for an encoder, corpus by corpus: the paper's figure 7."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from reports.asking import queries
from reports.asking.axes import Order, pictures
from reports.asking.study import Study
from reports.figures.maps import entries
from reports.figures.plane import Tick, ticks
from reports.figures.sweeps import spread

METRIC = "cls_cosine"
LABELS, PANEL, GAP = 110, 270, 26
"""Room for the names of corpora, a panel's width, and what lies between two."""

LINE, APART, TOP, FOOT = 11, 12, 26, 44
"""Height of an inpainter's line, between corpora, above and below all."""


class Dot(NamedTuple):
    """A mean with its 95 % interval over pictures."""

    colour: int
    x: float
    low: float
    high: float
    y: float
    title: str


class Panel(NamedTuple):
    """One degradation."""

    degradation: str
    left: float
    right: float
    ticks: list[Tick]
    dots: list[Dot]


class Band(NamedTuple):
    """One corpus: where its lines begin, end, and have their name."""

    name: str
    top: float
    bottom: float
    middle: float


class Similarity(NamedTuple):
    """Similarities of one encoder over all corpora."""

    encoder: str
    panels: list[Panel]
    bands: list[Band]
    names: list[tuple[str, int]]
    width: int
    height: int
    bottom: float


def similarities(study: Study) -> list[Similarity]:
    """The figure of each encoder; controls are left out."""
    rows = pictures(queries.values(study.connection, study.id, [METRIC], "whole").dropna(subset="value"))
    rows = rows[~rows["inpainter"].isin(study.controls)]
    return [similarity(str(kind).partition(".")[2], some, study.order) for kind, some in rows.groupby("kind")]


def similarity(encoder: str, rows: pd.DataFrame, order: Order) -> Similarity:
    """Means of one encoder; what an entry sweeps over is averaged for each picture first."""
    rows = rows.assign(entry=rows["inpainter"].str.split("/").str[0])
    keys = ["corpus", "degradation", "entry"]
    points = rows.groupby([*keys, "sample"])["value"].mean().groupby(level=keys).agg(["mean", "std", "count"])
    n = points["count"].to_numpy()
    half = stats.t.ppf(0.975, np.maximum(n - 1, 1)) * points["std"].fillna(0).to_numpy() / np.sqrt(n)
    ends = {"low": (points["mean"] - half).clip(lower=-1), "high": (points["mean"] + half).clip(upper=1)}
    points = points.assign(**ends).round(12)
    found = points.to_dict("index")
    low, high = spread(float(points["low"].min()), float(points["high"].max()))
    colours = {name: colour for name, colour in entries(order["inpainter"]).items() if name in set(rows["entry"])}
    corpora = [name for name in order["corpus"] if name in set(rows["corpus"])]
    tall = len(colours) * LINE
    bands = [
        Band(name, top := TOP + place * (tall + APART), top + tall, top + tall / 2 + 4)
        for place, name in enumerate(corpora)
    ]
    panels = []
    for place, degradation in enumerate(name for name in order["degradation"] if name in set(rows["degradation"])):
        left = LABELS + place * (PANEL + GAP)

        def across(value: float, left: float = left) -> float:
            return round(left + (value - low) / (high - low) * PANEL, 1)

        dots = []
        for band in bands:
            for line, (entry, colour) in enumerate(colours.items()):
                one = found.get((band.name, degradation, entry))
                if one is None:
                    continue
                title = (
                    f"{entry} ({degradation}), {band.name}: {one['mean']:.3f} [{one['low']:.3f}, {one['high']:.3f}], "
                    f"n = {int(one['count'])}"
                )
                y = band.top + (line + 0.5) * LINE
                dots.append(Dot(colour, across(one["mean"]), across(one["low"]), across(one["high"]), y, title))
        marks = [Tick(across(t), f"{t:g}") for t in ticks(low, high, 5)]
        panels.append(Panel(degradation, left, left + PANEL, marks, dots))
    bottom = bands[-1].bottom + APART / 2
    width = LABELS + len(panels) * (PANEL + GAP)
    return Similarity(encoder, panels, bands, list(colours.items()), width, int(bottom + FOOT), bottom)
