"""The first page: what the study is, what the inpainting paper's claims come to, corpora at a glance, and methods."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd

from registry.published.papers import INPAINTING
from reports.asking import queries
from reports.asking.axes import LISTED, PICTURE, WHERE, columns, distinct
from reports.asking.factors import factors
from reports.asking.provenance import commits, seeds
from reports.asking.seen import seen
from reports.asking.sources import columns as columns_of
from reports.asking.sources import correlated, family
from reports.asking.study import Study
from reports.chapters import corpora, judges
from reports.chapters.answer import answer
from reports.chapters.notes import notes
from reports.figures.mosaic import Mosaic, mosaics
from reports.figures.similarity import similarities
from reports.site.latex import latex
from reports.site.numbers import number
from reports.site.pages import Page
from reports.statistics.claims.judging import Claim, Finding
from reports.statistics.claims.kinds import KINDS
from reports.statistics.claims.links import STRENGTH
from reports.statistics.findings import CLAIMS, Observed, asked, findings, not_asked
from reports.statistics.variability import variability

FAILURES_SHOWN = 10

CAPTION = "caption"
"""The kind of items that are captions."""


class Part(NamedTuple):
    """One name on an axis of the study, with its settings."""

    name: str
    adapter: str
    settings: Mapping[str, Any]
    facts: list[str]


class Judgements(NamedTuple):
    """Number of tests of one kind that the pages show."""

    what: str
    n: int
    corrected: bool = False
    """Whether their p is adjusted for how many they are."""


class Failure(NamedTuple):
    """Number of items of a kind that failed somewhere, and the reason."""

    items: int
    kind: str
    where: list[str]
    reason: str | None

    @classmethod
    def of(cls, row: Any) -> Failure:
        names = [getattr(row, column, "") for column in WHERE]
        return cls(row.items, row.kind, [name for name in names if name], row.reason)


def pages(study: Study) -> list[Page]:
    """The first page."""
    found, failures = study.once(of_study), columns(study.failures)
    named = parts(study)
    given = {
        "params": study.params,
        "counts": counts(study),
        "parts": named,
        "entries": {section: by_entry(some) for section, some in named.items()},
        "controls": study.controls,
        "notes": notes(study),
        "failures": [Failure.of(row) for row in failures.head(FAILURES_SHOWN).itertuples()],
        "failures_more": max(0, len(failures) - FAILURES_SHOWN),
        "answer": answer(study, found),
        "strip": shown(study),
        "paper": INPAINTING,
        "claims": asked(found),
        "strength": STRENGTH,
        "families": families(study),
        "caveats": caveats(found),
        "not_asked": not_asked(found),
        "judge": study.judge,
        "similarities": similarities(study),
        "corpora": study.once(corpora.pages),
        "glanced": any(one.glances or any(link.pairs for link in one.links) for one in study.once(corpora.sections)),
        "definitions": (*study.fidelity, *study.quality, *study.grounding),
        "data": study.data,
        "models": study.models,
        "runs": list(study.runs.itertuples()),
        "commits": commits(study.runs),
        "seeds": seeds(study.params),
        "tests": judgements(study),
        "link": study.links.get(""),
    }
    latexed = {"findings.tex": findings_latex(found)} if found else {}
    latexed |= {"failures.tex": failures_latex(failures)} if len(failures) else {}
    title = "The answer" if given["answer"] else "The study"
    return [Page("index.html", title, "inpainting.html.j2", given, latexed)]


def shown(study: Study) -> Mosaic | None:
    """The picture that stands first: that of the first corpus that has one."""
    found = study.once(mosaics)
    return next((found[name] for name in study.order["corpus"] if name in found and found[name].rows), None)


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """Failures, and the paper's claims."""
    return {"failures": columns(study.failures), "findings": flat(study.once(of_study), kinds_of(study))}


def counts(study: Study) -> dict[str, int]:
    """Counts of pictures, configurations, captions, measurements and items."""
    items = study.items
    return {
        "pictures": int(study.samples["samples"].sum()),
        "configurations": len(study.repainted[list(PICTURE)].drop_duplicates()),
        "captions": int(items.loc[items["kind"] == CAPTION, "placed"].sum()),
        "measurements": int(study.everything["n"].sum()),
        "items": int(items["items"].sum()),
        "failed": int(items["failed"].sum()),
    }


def of_study(study: Study) -> list[Finding]:
    """The paper's claims on this study, its captions judged by one metric."""
    found = study.once(correlated)
    if study.judge is None or found.frame.empty:
        return []
    said = queries.references(study.connection, study.id)
    return findings(
        Observed(
            degraded(study, found.frame),
            columns_of(found.frame, [study.judge.name], []),
            found.by_corpus,
            layers(study),
            degraded(study, seen(study)),
            kinds_of(study),
            {corpus: apart for corpus, texts in said.items() if (apart := variability(texts)) is not None},
            guidances(study.params),
            found.pooled,
        )
    )


def families(study: Study) -> dict[str, list[str]]:
    """The inpainters of each family of checkpoints that has several, the controls left out."""
    found: dict[str, list[str]] = {}
    for name in study.order["inpainter"]:
        if name not in study.controls:
            found.setdefault(family(study.params, name), []).append(name)
    return {one: names for one, names in found.items() if len(names) > 1}


def caveats(found: Sequence[Finding]) -> dict[str, list[str]]:
    """Claims that cannot be decided, by the reason."""
    why: dict[str, list[str]] = {}
    for one in found:
        if one.basis.caveat and one.claim not in why.setdefault(one.basis.caveat, []):
            why[one.basis.caveat].append(one.claim)
    return why


def layers(study: Study) -> pd.DataFrame:
    """What was measured in the layers of encoders, of distinct configurations, with the family of each."""
    rows = distinct(study.layers[~study.layers["inpainter"].isin(study.controls)], study.same)
    return rows.assign(family=[family(study.params, name) for name in rows["inpainter"]])


def kinds_of(study: Study) -> dict[str, str]:
    """The kind of each corpus, "" where the paper speaks of none such."""
    corpora = study.params.get("corpora") or {}
    return {name: KINDS.get(entry.get("adapter"), "") for name, entry in corpora.items()}


def guidances(params: Mapping[str, Any]) -> dict[str, tuple[str, float]]:
    """Guidance of each inpainter that has one, after everything else that is set for it.

    >>> guidances({"inpainters": {"sd": {"steps": 20, "guidance": 7.5}, "telea": {"radius": 3}}})
    {'sd': ('{"steps": 20}', 7.5)}
    """
    found = {}
    for name, entry in params["inpainters"].items():
        rest = {key: value for key, value in entry.items() if key != "guidance"}
        if rest != entry:
            found[name] = (json.dumps(rest, sort_keys=True), float(entry["guidance"]))
    return found


def degraded(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the kind and the mask of their degradation; equal masks have equal texts."""
    kinds = {name: entry.get("kind", "") for name, entry in study.params["degradations"].items()}
    masks = queries.masks(study.connection, study.id)
    where = zip(rows["corpus"], rows["degradation"], strict=True)
    return rows.assign(kind=rows["degradation"].map(kinds), mask=[masks.get(one, "") for one in where])


def parts(study: Study) -> dict[str, list[Part]]:
    """The names on each axis, with what is set for them; of corpora also what they hold."""
    found: dict[str, list[Part]] = {}
    problems, samples = queries.problems(study.connection, study.id), study.samples
    own = {section: study.params.get(section) or {} for section in LISTED}
    for section, axis in LISTED.items():
        first, *_ = others = [one for one, on in LISTED.items() if on == axis]
        if axis not in ("corpus", *study.axes) or (section != first and not own[section]):
            continue
        found[section] = []
        for name in study.order[axis]:
            if any(name in own[one] for one in others if one != section):
                continue
            entry = dict(own[section].get(name) or {})
            facts = []
            if axis == "corpus":
                splits = samples[samples["corpus"] == name]
                facts = [f"{n:,} {split}" for split, n in zip(splits["split"], splits["samples"], strict=True)]
                facts += [f"{n:,} × {kind}" for kind, n in sorted((problems.get(name) or {}).items())]
            adapter = entry.pop("adapter", None) or entry.pop("kind", "")
            found[section].append(Part(name, adapter, entry, facts))
    return found


def by_entry(some: Sequence[Part]) -> list[tuple[str, list[Part]]]:
    """The names of each entry together: an entry that sweeps has a name for each of its variants.

    >>> [(name, len(own)) for name, own in by_entry([Part(name, "", {}, []) for name in ("a", "b/x=1", "b/x=2")])]
    [('a', 1), ('b', 2)]
    """
    return [(name, list(own)) for name, own in groupby(some, lambda part: part.name.partition("/")[0])]


def judgements(study: Study) -> list[Judgements]:
    """Tests that the pages show, by kind."""
    pairs = sum(len(link.pairs) for section in study.once(corpora.sections) for link in section.links)
    judged = sum(one.estimate.low is not None for one in study.once(of_study))
    agreements = sum(one.found.low is not None for one in study.once(judges.estimates))
    found = [
        Judgements("Pearson correlations with a 95 % interval", pairs),
        Judgements("Spearman correlations with one", pairs),
        Judgements("claims of the paper, each asked of a corpus", judged),
        Judgements("agreements of judges with a truth", agreements),
        Judgements("effects and interactions of factors, corrected together", study.once(factors).tests, True),
    ]
    return [one for one in found if one.n]


def flat(found: Sequence[Finding], kinds: Mapping[str, str], claims: Sequence[Claim] = CLAIMS) -> pd.DataFrame:
    """Findings as a CSV shows them, with where the paper makes each claim and the kind of its corpus."""
    sources = {claim.text: claim.source for claim in claims}
    rows = [
        {
            **one._asdict(),
            **one.estimate._asdict(),
            **one.basis._asdict(),
            "source": sources[one.claim],
            "kind": kinds.get(one.corpus, ""),
        }
        for one in found
    ]
    names = [
        "claim",
        "source",
        "corpus",
        "kind",
        "judge",
        "verdict",
        "value",
        "low",
        "high",
        "n",
        "families",
        "effective_n",
    ]
    names += ["of", "caveat"]
    return pd.DataFrame(rows, columns=names)


def findings_latex(findings: Sequence[Finding]) -> str:
    """The paper's claims, one row for each corpus and captioner."""

    def text(value: float | None) -> str:
        return "–" if value is None else number(value, 2)

    names = [(one.claim, one.corpus or "over all", one.judge) for one in findings]
    rows = [
        (one.verdict, text(e.value), "–" if e.low is None else f"[{text(e.low)}, {text(e.high)}]", str(e.n))
        for one in findings
        for e in [one.estimate]
    ]
    index = pd.MultiIndex.from_tuples(names, names=["claim", "corpus", "captioner"])
    return latex(pd.DataFrame(rows, index, ["verdict", "value", "95 % interval", "n"]))


def failures_latex(failures: pd.DataFrame) -> str:
    """Failures: a row for each place and reason, and how many items."""
    labels = [name for name in failures if name != "items"]
    return latex(failures.fillna("").set_index(labels).astype(str))
