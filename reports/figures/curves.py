"""Curves over the layers of a vision encoder: how far its attention has moved, as in the paper's figures 5 and 8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from reports.figures.plane import COLOURS, FRAME, WIDTH, Tick, ticks

NAMES = 150
"""Room to the right of the plane, for the names of the curves."""
APART = 14
"""Least distance of two names."""


class Curve(NamedTuple):
    """Means as an SVG path, and the band around them, empty where there is none."""

    name: str
    """What stands at its end; "" for a curve that only its title names."""
    colour: int
    line: str
    band: str
    name_y: float
    title: str
    style: str
    """Beside the colour: "bold", "faint", "dashed", or several."""


class Chart(NamedTuple):
    """Everything that the SVG template needs."""

    y: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    curves: list[Curve]
    frame: dict[str, int]


class Track(NamedTuple):
    """One curve before it is drawn: values by layer."""

    name: str
    colour: int
    mean: pd.Series
    low: pd.Series | None = None
    high: pd.Series | None = None
    style: str = ""
    title: str = ""


def chart(values: Mapping[str, pd.DataFrame], y: str) -> Chart:
    """Curves of several inpainters: a frame of layers (rows) × configurations (columns) each, in their order.

    A band reaches from an inpainter's lowest to its highest configuration.

    >>> moved = pd.DataFrame({"blur": [0.1, 0.4], "centre-mask": [0.1, 0.2]})
    >>> drawn = chart({"telea": moved}, "TVD")
    >>> drawn.curves[0].title, [tick.text for tick in drawn.x_ticks]
    ('telea: 0.1 in layer 1, 0.3 in layer 2', ['1', '2'])
    """
    tracks = [
        Track(name, number % COLOURS, table.mean(axis=1), table.min(axis=1), table.max(axis=1))
        for number, (name, table) in enumerate(values.items())
    ]
    return drawn(tracks, y)


def contrast(
    inside: Mapping[str, pd.DataFrame],
    outside: Mapping[str, pd.DataFrame],
    y: str,
    families: Mapping[str, str] | None = None,
) -> Chart:
    """Two regions in one plane: their means over all configurations with 95 % intervals over these, in front of faint
    curves of each inpainter; what is outside is dashed. With ``families`` (of inpainters) means and intervals are over
    the means of these.

    >>> moved = pd.DataFrame({"blur": [0.1, 0.4], "centre-mask": [0.1, 0.2]})
    >>> [(curve.name, curve.style) for curve in contrast({"telea": moved}, {"telea": moved / 2}, "TVD").curves]
    [('', 'faint'), ('', 'faint dashed'), ('inside', 'bold'), ('outside', 'bold dashed')]
    """
    tracks, front = [], []
    for region, tables, dash in (("inside", inside, ""), ("outside", outside, "dashed")):
        for number, (name, table) in enumerate(tables.items()):
            style = f"faint {dash}".strip()
            tracks.append(Track("", number % COLOURS, table.mean(axis=1), None, None, style, f"{name}, {region}"))
        everything = pd.concat(tables, axis=1)
        if families is not None:
            everything = everything.T.groupby([families[names[-1]] for names in everything.columns]).mean().T
        mean, n = everything.mean(axis=1), everything.shape[1]
        half = everything.std(axis=1).fillna(0) * stats.t.ppf(0.975, max(n - 1, 1)) / np.sqrt(n)
        front.append(Track(region, COLOURS, mean, mean - half, mean + half, f"bold {dash}".strip()))
    return drawn([*tracks, *front], y)


def drawn(tracks: Iterable[Track], y: str) -> Chart:
    """The plane that holds all curves and bands, and zero."""
    tracks = list(tracks)
    frame = FRAME | {"right": WIDTH - NAMES}
    ends = [one for track in tracks for one in (track.mean, track.low, track.high) if one is not None]
    low = min(0.0, *(one.min() for one in ends))
    high = max(one.max() for one in ends)
    high = high + 0.05 * (high - low) or 1.0
    layers = max(len(track.mean) for track in tracks)

    def across(layer: int) -> float:
        return round(frame["left"] + (layer + 0.5) / layers * (frame["right"] - frame["left"]), 1)

    def down(value: float) -> float:
        return round(frame["bottom"] - (value - low) / (high - low) * (frame["bottom"] - frame["top"]), 1)

    def path(heights: pd.Series, backwards: bool = False) -> str:
        points = [f"{across(layer)} {down(value)}" for layer, value in enumerate(heights)]
        return "L".join(points[::-1] if backwards else points)

    def curve(track: Track) -> Curve:
        mean, low, high = track.mean, track.low, track.high
        said = f"{mean.iloc[0]:.3g} in layer 1, {mean.iloc[-1]:.3g} in layer {len(mean)}"
        return Curve(
            track.name,
            track.colour,
            f"M{path(mean)}",
            f"M{path(high)}L{path(low, backwards=True)}Z" if low is not None and high is not None else "",
            names.get(track.name, 0.0),
            f"{track.title or track.name}: {said}",
            track.style,
        )

    names = {track.name: down(track.mean.iloc[-1]) + 4 for track in tracks if track.name}
    above = -float(APART)
    for name in sorted(names, key=lambda name: names[name]):
        names[name] = above = max(names[name], above + APART)
    return Chart(
        y,
        [Tick(across(layer), str(layer + 1)) for layer in range(layers)],
        [Tick(down(t), f"{t:g}") for t in ticks(low, high)],
        [curve(track) for track in tracks],
        frame,
    )
