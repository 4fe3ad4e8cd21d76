"""Corpora: a page each, with its tables, and whether fidelity goes with the quality of captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from reports.asking import drawn
from reports.asking.axes import (
    FIRST,
    ORIGINAL,
    PICTURE,
    TEXT,
    UNSAID,
    Order,
    Text,
    columns,
    distinct,
    repaintings,
)  # fmt: skip
from reports.asking.axes import label as said_by
from reports.asking.grids import measured, tidy
from reports.asking.metrics import EVEN, INSIDE, LAYERED, OUTSIDE, REGIONS, SCATTERED, SHARED, Metric
from reports.asking.sources import family
from reports.asking.study import Study
from reports.chapters.links import Link, label, link, map_latex
from reports.figures.curves import Chart, chart, contrast
from reports.figures.drawings import drawing, said
from reports.figures.maps import entries, maps
from reports.figures.mosaic import mosaics
from reports.figures.sweeps import sweeps
from reports.site.latex import table_latex
from reports.site.numbers import percent
from reports.site.pages import Page, slugs
from reports.site.tables import Table, table
from reports.statistics.points import relative_change

NUMBERS = (
    "x", "y", "n", "families", "effective_n",
    "pearson", "low", "high", "p", "decided", "spearman", "spearman_low", "spearman_high", "spearman_p",
    "critical_r", "detectable_r", "power", "sign_flips", "caveat",
)  # fmt: skip
"""What the table of correlations has of each."""


class Move(NamedTuple):
    """Change of a configuration's captions against those of the originals."""

    label: str
    change: str
    value: float


class Glance(NamedTuple):
    """The mildest and the harshest repainting, as one captioner sees it."""

    said: str
    metric: Metric
    mildest: Move
    harshest: Move


class Looking(NamedTuple):
    """Drift of an encoder's attention."""

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


def pages(study: Study) -> list[Page]:
    """A page for each corpus."""
    found = study.once(sections)
    tiles, swept, places = study.once(mosaics), study.once(sweeps), drawn.projected(study.connection, study.id)
    made = []
    for slug, section in zip(slugs(one.name for one in found), found, strict=True):
        latexed = section_latex(section)
        files = [f"{name}.tex" for name in slugs(" ".join((kind, slug, *names)) for kind, *names in latexed)]
        given = {
            "section": section,
            "tex": dict(zip(latexed, files, strict=True)),
            "link": study.links.get(section.name),
            "mosaic": tiles.get(section.name),
            "maps": maps(places, section.name, study.order, study.controls),
            "sweeps": swept.get(section.name, []),
            "order": study.order,
        }
        texts = dict(zip(files, latexed.values(), strict=True))
        made.append(Page(f"corpus-{slug}.html", section.name, "corpora.html.j2", given, texts))
    return made


def sections(study: Study) -> list[Section]:
    """Sections of the report, one a corpus."""
    return [section(study, corpus) for corpus in study.order["corpus"]]


def section(study: Study, corpus: str) -> Section:
    """Compute everything that the page of a corpus shows."""
    order, grids = study.order, study.grids
    same = study.same[corpus]
    merged = [label(first, same, order) for first, times in Counter(same.values()).items() if times > 1]
    glances = [glance(study, corpus, text) for text in study.texts]
    links = [link(study, corpus, text, same) for text in study.texts]

    def shown(grid: Any, texts: Sequence[Text], metrics: Sequence[Metric]) -> Table:
        return table(grid, corpus, texts, metrics, order, same, study.controls)

    return Section(
        corpus,
        views({title: shown(grids[r], [UNSAID], study.fidelity) for r, title in REGIONS.items()}),
        views(
            {
                "mean over items": shown(grids[""], study.texts, study.quality),
                "corpus value": shown(study.summary, study.texts, study.quality),
            }
        ),
        [g for g in glances if g],
        len(same),
        merged,
        [name for name in study.controls if any(names[1] == name for names in same)],
        [one for one in links if one],
        looking(study, corpus),
        views({title: shown(grids[r], study.texts, study.grounding) for r, title in REGIONS.items()}),
    )


def glance(study: Study, corpus: str, text: Text) -> Glance | None:
    """The mildest and the harshest configuration, by the first metric of the scatter's that is not at the floor."""
    grid, original = study.grids[""], (corpus, *ORIGINAL, *text)
    usable = {one.name: one for one in measured(grid, corpus, study.quality) if not grid.low(original, one.name)}
    metric = next((usable[name] for name in SCATTERED[1] if name in usable), None)
    if metric is None:
        return None
    reference = grid.at(original, metric.name)
    moves = []
    for names in repaintings(study.order):
        value = None if names[1] in study.controls else grid.at((corpus, *names, *text), metric.name)
        change = None if value is None else relative_change(value, reference)
        if change is not None:
            moves.append(Move(f"{names[1]} ({names[0]})", percent(change), change))
    if len(moves) < 2:
        return None
    return Glance(said_by(text), metric, max(moves, key=lambda m: m.value), min(moves, key=lambda m: m.value))


def looking(study: Study, corpus: str) -> list[Looking]:
    """The curves of each encoder, one an inpainter with its variants, the controls left out."""
    some = study.layers[(study.layers["corpus"] == corpus) & ~study.layers["inpainter"].isin(study.controls)]
    some = some.assign(entry=some["inpainter"].str.split("/").str[0])
    families = {name: family(study.params, name) for name in study.order["inpainter"]}
    encoders = []
    for kind, seen in some.groupby("kind"):
        by_layer = {view: layers_of(seen, view.metric, view.region, study.order) for view in LAYERED}
        charts = {view.title: chart(values, view.axis) for view, values in by_layer.items() if values}
        once = distinct(seen, study.same)
        inside, outside = (layers_of(once, EVEN, region, study.order) for region in (INSIDE, OUTSIDE))
        if inside and outside:
            charts = {"inside and outside the mask": contrast(inside, outside, SHARED, families)} | charts
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


def section_latex(section: Section) -> dict[tuple[str, ...], str]:
    """The tables of a corpus, by kind, captioner where a table is of one, and view."""
    found: dict[tuple[str, ...], str] = {}
    for kind in ("fidelity", "quality", "grounding"):
        found |= {(kind, view): table_latex(table) for view, table in getattr(section, kind).items()}
    for one in section.links:
        if one.pairs:
            found |= {("correlations", one.said, view): map_latex(map) for view, map in one.maps.items()}
    return found


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """Fidelity, captions, what they get right, correlations with the points behind them, and attention."""
    fidelity = [tidy(study.grids[region], study.fidelity, PICTURE, region=region) for region in REGIONS]
    grounding = [tidy(study.grids[region], study.grounding, FIRST, region=region) for region in REGIONS]
    links = [(section.name, one) for section in study.once(sections) for one in section.links]
    said = [{"corpus": corpus} | dict(zip(TEXT, one.text, strict=True)) for corpus, one in links]
    correlations = [
        where | {name: getattr(pair, name) for name in NUMBERS}
        for where, (_, one) in zip(said, links, strict=True)
        for pair in one.pairs
    ]
    points = [one.points.assign(**where) for where, (_, one) in zip(said, links, strict=True)]
    moved = distinct(study.layers[study.layers["metric"] == EVEN], study.same)
    drift = moved.pivot_table(index="layer", columns="region", values="mean")
    return {
        "fidelity": pd.concat(fidelity),
        "grounding": pd.concat(grounding),
        "captions": tidy(study.grids[""], study.quality, FIRST),
        "captions_corpus": tidy(study.summary, study.quality, FIRST),
        "correlations": columns(pd.DataFrame(correlations, columns=["corpus", *TEXT, *NUMBERS])),
        "attention": columns(study.layers, PICTURE),
        "drift": drift.reset_index(),
        "points": columns(pd.concat(points).reset_index()) if points else pd.DataFrame(),
    }


def drawings(study: Study) -> dict[str, str]:
    """The scatter plots of all corpora and captioners as SVG, by name; a sentence where there are none."""
    links = [(section.name, one) for section in study.once(sections) for one in section.links]
    names = slugs(f"{corpus} {one.said}" for corpus, one in links)
    found = {
        f"{name}.svg": drawing(
            one.scatter, f"{one.scatter.y.title} against {one.scatter.x.title}: {corpus}, {one.said}"
        )
        for name, (corpus, one) in zip(names, links, strict=True)
        if one.scatter
    }
    return found or {"nothing.svg": said("This study has no captions to set against fidelity.")}


def main_numbers(study: Study) -> dict[str, Any]:
    """Numbers for ``dvc metrics diff``: captions of the originals, correlations inside the mask, and failures."""
    items, quality = study.items, study.grids[""].value
    numbers: dict[str, Any] = {"items": int(items["items"].sum()), "failed": int(items["failed"].sum())}
    names = [name for name in SCATTERED[1] if name in quality][:2]
    for section in study.once(sections):
        numbers[section.name] = {}
        for one in section.links:
            originals = quality.loc[(section.name, *ORIGINAL, *one.text), names].dropna()
            numbers[section.name][one.said] = {
                "originals": originals.round(6).to_dict(),
                "pearson": {
                    f"{pair.x}~{pair.y}": round(pair.pearson, 6)
                    for pair in one.pairs
                    if pair.x in ("lpips", "mse") and pair.y in names and pair.pearson is not None
                },
            }
    return numbers
