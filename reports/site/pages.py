"""One study as a few pages: an overview, a page for each corpus and a gallery, with their tables beside them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy import Engine

from registry.store.objects import ObjectStore
from registry.tracking.asking import UI
from reports.asking.metrics import FIDELITY, GROUNDING, QUALITY
from reports.chapters.ablations import Ablations
from reports.chapters.gallery import MOST, WEIGHT
from reports.chapters.lineage import cell_name
from reports.chapters.published import Comparison, view_texts
from reports.figures.forest import chapters, effects_texts
from reports.gathering import Report, gather
from reports.site.latex import failures_latex, findings_latex, latex, section_latex
from reports.site.tables import SECTIONS

SITE = Path(__file__).parent
TEMPLATES = [SITE, SITE.parent / "chapters", SITE.parent / "figures"]
INDEX, ABLATIONS, PUBLISHED, GALLERY = "index.html", "ablations.html", "published.html", "gallery.html"
LINEAGE = "lineage.html"
GALLERY_GIVEN = {"sections": SECTIONS, "most": MOST, "weight": WEIGHT}


class Page(NamedTuple):
    """One file of the report, as the navigation names it."""

    file: str
    title: str
    template: str
    given: Mapping[str, Any]
    """What the template is given beside the report."""
    tables: Mapping[str, str]
    """The tables of the page as LaTeX, by file name."""


def build(engine: Engine, objects: ObjectStore, study: str, out: Path) -> Path:
    """Write the report of a study below ``out`` and return its first page.

    The pages and tables of an earlier report in ``out`` go. Raises ``ValueError`` with the nearest known name where the
    registry holds no such study. Equal registries give equal bytes.
    """
    with engine.connect() as connection:
        report = gather(connection, objects, study)
    folder = out / "tables"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for stale in (*out.glob("corpus-*.html"), out / ABLATIONS, out / PUBLISHED, out / GALLERY, out / LINEAGE):
        stale.unlink(missing_ok=True)
    for name, table in report.tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    (out / "metrics.json").write_text(json.dumps(report.metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    made = pages(report)
    texts = {page.file: text for page, text in zip(made, render(report, made), strict=True)}
    texts |= {f"tables/{file}": text for page in made for file, text in page.tables.items()}
    for file, text in texts.items():
        (out / file).write_bytes(text.encode("utf-8", "replace"))
    return out / INDEX


def pages(report: Report) -> list[Page]:
    """The pages of a report, in the order of the navigation."""
    first = {"findings.tex": findings_latex(report.findings)} if report.findings else {}
    first |= {"failures.tex": failures_latex(report.tables["failures"])} if report.failures else {}
    made = [Page(INDEX, "The study", "inpainting.html.j2", {}, first)]
    for slug, section in zip(slugs(section.name for section in report.sections), report.sections, strict=True):
        found = section_latex(section)
        files = [f"{name}.tex" for name in slugs(" ".join((kind, slug, *names)) for kind, *names in found)]
        given = {"section": section, "tex": dict(zip(found, files, strict=True))}
        texts = dict(zip(files, found.values(), strict=True))
        made.append(Page(f"corpus-{slug}.html", section.name, "corpora.html.j2", given, texts))
    if report.ablations.scopes:
        made.append(ablations_page(report.ablations, report.controls))
    made.append(published_page(report.compared))
    if report.gallery:
        made.append(Page(GALLERY, "Gallery", "gallery.html.j2", GALLERY_GIVEN, {}))
    if report.lineage:
        made.append(Page(LINEAGE, "Lineage", "lineage.html.j2", {}, {}))
    return made


def ablations_page(found: Ablations, controls: Sequence[str]) -> Page:
    """What each factor of the study does."""
    given = {"chapters": chapters(found, controls), "tests": found.tests, "value": found.scopes[0].metric.name}
    return Page(ABLATIONS, "Ablations", "ablations.html.j2", given, {"ablations.tex": latex(effects_texts(found))})


def published_page(compared: Comparison) -> Page:
    """Ours beside published."""
    views = [(table, view) for table in compared.tables for view in table.views]
    names = slugs(f"published {table.title} {view.captioner}" for table, view in views)
    tables = {f"{name}.tex": latex(view_texts(view)) for name, (_, view) in zip(names, views, strict=True)}
    return Page(PUBLISHED, "Published", "published.html.j2", {"compared": compared}, tables)


def slugs(names: Iterable[str]) -> list[str]:
    """Names as parts of file names, different ones even where capitals do not count.

    >>> slugs(["scenes", "Flickr 30k", "flickr-30k"])
    ['scenes', 'flickr-30k', 'flickr-30k-2']
    """
    taken: list[str] = []
    for name in names:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
        numbered = (slug if number == 1 else f"{slug}-{number}" for number in itertools.count(1))
        taken.append(next(one for one in numbered if one not in taken))
    return taken


def render(report: Report, made: Sequence[Page]) -> list[str]:
    """The text of each page. Nothing in them is fetched, and no script runs but their own."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    style, script = ((SITE / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {
        "report": report,
        "pages": made,
        "style": Markup(style),  # ours, not a caption
        "script": Markup(script),
        "script_hash": allowed,
        "cell_name": cell_name,
        "ui": UI,
        "definitions": (*FIDELITY, *QUALITY, *GROUNDING),
    }
    return [environment.get_template(page.template).render(current=page, **page.given) for page in made]
