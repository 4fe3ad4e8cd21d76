"""What the page says of one corpus: its tables, and whether fidelity goes with the quality of captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from reports.asking.metrics import EVEN, FIDELITY, GROUNDING, INSIDE, LAYERED, OUTSIDE, QUALITY, REGIONS, SHARED, Metric
from reports.figures.curves import Chart, chart, contrast
from reports.figures.maps import entries
from reports.figures.plane import COLOURS, SEVERAL, SHAPES, HeatMap, Interval, Point, Scatter, heat_map, scatter
from reports.site.tables import ORIGINAL, Grid, Names, Order, Table, coincident, measured, percent, repaintings, table
from reports.statistics.points import Correlations, correlate, critical_r, relative_change, spearman_interval

SCATTERED = (("lpips", "ssim", "psnr", "mse"), ("sbert", "cider", "rouge_l", "bleu_4", "bleu_1"))
"""Which metrics the scatter plot shows: the first of each that is there and varies."""


@dataclass(frozen=True)
class Found:
    """What the registry holds of a study: values by region ("" for captions), summaries, repainted items."""

    order: Order
    controls: list[str]
    grids: Mapping[str, Grid]
    summary: Grid
    repainted: pd.DataFrame
    layers: pd.DataFrame
    intervals: Mapping[tuple[str, str], Mapping[tuple[str, str], Interval]]
    """By corpus and captioner, and by pair of metrics, the 95 % interval of Pearson's r."""


class Move(NamedTuple):
    """How far the captions of a configuration are from those of the originals."""

    label: str
    change: str
    value: float


class Glance(NamedTuple):
    """The mildest and the harshest repainting, as one captioner sees it."""

    captioner: str
    metric: Metric
    mildest: Move
    harshest: Move


class Link(NamedTuple):
    """Whether fidelity goes with caption quality, over the distinct configurations of one captioner."""

    captioner: str
    n: int
    critical: float | None
    found: Correlations
    constant: list[str]
    maps: dict[str, HeatMap]
    scatter: Scatter | None
    points: pd.DataFrame
    """What the correlations are over: one row a distinct configuration, one column a metric."""


class Looking(NamedTuple):
    """How the attention of an encoder has moved."""

    encoder: str
    charts: dict[str, Chart]


class Section(NamedTuple):
    """One corpus of the page."""

    name: str
    fidelity: dict[str, Table]
    quality: dict[str, Table]
    glances: list[Glance]
    configurations: int
    merged: list[str]
    controls: list[str]
    links: list[Link]
    looking: list[Looking]
    grounding: dict[str, Table]


def label(names: Names, same: Mapping[Names, Names], order: Order) -> str:
    """How a configuration is called, with every degradation whose repainted items are the same ones.

    >>> same = {("blur", "telea"): ("blur", "telea"), ("centre", "telea"): ("blur", "telea")}
    >>> label(("blur", "telea"), same, {"degradation": ["blur", "centre"]})
    'telea (any)'
    """
    alike = [degradation for (degradation, _), first in same.items() if first == names]
    if len(alike) < 2:
        return f"{names[1]} ({names[0]})"
    return f"{names[1]} ({'any' if len(alike) == len(order['degradation']) else ', '.join(alike)})"


def row_notes(same: Mapping[Names, Names], controls: Sequence[str]) -> dict[Names, str]:
    """What a table says beside a configuration that is special."""
    notes = {names: f"= {first[0]}" for names, first in same.items() if names != first}
    return notes | {names: "control" for names in same if names[1] in controls}


def glance(found: Found, corpus: str, captioner: str) -> Glance | None:
    """The mildest and the harshest configuration by the first metric of the scatter's that was measured."""
    grid = found.grids[""]
    usable = {metric.name: metric for metric in measured(grid, corpus, QUALITY)}
    metric = next((usable[name] for name in SCATTERED[1] if name in usable), None)
    if metric is None or (corpus, *ORIGINAL, captioner) not in grid.value.index:
        return None
    reference = grid.value.at[(corpus, *ORIGINAL, captioner), metric.name]
    moves = []
    for names in repaintings(found.order):
        where = (corpus, *names, captioner)
        if names[1] in found.controls or where not in grid.value.index:
            continue
        value = grid.value.at[where, metric.name]
        change = relative_change(value, reference)
        if change is not None:
            moves.append(Move(f"{names[1]} ({names[0]})", percent(change), change))
    if len(moves) < 2:
        return None
    return Glance(captioner, metric, max(moves, key=lambda m: m.value), min(moves, key=lambda m: m.value))


def points_of(found: Found, corpus: str, captioner: str, names: Sequence[Names]) -> pd.DataFrame:
    """Fidelity inside the mask and caption quality of configurations, one row each."""
    fidelity, quality = found.grids[INSIDE].value, found.grids[""].value
    some = [n for n in names if (corpus, *n, "") in fidelity.index and (corpus, *n, captioner) in quality.index]
    rows = [
        {**fidelity.loc[(corpus, *n, "")].to_dict(), **quality.loc[(corpus, *n, captioner)].to_dict()} for n in some
    ]
    index = pd.MultiIndex.from_tuples(some, names=["degradation", "inpainter"]) if some else None
    return pd.DataFrame(rows, index=index)


def link(found: Found, corpus: str, captioner: str, same: Mapping[Names, Names]) -> Link | None:
    """Correlations and the scatter plot of one captioner; None where it has no repainted configuration."""
    distinct = [names for names in same if same[names] == names]
    points = points_of(found, corpus, captioner, distinct)
    if points.empty:
        return None
    tested = points[~points.index.get_level_values("inpainter").isin(found.controls)]
    xs, ys = ([metric.name for metric in metrics] for metrics in (FIDELITY, QUALITY))
    result = correlate(tested, xs, ys)
    titles = {metric.name: metric.title for metric in (*FIDELITY, *QUALITY)}
    ranked = {(pair.x, pair.y): ends for pair in result.pairs if (ends := spearman_interval(pair.spearman, pair.n))}
    maps = {
        kind.title(): heat_map(result, kind, ends, FIDELITY, QUALITY)
        for kind, ends in (("pearson", found.intervals.get((corpus, captioner), {})), ("spearman", ranked))
    }
    plot = draw(found, corpus, captioner, points, same, result)
    n = len(tested)
    return Link(captioner, n, critical_r(n), result, [titles[name] for name in result.constant], maps, plot, tested)


def draw(
    found: Found,
    corpus: str,
    captioner: str,
    points: pd.DataFrame,
    same: Mapping[Names, Names],
    result: Correlations,
) -> Scatter | None:
    """The scatter plot of the first pair that varies, the control included."""
    pairs = {(pair.x, pair.y) for pair in result.pairs}
    pair = next(((x, y) for y in SCATTERED[1] for x in SCATTERED[0] if (x, y) in pairs), None)
    if pair is None:
        return None
    x, y = (next(m for m in metrics if m.name == name) for name, metrics in zip(pair, (FIDELITY, QUALITY), strict=True))
    order, several = found.order, Counter(same.values())
    marks = [
        Point(
            label(names, same, order),
            row[x.name],
            row[y.name],
            order["inpainter"].index(names[1]) % COLOURS,
            SEVERAL if several[names] > 1 else order["degradation"].index(names[0]) % SHAPES,
            names[1] in found.controls,
            {} if names[1] in found.controls else filters(corpus, names, captioner, several[names] > 1),
        )
        for names, row in points[[x.name, y.name]].dropna().iterrows()
    ]
    quality = found.grids[""].value
    where = (corpus, *ORIGINAL, captioner)
    reference = float(quality.at[where, y.name]) if where in quality.index else None
    return scatter(marks, x, y, reference if pd.notna(reference) else None)


def filters(corpus: str, names: Names, captioner: str, merged: bool) -> dict[str, str]:
    """What the gallery is asked for to see a configuration, or all those that are merged with it.

    >>> filters("scenes", ("blur", "telea"), "blip", merged=True)
    {'corpus': 'scenes', 'inpainter': 'telea', 'captioner': 'blip'}
    """
    degradation = {} if merged else {"degradation": names[0]}
    return {"corpus": corpus, **degradation, "inpainter": names[1], "captioner": captioner}


def section(found: Found, corpus: str) -> Section:
    """Everything the page says of a corpus."""
    order = found.order
    same = coincident(found.repainted, corpus, order)
    notes = row_notes(same, found.controls)
    merged = [label(first, same, order) for first, times in Counter(same.values()).items() if times > 1]
    captioners = order["captioner"]
    glances = [glance(found, corpus, captioner) for captioner in captioners]
    links = [link(found, corpus, captioner, same) for captioner in captioners]
    return Section(
        corpus,
        views({title: table(found.grids[r], corpus, [""], FIDELITY, order, notes) for r, title in REGIONS.items()}),
        views(
            {
                "mean over items": table(found.grids[""], corpus, captioners, QUALITY, order, notes),
                "corpus value": table(found.summary, corpus, captioners, QUALITY, order, notes),
            }
        ),
        [g for g in glances if g],
        len(same),
        merged,
        [name for name in found.controls if any(names[1] == name for names in same)],
        [one for one in links if one],
        looking(found, corpus),
        views({t: table(found.grids[r], corpus, captioners, GROUNDING, order, notes) for r, t in REGIONS.items()}),
    )


def looking(found: Found, corpus: str) -> list[Looking]:
    """The curves of each encoder, one an inpainter with its variants, the controls left out."""
    some = found.layers[(found.layers["corpus"] == corpus) & ~found.layers["inpainter"].isin(found.controls)]
    some = some.assign(entry=some["inpainter"].str.split("/").str[0])
    encoders = []
    for kind, seen in some.groupby("kind"):
        by_layer = {view: layers_of(seen, view.metric, view.region, found.order) for view in LAYERED}
        charts = {view.title: chart(values, view.axis) for view, values in by_layer.items() if values}
        both = [layers_of(seen, EVEN, region, found.order) for region in (INSIDE, OUTSIDE)]
        if all(both):
            charts = {"inside and outside the mask": contrast(*both, SHARED)} | charts
        encoders.append(Looking(str(kind).partition(".")[2], charts))
    return encoders


def layers_of(seen: pd.DataFrame, metric: str, region: str, order: Order) -> dict[str, pd.DataFrame]:
    """Layers × configurations of each inpainter that has values, in their order."""
    rows = seen[(seen["metric"] == metric) & (seen["region"] == region)].dropna(subset="mean")
    tables = dict(iter(rows.groupby("entry")))
    return {
        name: tables[name].pivot(index="layer", columns=["degradation", "inpainter"], values="mean")
        for name in entries(order["inpainter"]) if name in tables
    }  # fmt: skip


def views(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The tables that hold something."""
    return {title: table for title, table in tables.items() if table.groups}
