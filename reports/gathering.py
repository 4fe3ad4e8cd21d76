"""Everything that the pages of one study say, asked of the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import Connection

from registry.published import stored
from registry.store.objects import ObjectStore
from reports.asking import queries
from reports.asking.metrics import QUALITY, REGIONS
from reports.asking.provenance import Data, Judgements, commits, data, judgements, seeds
from reports.asking.sources import asked_and_usual, study_table, study_values
from reports.chapters.ablations import LPIPS, Ablations, ablations
from reports.chapters.corpora import SCATTERED, Found, Section, section
from reports.chapters.gallery import Gallery, gallery
from reports.chapters.lineage import Pictures, lineage, placed
from reports.chapters.notes import Model, models, notes
from reports.chapters.published import Comparison, compare
from reports.figures.drawn import Drawn, drawn
from reports.figures.forest import effects_table, interactions_table
from reports.site.exports import flat, main_numbers, tables
from reports.site.tables import SECTIONS, axes, controls, grid
from reports.statistics.findings import Claim, Finding, claims, of_study
from reports.statistics.intervals import by_captioner

FAILURES_SHOWN = 10


class Part(NamedTuple):
    """One name on an axis of the study, with its settings."""

    name: str
    adapter: str
    settings: Mapping[str, Any]
    facts: list[str]


class Report(NamedTuple):
    """Everything that the templates are given."""

    study: str
    params: Mapping[str, Any]
    counts: dict[str, int]
    parts: dict[str, list[Part]]
    controls: list[str]
    notes: list[str]
    failures: list[Any]
    failures_more: int
    sections: list[Section]
    findings: list[Finding]
    claims: list[Claim]
    ablations: Ablations
    compared: Comparison
    gallery: Gallery | None
    drawn: Drawn
    models: list[Model]
    data: list[Data]
    commits: list[str]
    seeds: list[tuple[str, str]]
    tests: list[Judgements]
    runs: list[Any]
    lineage: dict[str, list[Pictures]]
    links: dict[str, str]
    tables: dict[str, pd.DataFrame]
    metrics: dict[str, Any]
    """The main numbers, for ``dvc metrics``."""


def gather(connection: Connection, objects: ObjectStore, name: str) -> Report:
    """Ask the registry everything that the pages say."""
    study = queries.find_study(connection, name)
    params = study.params
    everything = queries.means(connection, study.id)
    kinds = everything.groupby("metric")["kind"].min()
    means = everything[everything["kind"] == everything["metric"].map(kinds)]
    summaries = queries.summaries(connection, study.id)
    items = queries.items(connection, study.id)
    samples = queries.corpora(connection, study.id)
    failures = queries.failures(connection, study.id)
    runs = queries.runs(connection, items)
    repainted = queries.repainted(connection, study.id)
    named = [means[queries.WHERE], repainted[queries.WHERE[:3]], samples[["corpus"]]]
    order = axes(params, pd.concat(named).fillna(""))
    has = set(means.loc[means["n"] > 0, "metric"])
    metric = next((m for name in SCATTERED[1] for m in QUALITY if m.name == name and name in has), None)
    tested = metric is not None and not repainted["inpainter"].isin(controls(params)).all()
    values = study_values(connection, study, *asked_and_usual([], [])) if tested else pd.DataFrame()
    frame, xs, ys = study_table(connection, study, values) if tested else (pd.DataFrame(), [], [])
    found = Found(
        order,
        controls(params),
        {region: grid(means[means["region"] == region], "mean", "n") for region in (*REGIONS, "")},
        grid(summaries, "value", "items"),
        repainted,
        queries.layers(connection, study.id),
        by_captioner(frame, xs, ys, order["captioner"]) if tested else {},
    )
    sections = [section(found, corpus) for corpus in order["corpus"]]
    identities = queries.identities(connection, study.id)
    made, executions = models(identities), list(runs.itertuples())
    found_out = of_study(connection, study, frame, metric.name, found.layers) if tested else []
    factors = ablations(connection, study, values, [metric, LPIPS]) if tested else Ablations([], 0, {})
    links = {one.name: one.links for one in sections}
    compared, published = compare(stored(connection), found, links, params)
    return Report(
        study.name,
        params,
        {
            "pictures": int(samples["samples"].sum()),
            "configurations": len(repainted[["degradation", "inpainter"]].drop_duplicates()),
            "captions": int(items.loc[items["kind"] == "caption", "placed"].sum()),
            "measurements": int(everything["n"].sum()),
            "items": int(items["items"].sum()),
            "failed": int(items["failed"].sum()),
        },
        parts(params, order, samples, queries.problems(connection, study.id)),
        found.controls,
        notes(params, everything, items, made),
        list(failures.head(FAILURES_SHOWN).itertuples()),
        max(0, len(failures) - FAILURES_SHOWN),
        sections,
        found_out,
        claims(found_out),
        factors,
        compared,
        gallery(connection, objects, study.id, metric, kinds[metric.name], found.controls) if metric else None,
        drawn(connection, objects, study, found, metric.name if metric else ""),
        made,
        data(connection, study.id),
        commits(runs),
        seeds(params),
        judgements(sections, found_out, factors.tests),
        executions,
        lineage(placed(connection, study.id), identities, made, executions, order),
        study.links,
        tables(found, sections, failures)
        | {"findings": flat(found_out), "published": published}
        | {"ablations": effects_table(factors), "interactions": interactions_table(factors)},
        main_numbers(found, sections, items),
    )


def parts(
    params: Mapping[str, Any],
    order: Mapping[str, list[str]],
    samples: pd.DataFrame,
    problems: Mapping[str, Mapping[str, int]],
) -> dict[str, list[Part]]:
    """The names on each axis, with what is set for them; of corpora also what they hold."""
    found: dict[str, list[Part]] = {}
    for axis, section_name in SECTIONS.items():
        found[section_name] = []
        for name in order[axis]:
            entry = dict((params.get(section_name) or {}).get(name) or {})
            facts = []
            if axis == "corpus":
                splits = samples[samples["corpus"] == name]
                facts = [f"{n:,} {split}" for split, n in zip(splits["split"], splits["samples"], strict=True)]
                facts += [f"{n:,} × {kind}" for kind, n in sorted((problems.get(name) or {}).items())]
            adapter = entry.pop("adapter", None) or entry.pop("kind", "")
            found[section_name].append(Part(name, adapter, entry, facts))
    return found
