"""Gains: captions before and after a method rewrote them, metric by metric, with what the pictures leave certain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.asking.metrics import CAPTIONS, Metric
from reports.asking.rewritten import SAID, Changes, changes
from reports.asking.study import Study
from reports.figures.sweeps import Sweep, axes_of, plane
from reports.site.numbers import signed
from reports.statistics.claims.recaptioning import RIGHT
from reports.statistics.effects import adjusted, against_zero

ALL = "all of them"
"""The column over all first captioners: each picture counts once, with its mean."""

FROM_NOTHING = ("rounds", "budget")
"""Settings whose 0 is the first caption."""

LEVEL = 0.05


class Change(NamedTuple):
    """Mean before and after, and the paired difference with its 95 % interval over pictures."""

    before: float
    after: float
    n: int
    effect: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None = None

    def text(self, decimals: int) -> str:
        return signed(self.effect, decimals)

    def interval(self, decimals: int) -> str:
        """Its 95 % interval, "" where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"[{signed(self.low, decimals)}, {signed(self.high, decimals)}]"

    @property
    def beyond(self) -> bool:
        """Whether its interval leaves zero out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def mark(self, metric: Metric) -> str:
        """``supported`` where it is better and ``refuted`` where it is worse, for certain among all that is shown."""
        if self.p_holm is None or self.p_holm >= LEVEL or metric.higher_is_better is None:
            return ""
        return "supported" if (self.effect > 0) == metric.higher_is_better else "refuted"


class Table(NamedTuple):
    """Before and after of one method: metrics as rows, first captioners as columns."""

    recaptioner: str
    captioners: list[str]
    rows: list[tuple[Metric, list[Change | None]]]


class Section(NamedTuple):
    """One corpus."""

    corpus: str
    tables: dict[str, list[Table]]
    """Those of the variants of each entry, the last variant first."""
    sweeps: list[Sweep]


def of_originals(had: Changes) -> pd.DataFrame:
    return had.rows[had.rows["inpainter"] == ""]


def sections(study: Study) -> list[Section]:
    """Everything that is shown of each corpus, with Holm's p over all of its differences."""
    had = study.once(changes)
    rows = of_originals(had)
    found = []
    for corpus in study.order["corpus"]:
        some = rows[rows["corpus"] == corpus]
        if len(some):
            made: dict[str, list[Table]] = {}
            for name in study.order["recaptioner"]:
                if (one := table(study, had, some, name)).rows:
                    made.setdefault(name.partition("/")[0], []).insert(0, one)
            found.append(Section(corpus, made, curves(study, had, some)))
    held = [one for _, t in flattened(found) for _, cells in t.rows for one in cells]
    holm = iter(adjusted([one.p for one in held if one and one.p is not None]))

    def corrected(one: Change | None) -> Change | None:
        return one if one is None or one.p is None else one._replace(p_holm=next(holm))

    def corrected_table(t: Table) -> Table:
        return t._replace(rows=[(metric, [corrected(one) for one in cells]) for metric, cells in t.rows])

    return [
        part._replace(tables={entry: [corrected_table(t) for t in some] for entry, some in part.tables.items()})
        for part in found
    ]


def flattened(found: Sequence[Section]) -> list[tuple[Section, Table]]:
    """Every table, with its section."""
    return [(part, table) for part in found for some in part.tables.values() for table in some]


def table(study: Study, had: Changes, rows: pd.DataFrame, recaptioner: str) -> Table:
    """Before and after of one method on one corpus."""
    mine = rows[rows["recaptioner"] == recaptioner]
    said = [name for name in study.order["captioner"] if (mine["captioner"] == name).any()]
    lines = []
    for metric in sorted(had.metrics, key=lambda metric: metric.about == CAPTIONS):
        some = mine[mine["metric"] == metric.name]
        cells = [change(some[some["captioner"] == name]) for name in said]
        cells += [change(some)] if len(said) > 1 else []
        if any(cells):
            lines.append((metric, cells))
    return Table(recaptioner, [*said, ALL] if len(said) > 1 else said, lines)


def change(rows: pd.DataFrame) -> Change | None:
    """The paired difference of before and after over pictures; one of a single picture has no interval."""
    means = rows.groupby(["corpus", "sample"])[["before", "after"]].mean().round(12)
    if means.empty:
        return None
    return difference(means["before"].to_numpy(float), means["after"].to_numpy(float))


def difference(before: np.ndarray, after: np.ndarray) -> Change:
    apart = after - before
    if len(apart) < 2:
        return Change(float(before.mean()), float(after.mean()), len(apart), float(apart.mean()), None, None, None)
    return Change(float(before.mean()), float(after.mean()), len(apart), *against_zero(apart))


def composite(had: Changes) -> list[str]:
    """The metrics whose mean says how right a caption is; none where no truth is known."""
    return [metric.name for metric in had.metrics if metric.name in RIGHT]


def what(had: Changes, judge: Metric | None) -> str:
    """What a gain in one number is of."""
    return "the mean of precision and recall" if composite(had) else judge.title if judge else "nothing"


def gains(had: Changes, judge: Metric | None) -> dict[tuple[str, ...], float]:
    """How much better each caption of an original is by one number: (corpus, captioner, recaptioner, sample) → gain."""
    rows = overall(of_originals(had), had, judge)
    return dict(zip(rows.index, rows["after"] - rows["before"], strict=True))


def overall(rows: pd.DataFrame, had: Changes, judge: Metric | None) -> pd.DataFrame:
    """Before and after by one number: the mean over :func:`composite`, or the metric that judges captions."""
    some = rows[rows["metric"].isin(composite(had) or [judge.name if judge else ""])]
    return some.groupby(["corpus", "captioner", "recaptioner", "sample"])[["before", "after"]].mean()


def leading(had: Changes, judge: Metric | None) -> list[Metric]:
    """The few metrics that stand for all: what is right of objects, attributes and relations, and the judge."""
    names = [*RIGHT, judge.name if judge else ""]
    return [metric for name in names for metric in had.metrics if metric.name == name]


def curves(study: Study, had: Changes, rows: pd.DataFrame) -> list[Sweep]:
    """Quality by what an entry sweeps over, a curve each first captioner; 0 is the first caption where that can be."""
    said = [name for name in study.order["captioner"] if (rows["captioner"] == name).any()]
    found = []
    for axis in axes_of(study.params, sections=("recaptioners",)):
        some = rows[rows["recaptioner"].isin(axis.values)]
        after = some.assign(x=some["recaptioner"].map(axis.values), value=some["after"])
        parts, values = [after], dict(axis.values)
        if axis.setting in FROM_NOTHING:
            first = some.drop_duplicates([*SAID, "metric", "sample"])
            parts += [
                first.assign(x=0, value=first["before"], recaptioner=name)
                for name in {line: name for name, line in axis.lines.items()}.values()
            ]
            values[""] = 0
        points = pd.concat(parts)
        more = points["recaptioner"].map(axis.lines)
        points = points.assign(line=points["captioner"].where(more == "", points["captioner"] + ", " + more))
        drawn = sorted(set(points["line"]), key=lambda line: (said.index(line.partition(", ")[0]), line))
        lines = {name: place for place, name in enumerate(drawn)}
        shown = leading(had, study.judge)
        planes = [
            plane(own, metric, axis._replace(values=values), lines)
            for metric in shown
            if len(own := points[points["metric"] == metric.name])
        ]
        if planes:
            over = f"{points['sample'].nunique():,} pictures"
            over += "; 0 is the first caption" if axis.setting in FROM_NOTHING else ""
            found.append(Sweep(axis, planes, list(lines.items()), over))
    return found
