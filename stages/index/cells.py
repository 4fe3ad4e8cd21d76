"""Finished cells in MLflow: a run each, with its metrics and a contact sheet, and links that compare them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from itertools import chain

from sqlalchemy import Engine, update

from models.measures.declared import declared
from models.measures.regions import columns as columns_of
from registry.cells import Example, Where, cell_means, examples
from registry.store import schema
from registry.store.axes import NONE
from registry.store.dag import GRID
from registry.store.items import ItemStore
from registry.store.objects import ObjectStore
from registry.tracking.asking import comparison_links, stages_of
from registry.tracking.landing import share_view
from registry.tracking.runs import SHEET, CellLog, Tracker
from stages.engine.loop import EXAMPLES_A_CELL
from stages.engine.sheets import Line, contact_sheet
from stages.engine.study import Study

log = logging.getLogger(__name__)


def log_cells(study: Study, store: ItemStore) -> None:
    """Log one MLflow run a finished cell, with all its metrics and a contact sheet."""
    tracker = Tracker(stages_of(study.study), study.study, "index", cells=study.study)
    with store.engine.connect() as connection:
        means = cell_means(connection, study.study)
        shown = examples(connection, study.study, EXAMPLES_A_CELL)
    cells = []
    for where, found in sorted(shown.items(), key=lambda pair: str(pair[0])):
        axes = {axis: name or NONE for axis, name in {"corpus": where.corpus, **where.named()}.items()}
        picture = Where(corpus=where.corpus, **{axis: getattr(where, axis) for axis in GRID})
        metrics = means.get(picture, {}) | means.get(where, {})
        cells.append(CellLog(axes, metrics, found, partial(drawn, store.objects, found)))
    params = study.model_dump()  # as written, for MLflow takes no names of variants
    tracker.finish(params, {"cells": len(cells)}, cells)
    had = {metric for cell in cells for metric in cell.metrics}
    inside = [name for name in columns_of(declared().values()) if not name.endswith(("_outside", "_whole"))]
    share_view(
        tracker.client, tracker.cells, [*cells[0].axes] if cells else ["corpus"], [m for m in inside if m in had]
    )


def save_links(study: Study, engine: Engine) -> None:
    """Keep with the study where MLflow compares its cells: all of them, and those of each corpus."""
    links = comparison_links(study.study)
    with engine.begin() as connection:
        connection.execute(update(schema.Study).where(schema.Study.name == study.study).values(links=links))


def lines_of(objects: ObjectStore, found: Sequence[Example]) -> list[Line]:
    """Original, degraded and repainted pictures with the captions before and after."""
    lines: list[Line] = []
    shown = [[d for d in (example.original, example.degraded, example.repainted) if d] for example in found]
    read = dict(objects.get_many(chain(*shown)))
    for example, digests in zip(found, shown, strict=True):
        pictures = [data for one in digests if isinstance(data := read[one], bytes)]
        if len(pictures) < len(digests):
            why = next(error for one in digests if isinstance(error := read[one], Exception))
            log.warning("index: %s Its line is left out of contact sheets.", why)
            continue
        changed = [f"after: {example.caption}"] if example.repainted else []
        texts = [f"before: {example.caption_before}", *changed, f"reference: {example.reference}"]
        lines.append((example.sample, pictures, texts))
    return lines


def drawn(objects: ObjectStore, found: Sequence[Example]) -> dict[str, bytes]:
    """Draw the contact sheet of a cell, as a file of its run."""
    titles = ["original", "degraded", "repainted"] if found[0].repainted else ["original"]
    lines = lines_of(objects, found)
    return {SHEET: contact_sheet([*titles, "captions"], lines)} if lines else {}
