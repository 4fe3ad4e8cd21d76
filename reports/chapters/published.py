"""Published: tables of papers beside ours, what is known of data alike, and signs of correlations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from registry.published import Number, stored
from registry.published.checks import SIGNS, UNSTABLE
from reports.asking.counterparts import FLIPS, Beside, beside, flat
from reports.asking.metrics import Metric, undeclared
from reports.asking.study import Study
from reports.chapters.corpora import sections
from reports.chapters.links import Link
from reports.site.latex import latex
from reports.site.numbers import number, percent, signed
from reports.site.pages import Page, slugs
from reports.statistics.analysis import Correlation
from reports.statistics.claims.judging import MARKS
from reports.statistics.claims.judging import WORDS as ANSWERS
from reports.statistics.claims.links import STRENGTH, alike_everywhere, unstable_everywhere
from reports.statistics.points import FEWEST, is_constant

KINDS = {
    "scenes": "flickr", "flickr30k-entities": "flickr", "coco": "flickr", "referring": "refcocog",
    "refcocog": "refcocog", "series": "truce", "truce": "truce", "radiographs": "rocov2", "rocov2": "rocov2",
}  # fmt: skip
"""Adapter of a corpus → the published corpus of the same kind of data."""

WORDS = {-1: "negative", 1: "positive"}
BLEU = Metric("bleu", "BLEU (order?)", True, 3, "BLEU of an order that the paper does not report")


class Compared(NamedTuple):
    """One number as the page shows it, three lines: ours, published, difference."""

    ours: str
    ours_change: str
    published: str
    published_change: str
    difference: str


class Agreement(NamedTuple):
    """One column in short: over the repainted configurations that both have."""

    metric: Metric
    n: int
    mean: str
    largest: str
    rank: str
    """Spearman's correlation: whether ours orders configurations as the paper does."""


class View(NamedTuple):
    """One captioner of a paper's table ("" for fidelity)."""

    said: str
    metrics: list[Metric]
    lines: list[tuple[str, list[Compared | None]]]
    short: list[Agreement]


class PaperTable(NamedTuple):
    """A table of a paper that shares numbers with the study: ``held`` of its ``total``."""

    title: str
    corpus: str
    views: list[View]
    unstated: bool
    """Whether the paper does not say whose captions these are."""
    held: int
    total: int


class Range(NamedTuple):
    """Range of a paper's table over its repainted configurations, or over the original pictures."""

    title: str
    corpus: str
    like: list[str]
    """The study's corpora of that kind of data."""
    said: str
    original: bool
    cells: dict[str, str]


class Sign(NamedTuple):
    """Sign of a fidelity metric's correlation with captions: in the paper, and in ours over all caption metrics."""

    metric: Metric
    ours: str
    flips: str
    """How often it turns when a configuration is left out, published and here; "" where the paper does not count."""
    verdict: str
    """By the rule of the findings, over all caption metrics."""
    title: str


class Signs(NamedTuple):
    """The signs of one corpus and captioner of ours beside those of a published corpus."""

    corpus: str
    said: str
    published: str
    signs: list[Sign]


class Comparison(NamedTuple):
    """Everything the page shows."""

    tables: list[PaperTable]
    context: list[Range]
    context_metrics: dict[str, list[Metric]]
    """The columns of the context's two tables: fidelity and captions."""
    signs: list[Signs]
    sign_metrics: list[Metric]
    """The columns of the table of signs."""
    rows: list[Beside]
    """Every number, with its counterparts."""


def pages(study: Study) -> list[Page]:
    """One page: what has a counterpart, what is context, and which way correlations go; none where there is no such."""
    found = study.once(comparison)
    if not (found.tables or found.context or found.signs):
        return []
    views = [(table, view) for table in found.tables for view in table.views]
    names = slugs(f"published {table.title} {view.said}" for table, view in views)
    latexed = {f"{name}.tex": latex(view_texts(view)) for name, (_, view) in zip(names, views, strict=True)}
    return [
        Page(
            "published.html",
            "Published",
            "published.html.j2",
            {"compared": found, "marks": MARKS, "strength": STRENGTH},
            latexed,
        )
    ]


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """Every published number, with ours."""
    return {"published": flat(study.once(comparison).rows)}


def comparison(study: Study) -> Comparison:
    """The study beside every number that the registry has of the inpainting paper."""
    numbers = [number for number in stored(study.connection) if number.paper == "inpainting"]
    return compare(numbers, study, {one.name: one.links for one in study.once(sections)})


def compare(numbers: Sequence[Number], study: Study, links: Mapping[str, Sequence[Link]]) -> Comparison:
    """Compare published numbers with a study's; ``links`` are the correlations of each corpus."""
    rows = beside(numbers, study)
    metrics = named(study, numbers)
    by_table = [(key, list(held)) for key, held in groupby(rows, key=lambda row: (row.number.paper, row.number.table))]
    shown = [paper_table(held, metrics) for _, held in by_table if any(row.ours is not None for row in held)]
    compared = {row.number.corpus for row in rows if row.ours is not None}
    entries = study.params.get("corpora") or {}
    kinds = {name: KINDS.get((entries.get(name) or {}).get("adapter", "")) for name in study.order["corpus"]}
    others = [kind for kind in kinds.values() if kind and kind not in compared]
    like = {kind: [name for name in kinds if kinds[name] == kind] for kind in others}
    context = [one for _, held in by_table for one in spans(held, like, metrics)]
    used = {name for one in context for name in one.cells}
    fidelity = {metric.name for metric in study.fidelity}
    titles = {
        title: [metric for metric in metrics.values() if metric.name in used and (metric.name in fidelity) == pictures]
        for title, pictures in (("fidelity inside the mask", True), ("captions", False))
    }
    found = [
        signs(numbers, corpus, link, kind, metrics) for corpus, kind in kinds.items() if kind for link in links[corpus]
    ]
    said = {sign.metric.name for row in found for sign in row.signs}
    heads = [metric for metric in study.fidelity if metric.name in said]
    return Comparison(shown, context, titles, [one for one in found if one.signs], heads, rows)


def named(study: Study, numbers: Iterable[Number]) -> dict[str, Metric]:
    """The metrics of the study and of papers by name, in the order of the tables."""
    found = {metric.name: metric for metric in (*study.fidelity, *study.quality, BLEU)}
    return found | {
        one.metric: undeclared(one.metric, [one.region], said=not one.region)
        for one in numbers
        if one.metric not in found
    }


def paper_table(rows: Sequence[Beside], metrics: Mapping[str, Metric]) -> PaperTable:
    """One table of a paper, the configurations that the study shares with it."""
    first = rows[0].number
    held = [row for row in rows if row.ours is not None]
    order = dict.fromkeys(row.said for row in held)
    return PaperTable(
        f"Table {first.table}",
        first.corpus,
        [view([row for row in held if row.said == name], metrics) for name in order],
        not first.region and first.captioner is None,
        len({row.number for row in held}),
        len({row.number for row in rows}),
    )


def view(rows: Sequence[Beside], known: Mapping[str, Metric]) -> View:
    """The configurations of one captioner as lines."""
    metrics = [known[name] for name in dict.fromkeys(row.number.metric for row in rows)]
    by_label: dict[str, dict[str, Compared]] = {}
    for row in rows:
        if row.ours is None:
            continue
        metric = known[row.number.metric]
        by_label.setdefault(row.number.row, {})[metric.name] = Compared(
            number(row.ours, metric.decimals),
            percent(row.ours_change),
            number(row.published, metric.decimals),
            percent(row.number.change),
            signed(row.ours - row.published, metric.decimals),
        )
    lines = [(label, [cells.get(metric.name) for metric in metrics]) for label, cells in by_label.items()]
    short = [agreement(metric, [row for row in rows if row.number.metric == metric.name]) for metric in metrics]
    return View(rows[0].said, metrics, lines, [one for one in short if one.n])


def view_texts(one: View) -> pd.DataFrame:
    """The page's numbers side by side, without changes: three rows a configuration."""
    whose = ("ours", "published", "difference")
    rows = [[getattr(cell, name) if cell else "" for cell in cells] for _, cells in one.lines for name in whose]
    index = pd.MultiIndex.from_product([[label for label, _ in one.lines], whose], names=["configuration", ""])
    return pd.DataFrame(rows, index, [f"{metric.title} {metric.arrow}" for metric in one.metrics])


def agreement(metric: Metric, rows: Sequence[Beside]) -> Agreement:
    """Differences of ours from the published values of a column, and whether they order configurations alike."""
    rows = [row for row in rows if row.number.inpainter]
    ours, theirs = (np.array([getattr(row, name) for row in rows], float) for name in ("ours", "published"))
    apart = ours - theirs
    if not len(rows):
        return Agreement(metric, 0, "", "", "")
    varied = len(rows) >= FEWEST and not is_constant(ours) and not is_constant(theirs)
    rank = signed(float(stats.spearmanr(ours, theirs).statistic), 2) if varied else "–"
    largest = float(apart[np.abs(apart).argmax()])
    mean = float(apart.mean())
    return Agreement(metric, len(rows), signed(mean, metric.decimals), signed(largest, metric.decimals), rank)


def spans(rows: Sequence[Beside], like: Mapping[str, list[str]], metrics: Mapping[str, Metric]) -> list[Range]:
    """Ranges of a table for a kind of data that the study has under another name, one each captioner."""
    first = rows[0].number
    if first.corpus not in like:
        return []
    found = []
    parts: dict[tuple[str, bool], dict[str, list[float]]] = {}
    for row in rows:
        of = row.number.captioner or ("" if first.region else "not stated"), row.number.inpainter is None
        parts.setdefault(of, {}).setdefault(row.number.metric, []).append(row.published)
    for (captioner, original), columns in parts.items():
        cells = {name: span(values, metrics[name].decimals) for name, values in columns.items()}
        found.append(Range(f"Table {first.table}", first.corpus, like[first.corpus], captioner, original, cells))
    return found


def span(values: Sequence[float], decimals: int) -> str:
    """
    >>> span([0.3, 0.1, 0.2], 2), span([0.3], 2)
    ('0.10 to 0.30', '0.30')
    """
    low, high = (number(end, decimals) for end in (min(values), max(values)))
    return low if len(values) == 1 else f"{low} to {high}"


def signs(numbers: Iterable[Number], corpus: str, link: Link, published: str, metrics: Mapping[str, Metric]) -> Signs:
    """Signs of fidelity against the captions of one captioner, beside what the paper says of that kind of data."""
    counted = {(one.corpus, one.row.lower()): one.text for one in numbers if one.metric == FLIPS}
    said = SIGNS.get(published, {}) | {name: 0 for corpus, name in UNSTABLE if corpus == published}
    found = []
    for name, sign in said.items():
        pairs = [pair for pair in link.pairs if pair.x == name]
        ours = {pair.y: pair.pearson for pair in pairs if pair.pearson is not None}
        if ours:
            turned, chances = flips(pairs)
            alike = sum(r * sign > 0 for r in ours.values())
            count = counted.get((published, name))
            turns = f"flips: {count} published, {turned} of {chances} here" if count else ""
            title = ", ".join(f"{metrics[y].title} {r:+.2f}" for y, r in ours.items()).replace("-", "−")
            verdict = alike_everywhere(pairs, sign) if sign else unstable_everywhere(pairs)
            unstable = f"unstable: {ANSWERS[verdict]}, {turned} of {chances} turn"
            text = f"{alike} of {len(ours)} {WORDS[sign]}" if sign else unstable
            found.append(Sign(metrics[name], text, turns, verdict, f"{verdict}: r with {title}"))
    return Signs(corpus, link.said, published, found)


def flips(pairs: Iterable[Correlation]) -> tuple[int, int]:
    """Count sign flips when one configuration is left out, as table 1 does, and the configurations left out."""
    left = [(pair.leave_one_out.sign_flips, pair.n) for pair in pairs if pair.leave_one_out]
    return sum(turned for turned, _ in left), sum(n for _, n in left)
