"""Where each cell's numbers come from: the items from the scores back to the originals, and what made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import Connection, func

from registry.store.axes import AXES, NONE
from registry.store.schema import Configuration, Corpus, Item, Placement
from reports.asking.queries import frame, standing, where
from reports.chapters.notes import Model, model_of
from reports.site.tables import ORIGINAL, Order, repaintings

BACK = ("quality", "caption", "fidelity", "represent", "project", "repainted", "degraded", "original")
"""The kinds of items on the way back, the last made first."""

Place = tuple[str, str, str, str]
"""Corpus, degradation, inpainter and captioner, "" where one does not apply."""


class Line(NamedTuple):
    """The items of one kind: how many, the number of their model among the report's, and who computed them."""

    kind: str
    items: int
    model: int | None
    runs: Sequence[Any]
    """Executions as :func:`reports.asking.queries.runs` gives them, in the order of their stages."""


class Said(NamedTuple):
    """What one captioner said of the pictures of a cell, and how it was scored; ``name`` is the whole cell's."""

    captioner: str
    name: str
    lines: list[Line]


class Pictures(NamedTuple):
    """A corpus under a degradation and an inpainter, or as it was."""

    name: str
    whole: str
    """Its name for ``palimpsest trace``, which names all axes."""
    said: list[Said]
    lines: list[Line]


def cell_name(corpus: str, degradation: str, inpainter: str, captioner: str = "") -> str:
    """How a cell is called; that of pictures has no captioner.

    >>> cell_name("scenes", "", "", "blip"), cell_name("scenes", "blur", "telea")
    ('scenes/none/none/blip', 'scenes/blur/telea')
    """
    return "/".join([corpus, degradation or NONE, inpainter or NONE, *([captioner] if captioner else [])])


def placed(connection: Connection, study: int) -> pd.DataFrame:
    """Corpus, axes, kind, execution, and how many items of it stand there."""
    statement = (
        standing(study, *where, Placement.kind, Item.run_id.label("run"), func.count().label("items"))
        .join(Item, Item.id == Placement.item_id)
        .group_by(Corpus.id, Configuration.id, Placement.kind, Item.run_id)
    )
    return frame(connection, statement)


def lineage(
    placed: pd.DataFrame,
    identities: pd.DataFrame,
    models: Sequence[Model],
    runs: Sequence[Any],
    order: Order,
) -> dict[str, list[Pictures]]:
    """The picture cells of each corpus, in the order of the study's tables."""
    executions = {run.run: number for number, run in enumerate(runs)}
    made = {(row.kind, *(getattr(row, axis) for axis in AXES)): model_of(row) for row in identities.itertuples()}
    numbers = {model.key: number for number, model in enumerate(models)}
    counts: dict[tuple[Place, str], dict[int, int]] = {}
    for row in placed.itertuples():
        place = (row.corpus, row.degradation, row.inpainter, row.captioner)
        counts.setdefault((place, row.kind), {})[executions[row.run]] = row.items
    there: dict[Place, list[Line]] = {}
    for (place, kind), by in counts.items():
        model = made.get((kind, *place[1:]))
        number = numbers[model.key] if model else None
        there.setdefault(place, []).append(Line(kind, sum(by.values()), number, [runs[one] for one in sorted(by)]))
    cells = {
        corpus: [pictures(there, (corpus, *names), order["captioner"]) for names in (ORIGINAL, *repaintings(order))]
        for corpus in order["corpus"]
    }
    return {corpus: some for corpus, found in cells.items() if (some := [cell for cell in found if cell])}


def pictures(
    there: Mapping[Place, list[Line]], names: tuple[str, str, str], captioners: Iterable[str]
) -> Pictures | None:
    """One cell, if pictures stand there."""
    corpus, degradation, _ = names
    if (*names, "") not in there:
        return None
    said = [
        Said(captioner, cell_name(*names, captioner), backwards(there[*names, captioner]))
        for captioner in captioners
        if (*names, captioner) in there
    ]
    before = [(corpus, degradation, "", ""), (corpus, "", "", "")] if degradation else []
    lines = [line for place in ((*names, ""), *before) for line in backwards(there.get(place, []))]
    return Pictures(cell_name(*names), cell_name(*names, NONE), said, lines)


def backwards(lines: Iterable[Line]) -> list[Line]:
    """The last made first."""
    return sorted(lines, key=lambda line: (BACK.index(line.kind.partition(".")[0]), line.kind))
