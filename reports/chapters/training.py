"""Training on captions: what precision and recall of captions do to a painter that learns from them, and what the paper
says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, product
from typing import NamedTuple

import numpy as np
import pandas as pd

from registry.published import stored
from registry.published.precision_recall import AVERAGE, PRECISIONS, RECALLS, row
from registry.tracking.asking import stages_of
from reports.asking.counterparts import Beside, beside
from reports.asking.metrics import Metric
from reports.asking.study import Study
from reports.asking.trained import Judged, judged, sets
from reports.chapters.gains import Change
from reports.chapters.inpainting import flat
from reports.figures.painted import gallery
from reports.figures.plane import Square
from reports.site.latex import latex
from reports.site.numbers import number
from reports.site.pages import Page
from reports.statistics.claims.judging import Finding
from reports.statistics.claims.training import CLAIMS, findings
from reports.statistics.crossed import complete, crossed_mean
from reports.statistics.effects import adjusted
from reports.statistics.findings import asked, not_asked
from reports.statistics.surfaces import Contrast, Surface

PAPER = "precision-recall"


class Heat(NamedTuple):
    """One metric by precision (rows) and recall (columns), the painter as it is beside them."""

    metric: Metric
    recalls: Sequence[int]
    rows: list[tuple[float, list[Square | None]]]
    untrained: str
    effects: list[tuple[str, Change | None]]


class Section(NamedTuple):
    """What trainings of one line of an entry made of a painter, by prompts of one corpus."""

    corpus: str
    painter: str
    line: str
    prompts: int
    seeds: int
    heats: list[Heat]


def pages(study: Study) -> list[Page]:
    """One page, where painters were trained on captions of several precisions or recalls and judged."""
    found = study.once(sections)
    if not found:
        return []
    claimed = study.once(of_study)
    samples, pictures = gallery(study)
    measured, learnt = study.once(sets)
    given = {
        "answers": [answer(part) for part in found],
        "sections": found,
        "tests": sum(one is not None for *_, one in flattened(found)),
        "interactions": any(title.startswith("effect of recall") for *_, title, _ in flattened(found)),
        "claims": asked(claimed, CLAIMS),
        "corpora": list(dict.fromkeys(one.corpus for one in claimed)),
        "not_asked": not_asked(claimed, CLAIMS),
        "samples": samples,
        "pictures": pictures,
        "measured": measured,
        "learnt": learnt,
        "grid": printed(study),
        "published": study.once(paper),
        "experiment": stages_of(study.name),
    }
    latexed = {f"training-{n}.tex": table_latex(part, heat) for n, (part, heat) in enumerate(heats(found), 1)}
    return [Page("training.html", "Training", "training.html.j2", given, latexed)]


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """Every cell, the effects, the sets learnt from and the paper's claims; none where nothing was trained."""
    if not (found := study.once(sections)):
        return {}
    measured, learnt = study.once(sets)
    effects = [
        {"corpus": part.corpus, "painter": part.painter, "training": part.line, "metric": heat.metric.name}
        | {"contrast": title, **one._asdict()}
        for part, heat, title, one in flattened(found)
        if one
    ]
    sides = [
        {name: value for name, value in one._asdict().items() if name != "measured"}
        | dict(zip([metric.name for metric in measured], one.measured, strict=True))
        for one in learnt
    ]
    return {
        "training": pd.DataFrame([line for one in study.once(judged) for line in lines(one)]),
        "training_effects": pd.DataFrame(effects),
        "training_sets": pd.DataFrame(sides),
        "training_findings": flat(study.once(of_study), {}, CLAIMS),
    }


def lines(one: Judged) -> Iterator[dict[str, object]]:
    """The cells of a surface as a CSV shows them."""
    where = {"corpus": one.corpus, "painter": one.painter, "training": one.line, "metric": one.metric.name}
    names = ("value", "low", "high", "gain", "gain_low", "gain_high")
    for (p, precision), (r, recall) in product(enumerate(one.surface.precisions), enumerate(one.surface.recalls)):
        own = one.surface.values[p, r]
        n = len(complete(own))
        found = (*crossed_mean(own)[:3], *crossed_mean(own - one.surface.untrained[:, None])[:3])
        yield where | {"precision": precision, "recall": recall, "n": n} | dict(zip(names, found, strict=True))


def sections(study: Study) -> list[Section]:
    """Every surface, with Holm's p over all effects of the page."""
    found = []
    for (corpus, painter, line), some in groupby(study.once(judged), lambda one: (one.corpus, one.painter, one.line)):
        own = list(some)
        most, seeds = max(one.surface.values.shape[2] for one in own), own[0].surface.values.shape[3]
        found.append(Section(corpus, painter, line, most, seeds, [heat(one.metric, one.surface) for one in own]))
    held = [one for *_, one in flattened(found)]
    holm = iter(adjusted([one.p for one in held if one and one.p is not None]))

    def corrected(one: Change | None) -> Change | None:
        return one if one is None or one.p is None else one._replace(p_holm=next(holm))

    return [
        part._replace(
            heats=[h._replace(effects=[(title, corrected(one)) for title, one in h.effects]) for h in part.heats]
        )
        for part in found
    ]


def heats(found: Sequence[Section]) -> Iterator[tuple[Section, Heat]]:
    yield from ((part, one) for part in found for one in part.heats)


def flattened(found: Sequence[Section]) -> Iterator[tuple[Section, Heat, str, Change | None]]:
    """Every effect, with where it stands."""
    yield from ((part, heat, title, one) for part, heat in heats(found) for title, one in heat.effects)


def heat(metric: Metric, surface: Surface) -> Heat:
    """A surface as the page shows it: coloured by what each cell gained over the painter as it is."""
    gains = surface.values - surface.untrained[:, None]
    every = [[crossed_mean(gain) for gain in row] for row in gains]
    largest = max((abs(gain[0]) for row in every for gain in row if np.isfinite(gain[0])), default=0.0)
    rows = []
    for precision, own, row_gains in zip(surface.precisions, surface.values, every, strict=True):
        rows.append((precision, [square(metric, v, gain, largest) for v, gain in zip(own, row_gains, strict=True)]))
    untrained = text_of(crossed_mean(surface.untrained[:, None]), metric)
    return Heat(metric, surface.recalls, rows, untrained, [(one.title, effect(one)) for one in surface.contrasts()])


Found = tuple[float, float | None, float | None, float | None]


def square(metric: Metric, values: np.ndarray, gain: Found, largest: float) -> Square | None:
    """One cell: its mean, bold where the interval of its gain leaves zero out."""
    mean, low, high, _ = crossed_mean(values)
    if not np.isfinite(mean):
        return None
    over, ends = gain[0], gain[1:3]
    strength = round(100 * abs(over) / largest) if largest and np.isfinite(over) else 0
    beyond = ends[0] is not None and ends[1] is not None and (ends[0] > 0 or ends[1] < 0)
    words = f"{metric.title}: {text_of((mean, low, high, None), metric)}; over the painter as it is: "
    better = over >= 0 if metric.higher_is_better is not False else over < 0
    sign = "positive" if better else "negative"
    text = number(mean, metric.decimals)
    return Square(text, sign, strength, beyond, words + text_of(gain, metric), ends_of(low, high, 2))


def ends_of(low: float | None, high: float | None, decimals: int) -> str:
    return "" if low is None or high is None else f"{number(low, decimals)} … {number(high, decimals)}"


def text_of(found: Found, metric: Metric) -> str:
    """A mean and its interval."""
    mean, low, high, _ = found
    ends = ends_of(low, high, metric.decimals)
    return number(mean, metric.decimals) + (f" [{ends}]" if ends else "")


def effect(one: Contrast) -> Change | None:
    """What is between the sides of a contrast, over prompts and seeds; None where a side has no value."""
    apart = one.after - one.before
    if not (n := len(complete(apart))):
        return None
    sides = (np.where(np.isfinite(apart), side, np.nan) for side in (one.before, one.after))
    before, after = (float(complete(side).mean()) for side in sides)
    return Change(before, after, n, *crossed_mean(apart))


QUESTIONS = {
    "precision": "Do more precise captions help?",
    "recall": "Do captions that say more help?",
    "effect": "Does recall help more where captions are more precise?",
}
"""What each of the effects over all answers, by the first word of its title."""


def answer(part: Section) -> str:
    """Whether precision helps, whether recall does, and whether they act together, in the metric that comes first."""
    first = part.heats[0]
    found = [f"{first.metric.title} of {part.painter}, trained by {part.line}, on {part.corpus}:"]
    for title, one in first.effects:
        question = QUESTIONS.get(title.partition(" ")[0])
        if one is not None and question:
            better = (one.effect > 0) == (first.metric.higher_is_better is not False)
            verdict = ("yes" if better else "no") if one.beyond else "open"
            numbers = f"{one.text(first.metric.decimals)} {one.interval(first.metric.decimals)}".rstrip()
            found.append(f"{question} {verdict.capitalize()} ({title}: {numbers}).")
    return " ".join(found)


def of_study(study: Study) -> list[Finding]:
    """The claims of the paper on this study, by every metric that has a better side."""
    several = len({(one.painter, one.line) for one in study.once(judged)}) > 1
    found: list[Finding] = []
    for one in study.once(judged):
        if one.metric.higher_is_better is not None:
            turned = 1 if one.metric.higher_is_better else -1
            name = f"{one.metric.title}, {one.painter}, {one.line}" if several else one.metric.title
            found += findings(one.surface._replace(values=turned * one.surface.values), one.corpus, name)
    place = {claim.text: n for n, claim in enumerate(CLAIMS)}
    known = [one for one in found if one.estimate.value is not None]
    return sorted(known, key=lambda one: place[one.claim])


def paper(study: Study) -> dict[str, list[Beside]]:
    """What the paper prints, table by table, with ours beside it where all names are the same."""
    rows = beside([one for one in stored(study.connection) if one.paper == PAPER], study)
    rows.sort(key=lambda one: int(one.number.table))
    return {table: list(some) for table, some in groupby(rows, lambda one: one.number.table)}


def printed(study: Study) -> list[tuple[float, list[Square | None]]]:
    """The paper's surface: table 2's averages by precision and recall, coloured by what they are over the lowest."""
    numbers = [one.number for one in study.once(paper).get("2", [])]
    at = {one.row: one for one in numbers if one.metric == AVERAGE}
    if not at:
        return []
    low, high = (most(one.value for one in at.values()) for most in (min, max))

    def shown(label: str) -> Square | None:
        if (one := at.get(label)) is None:
            return None
        return Square(one.text, "positive", round(100 * (one.value - low) / (high - low)), False, label)

    return [(p, [shown(row(p, r)) for r in RECALLS]) for p in PRECISIONS]


def table_latex(part: Section, shown: Heat) -> str:
    """A surface as a paper prints it, cells beyond the painter as it is in bold."""
    index = pd.Index([f"{precision:g} %" for precision, _ in shown.rows], name=f"{shown.metric.title}, {part.corpus}")
    names = [f"recall {recall}" for recall in shown.recalls]
    texts = pd.DataFrame([[one.text if one else "–" for one in row] for _, row in shown.rows], index, names)
    bold = pd.DataFrame([[bool(one and one.beyond) for one in row] for _, row in shown.rows], index, names)
    return latex(texts, bold)
