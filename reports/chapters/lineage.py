"""Lineage: where each cell's numbers come from, from the scores back to the originals, and what made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from registry.store.axes import NONE
from registry.store.dag import HOLDING, Stage
from reports.asking.axes import ORIGINAL, PICTURE, TEXT, UNSAID, Names, Text, cell_name, label, repaintings
from reports.asking.models import model_of
from reports.asking.study import Study
from reports.site.pages import Page


def _back(stage: Stage) -> tuple[Any, ...]:
    """The place of a stage on the way back: what is known by more axes comes first, and measures before what they
    measure."""
    return -len(stage.axes), not stage.measures, -len(stage.inputs), stage.name


BACK = [stage.kind for stage in sorted(HOLDING, key=_back)]
"""The kinds of items on the way back, the last made first."""

Place = tuple[str, ...]
"""A corpus and the names on all axes, "" where one does not apply."""


class Line(NamedTuple):
    """The items of one kind: how many, the number of their model among the report's, and who computed them."""

    kind: str
    items: int
    model: int | None
    runs: Sequence[Any]
    """Executions as :func:`reports.asking.queries.runs` gives them, in the order of their stages."""


class Said(NamedTuple):
    """Captions of the pictures of a cell, with their scores; ``name`` is the whole cell's."""

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


def pages(study: Study) -> list[Page]:
    """One page, where the study has cells."""
    found = lineage(study)
    given = {"lineage": found, "models": study.models}
    return [Page("lineage.html", "Lineage", "lineage.html.j2", given)] if found else []


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """None: ``palimpsest trace`` prints any of it."""
    return {}


def lineage(study: Study) -> dict[str, list[Pictures]]:
    """The picture cells of each corpus, in the order of the study's tables."""
    runs = list(study.runs.itertuples())
    executions = {run.run: number for number, run in enumerate(runs)}
    made = {(row.kind, *where_of(row)): model_of(row) for row in study.identities.itertuples()}
    numbers = {model.key: number for number, model in enumerate(study.models)}
    counts: dict[tuple[Place, str], dict[int, int]] = {}
    placed: Iterable[Any] = study.placed.itertuples()
    for row in placed:
        counts.setdefault(((row.corpus, *where_of(row)), row.kind), {})[executions[row.run]] = row.items
    there: dict[Place, list[Line]] = {}
    for (place, kind), by in counts.items():
        model = made.get((kind, *place[1:]))
        number = numbers[model.key] if model else None
        there.setdefault(place, []).append(Line(kind, sum(by.values()), number, [runs[one] for one in sorted(by)]))
    cells = {
        corpus: [pictures(there, corpus, names, study.texts) for names in (ORIGINAL, *repaintings(study.order))]
        for corpus in study.order["corpus"]
    }
    return {corpus: some for corpus, found in cells.items() if (some := [cell for cell in found if cell])}


def where_of(row: Any) -> Text:
    """The names of a row on all axes."""
    return tuple(getattr(row, axis) for axis in (*PICTURE, *TEXT))


def pictures(there: Mapping[Place, list[Line]], corpus: str, names: Names, texts: Iterable[Text]) -> Pictures | None:
    """One cell, if pictures stand there."""
    if (corpus, *names, *UNSAID) not in there:
        return None
    said = [
        Said(label(text), cell_name(corpus, *names, label(text)), backwards(there[corpus, *names, *text]))
        for text in texts
        if (corpus, *names, *text) in there
    ]
    before = [(corpus, names[0], "", *UNSAID), (corpus, *ORIGINAL, *UNSAID)] if names != ORIGINAL else []
    lines = [line for place in ((corpus, *names, *UNSAID), *before) for line in backwards(there.get(place, []))]
    return Pictures(cell_name(corpus, *names), cell_name(corpus, *names, NONE), said, lines)


def backwards(lines: Iterable[Line]) -> list[Line]:
    """The last made first."""
    return sorted(lines, key=lambda line: (BACK.index(line.kind.partition(".")[0]), line.kind))
