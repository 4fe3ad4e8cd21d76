"""Curves over the layers of a vision encoder: how far its attention has moved, as in the paper's figures 5 and 8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from reports.figures import COLOURS, FRAME, WIDTH, Tick, ticks

NAMES = 150
"""Room to the right of the plane, for the names of the curves."""
APART = 14
"""Least distance of two names."""


class Curve(NamedTuple):
    """Means of one inpainter as SVG paths, and the band between its lowest and highest configuration."""

    name: str
    colour: int
    line: str
    band: str
    name_y: float
    title: str


class Chart(NamedTuple):
    """Everything that the SVG template needs."""

    y: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    curves: list[Curve]
    frame: dict[str, int]


def chart(values: Mapping[str, pd.DataFrame], y: str) -> Chart:
    """Curves of several inpainters: a frame of layers (rows) × configurations (columns) each, in their order.

    >>> moved = pd.DataFrame({"blur": [0.1, 0.4], "centre-mask": [0.1, 0.2]})
    >>> drawn = chart({"telea": moved}, "TVD")
    >>> drawn.curves[0].title, [tick.text for tick in drawn.x_ticks]
    ('telea: 0.1 in layer 1, 0.3 in layer 2', ['1', '2'])
    """
    frame = FRAME | {"right": WIDTH - NAMES}
    low = min(0.0, *(table.min(axis=None) for table in values.values()))
    high = max(table.max(axis=None) for table in values.values())
    high = high + 0.05 * (high - low) or 1.0
    layers = max(len(table) for table in values.values())

    def across(layer: int) -> float:
        return round(frame["left"] + (layer + 0.5) / layers * (frame["right"] - frame["left"]), 1)

    def down(value: float) -> float:
        return round(frame["bottom"] - (value - low) / (high - low) * (frame["bottom"] - frame["top"]), 1)

    def path(heights: pd.Series, backwards: bool = False) -> str:
        points = [f"{across(layer)} {down(value)}" for layer, value in enumerate(heights)]
        return "L".join(points[::-1] if backwards else points)

    ends = {name: down(table.mean(axis=1).iloc[-1]) + 4 for name, table in values.items()}
    above = -APART
    for name in sorted(ends, key=ends.get):
        ends[name] = above = max(ends[name], above + APART)
    curves = []
    for number, (name, table) in enumerate(values.items()):
        mean = table.mean(axis=1)
        curves.append(
            Curve(
                name,
                number % COLOURS,
                f"M{path(mean)}",
                f"M{path(table.max(axis=1))}L{path(table.min(axis=1), backwards=True)}Z",
                ends[name],
                f"{name}: {mean.iloc[0]:.3g} in layer 1, {mean.iloc[-1]:.3g} in layer {len(mean)}",
            )
        )
    return Chart(
        y,
        [Tick(across(layer), str(layer + 1)) for layer in range(layers)],
        [Tick(down(t), f"{t:g}") for t in ticks(low, high)],
        curves,
        frame,
    )
