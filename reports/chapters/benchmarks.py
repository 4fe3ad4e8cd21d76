"""Benchmarks: what chat models answer about pictures, as they are and after trainings on captions, and what paper
*ScaleCap* says of pretraining."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, groupby
from typing import NamedTuple

import numpy as np
import pandas as pd

from registry.published import stored
from reports.asking.answered import NUMBERS, OURS, RIVAL, SHORT, VANILLA, Asked, Line, asked, pope
from reports.asking.counterparts import Beside, beside
from reports.asking.metrics import Metric
from reports.asking.study import Study
from reports.chapters.gains import Change
from reports.chapters.inpainting import flat
from reports.chapters.training import Found, effect, text_of
from reports.figures.plane import COLOURS
from reports.figures.sweeps import Axis, Sweep, of_points
from reports.site.latex import latex
from reports.site.numbers import number
from reports.site.pages import Page
from reports.statistics.claims.judging import Finding
from reports.statistics.claims.pretraining import CLAIMS, findings
from reports.statistics.crossed import complete, crossed_mean
from reports.statistics.effects import adjusted
from reports.statistics.findings import asked as by_claim
from reports.statistics.findings import not_asked
from reports.statistics.surfaces import Contrast

PAPER, TABLE = "scalecap", "1"
AS_IT_IS, USUAL = "as it is", "most frequent answer"


class Cell(NamedTuple):
    """A mean over pictures and seeds with its 95 % interval."""

    mean: float
    low: float | None
    high: float | None
    n: int
    over: Found
    """The same of what it has over the blind answer, picture by picture."""

    @property
    def beyond(self) -> bool:
        """Whether it is better than the blind answer: the interval of what it has over that lies above zero."""
        low = self.over[1]
        return low is not None and low > 0

    def text(self, metric: Metric) -> str:
        return number(self.mean, metric.decimals)

    def interval(self, metric: Metric) -> str:
        return text_of((self.mean, self.low, self.high, None), metric).partition(" ")[2]

    def gain(self, metric: Metric) -> str:
        return text_of(self.over, metric)


class Row(NamedTuple):
    """A model: as it is, or a line of trainings at one size."""

    name: str
    size: int | None
    cells: list[Cell | None]


class Section(NamedTuple):
    """What a model and its trainings answered about the pictures of one corpus."""

    corpus: str
    answerer: str
    pictures: int
    seeds: int
    metrics: list[Metric]
    blind: list[Cell | None]
    """What always giving the most frequent answer has."""
    rows: list[Row]
    effects: list[tuple[str, list[Change | None]]]
    """By what is compared, a change for each metric."""
    sweep: Sweep | None


def pages(study: Study) -> list[Page]:
    """One page, where chat models were asked about pictures."""
    found = study.once(sections)
    if not found:
        return []
    claimed = study.once(of_study)
    given = {
        "answers": [answer(part) for part in found],
        "sections": found,
        "tests": sum(one is not None for part in found for _, some in part.effects for one in some),
        "pope": [(where, list(rows)) for where, rows in groupby(study.once(pope), lambda one: one[:2])],
        "numbers": NUMBERS,
        "claims": by_claim(claimed, CLAIMS),
        "corpora": list(dict.fromkeys(one.corpus for one in claimed)),
        "not_asked": not_asked(claimed, CLAIMS),
        "published": {TABLE: study.once(paper)} if claimed else {},
    }
    latexed = {f"benchmarks-{n}.tex": table_latex(part) for n, part in enumerate(found, 1)}
    return [Page("benchmarks.html", "Benchmarks", "benchmarks.html.j2", given, latexed)]


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """Every accuracy, the effects, POPE's numbers and the paper's claims; none where nobody was asked."""
    if not (found := study.once(sections)):
        return {}
    cells: list[dict[str, object]] = [
        {"corpus": part.corpus, "answerer": part.answerer, "training": row.name, "size": row.size,
         "metric": metric.name, "blind": blind and blind.mean, "n": one.n, "value": one.mean, "low": one.low,
         "high": one.high, **dict(zip(("gain", "gain_low", "gain_high"), one.over, strict=False))}
        for part in found
        for row in part.rows
        for metric, blind, one in zip(part.metrics, part.blind, row.cells, strict=True)
        if one
    ]  # fmt: skip
    effects = [
        {"corpus": part.corpus, "answerer": part.answerer, "metric": metric.name, "contrast": title, **one._asdict()}
        for part in found
        for title, some in part.effects
        for metric, one in zip(part.metrics, some, strict=True)
        if one
    ]
    of_pope: list[dict[str, object]] = [
        {"corpus": one.corpus, "answerer": one.answerer, "training": one.line or AS_IT_IS, "size": one.size,
         "objects": sampling, **numbers}
        for one in study.once(pope)
        for sampling, numbers in one.numbers.items()
    ]  # fmt: skip
    return {
        "benchmarks": pd.DataFrame(cells),
        "benchmarks_effects": pd.DataFrame(effects),
        "benchmarks_pope": pd.DataFrame(of_pope),
        "benchmarks_findings": flat(study.once(of_study), {}, CLAIMS),
    }


def sections(study: Study) -> list[Section]:
    """Every corpus and model, with Holm's p over all effects of the page."""
    found = []
    for (corpus, answerer), some in groupby(study.once(asked), lambda one: (one.corpus, one.answerer)):
        own = list(some)
        found.append(
            Section(
                corpus, answerer, len(own[0].untrained), own[0].lines[0].values.shape[2] if own[0].lines else 0,
                [one.metric for one in own], [cell(one.blind[:, None], one.blind) for one in own],
                rows_of(own), effects_of(own), sweep(own),
            )
        )  # fmt: skip
    known = [one for part in found for _, some in part.effects for one in some if one and one.p is not None]
    holm = iter(adjusted([one.p for one in known if one.p is not None]))

    def corrected(one: Change | None) -> Change | None:
        return one if one is None or one.p is None else one._replace(p_holm=next(holm))

    return [
        part._replace(effects=[(title, [corrected(one) for one in some]) for title, some in part.effects])
        for part in found
    ]


def rows_of(own: Sequence[Asked]) -> list[Row]:
    """The model as it is, and every line at every size."""
    found = [Row(AS_IT_IS, None, [cell(one.untrained[:, None], one.blind) for one in own])]
    for place, line in enumerate(own[0].lines):
        for at, size in enumerate(line.sizes):
            found.append(Row(line.name, size, [cell(one.lines[place].values[at], one.blind) for one in own]))
    return [row for row in found if any(row.cells)]


def cell(values: np.ndarray, blind: np.ndarray) -> Cell | None:
    """Values are pictures × seeds; what a blind answer has of these pictures depends on no seed."""
    mean, low, high, _ = crossed_mean(values)
    if not np.isfinite(mean):
        return None
    return Cell(mean, low, high, len(complete(values)), crossed_mean(values - blind[:, None]))


def effects_of(own: Sequence[Asked]) -> list[tuple[str, list[Change | None]]]:
    """Each two lines at the largest size that both have, and each line's largest size beside its smallest."""
    each = [list(contrasts(one.lines)) for one in own]
    return [
        (some[0].title, changes)
        for some in zip(*each, strict=True)
        if any(changes := [effect(one) for one in some])
    ]  # fmt: skip


def contrasts(lines: Sequence[Line]) -> Iterator[Contrast]:
    """What is compared, picture by picture and seed by seed. What says no size is compared at the other's largest."""
    for one, other in combinations(lines, 2):
        common = [size for size in one.sizes if size in other.sizes]
        if common or None in one.sizes or None in other.sizes:
            size = max(common, key=lambda size: size or 0) if common else None
            title = f"{one.name} → {other.name}" + (f", {size:,} pictures" if size else "")
            yield Contrast(title, *(at(line, size) for line in (one, other)))
    for line in lines:
        if len(line.sizes) > 1:
            title = f"{line.name}: {line.sizes[0]:,} → {line.sizes[-1]:,} pictures"
            yield Contrast(title, line.values[0], line.values[-1])


def at(line: Line, size: int | None) -> np.ndarray:
    """The values at a size; at the largest where the line has not this one."""
    found: np.ndarray = line.values[line.sizes.index(size) if size in line.sizes else -1]
    return found


def sweep(own: Sequence[Asked]) -> Sweep | None:
    """Accuracy against the size of the caption set, a curve each line, with what does not learn one as levels; None
    where no line has two sizes."""
    sizes = sorted({size for line in own[0].lines if len(line.sizes) > 1 for size in line.sizes if size})
    if not sizes:
        return None
    names = [line.name for line in own[0].lines] + [AS_IT_IS, USUAL]
    colours = {name: place % COLOURS for place, name in enumerate(names)}
    axis = Axis("training", "size of the caption set", "pictures", {str(size): size for size in sizes}, {})
    planes = [of_points(curves(one, sizes), one.metric, axis, colours) for one in own]
    seeds = own[0].lines[0].values.shape[2]
    return Sweep(axis, planes, list(colours.items()), f"{len(own[0].untrained):,} pictures and {seeds} seeds")


def curves(one: Asked, sizes: Sequence[int]) -> pd.DataFrame:
    """The points of all curves: mean and interval by line and size."""
    found: dict[tuple[str, int], Sequence[float]] = {}
    for line in one.lines:
        for size in sizes if line.sizes == [None] else [size for size in line.sizes if size]:
            found[line.name, size] = point(at(line, size))
    for name, values in ((AS_IT_IS, one.untrained), (USUAL, one.blind)):
        level = point(values[:, None])
        found |= {(name, size): level for size in sizes}
    index = pd.MultiIndex.from_tuples(found, names=["line", "x"])
    points = pd.DataFrame(list(found.values()), index=index, columns=["mean", "low", "high", "count"])
    return points.dropna().astype({"count": int})


def point(values: np.ndarray) -> Sequence[float]:
    mean, low, high, _ = crossed_mean(values)
    n = len(complete(values))
    return mean, mean if low is None else low, mean if high is None else high, n


def answer(part: Section) -> str:
    """The model as it is and the best of its trainings by the first metric, beside a blind answer."""
    metric, blind = part.metrics[0], part.blind[0]
    known = [(row, row.cells[0]) for row in part.rows if row.cells[0]]
    found = [f"as it is {one.text(metric)} {one.interval(metric)}" for row, one in known if row.name == AS_IT_IS]
    if trained := [(row, one) for row, one in known if row.name != AS_IT_IS]:
        row, best = max(trained, key=lambda one: one[1].mean)
        size = f" ({row.size:,} pictures)" if row.size else ""
        found.append(f"best of its trainings is {row.name}{size} with {best.text(metric)} {best.interval(metric)}")
    found.append(f"always giving the most frequent answer has {blind.text(metric) if blind else '–'}.")
    return f"{metric.title} of {part.answerer} on {part.corpus}: {'; '.join(found)}"


def of_study(study: Study) -> list[Finding]:
    """The claims of ScaleCap on this study, by every accuracy; none where nothing learnt ScaleCap's captions."""
    found: list[Finding] = []
    several = len({one.answerer for one in study.once(asked)}) > 1
    for one in study.once(asked):
        judge = f"{one.metric.title}, {one.answerer}" if several else one.metric.title
        by = {kind: [line for line in one.lines if line.of == kind] for kind in (OURS, RIVAL, SHORT, VANILLA)}
        for line in by[OURS]:
            name = f"{judge}, {line.name}" if len(by[OURS]) > 1 else judge
            rivals, others = ({each.name: sized(each) for each in by[kind]} for kind in (RIVAL, SHORT))
            vanilla = by[VANILLA][0].values[-1] if by[VANILLA] else None
            found += findings(sized(line), rivals, others, vanilla, one.corpus, name)
    place = {claim.text: n for n, claim in enumerate(CLAIMS)}
    known = [one for one in found if one.estimate.value is not None]
    return sorted(known, key=lambda one: place[one.claim])


def sized(line: Line) -> dict[int, np.ndarray]:
    return {size or 0: values for size, values in zip(line.sizes, line.values, strict=True)}


def paper(study: Study) -> list[Beside]:
    """ScaleCap's table of pretraining, with ours beside it where all names are the same."""
    return beside([one for one in stored(study.connection) if (one.paper, one.table) == (PAPER, TABLE)], study)


def table_latex(part: Section) -> str:
    """Accuracies as a paper prints them, those above the blind answer in bold."""
    index = pd.Index([f"{row.name}, {row.size:,}" if row.size else row.name for row in part.rows], name=part.corpus)
    names = [metric.title for metric in part.metrics]
    texts = [
        [one.text(metric) if one else "–" for metric, one in zip(part.metrics, row.cells, strict=True)]
        for row in part.rows
    ]
    bold = [[bool(one and one.beyond) for one in row.cells] for row in part.rows]
    return latex(pd.DataFrame(texts, index, names), pd.DataFrame(bold, index, names))
