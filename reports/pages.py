"""One study as one page: ask the registry, fill the template, write the page and its tables."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy import Connection, Engine

from registry.objects import ObjectStore
from reports import queries
from reports.findings import Claim, Finding, claims, of_study
from reports.gallery import Entry, entries
from reports.metrics import FIDELITY, GROUNDING, QUALITY, REGIONS
from reports.notes import Model, models, notes
from reports.sections import SCATTERED, Found, Section, section
from reports.tables import ORIGINAL, SECTIONS, axes, controls, grid, tidy

TEMPLATES = Path(__file__).parent / "templates"
FAILURES_SHOWN = 10


class Part(NamedTuple):
    """One name on an axis of the study, with its settings."""

    name: str
    adapter: str
    settings: Mapping[str, Any]
    facts: list[str]


class Report(NamedTuple):
    """Everything that the template is given."""

    study: str
    params: Mapping[str, Any]
    counts: dict[str, int]
    parts: dict[str, list[Part]]
    controls: list[str]
    notes: list[str]
    failures: list[Any]
    failures_more: int
    sections: list[Section]
    claims: list[Claim]
    gallery: list[Entry]
    gallery_metric: str
    models: list[Model]
    runs: list[Any]
    tables: dict[str, pd.DataFrame]
    metrics: dict[str, Any]
    """The main numbers, for ``dvc metrics``."""


def build(engine: Engine, objects: ObjectStore, study: str, out: Path) -> Path:
    """Write the report of a study below ``out`` and return its page.

    Raises ``ValueError`` with the nearest known name where the registry holds no such study. Equal registries give
    equal bytes.
    """
    with engine.connect() as connection:
        report = gather(connection, objects, study)
    folder = out / "tables"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, table in report.tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    (out / "metrics.json").write_text(json.dumps(report.metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page = out / "index.html"
    page.write_bytes(render(report).encode("utf-8", "replace"))
    return page


def gather(connection: Connection, objects: ObjectStore, name: str) -> Report:
    """Ask the registry everything that the page says."""
    study = queries.find_study(connection, name)
    params = study.params
    everything = queries.means(connection, study.id)
    kinds = everything.groupby("metric")["kind"].min()
    means = everything[everything["kind"] == everything["metric"].map(kinds)]
    summaries = queries.summaries(connection, study.id)
    items = queries.items(connection, study.id)
    samples = queries.corpora(connection, study.id)
    failures = queries.failures(connection, study.id)
    repainted = queries.repainted(connection, study.id)
    named = [means[queries.WHERE], repainted[queries.WHERE[:3]], samples[["corpus"]]]
    order = axes(params, pd.concat(named).fillna(""))
    found = Found(
        order,
        controls(params),
        {region: grid(means[means["region"] == region], "mean", "n") for region in (*REGIONS, "")},
        grid(summaries, "value", "items"),
        repainted,
        queries.layers(connection, study.id),
    )
    sections = [section(found, corpus) for corpus in order["corpus"]]
    made = models(queries.identities(connection, study.id))
    has = set(means.loc[means["n"] > 0, "metric"])
    metric = next((m for name in SCATTERED[1] for m in QUALITY if m.name == name and name in has), None)
    tested = metric is not None and not repainted["inpainter"].isin(found.controls).all()
    found_out = of_study(connection, study, metric.name, found.layers) if tested else []
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
        claims(found_out),
        entries(connection, objects, study.id, metric, kinds[metric.name], found.controls) if metric else [],
        metric.title if metric else "",
        made,
        list(queries.runs(connection, study.id).itertuples()),
        tables(found, sections, failures) | {"findings": flat(found_out)},
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


def tables(found: Found, sections: list[Section], failures: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The CSV files, by name."""
    fidelity = [tidy(found.grids[region], FIDELITY, region=region) for region in REGIONS]
    correlations = [
        {"corpus": s.name, "captioner": link.captioner, **pair._asdict(), "critical_r": link.critical}
        for s in sections
        for link in s.links
        for pair in link.found.pairs
    ]
    columns = ["corpus", "captioner", "x", "y", "n", "pearson", "spearman", "critical_r"]
    points = [link.points.assign(corpus=s.name, captioner=link.captioner) for s in sections for link in s.links]
    moved = found.layers[found.layers["metric"] == "tvd_even"]
    drift = moved.pivot_table(index="layer", columns="region", values="mean")
    return {
        "fidelity": pd.concat(fidelity).drop(columns="captioner"),
        "grounding": pd.concat([tidy(found.grids[region], GROUNDING, region=region) for region in REGIONS]),
        "captions": tidy(found.grids[""], QUALITY),
        "captions_corpus": tidy(found.summary, QUALITY),
        "correlations": pd.DataFrame(correlations, columns=columns),
        "attention": found.layers,
        "drift": drift.reset_index(),
        "points": pd.concat(points).reset_index() if points else pd.DataFrame(),
        "failures": failures,
    }


def flat(found: list[Finding]) -> pd.DataFrame:
    """Findings as a CSV shows them."""
    rows = [{**one._asdict(), **one.estimate._asdict()} for one in found]
    columns = ["claim", "corpus", "captioner", "verdict", "value", "low", "high", "n", "of"]
    return pd.DataFrame(rows, columns=columns)


def main_numbers(found: Found, sections: list[Section], items: pd.DataFrame) -> dict[str, Any]:
    """What ``dvc metrics diff`` compares: captions of the originals, correlations inside the mask, and failures."""
    numbers: dict[str, Any] = {"items": int(items["items"].sum()), "failed": int(items["failed"].sum())}
    names = [name for name in SCATTERED[1] if name in found.grids[""].value][:2]
    for s in sections:
        numbers[s.name] = {}
        for link in s.links:
            originals = found.grids[""].value.loc[(s.name, *ORIGINAL, link.captioner), names].dropna()
            numbers[s.name][link.captioner] = {
                "originals": originals.round(6).to_dict(),
                "pearson": {
                    f"{pair.x}~{pair.y}": round(pair.pearson, 6)
                    for pair in link.found.pairs
                    if pair.x in ("lpips", "mse") and pair.y in names
                },
            }
    return numbers


def render(report: Report) -> str:
    """The page as text. Nothing in it is fetched, and no script runs but its own."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.j2").render(
        report=report,
        style=Markup(style),  # ours, not a caption
        script=Markup(script),
        script_hash=allowed,
        definitions=(*FIDELITY, *QUALITY, *GROUNDING),
    )
