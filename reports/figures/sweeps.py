"""Sweeps: metrics against the numbers that an entry sweeps over, as in the paper's figure 10."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from registry.store.keys import canonical
from reports.asking import drawn
from reports.asking.axes import LISTED
from reports.asking.metrics import Metric
from reports.asking.study import Study
from reports.figures.maps import entries
from reports.figures.plane import COLOURS, Tick, ticks

REPLICATES = "seed"
"""The setting whose values are taken together: they say how far chance goes."""

SHOWN = ("lpips", "ssim")
SIZE = {"width": 320, "height": 250, "left": 48, "right": 308, "top": 26, "bottom": 208}
ROOM = 0.06
"""How much of a range stays free beyond its ends."""


class Axis(NamedTuple):
    """One number that the variants of an entry differ in."""

    section: str
    """That of ``params.yaml``."""
    entry: str
    setting: str
    values: dict[str, float]
    """The number of each variant."""
    lines: dict[str, str]
    """What else tells a variant apart, but for its seed; the same for those that lie on one curve."""

    @property
    def swept(self) -> str:
        """The axis of the grid that the variants are on."""
        return LISTED[self.section]


class Spot(NamedTuple):
    x: float
    y: float
    title: str


class Curve(NamedTuple):
    """Means as an SVG path, and the band of their 95 % intervals."""

    name: str
    colour: int
    line: str
    band: str
    spots: list[Spot]


class Plane(NamedTuple):
    """One metric."""

    metric: Metric
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    curves: list[Curve]
    frame: dict[str, int]


class Sweep(NamedTuple):
    """All that one corpus says of one swept number."""

    axis: Axis
    planes: list[Plane]
    names: list[tuple[str, int]]
    """The curves and their colours; empty where there is but one."""
    over: str
    """What the bands are over."""


PAINTED = ("degradations", "inpainters")


def axes_of(params: Mapping[str, Any], controls: Sequence[str] = (), sections: Sequence[str] = PAINTED) -> list[Axis]:
    """Every number that an entry of some sections of a study sweeps over; ``params`` lists variants.

    >>> variants = {f"sd/guidance={g},seed={s}": {"guidance": g, "seed": s} for g in (1, 3) for s in (0, 1)}
    >>> [axis] = axes_of({"degradations": {}, "inpainters": variants}, [])
    >>> axis.entry, axis.setting, axis.values["sd/guidance=3,seed=1"], set(axis.lines.values())
    ('sd', 'guidance', 3, {''})
    """
    found = []
    for section in sections:
        entries: dict[str, dict[str, Mapping[str, Any]]] = {}
        for name, settings in (params.get(section) or {}).items():
            if "/" in name and name not in controls:
                entries.setdefault(name.partition("/")[0], {})[name] = settings
        for entry, variants in entries.items():
            names = dict.fromkeys(key for settings in variants.values() for key in settings)
            varied = [key for key in names if len({str(settings.get(key)) for settings in variants.values()}) > 1]
            for setting in (key for key in varied if key != REPLICATES and all(map(number, column(variants, key)))):
                others = [key for key in varied if key not in (setting, REPLICATES)]
                lines = {n: ", ".join(f"{key} {canonical(s[key])}" for key in others) for n, s in variants.items()}
                found.append(Axis(section, entry, setting, {n: s[setting] for n, s in variants.items()}, lines))
    return found


def column(variants: Mapping[str, Mapping[str, Any]], key: str) -> list[Any]:
    return [settings.get(key) for settings in variants.values()]


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def sweeps(study: Study) -> dict[str, list[Sweep]]:
    """By corpus what each swept number does to LPIPS, SSIM and the metric that judges captions."""
    axes = axes_of(study.params, study.controls)
    if not axes:
        return {}
    shown = [metric for metric in (*study.fidelity, *study.quality) if metric.name in SHOWN or metric == study.judge]
    variants: dict[str, set[str]] = {}
    for axis in axes:
        variants.setdefault(axis.swept, set()).update(axis.values)
    rows = drawn.swept(study.connection, study.id, variants, [metric.name for metric in shown])
    rows = rows[~rows["inpainter"].isin(study.controls)]
    inpainters = entries(study.order["inpainter"])
    return {
        str(corpus): [found for axis in axes if (found := sweep(some, axis, shown, inpainters))]
        for corpus, some in rows.groupby("corpus")
    }


def sweep(rows: pd.DataFrame, axis: Axis, metrics: Sequence[Metric], inpainters: Mapping[str, int]) -> Sweep | None:
    """The curves of one swept number in one corpus; None where nothing was measured.

    A picture's values are averaged over degradations, seeds and captioners first. What sweeps over a degradation has a
    curve for each of the inpainters, in its own colour.
    """
    swept = axis.swept
    rows = rows[rows[swept].isin(axis.values)]
    lines = rows[swept].map(axis.lines)
    if swept == "degradation":
        entry = rows["inpainter"].str.split("/").str[0]
        lines = entry.where(lines == "", entry + ", " + lines)
    means = rows.assign(x=rows[swept].map(axis.values), line=lines)
    means = means.groupby(["metric", "line", "x", "sample"], sort=False)["value"].mean().reset_index()
    if swept == "degradation":
        ordered = sorted(set(lines), key=lambda name: (list(inpainters).index(name.partition(",")[0]), name))
        colours = {name: inpainters[name.partition(",")[0]] for name in ordered}
    else:
        had = [name for name in dict.fromkeys(axis.lines.values()) if name in set(lines)]
        colours = {name: place % COLOURS for place, name in enumerate(had)}
    planes = []
    for metric in metrics:
        some = means[means["metric"] == metric.name]
        if len(some):
            planes.append(plane(some, metric, axis, colours))
    if not planes:
        return None
    pictures = means["sample"].nunique()
    others = "degradations, seeds" if swept == "inpainter" else "an inpainter’s variants"
    over = f"{pictures:,} pictures, each with its mean over {others} and captioners; fidelity is that inside the mask"
    return Sweep(axis, planes, list(colours.items()) if len(colours) > 1 else [], over)


def plane(rows: pd.DataFrame, metric: Metric, axis: Axis, colours: Mapping[str, int]) -> Plane:
    """One metric's curves, of rows with a ``line``, an ``x`` and the ``value`` of a picture."""
    points = rows.groupby(["line", "x"])["value"].agg(["mean", "std", "count"])
    n = points["count"].to_numpy()
    half = stats.t.ppf(0.975, np.maximum(n - 1, 1)) * points["std"].fillna(0).to_numpy() / np.sqrt(n)
    return of_points(points.assign(low=points["mean"] - half, high=points["mean"] + half), metric, axis, colours)


def of_points(points: pd.DataFrame, metric: Metric, axis: Axis, colours: Mapping[str, int]) -> Plane:
    """One metric's curves, of its ``mean``, ``low``, ``high`` and ``count`` by line and x."""
    points = points.round(12)
    low, high = spread(points["low"].min(), points["high"].max())
    at_x = points.index.get_level_values("x")
    left, right = spread(at_x.min(), at_x.max())

    def across(value: float) -> float:
        return round(SIZE["left"] + (value - left) / (right - left) * (SIZE["right"] - SIZE["left"]), 1)

    def down(value: float) -> float:
        return round(SIZE["bottom"] - (value - low) / (high - low) * (SIZE["bottom"] - SIZE["top"]), 1)

    curves = []
    for name, colour in colours.items():
        if name not in points.index.get_level_values("line"):
            continue
        mine = points.loc[name].sort_index()
        at = [across(x) for x in mine.index]
        path, top, bottom = (
            [f"{x} {down(y)}" for x, y in zip(at, mine[c], strict=True)] for c in ("mean", "high", "low")
        )
        d = metric.decimals
        spots = [
            Spot(
                x,
                down(row.mean),
                f"{name or axis.entry}, {axis.setting} {row.Index:g}: {metric.title} {row.mean:.{d}f} "
                f"[{row.low:.{d}f}, {row.high:.{d}f}], n = {row.count}",
            )
            for x, row in zip(at, mine.itertuples(name="Point"), strict=True)
        ]
        curves.append(Curve(name, colour, "M" + "L".join(path), f"M{'L'.join(top)}L{'L'.join(bottom[::-1])}Z", spots))
    return Plane(
        metric,
        [Tick(across(t), f"{t:g}") for t in sorted(set(axis.values.values()))],
        [Tick(down(t), f"{t:g}") for t in ticks(low, high)],
        curves,
        SIZE,
    )


def spread(low: float, high: float) -> tuple[float, float]:
    """A range with some room at its ends, and some width where it has none.

    >>> spread(0, 1), spread(3, 3)
    ((-0.06, 1.06), (2.5, 3.5))
    """
    room = ROOM * (high - low) or 0.5
    return low - room, high + room
