"""Embeddings in the plane, as in the paper's figure 6: originals as rings, repainted pictures as dots.

Neighbours in such a map were neighbours for the encoder; how far two clusters lie apart means little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from reports.asking.axes import Order
from reports.figures.plane import COLOURS

SIDE, EDGE = 300, 12
"""A panel's side, and how much of that stays free around its points."""

MOST = 1_500
"""About so many points a panel; of larger corpora one in two, three or more is drawn."""


class Dot(NamedTuple):
    x: float
    y: float
    title: str


class Cloud(NamedTuple):
    """The repainted pictures of one inpainter, with its variants."""

    name: str
    colour: int
    dots: list[Dot]


class Panel(NamedTuple):
    """One degradation."""

    degradation: str
    clouds: list[Cloud]


class Map(NamedTuple):
    """One corpus as one encoder sees it: the originals are the same in each panel, and so is the scale."""

    encoder: str
    originals: list[Dot]
    panels: list[Panel]
    names: list[tuple[str, int]]
    """The inpainters and their colours."""
    drawn: int
    pictures: int
    side: int


def entries(names: Sequence[str]) -> dict[str, int]:
    """The entries that variants belong to, each with its colour.

    >>> entries(["telea", "sd/guidance=1", "sd/guidance=3"])
    {'telea': 0, 'sd': 1}
    """
    different = dict.fromkeys(name.partition("/")[0] for name in names)
    return {name: number % COLOURS for number, name in enumerate(different)}


def maps(found: pd.DataFrame, corpus: str, order: Order, controls: Sequence[str]) -> list[Map]:
    """The map of each encoder; controls are left out."""
    some = found[(found["corpus"] == corpus) & ~found["inpainter"].isin(controls)]
    return [one_map(str(kind).partition(".")[2], rows, order) for kind, rows in some.groupby("kind")]


def one_map(encoder: str, rows: pd.DataFrame, order: Order) -> Map:
    """The panels of one corpus and encoder, all drawn on one scale."""
    pictures = sorted(set(rows["sample"]))
    step = -(-len(rows) // (MOST * max(1, len(order["degradation"]))))
    kept = rows[rows["sample"].isin(pictures[::step])]
    across, down = kept["umap_x"], kept["umap_y"]
    scale = (SIDE - 2 * EDGE) / (max(across.max() - across.min(), down.max() - down.min()) or 1)
    xs = (SIDE / 2 + (across - (across.max() + across.min()) / 2) * scale).round(1)
    ys = (SIDE / 2 - (down - (down.max() + down.min()) / 2) * scale).round(1)
    kept = kept.assign(x=xs, y=ys, entry=kept["inpainter"].str.split("/").str[0]).sort_values(["inpainter", "sample"])
    colours = {name: n for name, n in entries(order["inpainter"]).items() if name in set(kept["entry"])}
    panels = []
    for degradation in order["degradation"]:
        mine = kept[kept["degradation"] == degradation]
        clouds = [
            Cloud(name, colour, [dot(row, f"{row.inpainter} ({degradation}), {row.sample}") for row in one])
            for name, colour in colours.items()
            if (one := list(mine[mine["entry"] == name].itertuples()))
        ]
        if clouds:
            panels.append(Panel(degradation, clouds))
    originals = [dot(row, f"original, {row.sample}") for row in kept[kept["inpainter"] == ""].itertuples()]
    drawn = len(pictures[::step])
    return Map(encoder, originals, panels, list(colours.items()), drawn, len(pictures), SIDE)


def dot(row: Any, title: str) -> Dot:
    """A row's place with what it is."""
    return Dot(row.x, row.y, title)
