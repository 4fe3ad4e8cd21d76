"""Recaptioning: what methods that rewrite captions did to them, at what cost, and what the papers say of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import pandas as pd

from registry.published import stored
from reports.asking.counterparts import Beside, beside
from reports.asking.metrics import Metric
from reports.asking.rewritten import Changes, Cost, changes, costs
from reports.asking.study import Study
from reports.chapters.gains import (
    Change,
    Section,
    Table,
    change,
    composite,
    difference,
    flattened,
    gains,
    leading,
    of_originals,
    overall,
    sections,
    what,
)
from reports.chapters.inpainting import flat, kinds_of
from reports.figures.trajectories import gallery
from reports.site.latex import latex
from reports.site.numbers import number
from reports.site.pages import Page
from reports.statistics.claims.judging import Finding
from reports.statistics.claims.recaptioning import CLAIMS, Method, findings
from reports.statistics.findings import asked, not_asked, unclaimed

PAPERS = {"rico": "RICO", "scalecap": "ScaleCap"}


class Undone(NamedTuple):
    """What repainting cost captions, and how much of it a method took back."""

    corpus: str
    captioner: str
    recaptioner: str
    metric: Metric
    lost: Change
    back: Change


def pages(study: Study) -> list[Page]:
    """One page, where captions were rewritten and measured."""
    had = study.once(changes)
    if had.rows.empty:
        return []
    found, parts = study.once(of_study), study.once(sections)
    spent, gained = study.once(costs), gains(had, study.judge)
    last = latest(study)
    given = {
        "answers": answers(study, had, last),
        "sections": parts,
        "tests": sum(one is not None for _, t in flattened(parts) for _, cells in t.rows for one in cells),
        "claims": asked(found, CLAIMS),
        "corpora": list(dict.fromkeys(one.corpus for one in found)),
        "not_asked": not_asked(found, CLAIMS),
        "gallery": gallery(study, last, gained),
        "gain": what(had, study.judge),
        "costs": [(one, paid(study, had, one)) for one in spent],
        "requested": list(dict.fromkeys(kind for one in spent for kind in one.asked)),
        "judge": study.judge,
        "undone": undone(study, had),
        "papers": study.once(papers),
        "titles": PAPERS,
    }
    latexed = {f"recaptioning-{n}.tex": table_latex(part, t) for n, (part, t) in enumerate(flattened(parts), 1)}
    return [Page("recaptioning.html", "Recaptioning", "recaptioning.html.j2", given, latexed)]


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """Differences before and after, what they cost, and the papers' claims; none where nothing was rewritten."""
    if study.once(changes).rows.empty:
        return {}
    differences = [
        {"corpus": part.corpus, "recaptioner": t.recaptioner, "captioner": captioner, "metric": metric.name}
        | change._asdict()
        for part, t in flattened(study.once(sections))
        for metric, cells in t.rows
        for captioner, change in zip(t.captioners, cells, strict=True)
        if change
    ]
    given_back = [
        {"corpus": one.corpus, "captioner": one.captioner, "recaptioner": one.recaptioner}
        | {"metric": one.metric.name or one.metric.title, "by": by, **change._asdict()}
        for one in undone(study, study.once(changes))
        for by, change in (("repainting", one.lost), ("rewriting", one.back))
    ]
    spent = [one._asdict() | {f"{kind}_requests": n for kind, n in one.asked.items()} for one in study.once(costs)]
    return {
        "recaptioning": pd.DataFrame(differences),
        "recaptioning_costs": pd.DataFrame(spent).drop(columns="asked", errors="ignore"),
        "recaptioning_findings": flat(study.once(of_study), kinds_of(study), CLAIMS),
    } | ({"recaptioning_undone": pd.DataFrame(given_back)} if given_back else {})


def methods(study: Study) -> list[Method]:
    """The methods of the study, as they are set."""
    said = study.params.get("recaptioners") or {}
    return [Method(name, str(entry.get("method", "")), entry) for name, entry in said.items()]


def latest(study: Study) -> list[str]:
    """The last variant of each entry: of a sweep over rounds or budgets the one that went furthest."""
    return list({name.partition("/")[0]: name for name in study.order["recaptioner"]}.values())


def of_study(study: Study) -> list[Finding]:
    """The claims of both papers on this study."""
    found = findings(of_originals(study.once(changes)), methods(study))
    return unclaimed(found, kinds_of(study), CLAIMS)


def answers(study: Study, had: Changes, last: Sequence[str]) -> list[str]:
    """A sentence a corpus and method: by how much captions got better."""
    rows, found = of_originals(had), []
    for corpus in study.order["corpus"]:
        for name in last:
            some = rows[(rows["corpus"] == corpus) & (rows["recaptioner"] == name)]
            one = change(overall(some, had, study.judge).reset_index())
            if one is None:
                continue
            better = "better" if one.effect > 0 else "worse"
            verdict = f"made captions {better}" if one.beyond else "cannot be told to make captions better or worse"
            of = f"{what(had, study.judge)} went from {number(one.before, 2)} to {number(one.after, 2)}"
            said = f"{of}, {one.text(2)} {one.interval(2)}".rstrip()
            found.append(f"On {corpus}, {name} {verdict}: {said} over {one.n} pictures.")
    return found


def paid(study: Study, had: Changes, one: Cost) -> list[Change | None]:
    """What the captions of a method gained for its cost, over all corpora and first captioners, and by the judge."""
    mine = of_originals(had)
    mine = mine[mine["recaptioner"] == one.recaptioner]
    judged = mine[mine["metric"] == (study.judge.name if study.judge else "")]
    return [change(overall(mine, had, study.judge).reset_index()), change(judged)]


def undone(study: Study, had: Changes) -> list[Undone]:
    """Whether rewriting captions of repainted pictures takes back what repainting cost them: in all, and by metric."""
    rows = had.rows[had.rows["inpainter"] != ""]
    key = ["corpus", "captioner", "metric", "sample"]
    means = rows.groupby([*key, "recaptioner"], sort=False)[["before", "after"]].mean().reset_index()
    both = means.merge(had.originals.rename(columns={"value": "original"}), on=key)
    whole = Metric("", what(had, study.judge), True, 3, "")
    asked = [(whole, composite(had)), *((metric, [metric.name]) for metric in leading(had, study.judge))]
    found = []
    for (corpus, captioner, name), some in both.groupby(["corpus", "captioner", "recaptioner"], sort=False):
        for metric, names in asked:
            own = some[some["metric"].isin(names)].groupby("sample")[["original", "before", "after"]].mean().round(12)
            if len(own):
                original, before, after = own.to_numpy(float).T
                lost, back = difference(original, before), difference(before, after)
                found.append(Undone(str(corpus), str(captioner), str(name), metric, lost, back))
    return found


def papers(study: Study) -> dict[str, dict[str, list[Beside]]]:
    """What both papers print, table by table, with ours beside it where all names are the same."""
    numbers = [one for one in stored(study.connection) if one.paper in PAPERS]
    rows = sorted(beside(numbers, study), key=lambda row: (row.number.paper, int(row.number.table)))
    return {
        paper: {table: list(some) for table, some in groupby(own, lambda row: row.number.table)}
        for paper, own in groupby(rows, lambda row: row.number.paper)
    }


def table_latex(part: Section, shown: Table) -> str:
    """Before and after as LaTeX."""
    cells = [
        [f"{one.text(metric.decimals)} {one.interval(metric.decimals)}" if one else "–" for one in row]
        for metric, row in shown.rows
    ]
    names = [f"{metric.title} {metric.arrow}" for metric, _ in shown.rows]
    index = pd.Index(names, name=f"{part.corpus}: {shown.recaptioner}")
    return latex(pd.DataFrame(cells, index, shown.captioners))
