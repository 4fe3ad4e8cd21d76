"""A report: an ordered list of chapters, written as pages with their tables beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Protocol

import pandas as pd
from sqlalchemy import Engine

from registry.store.objects import ObjectStore
from reports.asking.study import Study
from reports.chapters import (
    ablations,
    benchmarks,
    corpora,
    departures,
    gallery,
    inpainting,
    judges,
    lineage,
    published,
    recaptioning,
    training,
)
from reports.site.pages import Page, render


class Chapter(Protocol):
    """A module of ``chapters/``: it asks a study what its template needs."""

    def pages(self, study: Study) -> list[Page]:
        """Its pages; none where the study has nothing for it."""
        ...

    def tables(self, study: Study) -> dict[str, pd.DataFrame]:
        """What stands beside them as CSV, by name."""
        ...


CHAPTERS: tuple[Chapter, ...] = (
    inpainting,
    corpora,
    recaptioning,
    ablations,
    judges,
    training,
    benchmarks,
    published,
    departures,
    gallery,
    lineage,
)
"""In the order of the navigation."""


def build(engine: Engine, objects: ObjectStore, study: str, out: Path) -> Path:
    """Write the report of a study below ``out`` and return its first page.

    The pages and tables of an earlier report in ``out`` go. Raises ``ValueError`` with the nearest known name where the
    registry holds no such study. Equal registries give equal bytes,
    but for the seconds that MLflow knows of executions.
    """
    with engine.connect() as connection:
        asked = Study(connection, objects, study)
        pages = [page for chapter in CHAPTERS for page in asked.once(chapter.pages)]
        tables = {name: table for chapter in CHAPTERS for name, table in chapter.tables(asked).items()}
        metrics = corpora.main_numbers(asked)
        texts = render(study, pages)
        texts |= {f"plots/{file}": text for file, text in corpora.drawings(asked).items()}
    folder = out / "tables"
    for stale in (folder, out / "plots"):
        shutil.rmtree(stale, ignore_errors=True)
        stale.mkdir(parents=True)
    for stale in out.glob("*.html"):
        stale.unlink()
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    texts |= {f"tables/{file}": text for page in pages for file, text in page.latex.items()}
    for file, text in texts.items():
        (out / file).write_bytes(text.encode("utf-8", "replace"))
    return out / pages[0].file
